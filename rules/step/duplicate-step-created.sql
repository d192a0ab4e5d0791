/*
title: An open step was created twice
severity: info
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
SELECT
    again.run_id,
    [
        witness('created', first.event_no),
        witness('created again', again.event_no)
    ] AS witness,
    format(
        '{} was created at #{} and again at #{}, before it had an outcome.',
        short_id(again.correlation_id), first."position", again."position"
    ) AS because
FROM accusation AS again
JOIN entity USING (run_id, kind, correlation_id)
JOIN log AS first ON first.run_id = again.run_id AND first."position" = first_created
WHERE rule = 'duplicate-step-created';
