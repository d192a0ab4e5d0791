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
    -- TRY_CAST: a filter may reach the ULIDs of other runs before the one on id_scheme does.
    SELECT log.run_id, event_no, "position", created_at, TRY_CAST(right(event_id, 16) AS BIGINT) AS slot
    FROM log
    JOIN run USING (run_id)
    WHERE id_scheme = 'slot'
),

-- Dense from 1 means that every slot is its position; only other runs are sorted. Counting would not do: a
-- slot that is there twice would hide one that is missing.
neighbour AS (
    SELECT
        *,
        lag(event_no) OVER by_slot AS previous_event_no,
        lag("position") OVER by_slot AS previous_position,
        coalesce(lag(slot) OVER by_slot, 0) AS previous_slot
    FROM slotted
    WHERE run_id IN (SELECT run_id FROM slotted WHERE slot <> "position")
    WINDOW by_slot AS (PARTITION BY run_id ORDER BY "position")
)

SELECT
    neighbour.run_id,
    list_concat(
        CASE WHEN previous_event_no IS NULL THEN [] ELSE [witness('before the hole', previous_event_no)] END,
        [witness('after the hole', event_no)]
    ) AS witness,
    run.status <> 'running'
        OR created_at < audit_now() - to_seconds(param('slot-hole', 'grace_seconds', run.workflow)) AS settled,
    format(
        'Slot{} {} {} missing: the log {} slot {} at #{}.',
        CASE WHEN slot - previous_slot = 2 THEN '' ELSE 's' END,
        CASE WHEN slot - previous_slot = 2 THEN CAST(slot - 1 AS VARCHAR)
            ELSE format('{} to {}', previous_slot + 1, slot - 1) END,
        CASE WHEN slot - previous_slot = 2 THEN 'is' ELSE 'are' END,
        CASE
            WHEN previous_event_no IS NULL THEN 'begins with'
            ELSE format('goes from slot {} at #{} to', previous_slot, previous_position)
        END,
        slot, "position"
    ) AS because
FROM neighbour
JOIN run USING (run_id)
WHERE slot > previous_slot + 1;
