/*
title: A wait was completed before it was due
severity: warning
confidence: strong
needs: []
implies: []
only_with: [wait_completed]
since: 0.1.0
params:
  tolerance_ms: {default: 1000, meaning: how long before its resumeAt a wait may be completed}
---
## What it means
A `wait_completed` was stored before the `resumeAt` of its wait. The code behind the `sleep` went on
too soon: a delay that was meant to protect something (a rate limit, a cooling-off time, a deadline)
was cut short. The log itself is sound, and replay takes the same way again.

## Why it happens
- Somebody called `Run.wakeUp()` or "Wake up" in the web interface. It completes the open waits of a
  run at once and keeps their `resumeAt`. Then all is well.
- The clock of the process that scans for elapsed waits runs ahead of that of the store.
- The `resumeAt` was changed on its way to the queue, or a world works out the delay itself and gets
  it wrong.
- A retried or lost race branch was cleaned up by code that completes waits.

## Example
    #3  wait_created    wait_…9SV6B1  resumeAt 12:00:00 on the next day
    #4  wait_completed  wait_…9SV6B1  written 09:14:22 on this day
    #5  step_created    step_…9SV6B2  sendReminder

## How to confirm
How early, and which waits of the run were completed together. Several within milliseconds speak for
`wakeUp`:

    SELECT log.run_id, log.correlation_id, log.position, log.created_at AS completed_at,
        made.resume_at, event.site, event.request_id
    FROM log
    JOIN event USING (event_no)
    JOIN event AS made ON made.run_id = log.run_id AND made.correlation_id = log.correlation_id
        AND made.event_type = 'wait_created'
    WHERE log.event_type = 'wait_completed' AND log.created_at < made.resume_at
    ORDER BY log.run_id, log.created_at, log.position;

## What to do
- Ask whether the run was woken on purpose. If so, nothing is to be done.
- If findings come in all runs and by about the same time, compare the clocks of the workers with
  that of the store.
- Look at what the run did after the wait. If that was too soon, correct it by hand.
- `tolerance_ms` (1000 by default) can be raised for a workflow that is woken as a rule.

## When it is wrong
- The log does not say who completed a wait, so a wait that was woken on purpose is reported.
- `createdAt` is stamped by the store and `resumeAt` worked out by a worker. Clocks that disagree by
  more than the tolerance give findings, or hide them.
- Of several creations of a wait the earliest `resumeAt` counts. Completions behind the end of the
  run are left out: what a finished run left open may be closed at any time.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs (1,162 healthy, 51 corrupted,
  43 neither). None of their 3,398 completions is early, even without a tolerance: the nearest comes
  15 ms after its time. So they do not show how often runs are woken on purpose.

## References
Catalogue WAI-005. vercel/workflow#2177 and vercel/workflow#2186 (the times of waits).
*/
-- A hash instead of two long ids: nearly every wait is completed in time, and this pass reads them all.
WITH early AS (
    SELECT hash(run_id, correlation_id) AS wait
    FROM event
    WHERE event_type IN ('wait_created', 'wait_completed')
    GROUP BY wait
    HAVING min(created_at) FILTER (WHERE event_type = 'wait_completed')
        < min(resume_at) FILTER (WHERE event_type = 'wait_created')
),

created AS (
    SELECT
        event.run_id, event.correlation_id,
        arg_min(event_no, log."position") AS event_no,
        min(log."position") AS "position",
        min(resume_at) AS due
    FROM event
    JOIN log USING (run_id, event_no)
    WHERE event.event_type = 'wait_created' AND log.event_type = 'wait_created'
        AND hash(event.run_id, event.correlation_id) IN (SELECT wait FROM early)
    GROUP BY ALL
)

SELECT
    created.run_id,
    [witness('created', created.event_no), witness('completed early', completed.event_no)] AS witness,
    format(
        '{}, created at #{}, was due at {}, but was completed at #{}, {} before.',
        short_id(created.correlation_id), created."position", strftime(due, '%Y-%m-%d %H:%M:%S.%g'),
        first_closed, to_milliseconds(date_diff('millisecond', completed.created_at, due))
    ) AS because
FROM created
JOIN run USING (run_id)
JOIN entity ON entity.run_id = created.run_id AND entity.kind = 'wait'
    AND entity.correlation_id = created.correlation_id
JOIN log AS completed ON completed.run_id = created.run_id AND completed."position" = first_closed
    AND completed.event_type = 'wait_completed'
WHERE completed.created_at
    < due - to_milliseconds(CAST(param('early-wait-completed', 'tolerance_ms', run.workflow) AS BIGINT))
    -- What a finished run left open may be closed at any time.
    AND coalesce(first_closed < terminal_position, TRUE);
