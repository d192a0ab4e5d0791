/*
title: A step has events but was never created
diagnosis: >-
  Steps[ ({steps})] have {event types of event without a creation} without a creation before it.
severity: error
confidence: strong
needs: [complete]
implies: [runtime-corruption-verdict]
only_with: [accusation]
since: 0.1.0
---
## What it means
A step was started, retried, completed or failed, but at that place in the log it had not been
created. Replay creates a step when the code calls it and then looks for its events. An event of a
step that replay has not come to cannot be placed. The history has lost an event, or its order was
changed, and the run will most likely be failed as corrupt.

## Why it happens
- A write was lost: the creation was acknowledged, but is not in the log.
- The log was changed: rows were deleted, edited, merged or sorted by something other than event id.
- A writer with a clock that runs ahead minted the creation's id behind the events that follow from
  it.
- The tick that created the step worked on another history than the one that was kept.

## Example
    #3  step_created    step_…TY9M4S  reserveStock
    #4  step_started    step_…TY9M4S
    #5  step_completed  step_…TY9M4S
    #6  step_started    step_…TY9M4T  chargeCard   created nowhere
    #7  step_completed  step_…TY9M4T
    #8  run_failed      CORRUPTED_EVENT_LOG: Workflow replay diverged 4 times ...

## How to confirm
Search for steps without a creation, or with a creation behind other events:

    SELECT log.run_id, correlation_id, min(position) AS first_event, first_created, run.core_version
    FROM log
    JOIN entity USING (run_id, kind, correlation_id)
    JOIN run ON run.run_id = log.run_id
    WHERE kind = 'step'
    GROUP BY ALL
    HAVING first_created IS NULL OR first_created > min(position);

Then read the run in the world itself, by its id. If the creation is there, the export lost it. If
it is not, look in the world's table of steps: a row of the step without a `step_created` means that
the event was never committed.

## What to do
- Export the run again and check it again, before anything else.
- If the world itself lacks the event, start the run again from its input.
- Look for what else was lost at the same time: other runs, same writer, same minutes.

## When it is wrong
- A lazy start creates the step itself. A `step_started` that carries the step's input is accepted,
  and so is a creation in the same millisecond as the event. If an export drops payloads *and* its
  world writes no creation beside a lazy start, the rule reports a sound start.
- A history that is known to be incomplete is not judged. An export from which an inner row was lost
  without a trace cannot be told from a log that lost it, hence the confidence strong.
- Early SDK versions wrote fewer event types (vercel/workflow#887).

Base rate: no finding in 1,256 runs of the corpora of real SDK logs. None of their 5,840
`step_started` carries an input: the worlds of the corpora always write the creation as its own row.

## References
Catalogue id STP-004. vercel/workflow#1055 (orphaned events in the log), vercel/workflow#887 (early
event logs are incomplete).
*/
SELECT
    orphan.run_id,
    list_concat(
        [witness('event without a creation', orphan.event_no)],
        CASE WHEN created.event_no IS NULL THEN [] ELSE [witness('created only now', created.event_no)] END
    ) AS witness,
    format(
        '{} of {} stands at #{}, but the step {}.',
        orphan.event_type, short_id(orphan.correlation_id), orphan."position",
        coalesce('is created only at #' || created."position", 'is created nowhere in the run')
    ) AS because
FROM accusation AS orphan
JOIN entity USING (run_id, kind, correlation_id)
JOIN event ON event.event_no = orphan.event_no
LEFT JOIN log AS created ON created.run_id = orphan.run_id AND created."position" = first_created
WHERE rule = 'orphan-step-event'
    -- A lazy start carries the step's input and creates the step itself, in the same commit.
    AND NOT (orphan.event_type = 'step_started' AND coalesce(event.payload_bytes, 0) > 0)
    -- Where the creation is a row of its own, ids of one millisecond may sort it behind the start.
    AND NOT coalesce(created.created_at = orphan.created_at, FALSE);
