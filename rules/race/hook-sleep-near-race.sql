/*
title: A sleep ended right behind a delivery to an open hook
diagnosis: In {workflow}, sleeps end right behind deliveries to an open hook.
severity: info
confidence: suspect
needs: []
implies: []
only_with: [open_run]
since: 0.1.0
params:
  window: {default: 2, meaning: how many places behind the delivery the completion may stand}
---
## What it means
In a run that is still open a `wait_completed` stands directly behind a `hook_received`, or one
place further. The wait and the hook were both open. Code that races the two takes the branch of the
hook, because it is first in the log. But whoever wrote the completion may have read the log without
the delivery, and will then go on with the branch of the sleep.

This is how corruption by a stale snapshot begins. The log does not say that it did begin: most
places of this kind are harmless. The finding marks where to look if the run later fails or hangs.

## Why it happens
The delivery came within the time that a tick needs to read the log, replay and write. The due time
of a sleep and a person, a webhook or a test that answers at the same moment are enough.

## Example
    #3  hook_created    hook_…5QZ1RA
    #4  wait_created    wait_…5QZ1RB   resumeAt 09:14:22.340
    #5  hook_received   hook_…5QZ1RA   09:14:22.290
    #6  wait_completed  wait_…5QZ1RB   09:14:22.386
    #7  step_created    step_…5QZ1RC   escalate: the branch of the sleep, or of the hook?

## How to confirm
Read what was created behind the completion, and compare it with the code: does the branch of the
hook create it?

    SELECT log.run_id, log.position, log.event_type, log.correlation_id, event.step_name
    FROM finding
    JOIN log ON log.run_id = finding.run_id AND log.position >= finding.place - 2
    JOIN event ON event.event_no = log.event_no
    WHERE rule = 'hook-sleep-near-race'
    ORDER BY log.run_id, log.position;

If the log records fences, that of the `wait_completed` or of the creation behind it decides:
stale-snapshot-write then reports the stale one. So do ordinal-collision and unusual-branch once both
branches have been written.

## What to do
- Nothing yet. Let the run go on.
- If it fails as corrupt, begin at the first place that is marked here.
- Fence every decision write with `tail`, so that the stale tick is refused.
- Record fences, so that the next log can tell a stale write from a harmless one.

## When it is wrong
- The hook and the sleep need not be raced at all; they may belong to different branches.
- A tick that had read the delivery also completes an elapsed wait. That is the harmless case, and
  the more common one.
- A delivery *behind* the completion is not reported. Such logs replay cleanly
  (vercel/workflow#3379), and every corrupted run of the corpora has the reported order too.
- Runs that have ended are not reported: their end says more than this place does.
- Base rate: 36 findings in 35 of the 43 runs that are neither healthy nor corrupted, among 1,256
  runs of the corpora of real SDK logs; all 35 were cut off in a stress test of this very race. If
  ended runs were judged too, it would be 100 findings in all 51 corrupted runs and 79 in 35 of
  1,162 healthy ones. So every corrupted run has it, and so has every one of the 29 healthy runs of
  the same stress tests: it finds the race, not the damage.
- Of the windows from 1 to 20, 2 separates best: 1 misses one corrupted run, 3 adds 22 findings in
  corrupted runs and 9 in healthy ones but no corrupted run, 4 and more add healthy runs.

## References
Catalogue RAC-002. vercel/workflow#2113 (the fence on the tail), vercel/workflow#3379 (which orders
replay), vercel/workflow#4017.
*/
WITH finished AS (
    SELECT entity.run_id, run.workflow, correlation_id, first_created, first_closed
    FROM entity
    JOIN run USING (run_id)
    WHERE kind = 'wait'
        AND first_closed > first_created
        AND run.status = 'running' AND runtime_signature IS NULL AND NOT unordered
),

delivery AS (
    SELECT log.run_id, log.event_no, log.correlation_id, log."position", first_closed
    FROM log
    JOIN entity USING (run_id, kind, correlation_id)
    WHERE event_type = 'hook_received'
        AND first_created < log."position"
        AND log.run_id IN (SELECT run_id FROM finished)
),

near AS (
    SELECT
        finished.*, delivery.event_no AS received_no, delivery.correlation_id AS hook,
        delivery."position" AS received
    FROM finished
    JOIN delivery ON delivery.run_id = finished.run_id
        AND delivery."position" > finished.first_created
        AND delivery."position" < finished.first_closed
        AND coalesce(delivery.first_closed > finished.first_closed, TRUE)
    WHERE delivery."position"
        >= finished.first_closed - param('hook-sleep-near-race', 'window', finished.workflow)
    QUALIFY 1 = row_number() OVER (
        PARTITION BY finished.run_id, finished.correlation_id ORDER BY delivery."position" DESC
    )
)

SELECT
    near.run_id,
    [witness('hook received', received_no), witness('wait completed', event_no)] AS witness,
    format(
        'wait_completed of {} at #{} follows hook_received of {} at #{} by {}, and both were open: '
        'whoever wrote it may not have read the delivery.',
        short_id(near.correlation_id), first_closed, short_id(hook), received,
        CASE first_closed - received WHEN 1 THEN 'one place' ELSE format('{} places', first_closed - received) END
    ) AS because
FROM near
JOIN log ON log.run_id = near.run_id AND log."position" = first_closed;
