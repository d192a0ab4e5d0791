/*
title: A slot of the log is empty
severity:
  - {when: finding.settled, is: error}
  - {is: warning}
confidence: proof
needs: [slots, complete]
implies: [runtime-corruption-verdict]
since: 0.1.0
params:
  grace_seconds: {default: 60, meaning: how long a write of a running run may take to fill its slot}
---
## What it means
To be written.

## Why it happens
To be written.

## Example
To be written.

## How to confirm
To be written.

## What to do
To be written.

## When it is wrong
To be written.

## References
To be written.
*/
WITH slotted AS (
    SELECT
        log.run_id, event_no, "position", created_at,
        CAST(right(event_id, 16) AS BIGINT) AS slot,
        lag(event_no) OVER by_slot AS previous_event_no,
        coalesce(lag(CAST(right(event_id, 16) AS BIGINT)) OVER by_slot, 0) AS previous_slot
    FROM log
    JOIN run USING (run_id)
    -- Dense from 1 means that the last slot is the number of events; only other runs are looked at.
    WHERE id_scheme = 'slot' AND CAST(right(run.tail, 16) AS BIGINT) <> events
    WINDOW by_slot AS (PARTITION BY log.run_id ORDER BY "position")
)

SELECT
    slotted.run_id,
    list_concat(
        CASE WHEN previous_event_no IS NULL THEN [] ELSE [witness('before the hole', previous_event_no)] END,
        [witness('after the hole', event_no)]
    ) AS witness,
    run.status <> 'running'
        OR created_at < audit_now() - to_seconds(param('slot-hole', 'grace_seconds', run.workflow)) AS settled,
    format(
        'Slot{} {} {} missing: the log goes from {} to {}.',
        CASE WHEN slot - previous_slot = 2 THEN '' ELSE 's' END,
        CASE WHEN slot - previous_slot = 2 THEN CAST(slot - 1 AS VARCHAR)
            ELSE format('{} to {}', previous_slot + 1, slot - 1) END,
        CASE WHEN slot - previous_slot = 2 THEN 'is' ELSE 'are' END,
        CASE WHEN previous_slot = 0 THEN 'its start' ELSE format('slot {}', previous_slot) END,
        format('slot {}', slot)
    ) AS because
FROM slotted
JOIN run USING (run_id)
WHERE slot > previous_slot + 1;
