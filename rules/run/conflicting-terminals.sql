/*
title: A run ended in two different ways
severity: error
confidence: proof
needs: []
implies: [event-after-terminal]
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
    run_id,
    list(witness('ended', event_no) ORDER BY "position") AS witness,
    format(
        'The run ended as {}: its outcome depends on which of them is read.',
        string_agg(format('{} at #{}', substr(event_type, 5), "position"), ' and ' ORDER BY "position")
    ) AS because
FROM (
    SELECT run_id, event_type, min("position") AS "position", arg_min(event_no, "position") AS event_no
    FROM log
    WHERE event_type IN ('run_completed', 'run_failed', 'run_cancelled')
    GROUP BY run_id, event_type
)
GROUP BY run_id
HAVING count(*) > 1;
