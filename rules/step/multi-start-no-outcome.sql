/*
title: A step was started several times and never ended
diagnosis: Step {step of started} is started several times and never ends.
severity:
  - {when: "run.status IN ('completed', 'cancelled')", is: info}
  - {is: warning}
confidence: suspect
needs: [complete]
implies: [stalled-run]
only_with: [restart]
since: 0.1.0
params:
  grace_seconds: {default: 900, meaning: how long after its last event an open run is taken for dead}
---
## What it means
A step was started more than once, no `step_retrying` stands between the starts, and no outcome was
ever written. The run has failed, or nothing has happened in it for longer than the grace time.

In the history of one large installation this shape was in every run that was given up as corrupt
and in none that completed (48 of 48, 0 of 4,437). It is therefore worth a look. It is not a proof:
the shape alone did not make a run fail when it was built on purpose.

If the run completed or was cancelled all the same, nothing waits for the step: an info.

The reference time is that of the audit: `--now`, else the `exportedAt` of the manifest, else the
newest event that was read. It is never the clock of the machine that runs the audit.

## Why it happens
- The step was sent out again while it ran, and the two workers got in each other's way: each took
  the outcome for the other's.
- The body kills its worker (memory, time limit). Every delivery starts it again, none ends it.
- The outcome was sent but refused or lost, and the run was woken again and again for it.
- The run died of something else while the step was being tried.

## Example
    #6  step_created  step_…M0VWRK  renderReport
    #7  step_started  step_…M0VWRK
    #8  step_started  step_…M0VWRK   one lease of the queue later
    #9  run_failed    CORRUPTED_EVENT_LOG: Workflow replay diverged 4 times ...

## How to confirm
The steps that were started more than once and never ended, with the state of their run and what the
world's own row says (null where the export has no such row):

    SELECT
        entity.run_id, entity.correlation_id, started, run.status, run.last_created_at,
        run.now AS reference_time, entity_row.status AS row_status, entity_row.attempt AS row_attempt
    FROM entity
    JOIN run USING (run_id)
    LEFT JOIN entity_row ON entity_row.run_id = entity.run_id
        AND entity_row.correlation_id = entity.correlation_id
    WHERE entity.kind = 'step' AND started > 1 AND retried = 0 AND closed = 0
    ORDER BY ALL;

A row that is completed or failed while the log has no outcome means that the event was lost.

## What to do
- Check the effects of the step. Its body may have run as often as it was started.
- Look at the logs of the workers at the times of the starts: did they crash, or run out of time?
- If the run failed as corrupt, read its other findings first. Start it again from its input.
- If the run is still open, wake it: `Run.wakeUp()`, or "Re-enqueue" in the web interface.
- `grace_seconds` (900 by default) can be raised for steps that run longer.

## When it is wrong
- The step may still run. A body that takes longer than the grace time looks the same.
- The workers were stopped while the step was being tried.
- The run may have failed for a good reason of its own while the step was tried in parallel.
- Worlds that never write `step_retrying` give this shape to every step that was retried and did not
  end.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs. None of the 51 corrupted runs
  has the shape, so the corpora do not confirm the counts above. Audited with `--now` a day later
  there is 1 finding, in 1 of the 43 runs that were cut off when the driver stopped; none in the
  1,162 healthy runs.

## References
Catalogue id STP-007. vercel/workflow#4199 (the marker and its counts).
*/
SELECT
    entity.run_id,
    list(witness('started', event_no) ORDER BY log."position")[:5] AS witness,
    format(
        '{} was started {} times, first at #{} and last at #{}, with no step_retrying and no outcome; '
        'the run {}.',
        short_id(entity.correlation_id), count(*), min(log."position"), max(log."position"),
        CASE run.status
            WHEN 'running' THEN format(
                'is open and silent for {}',
                to_seconds(
                    CAST(floor(date_diff('millisecond', run.last_created_at, run.now) / 1000) AS BIGINT)
                )
            )
            ELSE 'is over (' || run.status || ')'
        END
    ) AS because
FROM entity
JOIN run USING (run_id)
JOIN log USING (run_id, correlation_id)
JOIN event USING (event_no, run_id, correlation_id)
WHERE entity.kind = 'step'
    AND started > 1
    AND retried = 0
    AND closed = 0
    AND log.event_type = 'step_started'
    AND (
        run.status <> 'running'
        OR run.last_created_at
        < run.now - to_seconds(param('multi-start-no-outcome', 'grace_seconds', run.workflow))
    )
GROUP BY entity.run_id, entity.correlation_id, run.status, run.last_created_at, run.now;
