/*
title: A writer decided on an older snapshot than it had before
diagnosis: >-
  Writes of {event types of write from an older snapshot}[ at {sites of write from an older
  snapshot}] are decided on an older snapshot than their writer had read before.
severity:
  - {when: finding.exact, is: error}
  - {is: warning}
confidence: proof
needs: [fences]
implies: []
since: 0.1.0
---
---
## What it means
A writer made a decision knowing the log up to some event, and later in the log it made another one
knowing less: its fence names an earlier event. Events that this writer had already known were
missing from the snapshot of the later decision. A log only grows, so a snapshot must never shrink.

A writer is one `writerId` in one run, or one `tickId` where writers are not named. If the two
fences are of the kinds `tail` and `count`, or both `as_of`, they name snapshots exactly, and the
finding is an error. If a fence names only a time (`state_updated_at`), or the kinds are mixed, it
is a warning of confidence suspect.

There is one finding for each writer and run.

## Why it happens
- The writer reads from a cache or a replica that went back: a restart with an old copy, a page that
  was cut off, a replica that lags behind another.
- Two ticks of one run worked in one process at the same time, and the older one wrote last.
- A refused write was sent again with the fence of its first attempt, to a store that let it pass.
- The store does not compare the fence with the tail. Otherwise the later write is refused.

## Example
    #6  hook_created    hook_…KCQGKN           worker-a, fence #5
    #7  hook_received   hook_…KCQGKN
    #8  step_created    step_…KCQGKP  ship     worker-a, fence #7
    #9  wait_created    wait_…KCQGKQ           worker-a, fence #6

With #8, worker-a had known the delivery #7. With #9 it had not.

## How to confirm
What each writer knew, in the order of its writes. `known` must never go down within a writer:

    SELECT run_id, writer_id, tick_id, position, event_type, fence_kind, known, request_id
    FROM write
    WHERE refusal_no IS NULL AND role = 'decision' AND fence_kind <> 'unfenced'
        AND run_id IN (SELECT run_id FROM finding WHERE rule = 'fence-regressed')
    ORDER BY run_id, writer_id, position;

If the two writes have different ticks, and the ticks overlap in time, two ticks ran side by side.
If they have the same tick, or the ticks follow each other, the reads of the writer went back.

## What to do
- Read stale-snapshot-write on the same write first: it names the events that were missed.
- Find out from where the writer reads. Read from the primary, and keep the last known event of a
  run as a lower bound for later reads.
- Serialise the ticks of a run, at least within one process.
- After a refusal, read, replay and decide again. Never send the old decision again.
- Let the store compare the fence with the tail in the statement that appends.

## When it is wrong
- `writerId` must name one process. If a whole fleet shares one name, the finding only says that one
  worker was behind another.
- Two ticks in one process are a race of ticks. No snapshot went back; the history is as wrong.
- Protocols that commit under an old count on purpose (the slots of spec 6 to 8) give findings under
  contention.
- A `state_updated_at` fence is compared by time. Times that stand still or go back in the log (slot
  ids, several clocks) give findings on sound runs, hence the warning.
- Not judged: unfenced writes, writes without writer and tick, refused writes, signals and outcomes,
  and fences that cannot be right (see unknown-fence).
- Base rate: none. Stock exports do not record fences, so the rule was evaluated on none of the
  1,256 runs that we measured in the corpora of real SDK logs.

## References
Catalogue FNC-003. vercel/workflow#2113 (the fence on the tail), vercel/workflow#3479 (every
replay-context write sends its count).
*/
WITH decided AS (
    SELECT
        run_id, "position", event_no, event_type, fence_kind, known,
        coalesce('writer ' || writer_id, 'tick ' || tick_id) AS writer
    FROM write
    WHERE refusal_no IS NULL AND role = 'decision'
        AND fence_kind IN ('tail', 'as_of', 'state_updated_at', 'count')
        -- A fence on what is not there, or not there yet, says nothing of a snapshot (unknown-fence).
        AND known BETWEEN 0 AND "position" - 1
        AND NOT (known = 0 AND fence_kind IN ('as_of', 'state_updated_at') AND fence_ms(fence_value) IS NULL)
        AND coalesce(writer_id, tick_id) IS NOT NULL
        -- An earlier write under a newer fence takes two places between a fence and its write.
        AND run_id IN (SELECT run_id FROM write WHERE role = 'decision' AND known <= "position" - 3)
),

followed AS (
    SELECT
        *,
        max(known) OVER (
            PARTITION BY run_id, writer ORDER BY "position" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS newest
    FROM decided
),

regressed AS (
    SELECT
        run_id, writer,
        min("position") AS first_position,
        arg_min(event_type, "position") AS event_type,
        arg_min(fence_kind, "position") AS fence_kind,
        arg_min(known, "position") AS known,
        arg_min(newest, "position") AS newest,
        (list(event_no ORDER BY "position"))[:5] AS event_nos,
        count(*) AS writes
    FROM followed
    WHERE known < newest
    GROUP BY run_id, writer
),

-- The first write of this writer under its newest fence.
earlier AS (
    SELECT
        regressed.*,
        min(decided."position") AS earlier_position,
        arg_min(decided.event_no, decided."position") AS earlier_no,
        arg_min(decided.event_type, decided."position") AS earlier_type,
        arg_min(decided.fence_kind, decided."position") AS earlier_kind
    FROM regressed
    JOIN decided USING (run_id, writer)
    WHERE decided.known = newest AND decided."position" < first_position
    GROUP BY ALL
)

SELECT
    run_id,
    [
        witness('last event known before', newest_no),
        witness('earlier write', earlier_no)
    ] || [witness('write from an older snapshot', no) FOR no IN event_nos] AS witness,
    format(
        '{} wrote {} at #{} knowing the log up to #{}, and then {} at #{} knowing it only up to #{}{}.',
        'One ' || split_part(writer, ' ', 1), earlier_type, earlier_position, newest, event_type, first_position,
        known,
        CASE writes
            WHEN 1 THEN ''
            WHEN 2 THEN '; 1 more of its writes went back like this'
            ELSE format('; {} more of its writes went back like this', writes - 1)
        END
    ) AS because,
    -- NULL, and so a mild suspicion, where a time of milliseconds stands for a snapshot.
    CASE
        WHEN fence_kind IN ('tail', 'count') AND earlier_kind IN ('tail', 'count') THEN TRUE
        WHEN fence_kind = 'as_of' AND earlier_kind = 'as_of' THEN TRUE
    END AS exact
FROM earlier
JOIN (SELECT run_id, "position" AS newest, event_no AS newest_no FROM write) USING (run_id, newest);
