/*
title: Far more writes of a run were refused than accepted
diagnosis: >-
  Writes of {event types of refused}[ at {sites of refused}] are refused far more often than they are
  accepted.
severity: warning
confidence: strong
needs: [refusals, complete]
implies: [retries-exhausted]
only_with: [refusal]
since: 0.1.0
params:
  refused: {default: 50, meaning: how many refused appends a storm has at least}
  per_decision: {default: 10, meaning: how many refused appends there are at least for each accepted decision}
---
## What it means
The fences of this run refused 50 appends or more, and more than ten for each decision that was
accepted. The history is right: that is what fences are for. But most of the work was done for
nothing: every refused append has cost a read, a replay and a request.

Appends are counted, not events: a batch of ten creations is one append. Only refusals for a stale
snapshot count (FENCE_CONFLICT, PRECONDITION_FAILED), and only those of decisions.

## Why it happens
- The backoff is missing, too short or without jitter: writers that collided once collide again.
- Many ticks of one run are under way at the same time, because every signal and every outcome
  starts one, and none waits for another.
- After a refusal the writer sends again without a new read.
- Signals arrive faster than a tick takes to read, replay and write.
- The store refuses writers that are not stale (spurious-conflict).

## Example
    14:02:10.120  wait_completed  wait_…3Y6YHZ  fence #8, refused: FENCE_CONFLICT  worker-a
    14:02:10.121  wait_completed  wait_…3Y6YHZ  fence #8, refused: FENCE_CONFLICT  worker-b
    14:02:10.123  wait_completed  wait_…3Y6YHZ  fence #8, refused: FENCE_CONFLICT  worker-c

... and so on, 158 times in four seconds, for two accepted decisions.

## How to confirm
Refused appends of each run by second and writer:

    SELECT run_id, date_trunc('second', refused_at) AS second, writer_id,
        count(DISTINCT request_id) AS refused
    FROM refusal
    WHERE code IN ('FENCE_CONFLICT', 'PRECONDITION_FAILED')
    GROUP BY ALL
    ORDER BY ALL;

## What to do
- Pause between conflicts, longer after each, with jitter. After a few of them hand the tick back to
  the queue, and let one tick of the run speak for all that wait.
- Serialise the ticks of a run by a lease, for throughput; the fence stays.
- Merge the events that the refusal brings with it in place of a full read.
- Raise `refused` or `per_decision` where such load is expected.

## When it is wrong
- A short run that many signals hit at once may be over the limits for a moment and be well.
- A capture of requests that missed accepted writes makes the ratio look worse. A log that records
  no request ids is counted by tick, `writeAttempt`, fence and time.
- Base rate: healthy contention gives 0.05 to 3 refused appends for each decision (our runtime, many
  workers, leases off); a backoff that did not grow gave 79. No finding in 600 seeded runs of our
  runtime under contention (policy `full`). Stock exports record no refusals.

## References
Catalogue FNC-006. vercel/workflow#2113 (retries), vercel/workflow#3305 (12,000 conflicts in 24 runs).
*/
WITH refused AS (
    SELECT
        run_id, workflow, refusal_no, refusal.event_type, refusal.correlation_id, writer_id, tail_at_refusal,
        refused_at,
        coalesce(
            request_id, concat_ws(' ', writer_id, tick_id, write_attempt, site, fence_value, refused_at)
        ) AS append,
        (refused_at, append, refusal.correlation_id, refusal.event_type) AS place
    FROM refusal
    JOIN write_role USING (event_type)
    JOIN run USING (run_id)
    WHERE role = 'decision' AND code IN ('FENCE_CONFLICT', 'PRECONDITION_FAILED')
),

many AS (
    SELECT
        run_id, workflow,
        count(DISTINCT append) AS appends,
        count(DISTINCT writer_id) AS writers,
        min(refused_at) AS since,
        max(refused_at) AS until,
        min_by(tail_at_refusal, place) AS tail,
        (list(refusal_witness('refused', refusal_no) ORDER BY place))[:3]
        || [refusal_witness('last refused', max_by(refusal_no, place))] AS refusals
    FROM refused
    GROUP BY run_id, workflow
),

decided AS (
    SELECT run_id, count(DISTINCT coalesce(request_id, 'event ' || event_no)) AS appends
    FROM write
    WHERE refusal_no IS NULL AND role = 'decision' AND run_id IN (SELECT run_id FROM many)
    GROUP BY run_id
)

SELECT
    many.run_id,
    CASE WHEN stood.event_no IS NULL THEN [] ELSE [witness('tail at the first refusal', stood.event_no)] END
    || refusals AS witness,
    format(
        '{} appends{} were refused for a stale snapshot{}, for {} accepted decision{}.',
        many.appends,
        CASE writers WHEN 0 THEN '' WHEN 1 THEN ' of 1 writer' ELSE format(' of {} writers', writers) END,
        coalesce(format(' since {}, within {}', strftime(since, '%Y-%m-%d %H:%M:%S'), until - since), ''),
        coalesce(decided.appends, 0), CASE decided.appends WHEN 1 THEN '' ELSE 's' END
    ) AS because
FROM many
LEFT JOIN decided USING (run_id)
LEFT JOIN log AS stood ON stood.run_id = many.run_id AND stood.event_id = many.tail
WHERE many.appends >= param('conflict-storm', 'refused', workflow)
    AND many.appends
    > greatest(coalesce(decided.appends, 0), 1) * param('conflict-storm', 'per_decision', workflow);
