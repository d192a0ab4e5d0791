/*
title: A signal carries a fence and may be lost
diagnosis: >-
  Signals ({event types}) are sent under a fence[ at {sites}], so they may be refused and lost.
severity:
  - {when: finding.chosen, is: info}
  - {is: warning}
confidence: strong
needs: [fences]
implies: []
since: 0.1.0
---
---
## What it means
A signal comes from outside: a delivery to a hook (`hook_received`) or a cancellation
(`run_cancelled`). It is true whatever the run has done meanwhile, so it must not be refused for
being stale. Here a signal carries a fence. If any event is committed between the read and the
write, the signal is refused, and unless its sender tries again it is lost. On a busy run that is
the usual case. Whether a refused one came again is for lost-signal to say, where the log records
refusals; this finding then folds under that one.

An `as_of` fence on a signal is an info: in our world a caller can ask for it on purpose
(`resume_hook(as_of=...)`, "only if nothing happened since what I read"). All other fences are a
warning.

There is one finding for each run and event type, with five accepted and five refused signals at
most. Refused signals are known only where the log records refusals.

## Why it happens
- The client fences every write through one helper, and does not tell decisions from signals.
- The caller read the run before it sent the signal, and passes on the last event it saw.
- A proxy or a wrapper adds the fence.

## Example
    #4  hook_created    hook_…3Y6YHY            fence #3
    #5  step_completed  step_…3Y6YHZ
        hook_received   hook_…3Y6YHY            fence #4, refused: FENCE_CONFLICT

The approval was sent and is not in the log.

## How to confirm
Every fenced signal, refused ones with their code:

    SELECT run_id, event_type, correlation_id, position, fence_kind, fence_value, code, writer_id, site
    FROM write
    WHERE role = 'signal' AND fence_kind <> 'unfenced'
    ORDER BY run_id, position;

Was a refused signal sent again? Look for an accepted one of the same entity:

    SELECT refused.run_id, refused.correlation_id, refused.code, accepted.position AS accepted_at
    FROM write AS refused
    LEFT JOIN write AS accepted
        ON accepted.run_id = refused.run_id AND accepted.event_type = refused.event_type
        AND accepted.correlation_id IS NOT DISTINCT FROM refused.correlation_id
        AND accepted.refusal_no IS NULL
    WHERE refused.role = 'signal' AND refused.refusal_no IS NOT NULL;

## What to do
- Send signals without a fence. Use a `resumeId` to keep a repeated delivery from counting twice.
- If a signal was refused and not accepted later, send it again, or tell its sender.
- Where the condition is wanted, use `as_of` and treat the refusal as an answer to the caller.

## When it is wrong
- It does not claim a loss, which is what lost-signal is for. An accepted signal did no harm, and a
  refused one may have been sent again, or have come too late anyway.
- A count on a signal that reaches a world which never refuses by count (spec 6 to 8) is harmless.
- A refused signal may have been refused for another reason than its fence. The code says which.
- Base rate: none. Stock exports do not record fences, so the rule was evaluated on none of the
  1,256 runs that we measured in the corpora of real SDK logs.

## References
Catalogue FNC-004. vercel/workflow#2113, vercel/workflow#2132 (why `hook_received` is not fenced).
*/
WITH fenced AS (
    SELECT
        write.run_id, write.event_type, write.fence_kind, write."position", write.event_no, write.refusal_no,
        write.code,
        write.fence_kind = 'as_of' AS chosen,
        -- Refusals have no position: their own content orders them.
        (refused_at, write.correlation_id, write.fence_value, write.request_id, write.write_attempt) AS moment
    FROM write
    LEFT JOIN refusal USING (refusal_no)
    WHERE write.role = 'signal' AND write.fence_kind <> 'unfenced'
),

signal AS (
    SELECT
        run_id, event_type, chosen,
        count(event_no) AS accepted,
        count(refusal_no) AS refused,
        min("position") AS first_position,
        string_agg(DISTINCT fence_kind, ', ' ORDER BY fence_kind) AS kinds,
        string_agg(DISTINCT code, ', ' ORDER BY code) AS codes,
        coalesce(
            (list(witness('fenced signal', event_no) ORDER BY "position") FILTER (WHERE event_no IS NOT NULL))[:5],
            []
        ) AS accepted_witness,
        coalesce(
            (list(refusal_witness('refused signal', refusal_no) ORDER BY moment)
                FILTER (WHERE refusal_no IS NOT NULL))[:5],
            []
        ) AS refused_witness
    FROM fenced
    GROUP BY run_id, event_type, chosen
)

SELECT
    run_id,
    accepted_witness || refused_witness AS witness,
    format(
        '{} under a fence ({}): {}.',
        event_type, kinds,
        concat_ws(
            '; ',
            CASE
                WHEN accepted = 1 THEN format('1 accepted, at #{}', first_position)
                WHEN accepted > 1 THEN format('{} accepted, the first at #{}', accepted, first_position)
            END,
            CASE WHEN refused > 0 THEN format('{} refused ({})', refused, coalesce(codes, 'no code')) END
        )
    ) AS because,
    chosen
FROM signal;
