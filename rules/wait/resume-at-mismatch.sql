/*
title: A wait was completed for another time than it was created for
severity:
  - {when: finding.survived, is: info}
  - {when: run.compares_resume_at, is: error}
  - {is: info}
confidence: proof
needs: []
implies: [runtime-corruption-verdict]
only_with: [wait_completed]
since: 0.1.0
---
## What it means
A completion repeats the `resumeAt` of the wait that it completes. Here it names a time that no
creation of the wait names. From core 4.6.0 on replay compares the two and stops, so the run fails as
corrupted. That is an error. Older cores do not compare, and a run that has ended all the same was
not hurt: then it is an info.

## Why it happens
- The writer of the completion did not take the time from the `wait_created` it read, but worked it
  out again from its own clock.
- The completion belongs to another `wait_created` of the same id, one that is not in this log. Two
  ticks created the wait, and one creation was lost or overwritten.
- A time was rounded, or lost its time zone, on its way through a store or a queue.
- The log was edited.

## Example
    #3  wait_created    wait_…0H5Z2M  resumeAt 21:40:03.077
    #4  wait_completed  wait_…0H5Z2M  resumeAt 21:40:03.000
    #5  run_failed      CORRUPTED_EVENT_LOG, latest divergent event is #4

A store that keeps whole seconds has cut the time.

## How to confirm
Every time that was written for the wait:

    SELECT log.run_id, log.correlation_id, log.position, log.event_type, event.resume_at,
        run.core_version
    FROM log
    JOIN event USING (event_no)
    JOIN run ON run.run_id = log.run_id
    WHERE (log.run_id, log.correlation_id) IN (
        SELECT d.run_id, d.correlation_id
        FROM finding JOIN witness_detail AS d USING (finding_no)
        WHERE rule = 'resume-at-mismatch'
    )
    ORDER BY log.run_id, log.correlation_id, log.position;

The message of the `run_failed` event says so too: "wait_completed event for wait_… has resumeAt …,
but the current wait consumer expects …".

## What to do
- An error on a run that still runs: its next replays will fail. Start it again from its input.
- Look whether all findings differ by the same amount. If they do, the fault is in the store, the
  queue or the exporter, not in the runs.
- Upgrade the core: vercel/workflow#2177 and vercel/workflow#2186 correct the comparison.

## When it is wrong
- If the difference is made by the exporter, the run is sound. Read one of the two events in the
  world itself.
- A wait that was created twice, with a completion that carries one of the two times, is no finding
  here. That is duplicate-wait-created.
- Only where both times are recorded can they differ. Cores before 4.6.0 write none on the
  completion, and a time that cannot be read counts as not recorded.
- If the core version is unknown and no event betrays it, the finding is an info of confidence
  suspect.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs (1,162 healthy, 51 corrupted,
  43 neither). Of their 3,398 completions, 789 carry a time, and each names that of a creation.

## References
Catalogue WAI-005. vercel/workflow#2177 and vercel/workflow#2186 (the comparison of `resumeAt`).
*/
-- A hash instead of two long ids: nearly every wait agrees, and this pass reads them all.
WITH differing AS (
    SELECT hash(run_id, correlation_id) AS wait
    FROM event
    WHERE event_type IN ('wait_created', 'wait_completed') AND resume_at IS NOT NULL
    GROUP BY wait
    HAVING min(resume_at) < max(resume_at)
),

recorded AS (
    SELECT event_no, run_id, correlation_id, event_type, resume_at
    FROM event
    WHERE event_type IN ('wait_created', 'wait_completed') AND resume_at IS NOT NULL
        AND hash(run_id, correlation_id) IN (SELECT wait FROM differing)
),

created AS (
    SELECT
        recorded.run_id, recorded.correlation_id,
        arg_min(event_no, "position") AS event_no,
        min("position") AS "position",
        arg_min(resume_at, "position") AS resume_at,
        list(resume_at) AS all_times
    FROM recorded
    JOIN log USING (run_id, event_no)
    WHERE recorded.event_type = 'wait_created' AND log.event_type = 'wait_created'
    GROUP BY ALL
)

SELECT
    created.run_id,
    [witness('created', created.event_no), witness('completed for another time', completed.event_no)] AS witness,
    run.status IN ('completed', 'cancelled') OR coalesce(run.error_code = 'USER_ERROR', FALSE) AS survived,
    format(
        '{} was created at #{} for {}, but its completion at #{} says {}.',
        short_id(created.correlation_id),
        created."position", strftime(created.resume_at, '%Y-%m-%d %H:%M:%S.%g'),
        first_closed, strftime(completed.resume_at, '%Y-%m-%d %H:%M:%S.%g')
    ) AS because
FROM created
JOIN entity ON entity.run_id = created.run_id AND entity.kind = 'wait'
    AND entity.correlation_id = created.correlation_id
JOIN log AS closed ON closed.run_id = created.run_id AND closed."position" = first_closed
    AND closed.event_type = 'wait_completed'
JOIN recorded AS completed ON completed.run_id = closed.run_id AND completed.event_no = closed.event_no
JOIN run ON run.run_id = created.run_id
-- A completion that carries the time of a second creation is the business of duplicate-wait-created.
WHERE NOT list_contains(all_times, completed.resume_at);
