/*
title: An entity was created again after its outcome
diagnosis: >-
  Entities ({entities of created again}) are created again after their {event types of outcome}.
severity:
  - {when: run.dies_of_late_creation AND run.status = 'completed', is: warning}
  - {when: run.dies_of_late_creation, is: error}
  - {is: info}
confidence: strong
needs: []
implies: [duplicate-step-created, orphaned-wait, runtime-corruption-verdict]
only_with: [accusation]
since: 0.1.0
---
## What it means
A step or a wait had its outcome in the log, and then its creation was written a second time.
Whoever wrote that creation decided on an older state of the run: it had not read the outcome. On
logs of spec 3 (all 4.x cores and the early 5.0.0 betas) replay can stop at such an event, because
no code asks for it any more. The run then fails, and it fails again on every replay.

The severity follows from what the core does with it: error on spec 3, warning on spec 3 if the run
completed all the same, info on later specs.

## Why it happens
Two ticks of one run overlapped. One read the log before the outcome was there, decided that the
step or wait was still to be created, and wrote its decision late. The write carried no fence, so
nothing compared the state it had read with the state at the commit. The entity guard did not refuse
it either: worlds without a unique index on creations (world-local 4.x, world-postgres 4.2.4) accept
it.

## Example
    #4   step_created    step_…K2GB2K  reserveStock
    #5   step_started    step_…K2GB2K
    #6   hook_received   hook_…K2GB2J
    #7   step_completed  step_…K2GB2K
    #8   step_created    step_…K2GB2M  chargeCard     a tick that had read #7
    #9   step_created    step_…K2GB2K  reserveStock   a tick that had not
    #12  run_failed      RUNTIME_ERROR: Unconsumed event in event log: eventType=step_created, ...

## How to confirm
Look at the whole life of the entity. Its first creation comes before the outcome, its last one
after:

    SELECT log.run_id, log.position, log.event_type, log.event_id, log.created_at
    FROM log
    WHERE (log.run_id, log.correlation_id) IN (
        SELECT d.run_id, d.correlation_id
        FROM finding JOIN witness_detail AS d USING (finding_no)
        WHERE rule = 'late-creation'
    )
    ORDER BY log.run_id, log.correlation_id, log.position;

If the run failed, its message names the event at which replay stopped. If that is the late
creation, this is the cause.

## What to do
- The run cannot be repaired by retrying it. Start it again from its input, after checking which of
  its steps already had effects outside.
- Let only one orchestrator work on a run at a time, or fence every decision write, so that a write
  from an old state is refused.
- Upgrade to a core that ignores repeats of a closed entity (vercel/workflow#3381).

## When it is wrong
The order is certain. That it harms the run is not, so the confidence is strong: a run survives if
no later replay reads the event. A run that is still open or was cancelled gets the severity error,
although nothing has failed yet. An entity that has only one creation, after its outcome, is not
reported here but by orphan-step-event or orphan-wait-completed.

Base rate: no finding in 1,256 runs of the corpora of real SDK logs, of which 1,137 completed. In
the full collection of 1,830 runs the shape is known from world-postgres 4.2.4 only: it stood alone
in 2 corrupted runs, beside other faults in 3 more, and 1 run with it completed.

## References
Catalogue ids STP-001 and WAI-002. vercel/workflow#3381 (repeats of a closed entity are ignored),
vercel/workflow#4089 and vercel/workflow#4090 (a second creation and what follows from it).
*/
SELECT
    late.run_id,
    [
        witness('outcome', outcome.event_no),
        witness('created again', late.event_no)
    ] AS witness,
    format(
        '{} of {} at #{} follows its {} at #{}: the writer had not read that outcome.',
        late.event_type, short_id(late.correlation_id), late."position", outcome.event_type, outcome."position"
    ) AS because
FROM accusation AS late
JOIN entity USING (run_id, kind, correlation_id)
JOIN log AS outcome ON outcome.run_id = late.run_id AND outcome."position" = first_closed
WHERE rule = 'late-creation'
    -- An outcome that sorts before the only creation is an orphan, not a second creation.
    AND late."position" > first_created;
