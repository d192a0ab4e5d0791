/*
title: Two entities of different kinds were created on one ordinal
diagnosis: >-
  Replays of different snapshots bind one ordinal to entities of two kinds[ ({entities of bound
  the ordinal})].
severity: error
confidence: proof
needs: [ordinals]
implies:
  - duplicate-step-created
  - duplicate-wait-created
  - ordinal-collision
  - ordinal-regression
  - orphaned-wait
  - runtime-corruption-verdict
  - unusual-branch
since: 0.1.0
---
## What it means
The bodies of a run's correlation ids are draws of one sequence, and the place of a body in it is
the entity's ordinal. A replay gives every ordinal once. Here one ordinal was given to entities of
different kinds, such as a step and a wait. Two replays numbered their creations from different
histories, and both wrote to the log.

## Why it happens
Two ticks of one run overlap. One of them has read an event that the other has not, for instance the
`hook_received` of a race. Each continues with its own branch, and the first creation of either
branch is the same draw. The ids differ in their prefix, so the store takes them for two entities
and accepts both. The next replay follows one branch and finds events that no code asked for.

## Example
A hook is raced against a sleep of 2 s, in a loop.

    #3  hook_created    hook_…T9ZWXS         ordinal 0
    #4  wait_created    wait_…T9ZWXT         ordinal 1
    #5  hook_received   hook_…T9ZWXS
    #6  wait_completed  wait_…T9ZWXT
    #7  step_created    step_…T9ZWXV  drain  ordinal 2: the branch of the hook
    #8  step_created    step_…T9ZWXW  sync   ordinal 3
    #9  wait_created    wait_…T9ZWXV         ordinal 2: the branch of the elapsed wait
    #12 run_failed      Unconsumed event in event log: eventType=wait_created, eventId=#9

The two events that share the ordinal come first in the witness. Events "created beside it" (here
#8) are of the same kind as one of them and were created in the same burst. The runtime often names
one of those as the event on which it stopped.

## How to confirm
    SELECT run_id, ordinal,
        list(kind || ' at #' || first_created ORDER BY first_created) AS entities
    FROM entity
    WHERE ordinal IS NOT NULL
    GROUP BY run_id, ordinal
    HAVING min(kind) <> max(kind);

Or search the log for the 26 characters behind the prefix of either id: they occur under two
prefixes.

## What to do
- The run cannot be repaired, since no replay consumes both branches. Restart it from its input.
- Check which side effects happened on either branch before the run stopped.
- Fence all decision writes, so that the store refuses the branch of the stale tick.
- Serialise the ticks of a run. `WORKFLOW_SEQUENTIAL_REPLAYS=1` has to be set for the build and at
  run time.
- Ids drawn by kind (vercel/workflow#3301) or by call site (vercel/workflow#3179) remove the shared
  number, not the stale write. This rule is not evaluated on such runs.

## When it is wrong
- It is not evaluated where the ids are not draws of one sequence: counters, foreign ids, bodies
  that lie too far apart. If two kinds share the very first draw of a run, each kind is taken to
  have its own sequence. A real collision on the first draw is missed for that reason.
- Two ticks that create the same kind on one ordinal leave one entity with two creations. See
  duplicate-wait-created and duplicate-step-created.
- Which of the two branches is the stale one does not follow from the ids. "Created beside it" is a
  guess from kind and place.
- Base rate, measured on 1,256 runs of the corpora of real SDK logs: found in 17 of the 51 runs that
  the SDK itself failed as corrupted, and in none of the other 1,205. Over all 1,830 runs it is 44
  of 113, and no run that was not corrupted.

## References
Catalogue ORD-001. vercel/workflow#3696, vercel/workflow#3700 (a step and a wait on one draw),
vercel/workflow#3301 (sequences by kind), vercel/workflow#2132, vercel/workflow#3554.
*/
WITH collision AS (
    SELECT run_id, ordinal
    FROM entity
    WHERE ordinal IS NOT NULL
    GROUP BY run_id, ordinal
    HAVING min(kind) <> max(kind)
),

-- A tick writes its creations in one burst: nothing but signals lands between them.
creation AS (
    SELECT
        log.*,
        ordinal,
        count(*) FILTER (WHERE event_type IN ('wait_completed', 'step_completed', 'step_failed'))
            OVER (PARTITION BY log.run_id ORDER BY "position") AS burst
    FROM log
    LEFT JOIN (
        SELECT run_id, kind, correlation_id, ordinal
        FROM entity
        WHERE run_id IN (SELECT run_id FROM collision)
    ) USING (run_id, kind, correlation_id)
    WHERE run_id IN (SELECT run_id FROM collision)
    QUALIFY event_type IN ('step_created', 'wait_created', 'hook_created', 'hook_conflict')
),

bound AS (
    SELECT
        collision.run_id, collision.ordinal, kind,
        min("position") AS "position", arg_min(event_no, "position") AS event_no,
        arg_min(burst, "position") AS burst, any_value(correlation_id) AS correlation_id
    FROM collision
    JOIN creation USING (run_id, ordinal)
    GROUP BY ALL
),

sibling AS (
    SELECT
        bound.run_id, bound.ordinal,
        list(witness('created beside it', creation.event_no) ORDER BY creation."position") AS witness
    FROM bound
    JOIN creation USING (run_id, kind, burst)
    WHERE creation.event_no NOT IN (SELECT event_no FROM bound)
    GROUP BY ALL
)

SELECT
    run_id,
    list_concat(
        list(witness('bound the ordinal', event_no) ORDER BY "position"), coalesce(any_value(sibling.witness), [])
    ) AS witness,
    format(
        'Ordinal {} of the run was given to {}: two replays numbered their creations from different '
        'histories.',
        ordinal, string_agg(format('{} at #{}', short_id(correlation_id), "position"), ' and ' ORDER BY "position")
    ) AS because
FROM bound
LEFT JOIN sibling USING (run_id, ordinal)
GROUP BY run_id, ordinal
HAVING count(*) > 1;
