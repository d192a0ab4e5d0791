/*
title: A run stood still for as long as a step lease
severity: info
confidence: suspect
needs: [complete]
implies: []
since: 0.1.0
params:
  min_seconds: {default: 840, meaning: shortest pause that counts}
  max_seconds: {default: 880, meaning: longest pause that counts}
---
---
## What it means
A step ended, a sleep ended or a hook was received, and the run wrote its next event only 840 to 880
seconds later, although nothing in the log made it wait. That is the length of the lease under which
the SDK lets one message own a step (about 861 s). The run most likely believed that a step was
still running elsewhere, and went on when the lease ran out. Nothing is wrong with the history; the
run was late by a quarter of an hour.

## Why it happens
- A reader got a log with a hole or a page too few, so a finished step looked as if it were in
  flight. The runtime then waits for the owner of the step until the lease ends.
- The worker that owned the step died after the outcome was written and before the next tick.
- The message that should have woken the run was leased to a dead consumer for that time.

## Example
    #3  step_created    step_…0Q7048  reserve
    #4  step_started    step_…0Q7048
    #5  step_completed  step_…0Q7048           09:14:03.118
    #6  step_created    step_…0Q7049  charge   09:28:24.418   861 s later

A tick takes milliseconds to get from #5 to #6.

## How to confirm
The longest pauses after an outcome in the whole input. A cluster at one length speaks of a lease or
a timeout; a spread speaks of load:

    SELECT run_id, position, event_type, next_type,
        round(date_diff('millisecond', created_at, next_at) / 1000, 1) AS seconds
    FROM (
        SELECT *, lead(event_type) OVER run_order AS next_type,
            lead(created_at) OVER run_order AS next_at
        FROM log
        WINDOW run_order AS (PARTITION BY run_id ORDER BY position)
    )
    WHERE event_type IN ('step_completed', 'step_failed', 'wait_completed', 'hook_received')
    ORDER BY seconds DESC NULLS LAST
    LIMIT 20;

Then read the worker's log for that run in these minutes. A tick that says it waits for a running
step names the step it believed to be in flight.

## What to do
- One such pause in a large world needs no action.
- If there are many, find out why readers miss events: look for pages that were cut off, replicas
  that lag, and rules about holes and order in the same runs.
- If the lease of your runtime has another length, set `min_seconds` and `max_seconds` around it.

## When it is wrong
- Only the length of the pause speaks for a lease. Workers that were stopped for 14 minutes, a queue
  that backs off for that long, or a deployment give the same picture.
- Not counted: a pause that ends with a signal, the outcome of a step, the end of a sleep, or the
  next attempt of a step that was sent to a retry. These come when they come. A lease that ends at
  the same time as one of them is missed.
- Times are those of the store (`createdAt`). A clock that was set forward makes a pause.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs. Their longest pause after an
  outcome is 111 s, so the corpora say nothing about runs that last for hours.

## References
Catalogue LIV-002. vercel/workflow#3735, vercel/workflow#3737 (a read that makes a finished step
look in flight costs the length of a lease).
*/
-- Only a run that lived as long as a lease can hold such a gap.
WITH long_lived AS (
    SELECT run.run_id
    FROM run
    JOIN event ON event.event_no = run.first_event_no
    WHERE date_diff('millisecond', event.created_at, last_created_at)
        >= param('lease-length-gap', 'min_seconds', workflow) * 1000
),

followed AS (
    SELECT
        run_id, "position", event_no, event_type, created_at,
        lead(event_no) OVER in_order AS next_no,
        lead(event_type) OVER in_order AS next_type,
        lead(created_at) OVER in_order AS next_at
    FROM log
    WHERE run_id IN (SELECT run_id FROM long_lived)
    WINDOW in_order AS (PARTITION BY run_id ORDER BY "position")
),

gap AS (
    SELECT
        followed.*, outcome.correlation_id,
        floor(date_diff('millisecond', followed.created_at, next_at) / 1000) AS seconds
    FROM followed
    JOIN run USING (run_id)
    JOIN event AS outcome ON outcome.event_no = followed.event_no
    JOIN event AS later ON later.event_no = next_no
    LEFT JOIN entity
        ON entity.run_id = later.run_id AND entity.kind = 'step' AND entity.correlation_id = later.correlation_id
    WHERE followed.event_type IN ('step_completed', 'step_failed', 'wait_completed', 'hook_received')
        -- What the runtime writes at once when it goes on; all else waits for something outside.
        AND next_type IN (
            'step_created', 'wait_created', 'hook_created', 'hook_disposed', 'run_completed', 'run_failed',
            'step_started'
        )
        AND date_diff('millisecond', followed.created_at, next_at)
            BETWEEN param('lease-length-gap', 'min_seconds', workflow) * 1000
            AND param('lease-length-gap', 'max_seconds', workflow) * 1000
        -- A step that was sent to a retry starts when the retry is due.
        AND NOT (next_type = 'step_started' AND coalesce(entity.retried, 0) > 0)
)

SELECT
    run_id,
    [
        witness('outcome', arg_min(event_no, "position")),
        witness('next event', arg_min(next_no, "position"))
    ] AS witness,
    format(
        '{} of {} at #{} is followed only {} s later, by {}{}.',
        arg_min(event_type, "position"), short_id(arg_min(correlation_id, "position")), min("position"),
        CAST(arg_min(seconds, "position") AS BIGINT), arg_min(next_type, "position"),
        CASE count(*)
            WHEN 1 THEN ''
            WHEN 2 THEN '; the run has 1 more gap like this'
            ELSE format('; the run has {} more gaps like this', count(*) - 1)
        END
    ) AS because
FROM gap
GROUP BY run_id;
