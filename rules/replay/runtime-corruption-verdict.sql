/*
title: The runtime itself gave the run up as corrupt
about: runtime
severity: error
confidence: proof
needs: []
implies: []
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
WITH named AS (
    SELECT run.run_id, min("position") AS "position", arg_min(event_no, "position") AS event_no
    FROM run
    JOIN log ON log.run_id = run.run_id
        AND (log.event_id = runtime_event_id
            OR (runtime_event_id IS NULL AND log.correlation_id = runtime_correlation_id))
    WHERE runtime_signature IS NOT NULL
    GROUP BY run.run_id
)

SELECT
    run.run_id,
    list_concat(
        CASE WHEN named.event_no IS NULL THEN [] ELSE [witness('the runtime stopped at', named.event_no)] END,
        [
            CASE
                WHEN failed_event_no IS NOT NULL THEN witness('the runtime''s verdict', failed_event_no)
                ELSE entity_witness('the runtime''s verdict', entity_no)
            END
        ]
    ) AS witness,
    format(
        'The runtime failed the run as {}{}.',
        CASE runtime_signature
            WHEN 'unconsumed_event' THEN 'corrupt: replay came upon an event that no code asked for'
            ELSE 'corrupt: its replays diverged from the log'
        END,
        coalesce(format(', at #{}', named."position"), '')
    ) AS because
FROM run
LEFT JOIN named ON named.run_id = run.run_id
WHERE runtime_signature IS NOT NULL;
