/*
title: A suspension was committed in parts
diagnosis: >-
  Suspensions are committed in parts: {event types of written} are written, {event types of refused}
  are refused.
severity:
  - {when: finding.by_store, is: error}
  - {when: finding.superseded, is: warning}
  - {is: info}
confidence: strong
needs: [refusals]
implies: [ordinal-regression, stalled-run]
only_with: [refusal]
since: 0.1.0
---
## What it means
What a suspension creates belongs together: it follows from one snapshot. Here one part of it is in
the log and the other part was refused.

- An error: both parts carry one request id. The store has torn a batch, which is all or nothing.
- A warning: the parts were sent as requests of their own by one tick, under one `writeAttempt`, the
  refused part was never created by anyone, and the run went on to create other things. So the run
  holds entities of a branch that it has left: their steps run for nothing, and so do their side
  effects.
- An info: the refused part was created later, or nothing was created after it.

A refused creation whose entity was there already is not counted: somebody else was faster with the
very same thing.

## Why it happens
- The runtime writes hooks, steps and waits one by one. An event from elsewhere comes between, and
  the rest is refused.
- The store commits the members of a batch one by one, or gives up in the middle and keeps what it
  has.
- After the refusal the replay starts again with a longer log, and allocates other entities.

## Example
    #4  hook_created    hook_…3Y6YHY  tick_2, writeAttempt 1
    #5  hook_received   hook_…3Y6YHX  a signal
        wait_created    wait_…3Y6YHZ  tick_2, writeAttempt 1, refused: FENCE_CONFLICT
    #6  step_created    step_…3Y6YJ0  tick_2, writeAttempt 2: another branch

The hook at #4 waits for nobody.

## How to confirm
Creations of each tick and attempt, and what became of them:

    SELECT write.run_id, tick_id, write_attempt, request_id, event_type, write.correlation_id, position,
        code, first_created, first_active, first_closed
    FROM write
    LEFT JOIN entity ON entity.run_id = write.run_id AND entity.correlation_id = write.correlation_id
    WHERE site = 'suspension'
        AND write.run_id IN (SELECT run_id FROM finding WHERE rule = 'torn-suspension')
    ORDER BY ALL;

## What to do
- Send a suspension as one batch under one fence, and let the store commit it in one transaction.
- Where the runtime writes piece by piece: after a refusal dispose of the hooks, and cancel the
  steps, that the new replay does not ask for.
- An error: look at the other batches of this store. Members may be missing without any refusal.

## When it is wrong
- A tick that suspends twice in a row without a conflict (a hook was let go of, a batch was full) has
  two decisions under one `writeAttempt`. If the second is refused it looks like a part; it is
  created later then, and that is an info.
- Where `writeAttempt` counts the tries of one write and not the conflicts of a tick, all
  suspensions of a tick look like one.
- A creation that belongs to the losing branch of a race is normal. It is reported only with a
  refused sibling.
- A batch of which a part was lost without a refusal is not seen here (ordinal-gap).
- A request id that names the tick and not the append makes an error of what is a warning.
- Base rate: no finding above info in 600 seeded runs of our runtime under contention (policy
  `full`). Stock exports record no refusals.

## References
Catalogue RAC-003. vercel/workflow#3145 (a rejected phase leaves the earlier ones committed).
*/
-- Few requests, and few attempts of a tick, have writes on both sides; all else is left out at once.
WITH by_request AS (
    SELECT run_id, request_id
    FROM write
    WHERE request_id IS NOT NULL AND correlation_id IS NOT NULL
    GROUP BY run_id, request_id
    HAVING count(refusal_no) BETWEEN 1 AND count(*) - 1
),

by_tick AS (
    SELECT run_id, tick_id, coalesce(write_attempt, 0) AS write_attempt
    FROM write
    WHERE tick_id IS NOT NULL AND site = 'suspension' AND event_type LIKE '%_created'
    GROUP BY ALL
    HAVING count(refusal_no) BETWEEN 1 AND count(*) - 1
),

