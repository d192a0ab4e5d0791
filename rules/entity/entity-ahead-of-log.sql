/*
title: The world says that it is over, the log does not
diagnosis: The world says that entities ({entities}) are over, the log does not.
severity: error
confidence: strong
needs: [complete, entities]
implies: [attempt-mismatch, hung-step, orphaned-wait, stalled-run, undispatched-step]
since: 0.1.0
params:
  grace_seconds: {default: 60, meaning: how much older than the export a row must be}
---
## What it means
The world's own row of a step or a wait is `completed` or `failed`, or the row of the run is
completed, failed or cancelled, but the log holds no event that says so. Replay reads the log and
nothing else, so for the run the step or wait is still open. The world looks at the row and refuses
the missing event as a duplicate. Nobody can write it any more, and the run waits forever. If it is
the row of the run, callers see a result that the history does not contain.

## Why it happens
The row and the event are two writes. The first one was made, then the process died, the connection
broke, or the second one was refused, and nothing rolled the first one back (vercel/workflow#3081).
Or the event was deleted, or never exported.

## Example
    #3  step_created    step_…0Y1T7A  reserve
    #5  step_completed  step_…0Y1T7A
    #6  wait_created    wait_…0Y1T7B  resumeAt 5 s later
    row wait_…0Y1T7B    status completed, completedAt 5 s after #6

The log ends at #6. Every tick tries to complete the wait, is told that it is completed already, and
gives up.

## How to confirm
Steps and waits that are over in their row and open in the log:

    SELECT entity_row.run_id, kind, correlation_id, entity_row.status, entity_row.completed_at,
        first_created, first_active, run.last_created_at, run.now AS reference_time
    FROM entity
    JOIN entity_row USING (run_id, kind, correlation_id)
    JOIN run ON run.run_id = entity.run_id
    WHERE first_closed IS NULL AND entity_row.status IN ('completed', 'failed')
    ORDER BY ALL;

Runs that are over in their row and open in the log:

    SELECT entity_row.run_id, entity_row.status, entity_row.completed_at, run.tail
    FROM entity_row JOIN run USING (run_id)
    WHERE kind = 'run' AND entity_row.status IN ('completed', 'failed', 'cancelled')
        AND terminal_position IS NULL;

Export the run again before you act. If the event is there now, the export was made between the two
writes.

## What to do
- Waiting does not help. Repair the row: set it back to its open state, so that the next tick can
  write the event (a wait), or the step runs again (check its effects first). Then wake the run.
- Or cancel the run and start it again from its input.
- Make the world write row and event in one transaction, the event first where that is not possible.
- Look at what happened to the process at the time of `completed_at`.

## When it is wrong
- An export is not one snapshot. If the tables of entities are read after the events, rows can be
  ahead by what happened in between. Rows that changed less than `grace_seconds` (60) before the
  reference time are not judged; nor are rows without `completedAt` and `updatedAt`. An export that
  takes longer than that needs a longer grace time.
- Without `exportedAt` and `--now` the reference time is the newest event of the whole export. In a
  world where nothing else happens a fresh fault is then taken for a race. Give `--now`.
- A world that removes old events but keeps the rows shows the same picture.
- `cancelled` rows of steps are not judged: no event type says that. Hooks have no status.

Base rate: no finding in 1,256 runs of the corpora of real SDK logs, all of which hold entity rows
(5,660 of steps, 157 of waits), although several of them were killed in full flight. Without any
grace time there is none either.

## References
Catalogue ENT-001. vercel/workflow#3081 (the row of a wait completed without its event).
*/
WITH ahead AS (
    SELECT
        entity_row.run_id, entity_row.kind, entity_row.correlation_id, entity_no, entity_row.status,
        coalesce(entity_row.completed_at, entity_row.updated_at) AS since,
        greatest(first_created, first_active) AS "position"
    FROM entity
    JOIN entity_row USING (run_id, kind, correlation_id)
    WHERE first_closed IS NULL
        AND kind IN ('step', 'wait')
        -- A step may also be cancelled. There is no event type for that.
        AND entity_row.status IN ('completed', 'failed')
    UNION ALL
    SELECT
        entity_row.run_id, 'run', NULL, entity_row.entity_no, entity_row.status,
        coalesce(entity_row.completed_at, entity_row.updated_at), last_position
    FROM run
    JOIN entity_row USING (run_id)
    WHERE terminal_position IS NULL
        AND kind = 'run'
        AND entity_row.status IN ('completed', 'failed', 'cancelled')
)

SELECT
    ahead.run_id,
    [
        witness('last stage in the log', min(log.event_no)),
        entity_witness('stored as ended', min(ahead.entity_no))
    ] AS witness,
    format(
        'The world stores {} as {} since {}, but the log holds no {}: it stops at {} (#{}).',
        CASE ahead.kind WHEN 'run' THEN 'the run' ELSE short_id(ahead.correlation_id) END,
        min(ahead.status), strftime(min(since), '%Y-%m-%d %H:%M:%S'),
        CASE ahead.kind WHEN 'run' THEN 'end of it' WHEN 'step' THEN 'outcome of it' ELSE 'completion of it' END,
        min(log.event_type), min(log."position")
    ) AS because
FROM ahead
JOIN run USING (run_id)
JOIN log ON log.run_id = ahead.run_id AND log."position" = ahead."position"
-- A row as young as the export may have been read before its event was; one without a time is not judged.
WHERE since <= run.now - to_seconds(param('entity-ahead-of-log', 'grace_seconds', run.workflow))
GROUP BY ahead.run_id, ahead.kind, ahead.correlation_id;
