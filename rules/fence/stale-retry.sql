/*
title: A refused decision was sent again under a newer fence
diagnosis: >-
  Refused writes of {event types of sent again}[ at {sites of sent again}] are sent again under a
  newer fence.
severity:
  - {when: finding.decisive, is: error}
  - {is: info}
confidence: proof
needs: [refusals]
implies:
  - conflicting-terminals
  - duplicate-step-created
  - duplicate-wait-completed
  - duplicate-wait-created
  - event-after-terminal
  - hook-sleep-near-race
  - late-creation
  - ordinal-collision
  - ordinal-regression
  - orphaned-wait
  - runtime-corruption-verdict
  - self-hook-conflict
  - step-name-conflict
  - step-restarted-after-outcome
  - unusual-branch
only_with: [refusal]
since: 0.1.0
---
## What it means
A decision write was refused because its snapshot was stale. Then the same request was accepted: the
same request id, the same event of the same entity, but a newer fence. So its writer took over the
new tail, and sent the old decision again. The fence was satisfied and protected nothing: what was
written was decided without the events between the two fences.

An error: between the old snapshot and the new one stands a delivery to a hook, a cancellation, the
outcome of a step or the end of a wait, which can change what the run wants. An info: nothing of that
kind stands there, and the decision would most likely have been the same.

There is one finding for each request, with five of the missed events at most.

## Why it happens
- Retry in place: after a conflict the helper that appends fetches the new tail and repeats the
  call. The replay, which would have to decide again, stands above it.
- A proxy or a client library repeats a request on 412 or 409 and refreshes its condition.
- After a conflict the fence is left away to get the write through.

## Example
    #4  wait_created    wait_…3Y6YHZ
        wait_completed  wait_…3Y6YHZ  req_9, fence #4, refused: FENCE_CONFLICT
    #5  hook_received   hook_…3Y6YHY  the other side of the race
    #6  wait_completed  wait_…3Y6YHZ  req_9, fence #5: the same request

## How to confirm
Requests that were refused and accepted, with both fences:

    SELECT accepted.run_id, accepted.request_id, accepted.position, accepted.event_type,
        refused.fence_value AS refused_fence, accepted.fence_value AS accepted_fence, refused.code
    FROM write AS refused
    JOIN write AS accepted USING (run_id, request_id, event_type)
    WHERE refused.refusal_no IS NOT NULL AND accepted.refusal_no IS NULL
        AND refused.correlation_id IS NOT DISTINCT FROM accepted.correlation_id
        AND refused.fence_value IS DISTINCT FROM accepted.fence_value
    ORDER BY ALL;

Then look at the log of the writer: was there a replay between the two?

## What to do
- Treat the run as after stale-snapshot-write: look at what was created behind the write, and start
  the run again from its input if it took the wrong branch.
- After a refusal merge the missing events, replay and decide again. What is then written is a new
  request, with an id of its own, even if it comes to the same.
- Repeat a request only when its answer was lost, with the same fence and an idempotency key.

## When it is wrong
- A writer that decides again, comes to the same and sends it under its old request id is reported.
  So is one whose request id names the tick or the invocation, not the append.
- It does not prove that the decision is wrong, only that it was not made anew.
- Not judged: logs without request ids, writers that send the old decision as a new request, and
  fences that name no place in the log (`state_updated_at`).
- Base rate: none in 600 seeded runs of our runtime under contention (policy `full`). Stock exports
  record no refusals.

## References
Catalogue FNC-001. vercel/workflow#2113 (retries with a new tail), vercel/workflow#3145 (why the
replay starts again in place of the write).
*/
WITH refused AS (
    SELECT
        run_id, request_id, refusal_no, event_type, refusal.correlation_id, fence_kind, tail_at_refusal,
        CASE fence_kind WHEN 'as_of' THEN expected ELSE fence_value END AS fence
    FROM refusal
    WHERE code IN ('FENCE_CONFLICT', 'PRECONDITION_FAILED')
        AND fence_kind IN ('tail', 'as_of', 'count')
        AND request_id IS NOT NULL
),