-- The parts by request (a batch has one fence), and those of suspensions by tick.
part AS (
    SELECT write.*, concat_ws(' ', write.request_id, fence_kind, fence_value) AS suspension, TRUE AS by_store
    FROM write
    JOIN by_request USING (run_id, request_id)
    WHERE correlation_id IS NOT NULL
    UNION ALL BY NAME
    SELECT write.*, concat_ws(' ', by_tick.write_attempt, write.tick_id) AS suspension, FALSE AS by_store
    FROM write
    JOIN by_tick
        ON by_tick.run_id = write.run_id AND by_tick.tick_id = write.tick_id
        AND by_tick.write_attempt = coalesce(write.write_attempt, 0)
    WHERE site = 'suspension' AND event_type LIKE '%_created'
),

refused AS (
    SELECT
        part.*,
        CASE part.tail WHEN 'none' THEN 0 ELSE stood."position" END AS tail_position,
        CASE part.fence_value WHEN 'none' THEN 0 ELSE named."position" END AS read_to,
        coalesce(first_created, first_closed) AS made
    FROM (SELECT *, kind_of(event_type) AS kind FROM part WHERE refusal_no IS NOT NULL) AS part
    LEFT JOIN log AS stood ON stood.run_id = part.run_id AND stood.event_id = part.tail
    LEFT JOIN log AS named ON named.run_id = part.run_id AND named.event_id = part.fence_value
    LEFT JOIN entity
        ON entity.run_id = part.run_id AND entity.kind = part.kind
        AND entity.correlation_id = part.correlation_id
    WHERE part.role = 'decision'
        AND coalesce(part.code, '') NOT IN ('RUN_TERMINAL', 'TOO_EARLY', 'NOT_FOUND')
        -- Somebody else was faster with the very same thing.
        AND (by_store OR (made <= tail_position) IS NOT TRUE)
),

refusals AS (
    SELECT
        run_id, suspension, by_store,
        count(*) AS refused,
        list(correlation_id) AS refused_ids,
        list(request_id) AS request_ids,
        (list(refusal_witness('refused', refusal_no) ORDER BY event_type, correlation_id))[:5] AS refused_witness,
        min((event_type, correlation_id, code)) AS first_refused,
        max(tail_position) AS tail_position,
        min(read_to) AS read_to,
        count(*) FILTER (WHERE made IS NULL) AS missing
    FROM refused
    GROUP BY run_id, suspension, by_store
),

commits AS (
    SELECT
        run_id, suspension, by_store,
        count(*) AS written,
        list(correlation_id) AS written_ids,
        list(request_id) AS written_requests,
        (list(witness('written', event_no) ORDER BY "position"))[:5] AS written_witness,
        min("position") AS first_position,
        max("position") AS last_position
    FROM part
    WHERE refusal_no IS NULL AND (role = 'decision' OR event_type = 'hook_conflict')
    GROUP BY run_id, suspension, by_store
),

latest AS (
    SELECT run_id, max(first_created) AS created
    FROM entity
    WHERE run_id IN (SELECT run_id FROM refusals)
    GROUP BY run_id
)

SELECT
    refusals.run_id,
    written_witness || refused_witness AS witness,
    format(
        '{} wrote {} event{}, the first at #{}, while {} {} refused, {} of {} among them ({}); {}.',
        CASE WHEN by_store THEN 'One request' ELSE 'One suspension of a tick' END,
        written, CASE written WHEN 1 THEN '' ELSE 's' END, first_position,
        refused, CASE refused WHEN 1 THEN 'was' ELSE 'were' END,
        first_refused[1], short_id(first_refused[2]), coalesce(first_refused[3], 'no code'),
        CASE
            WHEN missing = 0 THEN 'what was refused was created later'
            WHEN missing = 1 THEN '1 of what was refused is never created'
            ELSE format('{} of what was refused are never created', missing)
        END
    ) AS because,
    by_store,
    missing > 0 AND coalesce(latest.created > tail_position, FALSE) AS superseded
FROM refusals
JOIN commits USING (run_id, suspension, by_store)
LEFT JOIN latest ON latest.run_id = refusals.run_id
WHERE CASE
        -- The whole batch was refused, or sent once more after its answer was lost: nothing is torn.
        WHEN by_store THEN NOT list_has_any(refused_ids, written_ids)
        -- What was decided with a later event of one's own, the end of a wait, is a suspension of its own.
        ELSE NOT list_has_any(request_ids, written_requests) AND (read_to > last_position) IS NOT TRUE
    END;
