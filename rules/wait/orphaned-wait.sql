/*
title: A wait is overdue and nothing will complete it
diagnosis: >-
  Waits are overdue and nothing will complete them[; their logs end with {event types of last
  event of the run}].
severity: error
confidence: strong
needs: [complete]
implies: [stalled-run]
only_with: [open_run]
since: 0.1.0
params:
  grace_seconds: {default: 60, meaning: how long after its resumeAt a wait may stay open}
---
## What it means
A wait was due, its grace time is over, the run is still open, and no `wait_completed` was written.
The code behind the `sleep` never continues, and if nothing else in the run is pending the run hangs
forever. No error is logged for it.

The reference time is that of the audit: `--now`, else the `exportedAt` of the manifest, else the
newest event that was read. It is never the clock of the machine that runs the audit.

## Why it happens
- The completion was refused by a fence or an entity guard, and the writer took the refusal for
  "already completed". Nobody wrote it.
- The row of the wait was set to completed and the process died before the event was written. Every
  later completion is then refused as a duplicate (vercel/workflow#3081).
- The one delayed message that wakes the run at `resumeAt` was lost or deduplicated away.
- The message was delivered, but the tick died before it wrote the completion, and nothing delivered
  it again.

## Example
The log was exported at 22:40:00.

    #3  hook_created    hook_…GEBTPD
    #4  step_created    step_…GEBTPE  reserve
    #6  step_completed  step_…GEBTPE
    #7  wait_created    wait_…GEBTPF  resumeAt 21:40:30.455

One hour later #7 is still the last event of the run.

## How to confirm
Open waits of open runs, the longest overdue first, and what the world's own row says of them (null
where the export has no such row):

    SELECT entity.run_id, entity.correlation_id, event.resume_at, run.now AS reference_time,
        entity_row.status AS row_status
    FROM entity
    JOIN run USING (run_id)
    JOIN log ON log.run_id = entity.run_id AND log.position = entity.first_created
    JOIN event ON event.event_no = log.event_no
    LEFT JOIN entity_row ON entity_row.run_id = entity.run_id
        AND entity_row.correlation_id = entity.correlation_id
    WHERE entity.kind = 'wait' AND entity.first_closed IS NULL AND run.status = 'running'
    ORDER BY event.resume_at;

Then export the run once more. If the `wait_completed` is there now, the wait was only late.

## What to do
- Wake the run: `Run.wakeUp()`, "Wake up" or "Re-enqueue" in the web interface, or any hook
  delivery. The next tick scans for elapsed waits and writes the completion.
- If the wait stays open, look at the row of the wait. If it is completed while the event is
  missing, no tick can repair it: cancel the run and start it again from its input, or repair the
  row.
- Let the writer tell a fence conflict from "already completed" by type, not by the text of a
  message, and decide again after a conflict.
- Upgrade the core: vercel/workflow#3743 repairs one way to lose a wake-up.
- `grace_seconds` (60 by default) can be raised where queues are slow.

## When it is wrong
- The workers were stopped or paused. Then every due wait of the world is reported, and most of them
  complete when the workers are back. A development server that was shut down looks like this.
- The queue is more than the grace time late.
- Nothing may depend on the wait: its branch lost a race and the run waits for a hook, for instance.
  Then the wait is overdue all the same, but the run is not stuck.
- Without `exportedAt` and `--now`, a log in which nothing was written after the due time shows
  nothing. Give `--now` for such a log.
- A terminal run may leave waits open. That is normal and no finding.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs, which hold some 3,600 waits.
  Audited with `--now` a day later there are 16, in 16 runs: the waits of runs that were cut off
  when the workers stopped.

## References
Catalogue WAI-004. vercel/workflow#2113 (swallowed conflicts), vercel/workflow#3081,
vercel/workflow#634, vercel/workflow#510, vercel/workflow#3743, vercel/workflow#1232
(`Run.wakeUp()`).
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
        to_seconds(CAST(floor(date_diff('millisecond', event.resume_at, run.now) / 1000) AS BIGINT))
    ) AS because
FROM entity
JOIN run USING (run_id)
JOIN log AS created ON created.run_id = entity.run_id AND created."position" = first_created
JOIN event ON event.event_no = created.event_no
WHERE entity.kind = 'wait'
    AND first_closed IS NULL
    AND run.status = 'running'
    AND event.resume_at < run.now - to_seconds(param('orphaned-wait', 'grace_seconds', run.workflow));
