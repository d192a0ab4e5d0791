/*
title: A step was created and nothing has started it
diagnosis: Steps[ ({steps of created})] are created and nothing starts them.
severity: warning
confidence: strong
needs: [complete]
implies: [stalled-run]
only_with: [open_run]
since: 0.1.0
params:
  grace_seconds: {default: 60, meaning: how long after its creation a step may wait for its start}
---
## What it means
The run asked for a step, its creation is in the log, its grace time is over and the run is still
open, but there is no `step_started`. The message that should bring the step to a worker was lost or
is stuck. Until something sends it again, the code behind the call does not continue. If nothing else
is pending, the run waits forever. No error is logged for it.

The reference time is that of the audit: `--now`, else the `exportedAt` of the manifest, else the
newest event that was read. It is never the clock of the machine that runs the audit.

## Why it happens
- The tick wrote the creation and died before it sent the message.
- The message was acknowledged and then lost. Its idempotency key is kept for about a day, so every
  attempt to send it again is dropped as a duplicate.
- No worker takes messages: they are down, or they listen on another queue or deployment.
- The step was started, but only its row says so: the process died before it wrote the event.

## Example
The log was exported at 16:30:00.

    #5  step_completed  step_…3N9F4C  reserveStock   15:12:07
    #6  step_created    step_…3N9F4D  chargeCard     15:12:08

More than one hour later #6 is still the last event of the run.

## How to confirm
Steps of open runs that have a creation only, and what the world's own row says of them (null where
the export has no such row):

    SELECT
        entity.run_id, entity.correlation_id, log.created_at, run.now AS reference_time,
        entity_row.status AS row_status, entity_row.started_at AS row_started_at
    FROM entity
    JOIN run USING (run_id)
    JOIN log ON log.run_id = entity.run_id AND log.position = entity.first_created
    LEFT JOIN entity_row ON entity_row.run_id = entity.run_id
        AND entity_row.correlation_id = entity.correlation_id
    WHERE entity.kind = 'step' AND entity.stage = 1 AND run.status = 'running'
    ORDER BY log.created_at;

Then export the run once more. If the start is there now, the step was only late.

## What to do
- Wake the run: `Run.wakeUp()`, or "Re-enqueue" in the web interface. The next tick finds the step
  open and sends it out again.
- If that does not help, look at the queue: is there a message for the step, is it refused as a
  duplicate, does a worker take messages of this queue?
- If the world's row says that the step was started, see hung-step: a worker had it.
- `grace_seconds` (60 by default) can be raised where queues are slow or steps wait for a free
  worker on purpose.

## When it is wrong
- The workers were stopped or paused. Then every waiting step of the world is reported, and most of
  them start when the workers are back. A development server that was shut down looks like this.
- A large fan-out waits its turn: a thousand steps do not start within a minute.
- Nothing may depend on the step: its branch lost a race.
- Without `exportedAt` and `--now`, a log in which nothing was written after the creation shows
  nothing. Give `--now` for such a log.
- A terminal run may leave steps unstarted. That is normal and no finding.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs. Audited with `--now` a day
  later there are 11, in 11 of the 43 runs that were cut off when the driver stopped; none in the
  1,162 healthy and the 51 corrupted runs. In 2 of the 11 the row of the step says that it was
  started.

## References
Catalogue id STP-010. vercel/workflow#3465 and vercel/workflow#3748 (dispatches that are
acknowledged and lost).
*/
SELECT
    entity.run_id,
    [witness('created', log.event_no)]
    || CASE
        WHEN first_created = run.last_position THEN []
        ELSE [witness('last event of the run', run.last_event_no)]
    END AS witness,
    format(
        '{} was created at #{}, {}; {} later no step_started is in the log, and the run is still open.',
        short_id(entity.correlation_id), first_created, strftime(log.created_at, '%Y-%m-%d %H:%M:%S'),
        to_seconds(CAST(floor(date_diff('millisecond', log.created_at, run.now) / 1000) AS BIGINT))
    ) AS because
FROM entity
JOIN run USING (run_id)
JOIN log ON log.run_id = entity.run_id AND log."position" = first_created
WHERE entity.kind = 'step'
    AND stage = 1
    AND run.status = 'running'
    AND log.created_at < run.now - to_seconds(param('undispatched-step', 'grace_seconds', run.workflow));
