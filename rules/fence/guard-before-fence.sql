/*
title: A stale write was told something else than that it is stale
diagnosis: >-
  Stale writes of {event types of refused} are told that their work is done, not that they are stale.
severity: warning
confidence: proof
needs: [refusals]
implies: []
only_with: [refusal]
since: 0.1.0
---
## What it means
A write carried a `tail` fence that named an event which was no longer the tail, and the store did
not say so. It looked at the entity first and answered that the entity is there already, or done
already. The writer learns nothing of the events that it has not read, and takes the answer for
"somebody else did the very same thing". What somebody else did may be another branch.

One finding covers one run. Its witness is the event that the fence named and the refusals, five at
most.

## Why it happens
- The store checks the state of the entity before it compares the fence, or in another statement.
- A unique index answers before the condition on the tail does.
- A proxy or a client turns both conflicts into one error.

## Example
    #5  hook_received   hook_…KCQGKN
    #6  step_created    step_…KCQGKQ  charge    the branch of the hook

A second tick, whose snapshot ends at #4, sends `step_created` of step_…KCQGKQ, `escalate`, fenced
with #4. The tail is #6. A correct store answers FENCE_CONFLICT. This one answers ENTITY_CONFLICT
(already created): the second tick goes on as if `escalate` had been created.

## How to confirm
    SELECT run_id, event_type, correlation_id, code, fence_value, tail_at_refusal
    FROM refusal
    WHERE fence_kind = 'tail' AND fence_value <> tail_at_refusal
        AND code NOT IN ('FENCE_CONFLICT', 'PRECONDITION_FAILED')
    ORDER BY ALL;

## What to do
- Judge the fence before everything that depends on the state of an entity, in the same atomic
  statement.
- Let a writer that was told "already done" read the log again before it believes it.
- Keep the two answers apart by their codes: 412 for a stale snapshot, 409 for an entity.

## When it is wrong
- A repeated request (same idempotency key or resume id), a request that is malformed, or one about a
  run or a hook that does not exist may be answered before the fence is judged. Those codes are not
  reported.
- No harm is proven: often the other writer did do the very same thing.
- A store whose contract puts the entity first, like the SDK's worlds before the fence, does this at
  every race; there the finding is true and known.
- Base rate: none. Stock exports do not record refusals, so the rule was evaluated on none of the
  1,256 runs that we measured in the corpora of real SDK logs.

## References
The review of vercel/workflow#2113, where a wait was skipped as "already completed";
vercel/workflow#3081.
*/
WITH misled AS (
    SELECT
        run_id, refusal_no, event_type, correlation_id, code, fence_value, tail_at_refusal,
        (refused_at, request_id, event_type, correlation_id) AS place
    FROM refusal
    WHERE fence_kind = 'tail' AND fence_value <> tail_at_refusal
        AND code IN ('ENTITY_CONFLICT', 'TOO_EARLY')
)

SELECT
    misled.run_id,
    CASE WHEN count(named.event_no) = 0 THEN []
        ELSE [witness('named by the fence', min_by(named.event_no, place) FILTER (WHERE named.event_no IS NOT NULL))]
    END
    || (list(refusal_witness('refused', refusal_no) ORDER BY place))[:5] AS witness,
    format(
        '{}{} was refused as {} under a fence on {}, although the tail was {}: its writer was not told that it is '
        'stale{}.',
        min_by(misled.event_type, place),
        coalesce(' of ' || short_id(min_by(misled.correlation_id, place)), ''),
        min_by(code, place),
        coalesce('#' || min_by(named."position", place), short_id(min_by(fence_value, place))),
        coalesce('#' || min_by(stood."position", place), short_id(min_by(tail_at_refusal, place))),
        CASE count(*)
            WHEN 1 THEN ''
            WHEN 2 THEN '; so it was with 1 more refusal'
            ELSE format('; so it was with {} more refusals', count(*) - 1)
        END
    ) AS because
FROM misled
LEFT JOIN log AS named ON named.run_id = misled.run_id AND named.event_id = fence_value
LEFT JOIN log AS stood ON stood.run_id = misled.run_id AND stood.event_id = tail_at_refusal
GROUP BY misled.run_id;
