/*
title: A step was started long ago and has no outcome
diagnosis: Step {step of last start or retry of the step} was started long ago and has no outcome.
severity: warning
confidence: strong
needs: [complete]
implies: [multi-start-no-outcome, stalled-run]
only_with: [open_run]
since: 0.1.0
params:
  grace_seconds: {default: 900, meaning: how long after its last start a step may run}
---
## What it means
A step was started, its grace time is over, the run is still open, and no `step_completed` or
`step_failed` was written. No further attempt is planned for a later time either. If the worker died
and nothing delivers the step again, the run waits forever. No error is logged for it.

The reference time is that of the audit: `--now`, else the `exportedAt` of the manifest, else the
newest event that was read. It is never the clock of the machine that runs the audit.

## Why it happens
- The worker died while the body ran (crash, deployment, memory), and the message was not delivered
  again, or was acknowledged too early.
- The row of the step was set to completed and the process died before the event was written. Every
  later outcome is then refused as a duplicate (vercel/workflow#3081).
- The body hangs: a call outside without a time limit.
- A retry was planned and its delayed message was lost.

## Example
The log was exported at 11:40:00.

    #6  step_created  step_…5Z2VQ7  renderReport
    #7  step_started  step_…5Z2VQ7  10:02:11

One and a half hours later #7 is still the last event of the run.

## How to confirm
Started steps of open runs without an outcome, and what the world's own row says of them (null where
the export has no such row):

    SELECT
        entity.run_id, entity.correlation_id, started, retried,
        max(log.created_at) AS last_start_or_retry, max(event.retry_after) AS retry_after,
        run.now AS reference_time, max(entity_row.status) AS row_status
    FROM entity
    JOIN run USING (run_id)
    JOIN log USING (run_id, kind, correlation_id)
    JOIN event USING (event_no)
    LEFT JOIN entity_row ON entity_row.run_id = entity.run_id
        AND entity_row.correlation_id = entity.correlation_id
    WHERE kind = 'step' AND first_active IS NOT NULL AND closed = 0 AND run.status = 'running'
    GROUP BY ALL
    ORDER BY last_start_or_retry;

Then export the run once more. If the outcome is there now, the step was only slow.

## What to do
- Look for the worker that held the step, at the time of its last start.
- Wake the run: `Run.wakeUp()`, or "Re-enqueue" in the web interface.
- If the world's row says completed while the event is missing, no retry can repair it: cancel the
  run and start it again from its input, or repair the row.
- Give every call in the step's body a time limit.
- Set `grace_seconds` (900 by default) to what the slowest step of the workflow may take.

## When it is wrong
- The step is slow and alive. The log cannot tell that from a dead worker.
- The workers were stopped or paused. Then every started step of the world is reported, and most of
  them go on when the workers are back. A development server that was shut down looks like this.
- Nothing may depend on the step: its branch lost a race.
- Without `exportedAt` and `--now`, a log in which nothing was written after the start shows nothing.
  Give `--now` for such a log.
- A terminal run may leave steps open. That is normal and no finding.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs. Audited with `--now` a day
  later there are 2, in 2 of the 43 runs that were cut off when the driver stopped; none in the 1,162
  healthy and the 51 corrupted runs.

## References
Catalogue id STP-009. vercel/workflow#3081 (a completed row without its event), vercel/workflow#316,
vercel/workflow#322.
*/
WITH open AS (
    SELECT
        entity.run_id, entity.correlation_id,
        run.now, run.workflow, run.last_event_no, run.last_position,
        max(log."position") AS "position",
        arg_max(event_no, log."position") AS event_no,
        arg_max(log.event_type, log."position") AS event_type,
        arg_max({'at': event.created_at, 'retry_after': event.retry_after}, log."position") AS seen
    FROM entity
    JOIN run USING (run_id)
    JOIN log USING (run_id, correlation_id)
    JOIN event USING (event_no, run_id, correlation_id)
    WHERE entity.kind = 'step'
        AND first_active IS NOT NULL
        AND closed = 0
        AND run.status = 'running'
        AND log.event_type IN ('step_started', 'step_retrying')
    GROUP BY ALL
),

due AS (
    -- A planned retry counts from its time.
    SELECT *, greatest(seen.at, seen.retry_after) AS since
    FROM open
)

SELECT
    run_id,
    [witness('last start or retry of the step', event_no)]
    || CASE
        WHEN "position" = last_position THEN []
        ELSE [witness('last event of the run', last_event_no)]
    END AS witness,
    format(
        '{} {} at #{}{}; {} later it has no outcome, and the run is still open.',
        short_id(correlation_id),
        CASE event_type WHEN 'step_started' THEN 'was last started' ELSE 'was sent to a retry' END,
        "position",
        CASE WHEN since > seen.at THEN ', due ' ELSE ', ' END || strftime(since, '%Y-%m-%d %H:%M:%S'),
        to_seconds(CAST(floor(date_diff('millisecond', since, now) / 1000) AS BIGINT))
    ) AS because
FROM due
WHERE since < now - to_seconds(param('hung-step', 'grace_seconds', workflow));
