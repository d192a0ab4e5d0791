/*
title: A wait was created twice
diagnosis: Waits are created twice[, the second time at {sites of created again}].
severity:
  - {when: NOT finding.differs, is: info}
  - {when: run.compares_resume_at, is: error}
  - {is: info}
confidence: proof
needs: []
implies: [orphaned-wait, runtime-corruption-verdict]
only_with: [accusation]
since: 0.1.0
---
## What it means
Two `wait_created` events of one run carry the same correlation id, and both stand before the wait's
completion. If both name the same `resumeAt`, nothing is wrong for replay. If they differ, replay
remembers the last one while the completion carries the first. From core 4.6.0 on replay compares
the two and stops, so the run fails as corrupted. Older cores do not compare them.

## Why it happens
Two ticks of one run overlap, reach the same `sleep` and draw the same id for it. Each computes
`resumeAt` from its own clock, so the times differ by some milliseconds. The store has no unique key
on the creation of a wait, or the conflict is swallowed, and both events are written.

## Example
    #5  step_created    step_…1KC8ZF  drain
    #6  wait_created    wait_…1KC8ZG  resumeAt 21:40:03.077
    #7  wait_created    wait_…1KC8ZG  resumeAt 21:40:03.147
    #8  step_started    step_…1KC8ZF
    #9  step_completed  step_…1KC8ZF
    #10 wait_completed  wait_…1KC8ZG  resumeAt 21:40:03.077
    #11 run_failed      CORRUPTED_EVENT_LOG, latest divergent event is #10

Core 4.8.9: the completion at #10 was made for #6, but replay expects the time of #7.

## How to confirm
Every wait with more than one creation, with the times that were written:

    SELECT log.run_id, log.correlation_id, log.position, log.event_type, event.resume_at
    FROM log
    JOIN event ON event.event_no = log.event_no
    JOIN entity ON entity.run_id = log.run_id AND entity.correlation_id = log.correlation_id
    WHERE entity.kind = 'wait' AND entity.created > 1
    ORDER BY ALL;

The message of the `run_failed` event says so too: "wait_completed event for wait_… has resumeAt …,
but the current wait consumer expects …".

## What to do
- An error on a run that still runs: its next replays will fail. Restart it from its input.
- Upgrading within 4.x does not help: 4.6.0 and 4.8.9 both write the second event and die of it. One
  process does not help either: all 7 cases measured on 4.8.9 come from a single process.
- Serialise the ticks of a run (`WORKFLOW_SEQUENTIAL_REPLAYS=1`, for the build and at run time), or
  fence all decision writes.
- Give the store a unique key on run, correlation id and `wait_created`.
- An info needs no action by itself. It shows that ticks of the run overlap.

## When it is wrong
- The severity follows the core version. If the version is unknown and no event betrays it, the
  finding is an info of confidence suspect, although it may be fatal.
- Replay should survive if the completion carries the `resumeAt` of the last creation, or while the
  wait is not completed. The rule does not look at that. In all 10 error cases below the completion
  carries the first time.
- A second creation after the completion belongs to late-creation.
- Base rate, measured on 1,256 runs of the corpora of real SDK logs: `resumeAt` differs in 10 of the
  348 runs on cores 4.6.0 and 4.8.9, and all 10 failed as corrupted. It differs in 8 of the 668 runs
  on core 4.2.4: 7 of these were still running when the log was taken, 1 failed of another fault.
  Over all 1,830 runs it was fatal in 34, and 10 runs on 4.2.4 completed with it. The same time
  twice was not seen in the 1,256.

## References
Catalogue WAI-002. vercel/workflow#3381 (repeated events), vercel/workflow#2177 and
vercel/workflow#2186 (the comparison of `resumeAt`), vercel/workflow#2193 (serialised ticks).
*/
SELECT
    again.run_id,
    list_concat(
        [
            witness('created', first.event_no),
            witness('created again', again.event_no)
        ],
        CASE WHEN completed.event_no IS NULL THEN [] ELSE [witness('completed', completed.event_no)] END
    ) AS witness,
    first_event.resume_at IS DISTINCT FROM again_event.resume_at AS differs,
    format(
        '{} was created at #{} for {} and again at #{} for {}.',
        short_id(again.correlation_id),
        first."position", coalesce(strftime(first_event.resume_at, '%Y-%m-%d %H:%M:%S.%g'), 'no time'),
        again."position",
        CASE
            WHEN differs THEN coalesce(strftime(again_event.resume_at, '%Y-%m-%d %H:%M:%S.%g'), 'no time')
            ELSE 'the same time'
        END
    ) AS because
FROM accusation AS again
JOIN entity USING (run_id, kind, correlation_id)
JOIN log AS first ON first.run_id = again.run_id AND first."position" = first_created
JOIN event AS first_event ON first_event.event_no = first.event_no
JOIN event AS again_event ON again_event.event_no = again.event_no
LEFT JOIN log AS completed ON completed.run_id = again.run_id AND completed."position" = first_closed
WHERE rule = 'duplicate-wait-created';
