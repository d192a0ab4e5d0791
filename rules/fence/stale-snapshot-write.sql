/*
title: A write was accepted from a snapshot that missed an event
severity: error
confidence: proof
needs: [fences]
implies:
  - conflicting-terminals
  - duplicate-step-created
  - duplicate-wait-created
  - event-after-terminal
  - late-creation
  - ordinal-collision
  - orphaned-wait
  - runtime-corruption-verdict
  - self-hook-conflict
  - step-restarted-after-outcome
since: 0.1.0
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
WITH accepted AS (
    SELECT
        *,
        -- The members of one batch share one fence and one request: none of them is unseen by its siblings.
        -- A log without request ids gives that credit to the writes of one tick under the very same fence.
        coalesce(
            'request ' || request_id,
            fence_kind || ' ' || fence_value || concat_ws(' ', '', tick_id, writer_id),
            'event ' || event_no
        ) AS batch
    FROM write
    WHERE refusal_no IS NULL
),

fenced AS (
    SELECT *
    FROM accepted
    WHERE role = 'decision' AND fence_kind <> 'unfenced' AND known < "position" - 1
),

-- The 64 places after each snapshot: enough to name what was missed, and a bound on the work.
gap AS (
    SELECT fenced.*, unnest(range(known + 1, least("position", known + 65))) AS missed_position
    FROM fenced
),

missed AS (
    SELECT gap.*, seen.event_no AS missed_no, seen.event_type AS missed_type
    FROM gap
    JOIN accepted AS seen ON seen.run_id = gap.run_id AND seen."position" = missed_position
    WHERE seen.batch <> gap.batch
        -- This weak fence protects against signals and step outcomes only.
        AND (gap.fence_kind <> 'state_updated_at' OR seen.role IN ('signal', 'outcome'))
),

stale AS (
    SELECT
        run_id, event_no, event_type, batch, "position", known, fence_kind,
        list(missed_no ORDER BY missed_position) AS missed_nos,
        min(missed_position) AS first_missed,
        arg_min(missed_type, missed_position) AS first_type,
        count(*) AS missed_count
    FROM missed
    GROUP BY ALL
)

SELECT
    stale.run_id,
    list_concat(
        CASE WHEN any_value(snapshot.event_no) IS NULL THEN []
            ELSE [witness('last event of the snapshot', any_value(snapshot.event_no))] END,
        list_transform(arg_min(missed_nos, stale."position")[:5], lambda no: witness('missed', no)),
        list(witness('stale write', stale.event_no) ORDER BY stale."position")
    ) AS witness,
    format(
        '{} at #{}{} was written knowing the log up to #{}, but {} at #{}{} stood there already ({} fence).',
        arg_min(stale.event_type, stale."position"), min(stale."position"),
        CASE count(*) WHEN 1 THEN '' ELSE format(' (and {} more of its batch)', count(*) - 1) END,
        any_value(known),
        any_value(first_type), any_value(first_missed),
        CASE min(missed_count) WHEN 1 THEN '' ELSE format(' and {} more', min(missed_count) - 1) END,
        any_value(fence_kind)
    ) AS because
FROM stale
LEFT JOIN log AS snapshot ON snapshot.run_id = stale.run_id AND snapshot."position" = known
GROUP BY stale.run_id, batch, known;
