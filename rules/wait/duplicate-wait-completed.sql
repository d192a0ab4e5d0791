/*
title: A wait was completed twice
diagnosis: Waits are completed twice[, the second time at {sites of completed again}].
severity:
  - {when: finding.survived, is: warning}
  - {when: run.spec_version <= 3, is: error}
  - {is: warning}
confidence: proof
needs: []
implies: [runtime-corruption-verdict]
only_with: [accusation]
since: 0.1.0
---
## What it means
Two `wait_completed` of one run carry the same correlation id. Replay resolves the `sleep` at the
first one. On logs of spec 3 (all 4.x cores and the early 5.0.0 betas) nothing takes the second one:
replay stops there, and the run fails as corrupted, now and at every retry. That is an error. On
later specs, and where the run has ended all the same, it is a warning: the wait has no guard against
a second completion.

## Why it happens
- Two ticks of one run scan for elapsed waits at the same time. Both find this one open and complete
  it.
- The message that wakes the run is delivered twice, and the first delivery had done its work.
- `Run.wakeUp()` and the tick at the due time meet.

In all cases the world let the second event in: it has no unique key on the completion of a wait, and
the writes were not fenced.

## Example
    #5  wait_created    wait_…Y41C0D  resumeAt 21:40:30.455
    #6  wait_completed  wait_…Y41C0D
    #7  wait_completed  wait_…Y41C0D  6 ms later, by another tick
    #8  step_created    step_…Y41C0E
    #11 run_failed      CORRUPTED_EVENT_LOG, latest divergent event is #7

## How to confirm
    SELECT log.run_id, log.correlation_id, log.position, log.event_id, log.created_at,
        event.resume_at, event.tick_id, run.spec_version, run.core_version
    FROM log
    JOIN event USING (event_no)
    JOIN run ON run.run_id = log.run_id
    JOIN entity ON entity.run_id = log.run_id AND entity.correlation_id = log.correlation_id
    WHERE log.event_type = 'wait_completed' AND entity.kind = 'wait' AND entity.closed > 1
    ORDER BY ALL;

## What to do
- An error on a run that still runs: its next replays will fail. Start it again from its input.
- Upgrade to a core that steps over repeats (vercel/workflow#3381).
- Give the store a unique key on run, correlation id and `wait_completed`, or fence all decision
  writes.
- Serialise the ticks of a run (`WORKFLOW_SEQUENTIAL_REPLAYS=1`, for the build and at run time).

## When it is wrong
- The repeat is certain. That the run dies of it is read from the published source of
  `@workflow/core`: 4.2.4, 4.8.9 and 5.0.0-beta.5 (all spec 3) have no consumer for the second
  event, 5.0.0-beta.55 (spec 7) steps over it. Specs 4 to 6 are between the two and get the milder
  severity. So does an unknown spec version, with confidence suspect.
- A run on spec 3 survives if its last replay had not read the second event.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs (1,162 healthy, 51 corrupted,
  43 neither), which hold 3,398 completions. So they neither confirm nor refute the severity.

## References
Catalogue WAI-001. vercel/workflow#1055 and vercel/workflow#1057 (the second completion),
vercel/workflow#3381 (repeats of a closed entity are ignored).
*/
SELECT
    again.run_id,
    [witness('completed', any_value(done.event_no))]
    || list(witness('completed again', again.event_no) ORDER BY again."position")[:5] AS witness,
    bool_or(
        run.status IN ('completed', 'cancelled')
        OR coalesce(run.error_code = 'USER_ERROR', FALSE)
        OR coalesce(terminal_position < again."position", FALSE)
    ) AS survived,
    format(
        '{} was completed at #{} and again at #{}{}.',
        short_id(again.correlation_id), first_closed, min(again."position"),
        CASE count(*) WHEN 1 THEN '' ELSE format(' (and {} more)', count(*) - 1) END
    ) AS because
FROM accusation AS again
JOIN entity USING (run_id, kind, correlation_id)
JOIN run USING (run_id)
JOIN log AS done ON done.run_id = again.run_id AND done."position" = first_closed
    AND done.event_type = 'wait_completed'
WHERE rule = 'duplicate-wait-completed'
GROUP BY again.run_id, again.correlation_id, first_closed;
