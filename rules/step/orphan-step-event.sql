/*
title: A step has events but was never created
severity: error
confidence: strong
needs: [complete]
implies: [runtime-corruption-verdict]
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
SELECT
    orphan.run_id,
    list_concat(
        [witness('event without a creation', orphan.event_no)],
        CASE WHEN created.event_no IS NULL THEN [] ELSE [witness('created only now', created.event_no)] END
    ) AS witness,
    format(
        '{} of {} stands at #{}, but the step {}.',
        orphan.event_type, short_id(orphan.correlation_id), orphan."position",
        coalesce('is created only at #' || created."position", 'is created nowhere in the run')
    ) AS because
FROM accusation AS orphan
JOIN entity USING (run_id, kind, correlation_id)
JOIN event ON event.event_no = orphan.event_no
LEFT JOIN log AS created ON created.run_id = orphan.run_id AND created."position" = first_created
WHERE rule = 'orphan-step-event'
    -- A lazy start carries the step's input and creates the step itself, in the same commit.
    AND NOT (orphan.event_type = 'step_started' AND event.payload_bytes > 0)
    AND NOT coalesce(created.created_at = orphan.created_at, FALSE);
