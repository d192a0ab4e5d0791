/*
title: A hook conflicts with itself
severity: error
confidence: strong
needs: []
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
    conflict.run_id,
    [
        witness('created', created.event_no),
        witness('conflict with itself', conflict.event_no)
    ] AS witness,
    format(
        '{} was created at #{} and refused as taken at #{}: two ticks created the same hook, and the second '
        'lost against the first.',
        short_id(conflict.correlation_id), created."position", conflict."position"
    ) AS because
FROM accusation AS conflict
JOIN entity USING (run_id, kind, correlation_id)
JOIN log AS created ON created.run_id = conflict.run_id AND created."position" = first_created
JOIN event AS created_event ON created_event.event_no = created.event_no
JOIN event AS conflict_event ON conflict_event.event_no = conflict.event_no
WHERE rule = 'self-hook-conflict'
    AND coalesce(created_event.token_hash = conflict_event.token_hash, TRUE);
