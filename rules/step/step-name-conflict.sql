/*
title: One step id was given to two steps of different names
diagnosis: One step id is given to steps of different names[ ({steps of first under this name})].
severity: error
confidence: proof
needs: []
implies:
  - attempt-mismatch
  - conflicting-step-outcomes
  - duplicate-step-created
  - late-creation
  - overlapping-step-starts
  - runtime-corruption-verdict
  - step-name-conflict
  - step-restarted-after-outcome
since: 0.1.0
---
## What it means
The events of one step id carry two step names. Two replays of this run counted its calls
differently: what is the third call for one of them is another call for the other. The store kept
both under one id, so the history mixes two branches of the workflow. A result that belongs to one
step can be handed to the other. Do not trust what the run did after the second name.

## Why it happens
- Two ticks overlapped, one of them with a snapshot that missed an event. Each went down its own
  branch, and each drew the same next id. The first creation was kept. The second was refused as a
  duplicate and the refusal was taken for "already done", or it was accepted. The events that
  followed carry the other name.
- The code was deployed again while the run was open, and a step was added, removed, moved or
  renamed before this call.
- The workflow is not deterministic: the order of its calls depends on a clock, a random number or
  the environment.

## Example
A hook is raced against a sleep.

    #3  hook_created    hook_…3ZAEVA
    #4  wait_created    wait_…3ZAEVB
    #5  hook_received   hook_…3ZAEVA
    #6  step_created    step_…3ZAEVC  chargeCard   the branch of the hook
    #7  step_started    step_…3ZAEVC  chargeCard
    #8  wait_completed  wait_…3ZAEVB
    #9  step_started    step_…3ZAEVC  escalate     the branch of the sleep, same id

## How to confirm
List the events of the step with their names:

    SELECT log.run_id, log.position, log.event_type, event.step_name, log.created_at
    FROM log JOIN event USING (event_no)
    WHERE (log.run_id, log.correlation_id) IN (
        SELECT d.run_id, d.correlation_id
        FROM finding JOIN witness_detail AS d USING (finding_no)
        WHERE rule = 'step-name-conflict'
    )
    ORDER BY log.run_id, log.correlation_id, log.position;

If the two names differ only in a path or in a version (`step//@acme/pay@1.4.2//charge`), compare the
time of the second name with your deployments.

## What to do
- Look at the side effects of both steps. Both may have run, and the run knows of one.
- Start the run again from its input. A retry reads the same log.
- If two ticks wrote the names: fence every decision write, so that a write from an old snapshot is
  refused, and never take a refusal by the guard of an id for success without comparing the name.
- If a deployment did it: keep open runs on the deployment that they began with.

## When it is wrong
- That the names differ is certain: whole names are compared, letter by letter. A step that was
  moved to another file or got a new package version between two events of the same call has two
  names and is still one step. The runtimes that check names stop at it all the same.
- Events without a name are not compared. Some cores (seen: 4.2.4, 5.0.0-beta.5 and 5.0.0-beta.55)
  write the name on the creation only. There a conflict shows only if the step was created twice.
- If the loser of the race wrote nothing, the log does not show the conflict at all.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs, neither in the 1,162 healthy
  runs nor in the 51 corrupted ones nor in the 43 others. In 348 of them (4.6.0 and 4.8.9) all events
  of a step carry its name.

## References
Catalogue STP-002. vercel/workflow#2132 (one id, two calls), vercel/workflow#2300,
vercel/workflow#3139, vercel/workflow#4089 and vercel/workflow#4090 (a swallowed second creation).
*/
WITH suspected AS (
    -- The names of a step, compared by hash: text is what costs in a pass over all events. What is found
    -- is compared letter by letter below.
    SELECT min(event_no) AS event_no
    FROM event
    WHERE step_name IS NOT NULL
    GROUP BY hash(run_id, correlation_id)
    HAVING min(hash(step_name)) <> max(hash(step_name))
),

step AS (
    SELECT DISTINCT run_id, correlation_id
    FROM event
    WHERE event_no IN (SELECT event_no FROM suspected)
),

named AS (
    SELECT
        step.run_id, step.correlation_id, step_name,
        min(log."position") AS "position",
        arg_min(event_no, log."position") AS event_no
    FROM step
    JOIN log USING (run_id, correlation_id)
    JOIN event USING (event_no, run_id, correlation_id)
    WHERE step_name IS NOT NULL
    GROUP BY ALL
)

SELECT
    run_id,
    list(witness('first under this name', event_no) ORDER BY "position")[:5] AS witness,
    format(
        '{} is {}{}: one id stands for {} calls.',
        short_id(correlation_id),
        array_to_string(
            list(format('{} at #{}', step_name, "position") ORDER BY "position")[:3], ' and '
        ),
        CASE WHEN count(*) > 3 THEN format(' and {} more', count(*) - 3) ELSE '' END,
        count(*)
    ) AS because
FROM named
GROUP BY run_id, correlation_id
HAVING count(*) > 1;