accepted AS (
    SELECT
        run_id, request_id, event_type, correlation_id, event_no, "position",
        -- Without a fence it was sent again as if its writer knew all that stood before it.
        CASE
            WHEN coalesce(fence_kind, 'unfenced') <> 'unfenced' THEN known
            ELSE min("position") OVER (PARTITION BY run_id, request_id) - 1
        END AS known,
        coalesce(fence_kind, 'unfenced') AS fence_kind
    FROM write
    WHERE refusal_no IS NULL AND role = 'decision'
        AND request_id IN (SELECT request_id FROM refused)
),

pair AS (
    SELECT
        accepted.*, refusal_no, tail_at_refusal,
        CASE
            WHEN refused.fence_kind = 'count' THEN TRY_CAST(fence AS BIGINT)
            WHEN fence = 'none' THEN 0
            ELSE named."position"
        END AS snapshot
    FROM refused
    JOIN accepted USING (run_id, request_id, event_type)
    LEFT JOIN log AS named ON named.run_id = refused.run_id AND named.event_id = fence
    WHERE refused.correlation_id IS NOT DISTINCT FROM accepted.correlation_id
),

resent AS (
    SELECT
        pair.run_id, request_id,
        min(snapshot) AS snapshot,
        max(known) AS known,
        min_by(pair.event_type, pair."position") AS event_type,
        min(pair."position") AS first_position,
        any_value(fence_kind) AS fence_kind,
        count(DISTINCT pair.event_no) AS events,
        list_distinct(list(refusal_no ORDER BY snapshot, pair.correlation_id))[:5] AS refusals,
        list_sort(list(DISTINCT (pair."position", pair.event_no)))[:5] AS written
    FROM pair
    LEFT JOIN log AS stood ON stood.run_id = pair.run_id AND stood.event_id = tail_at_refusal
    WHERE snapshot < known
        -- Refused after it was accepted: the answer to the first request was lost.
        AND coalesce(stood."position" < pair."position", TRUE)
    GROUP BY pair.run_id, request_id
),

missed AS (
    SELECT
        resent.run_id, resent.request_id,
        count(*) AS missed,
        (list(seen.event_no ORDER BY seen."position"))[:5] AS missed_nos,
        min(seen."position") AS missed_position,
        min_by(seen.event_type, seen."position") AS missed_type
    FROM resent
    JOIN write AS seen ON seen.run_id = resent.run_id
        AND seen."position" > resent.snapshot AND seen."position" <= resent.known
    WHERE (seen.role IN ('signal', 'outcome') OR seen.event_type = 'wait_completed')
        AND seen.request_id IS DISTINCT FROM resent.request_id
    GROUP BY ALL
)

SELECT
    resent.run_id,
    CASE WHEN stood.event_no IS NULL THEN []
        ELSE [witness('last event of the snapshot', stood.event_no)] END
    || [witness('missed', no) FOR no IN coalesce(missed_nos, [])]
    || [refusal_witness('refused', no) FOR no IN refusals]
    || [witness('sent again', write[2]) FOR write IN written] AS witness,
    format(
        '{}{} was refused knowing the log up to #{}, and accepted at #{} as the same request {}; {}.',
        resent.event_type,
        CASE events WHEN 1 THEN '' ELSE format(' (and {} more of its request)', events - 1) END,
        resent.snapshot, first_position,
        CASE fence_kind
            WHEN 'unfenced' THEN 'without a fence'
            ELSE format('under a fence on #{}', resent.known)
        END,
        CASE
            WHEN missed IS NULL THEN 'nothing that decides stands between'
            WHEN missed = 1 THEN format('{} at #{} stands between', missed_type, missed_position)
            ELSE format('{} at #{} and {} more stand between', missed_type, missed_position, missed - 1)
        END
    ) AS because,
    missed IS NOT NULL AS decisive
FROM resent
LEFT JOIN missed USING (run_id, request_id)
LEFT JOIN log AS stood ON stood.run_id = resent.run_id AND stood."position" = resent.snapshot;
