/*
title: A wait was completed that was never created
severity: error
confidence: strong
needs: [complete]
implies: [runtime-corruption-verdict]
only_with: [accusation]
since: 0.1.0
---
## What it means
A `wait_completed` stands in the log, but no `wait_created` of the same correlation id stands before
it. Replay meets the completion of a wait that it has not created at that place. Either the creation
was lost, or the completion was written by a tick whose history is not this one.

## Why it happens
- The creation and the row of the wait were written in two steps, and the process died between them.
  A later tick found the row and completed it.
- Two ticks numbered their entities differently, and one completed a wait that is not in this log.
- The creation was given an id that sorts after the completion.
- The export lost the creation without leaving a trace that shows it is incomplete.

## Example
    #3  hook_created    hook_…E4CMEG
    #4  step_created    step_…E4CMEH  reserve
    #6  step_completed  step_…E4CMEH
    #7  wait_completed  wait_…E4CMEJ          there is no wait_created of this id
    #8  step_created    step_…E4CMEK  charge
    #11 run_failed      CORRUPTED_EVENT_LOG, latest divergent event is #7

The ordinals are 0, 1, 2 and 3, so the wait was drawn by a replay of this run. Its creation is what
is missing.

## How to confirm
    SELECT run_id, correlation_id, first_created, first_closed
    FROM entity
    WHERE kind = 'wait' AND first_closed IS NOT NULL
        AND (first_created IS NULL OR first_created > first_closed);

If the export has entity tables, see whether the world has a row of that wait:

    SELECT entity_row.run_id, entity_row.correlation_id, entity_row.status, entity_row.created_at
    FROM entity_row
    JOIN entity ON entity.run_id = entity_row.run_id
        AND entity.correlation_id = entity_row.correlation_id
    WHERE entity_row.kind = 'wait' AND entity.first_closed IS NOT NULL
        AND coalesce(entity.first_created > entity.first_closed, TRUE);

## What to do
- Export the run again, with every page, and audit it again. If the creation appears, the first
  export was incomplete.
- If it does not appear, restart the run from its input.
- If the creation stands later in the log, look for a writer whose clock was behind: event ids carry
  the time at which they were drawn, not that of the commit.
- Fence all decision writes. Write the event and the row of the wait in one transaction.

## When it is wrong
- A creation and a completion with the same `createdAt` are taken for one transaction, whatever the
  order of their ids. That is no finding.
- With vercel/workflow#2177 replay accepts the completion of a wait whose creation it has not read,
  and leaves out the comparison of `resumeAt`. A run on such a core can complete.
- Histories of early core versions may lack creations. Whether the export or the run lost the event
  cannot be told from one export.
- Not evaluated where the history is known to be incomplete.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs, which hold some 3,600 waits.
  It is a rule for what must not happen, not a frequent fault.

## References
Catalogue WAI-003. vercel/workflow#1055, vercel/workflow#2177, vercel/workflow#3081 (row and event
written apart).
*/
SELECT
    orphan.run_id,
    list_concat(
        [witness('completed', orphan.event_no)],
        CASE WHEN created.event_no IS NULL THEN [] ELSE [witness('created only now', created.event_no)] END
    ) AS witness,
    format(
        'wait_completed of {} stands at #{}, but the wait {}.',
        short_id(orphan.correlation_id), orphan."position",
        coalesce('is created only at #' || created."position", 'is created nowhere in the run')
    ) AS because
FROM accusation AS orphan
JOIN entity USING (run_id, kind, correlation_id)
LEFT JOIN log AS created ON created.run_id = orphan.run_id AND created."position" = first_created
WHERE rule = 'orphan-wait-completed'
    AND NOT coalesce(created.created_at = orphan.created_at, FALSE);
