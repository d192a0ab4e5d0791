/*
title: A wait was completed that was never created
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
        [witness('completed', orphan.event_no)],
        CASE WHEN created.event_no IS NULL THEN [] ELSE [witness('created only now', created.event_no)] END
    ) AS witness,
    format(
        'wait_completed of {} stands at #{}, but the wait {}.',
        short_id(orphan.correlation_id), orphan."position",
        coalesce('is created only at #' || created."position", 'is created nowhere in the run')
    ) AS because
FROM accusation AS orphan
JOIN entity USING (run_id, kind, correlation_id)
LEFT JOIN log AS created ON created.run_id = orphan.run_id AND created."position" = first_created
WHERE rule = 'orphan-wait-completed'
    AND NOT coalesce(created.created_at = orphan.created_at, FALSE);
