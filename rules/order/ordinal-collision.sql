/*
title: Two entities of different kinds were created on one ordinal
severity: error
confidence: proof
needs: [ordinals]
implies: [duplicate-step-created, duplicate-wait-created, orphaned-wait, runtime-corruption-verdict]
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
WITH collision AS (
    SELECT run_id, ordinal
    FROM entity
    WHERE ordinal IS NOT NULL
    GROUP BY run_id, ordinal
    HAVING count(DISTINCT kind) > 1
),

-- A tick writes its creations in one burst: nothing but signals lands between them.
creation AS (
    SELECT
        log.*,
        ordinal,
        count(*) FILTER (WHERE event_type IN ('wait_completed', 'step_completed', 'step_failed'))
            OVER (PARTITION BY log.run_id ORDER BY "position") AS burst
    FROM log
    LEFT JOIN entity USING (run_id, kind, correlation_id)
    WHERE run_id IN (SELECT run_id FROM collision)
    QUALIFY event_type IN ('step_created', 'wait_created', 'hook_created', 'hook_conflict')
),

bound AS (
    SELECT
        collision.run_id, collision.ordinal, kind,
        min("position") AS "position", arg_min(event_no, "position") AS event_no,
        arg_min(burst, "position") AS burst, any_value(correlation_id) AS correlation_id
    FROM collision
    JOIN creation USING (run_id, ordinal)
    GROUP BY ALL
),

sibling AS (
    SELECT
        bound.run_id, bound.ordinal,
        list(witness('created beside it', creation.event_no) ORDER BY creation."position") AS witness
    FROM bound
    JOIN creation USING (run_id, kind, burst)
    WHERE creation.event_no NOT IN (SELECT event_no FROM bound)
    GROUP BY ALL
)

SELECT
    run_id,
    list_concat(
        list(witness('bound the ordinal', event_no) ORDER BY "position"), coalesce(any_value(sibling.witness), [])
    ) AS witness,
    format(
        'Ordinal {} of the run was given to {}: two replays numbered their creations from different '
        'histories.',
        ordinal, string_agg(format('{} at #{}', short_id(correlation_id), "position"), ' and ' ORDER BY "position")
    ) AS because
FROM bound
LEFT JOIN sibling USING (run_id, ordinal)
GROUP BY run_id, ordinal
HAVING count(*) > 1;
