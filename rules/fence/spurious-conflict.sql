/*
title: A write was refused as stale although its writer had read everything
diagnosis: >-
  Writes of {event types of refused} are refused as stale although their writers had read everything.
severity: warning
confidence: proof
needs: [refusals, complete]
implies: [conflict-storm, retries-exhausted]
only_with: [refusal]
since: 0.1.0
---
## What it means
A `tail` fence (or an `as_of` fence that the store took to mean an event) refuses a writer that had
not read the last event. Here a write was refused for a stale snapshot, and the refusal contradicts
itself or the log:

- current: the fence names the very event that was the tail;
- older: the tail of the refusal stands before the event that the fence names;
- gone: the tail of the refusal is no event of the run, although the run has newer ones.

The history is not harmed. But the store does not compare with the tail of this log, so what it
accepts is as doubtful as what it refuses, and a run whose writers are always refused never ends.

There is one finding for each run and sort of fault, with five refused writes at most.

## Why it happens
- The store compares the fence with a copy of the tail (a cache, a replica) that is behind.
- A write was prepared, moved the tail, and was rolled back.
- Ids are compared as text in different forms: with and without prefix, or in another case.
- The code for "stale" is also given for something else: a lock that was not obtained, a
  serialisation failure.

## Example
    #7  step_completed  step_…3Y6YHY   evnt_…Q8W4PM
        step_created    step_…3Y6YHZ   fence evnt_…Q8W4PM, refused: FENCE_CONFLICT
                                       tail at the refusal evnt_…Q8W4PM

## How to confirm
Refusals with the positions of what the fence names and of the tail:

    SELECT refusal.run_id, refusal.event_type, code, named.position AS fence_position,
        tail.position AS tail_position, fence_value, tail_at_refusal, refused_at
    FROM refusal
    LEFT JOIN log AS named ON named.run_id = refusal.run_id AND named.event_id = fence_value
    LEFT JOIN log AS tail ON tail.run_id = refusal.run_id AND tail.event_id = tail_at_refusal
    WHERE fence_kind = 'tail' AND (fence_value = tail_at_refusal OR tail.position IS NULL
        OR tail.position < named.position)
    ORDER BY ALL;

## What to do
- Read the tail that fences are compared with in the statement that appends.
- Give a busy store or a lock its own code (503), so that the writer sends the same request again and
  does not replay.
- Check the accepted writes of the run: stale-snapshot-write shows those that should have been
  refused.

## When it is wrong
- The store may note the tail for the refusal later than it compares. Then an event between the two
  makes an honest refusal look current: the noted tail is newer than the compared one. It can never
  look older or gone. Our stores note what they have compared.
- A refusal by `count` or `state_updated_at` is not judged.
- Base rate: none in 600 seeded runs of our runtime under contention (policy `full`), with 11,000
  refused writes. Stock exports record no refusals.

## References
Catalogue FNC-005. vercel/workflow#2113 (the fence on the tail), vercel/workflow#3172 (a guard on an
index that was behind).
*/
WITH refused AS (
    SELECT
        refusal.run_id, refusal_no, run.tail AS last_event,
        concat(
            event_type, CASE WHEN correlation_id IS NOT NULL THEN ' of ' || short_id(correlation_id) END,
            ' was refused (', code, ')'
        ) AS said,
        CASE fence_kind WHEN 'as_of' THEN expected ELSE fence_value END AS fence,
        coalesce(tail_at_refusal, actual) AS tail,
        (refused_at, request_id, event_type, correlation_id) AS place
    FROM refusal
    JOIN run USING (run_id)
    WHERE fence_kind IN ('tail', 'as_of') AND code IN ('FENCE_CONFLICT', 'PRECONDITION_FAILED')
),

judged AS (
    SELECT
        refused.*, named.event_no AS fence_no, stood.event_no AS tail_no, named."position" AS fence_position,
        CASE
            WHEN fence = refused.tail THEN 'current'
            -- One behind the end of the log may have been committed after the events were exported.
            WHEN refused.tail <> 'none' AND stood.event_no IS NULL THEN
                CASE WHEN refused.tail < last_event THEN 'gone' END
            WHEN coalesce(stood."position", 0) < named."position" THEN 'older'
        END AS fault
    FROM refused
    LEFT JOIN log AS named ON named.run_id = refused.run_id AND named.event_id = refused.fence
    LEFT JOIN log AS stood ON stood.run_id = refused.run_id AND stood.event_id = refused.tail
)

SELECT
    run_id,
    CASE WHEN count(fence_no) = 0 THEN []
        ELSE [witness('named by the fence', min_by(fence_no, place) FILTER (WHERE fence_no IS NOT NULL))] END
    || CASE WHEN fault <> 'older' OR count(tail_no) = 0 THEN []
        ELSE [witness('tail at the refusal', min_by(tail_no, place) FILTER (WHERE tail_no IS NOT NULL))] END
    || (list(refusal_witness('refused', refusal_no) ORDER BY place))[:5] AS witness,
    format(
        '{} under a fence on {}, {}{}.',
        min_by(said, place),
        min_by(coalesce('#' || fence_position, short_id(fence)), place),
        CASE fault
            WHEN 'current' THEN 'which was the tail'
            WHEN 'older' THEN 'by a tail that stands before it'
            ELSE format('by the tail {}, which is no event of the run', short_id(min_by(tail, place)))
        END,
        CASE count(*)
            WHEN 1 THEN ''
            WHEN 2 THEN '; so was 1 more write of the run'
            ELSE format('; so were {} more writes of the run', count(*) - 1)
        END
    ) AS because
FROM judged
WHERE fault IS NOT NULL
GROUP BY run_id, fault;
