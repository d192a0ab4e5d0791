/*
title: A wait is overdue and nothing will complete it
severity: error
confidence: strong
needs: [complete]
implies: []
since: 0.1.0
params:
  grace_seconds: {default: 60, meaning: how long after its resumeAt a wait may stay open}
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
    entity.run_id,
    [
        witness('created', created.event_no),
        witness('last event of the run', run.last_event_no)
    ] AS witness,
    format(
        '{}, created at #{}, was due at {}; {} later nothing has completed it, and the run is still open.',
        short_id(entity.correlation_id), first_created, strftime(event.resume_at, '%Y-%m-%d %H:%M:%S'),
        to_seconds(CAST(floor(date_diff('millisecond', event.resume_at, audit_now()) / 1000) AS BIGINT))
    ) AS because
FROM entity
JOIN run USING (run_id)
JOIN log AS created ON created.run_id = entity.run_id AND created."position" = first_created
JOIN event ON event.event_no = created.event_no
WHERE entity.kind = 'wait'
    AND first_closed IS NULL
    AND run.status = 'running'
    AND event.resume_at < audit_now() - to_seconds(param('orphaned-wait', 'grace_seconds', run.workflow));
