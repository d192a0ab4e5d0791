/*
title: A run is open and nothing moves it
diagnosis: Runs stay open and nothing moves them after {event types of last event of the run}.
severity: warning
confidence: strong
needs: [complete]
implies: []
only_with: [open_run]
since: 0.1.0
params:
  grace_seconds: {default: 900, meaning: how long an open run may be silent while nothing holds it}
---
---
## What it means
The run has not ended, nothing was written to it for 15 minutes, and nothing explains the silence:
no sleep is running, no retry is planned for later, and it does not wait for a hook alone. Something
should have written the next event and did not. Most of these runs never go on by themselves.

The reference time is that of the audit: `--now`, else the `exportedAt` of the manifest, else the
newest event that was read. It is never the clock of the machine that runs the audit.

## Why it happens
- The message that should have woken the run was lost, dead-lettered, or dropped as a duplicate of a
  message that was already taken.
- The tick or the step died (timeout, out of memory, deployment) and nothing was delivered again.
- The run was created and never started: no worker listens to its queue, or its deployment is gone.
- The workflow code waits for something that the log does not know, such as a promise of its own.
- The workers are stopped.

## Example
The log was exported at 15:44:10.

    #1  run_created     15:12:40
    #2  run_started     15:12:40
    #3  step_created    step_…A41T0Z  reserve
    #4  step_started    step_…A41T0Z
    #5  step_completed  step_…A41T0Z  15:12:41

The step has its outcome, so the next tick should go on. Half an hour later #5 is still the last
event.

## How to confirm
Open runs, the longest silent first, and what is open in them:

    SELECT run.run_id, run.now - run.last_created_at AS silent_for, run.last_position,
        count(*) FILTER (WHERE entity.kind = 'step') AS open_steps,
        count(*) FILTER (WHERE entity.kind = 'wait') AS open_waits,
        count(*) FILTER (WHERE entity.kind = 'hook') AS open_hooks
    FROM run
    LEFT JOIN entity ON entity.run_id = run.run_id AND entity.first_closed IS NULL
    WHERE run.status = 'running'
    GROUP BY ALL
    ORDER BY silent_for DESC;

Then export the run once more. If it has new events, it was only slow. Look at the queue of the
world for a message of this run: waiting, leased or dead-lettered.

## What to do
- Wake the run: "Wake up" or "Re-enqueue" in the web interface, `Run.wakeUp()`, or a hook delivery.
- If it does not move, look at the worker's log for the run id. A tick that fails again and again
  leaves no trace in the event log.
- If another finding of the same run is the root (a wait that is overdue, a step without an end),
  start there.
- If many runs are silent since the same minute, look at the workers and the queue, not at the runs.
- Raise `grace_seconds` (900 by default) where steps take longer than that.

## When it is wrong
- A step that simply takes long looks the same: its start is the last event until it ends. Raise
  `grace_seconds` above the longest step.
- The workers were stopped on purpose, or a development server was shut down.
- A run that waits for a hook alone is never reported, although the hook may belong to a branch that
  lost its race. The rule misses such a run.
- Without `exportedAt` and `--now`, the reference time is the newest event of the export. An export
  of one stalled run then shows nothing. Give `--now` for such a log.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs. Audited with `--now` a day
  later there are 21, in 21 of the 43 runs that were cut off when the workers stopped. The other 22
  have only a hook open. No healthy and no corrupted run is among them.

## References
Catalogue LIV-001. vercel/workflow#451, vercel/workflow#697, vercel/workflow#3317 (runs that stay
`running`).
*/
WITH silent AS (
    SELECT run_id, last_event_no, last_position, last_created_at, now
    FROM run
    WHERE status = 'running'
        AND last_created_at < now - to_seconds(param('stalled-run', 'grace_seconds', workflow))
),

opened AS (
    SELECT silent.run_id, entity.kind, entity.correlation_id, first_created, log.event_no
    FROM silent
    JOIN entity USING (run_id)
    LEFT JOIN log ON log.run_id = entity.run_id AND log."position" = first_created
    WHERE first_closed IS NULL
),

-- Something will wake the run: a sleep that is not over, or a retry that is not due.
due AS (
    SELECT DISTINCT opened.run_id
    FROM event
    JOIN opened USING (run_id, correlation_id)
    JOIN silent USING (run_id)
    WHERE (event.event_type = 'wait_created' AND resume_at >= now)
        OR (event.event_type = 'step_retrying' AND retry_after >= now)
),

pending AS (
    SELECT
        run_id,
        count(*) FILTER (WHERE kind = 'step') AS steps,
        count(*) FILTER (WHERE kind = 'wait') AS waits,
        count(*) FILTER (WHERE kind = 'hook') AS hooks,
        (list(witness('open ' || kind, event_no) ORDER BY first_created)
            FILTER (WHERE event_no IS NOT NULL AND kind <> 'hook'))[:5] AS witnesses
    FROM opened
    GROUP BY run_id
)

SELECT
    silent.run_id,
    coalesce(witnesses, []) || [witness('last event of the run', last_event_no)] AS witness,
    format(
        'Nothing was written for {} after #{}, and the run is still open, with {}.',
        to_seconds(CAST(floor(date_diff('millisecond', last_created_at, now) / 1000) AS BIGINT)),
        last_position,
        coalesce(
            nullif(
                concat_ws(
                    ', ',
                    steps || CASE steps WHEN 0 THEN NULL WHEN 1 THEN ' open step' ELSE ' open steps' END,
                    waits || CASE waits WHEN 0 THEN NULL WHEN 1 THEN ' open wait' ELSE ' open waits' END,
                    hooks || CASE hooks WHEN 0 THEN NULL WHEN 1 THEN ' open hook' ELSE ' open hooks' END
                ),
                ''
            ),
            'nothing pending in it'
        )
    ) AS because
FROM silent
LEFT JOIN pending USING (run_id)
WHERE run_id NOT IN (SELECT run_id FROM due)
    -- An open hook and nothing else: the run waits for a signal, however long that takes.
    AND NOT coalesce(hooks > 0 AND steps + waits = 0, FALSE);
