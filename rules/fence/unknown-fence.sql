/*
title: A write was accepted under a fence that cannot be right
diagnosis: >-
  Writes of {event types of fenced write} are accepted under a fence that cannot be right[
  ({fences of fenced write})].
severity: error
confidence: strong
needs: [fences, complete]
implies: [runtime-corruption-verdict]
since: 0.1.0
---
## What it means
The fence of an accepted write says what its writer had read. Here it says something impossible:

- It names an event that this run does not have.
- It names an event that stands behind the write, or more events than stand before it.
- It carries no time or no number where its kind needs one.

A store that compares fences refuses such a write. So either the store did not compare, and the
write was not protected at all, or the log has changed since: an event was lost, or its order is not
the order of the commits. In all these cases the history cannot be trusted.

There is one finding for each run, kind of fence and sort of fault, with five writes at most.

## Why it happens
- An event was acknowledged and read, and is not in the log now: a lost or rolled back transaction,
  a store that was restored, deleted rows.
- The log is sorted by ids that were minted before the commit. A write of a slow clock then stands
  before the event that its writer had read.
- The writer sent the fence of another run, a correlation id, or the text `undefined`.
- The store takes a fence that it cannot read for "no fence".

## Example
    #3  step_created    step_…3Y6YHY  reserve   fence #2
    #5  step_completed  step_…3Y6YHY
    #6  step_created    step_…3Y6YHZ  charge    fence evnt_…Q8W4PM

The run has no event evnt_…Q8W4PM.

## How to confirm
Fences that name no event of the run, and where that event is, if the input holds it at all. Slots
are unique only within a run, so for them the last column says nothing:

    SELECT event.run_id, log.position, event.event_type, event.fence_kind, event.fence_value,
        event.fence_resolved, elsewhere.run_id AS found_in_run
    FROM write
    JOIN event USING (event_no)
    JOIN log USING (event_no)
    LEFT JOIN event AS elsewhere
        ON elsewhere.event_id = coalesce(event.fence_resolved, event.fence_value)
    WHERE write.fence_kind IN ('tail', 'as_of') AND write.known IS NULL
    ORDER BY event.run_id, log.position;

Fences on something behind their own write:

    SELECT run_id, position, event_type, fence_kind, fence_value, known
    FROM write
    WHERE known >= position;

Fences that carry no time or no number:

    SELECT run_id, position, event_type, fence_kind, fence_value
    FROM write
    WHERE CASE
        WHEN fence_kind IN ('as_of', 'state_updated_at') THEN fence_ms(fence_value) IS NULL
        WHEN fence_kind = 'count' THEN TRY_CAST(fence_value AS BIGINT) IS NULL
    END;

Then read the named event in the store itself. If it is there, the export lost it. If it is not, the
store lost it, or the writer made it up.

## What to do
- Export the run again and check it again, before anything else.
- If the event is gone from the store, look for other losses at the same time: other runs, the same
  minutes, the same transaction. Start the run again from its input.
- Let the store refuse a fence that it cannot read, with a typed error. "Unknown" must never mean
  "no condition".
- Give events their position at the commit, so that their order is the order of the commits.

## When it is wrong
- An export that lost an inner event without a trace looks like a store that lost it, hence the
  confidence strong. Logs that record positions show such a loss, and are then not evaluated.
- If fences were joined to events from a capture of requests, a wrong join gives wrong fences.
- The rule says nothing about whether the decision itself was right.
- A time that can be read but is absurd (seconds in place of milliseconds) is not reported here.
  Nor is a fence of a kind that the auditor does not know.
- Base rate: none. Stock exports do not record fences, so the rule was evaluated on none of the
  1,256 runs that we measured in the corpora of real SDK logs.

## References
Catalogue FNC-003. vercel/workflow#2113 (the fence on the tail), vercel/workflow#3479 (every
replay-context write sends its count).
*/
-- The few writes whose fence may be wrong; what the store took a weak fence to mean stands beside the event.
WITH doubtful AS (
    SELECT
        write.run_id, write."position", write.event_no, write.event_type, write.fence_kind, write.fence_value,
        known, fence_resolved
    FROM write
    JOIN event USING (event_no)
    WHERE refusal_no IS NULL
        AND write.fence_kind IN ('tail', 'as_of', 'state_updated_at', 'count')
        AND (
            known IS NULL OR known < 0 OR known >= write."position"
            OR (
                write.fence_kind IN ('as_of', 'state_updated_at') AND fence_resolved IS NULL
                AND write.fence_value IS DISTINCT FROM 'none' AND fence_ms(write.fence_value) IS NULL
            )
        )
),

wrong AS (
    SELECT
        *,
        CASE
            WHEN fence_kind IN ('as_of', 'state_updated_at') AND fence_resolved IS NULL
                AND fence_value IS DISTINCT FROM 'none' AND fence_ms(fence_value) IS NULL
                THEN 'that carries no time'
            WHEN fence_kind = 'count' AND coalesce(known < 0, TRUE) THEN 'that carries no number of events'
            WHEN fence_kind = 'tail' AND fence_value IS NULL THEN 'that names no event'
            WHEN known IS NULL
                THEN format(
                    'on {}, which is no event of this run', short_id(coalesce(fence_resolved, fence_value))
                )
            WHEN fence_kind = 'count'
                THEN format('on {} events, but only {} stand before it', known, "position" - 1)
            WHEN known = "position" THEN 'on the very event that it writes'
            ELSE format('on #{}, which stands behind it', known)
        END AS fault,
        CASE
            WHEN known IS NULL THEN 'unknown'
            WHEN known >= "position" THEN 'future'
            ELSE 'malformed'
        END AS class
    FROM doubtful
)

SELECT
    wrong.run_id,
    (list(witness('fenced write', wrong.event_no) ORDER BY wrong."position"))[:5]
    || coalesce(
        (list(witness('named by the fence', named.event_no) ORDER BY wrong."position")
            FILTER (WHERE named.event_no IS NOT NULL AND named.event_no <> wrong.event_no))[:1],
        []
    ) AS witness,
    format(
        '{} at #{} was accepted under {} {} fence {}{}.',
        arg_min(wrong.event_type, wrong."position"), min(wrong."position"),
        CASE fence_kind WHEN 'as_of' THEN 'an' ELSE 'a' END, fence_kind, arg_min(fault, wrong."position"),
        CASE count(*)
            WHEN 1 THEN ''
            WHEN 2 THEN '; 1 more write of the run has a fence of this sort'
            ELSE format('; {} more writes of the run have fences of this sort', count(*) - 1)
        END
    ) AS because
FROM wrong
LEFT JOIN log AS named
    ON class = 'future' AND fence_kind <> 'count' AND named.run_id = wrong.run_id AND named."position" = known
GROUP BY wrong.run_id, fence_kind, class;
