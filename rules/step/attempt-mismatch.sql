/*
title: The attempts of a step do not count up one by one
diagnosis: The attempts of steps[ ({steps})] do not count up one by one.
severity:
  - {when: finding.only_repeats, is: info}
  - {is: warning}
confidence: proof
needs: [complete]
implies: []
only_with: [step_started]
since: 0.1.0
---
## What it means
Each `step_started` may say which attempt it is: 1, 2, 3 and so on. Here the numbers of a step do not
fit.

- A number repeats: two starts of the same attempt. Racing starts do that, so it is an info.
- A number goes back or jumps, or the world's own row of the step disagrees with the log: a warning.
  The step may get more or fewer tries than `maxRetries` allows, or a start is missing from the log.

## Why it happens
- Two workers started the step at once, and both read the same counter.
- The row of the step was counted up and the event was never written: the process died in between.
- The row was restored, copied or changed by hand, and its counter with it.
- Ids of two writers with different clocks sort their starts the wrong way round.

## Example
    #3  step_created    step_…T2S0KH  chargeCard
    #4  step_started    step_…T2S0KH  attempt 1
    #5  step_retrying   step_…T2S0KH
    #6  step_started    step_…T2S0KH  attempt 3   where is attempt 2?
    #7  step_completed  step_…T2S0KH

## How to confirm
Starts of these steps with their attempts, and the attempt in the world's own row (null where the
export has no such row):

    SELECT
        log.run_id, log.position, log.event_type, log.created_at, event.attempt,
        event.owner_message_id, entity_row.attempt AS row_attempt, entity_row.status AS row_status
    FROM log
    JOIN event USING (event_no)
    LEFT JOIN entity_row ON entity_row.run_id = log.run_id
        AND entity_row.correlation_id = log.correlation_id
    WHERE (log.run_id, log.correlation_id) IN (
        SELECT d.run_id, d.correlation_id
        FROM finding JOIN witness_detail AS d USING (finding_no)
        WHERE rule = 'attempt-mismatch'
    )
    ORDER BY log.run_id, log.correlation_id, log.position;

## What to do
- A repeat needs nothing, unless the body of the step is not idempotent. Then check its effects.
- A jump: export the run again. If the start is still missing, look at the worker of that time: it
  counted the attempt and wrote no event.
- A number that goes back: expect more tries than `maxRetries`. Look for what resets the row.
- Let the store count the attempt and append the start in one transaction.

## When it is wrong
- Starts without a number are not judged; each may stand for one missing number.
- How many starts a step has says nothing about its attempts (vercel/workflow#3069). A row that
  counts fewer attempts than the log has starts is therefore no finding, unless the starts
  themselves carry a higher number.
- The row is compared only once the step has an outcome. In an export that took its rows and its
  events at different times they can still disagree.
- A world that counts from 0 is not reported for that.
- Base rate: no corpus of real SDK logs has an attempt on a `step_started`, so that part of the rule
  is not measured. All of them have the attempt in the rows of their steps: 1 finding in 1 of 1,256
  runs, a run that was cut off between the row and the event when the driver stopped. None in the
  1,162 healthy and the 51 corrupted runs.

## References
Catalogue id STP-008. vercel/workflow#3035, vercel/workflow#3069 (attempts cannot be derived from the
number of starts).
*/
WITH suspected AS MATERIALIZED (
    SELECT run_id, correlation_id FROM entity WHERE kind = 'step' AND started > 1
    UNION
    SELECT run_id, correlation_id FROM event WHERE event_type = 'step_started' AND attempt <> 1
    UNION
    SELECT run_id, correlation_id FROM entity_row WHERE kind = 'step' AND attempt > 1
),

start AS MATERIALIZED (
    SELECT
        event.run_id, event.correlation_id, event_no, log."position", attempt,
        row_number() OVER step AS nth
    FROM suspected
    JOIN log USING (run_id, correlation_id)
    JOIN event USING (event_no, run_id, correlation_id)
    WHERE log.event_type = 'step_started'
    WINDOW step AS (PARTITION BY event.run_id, event.correlation_id ORDER BY log."position")
),

-- Each numbered start beside the numbered one before it.
pair AS (
    SELECT
        *,
        lag(attempt) OVER step AS before,
        lag(nth) OVER step AS before_nth,
        lag("position") OVER step AS before_position,
        lag(event_no) OVER step AS before_no
    FROM start
    WHERE attempt IS NOT NULL
    WINDOW step AS (PARTITION BY run_id, correlation_id ORDER BY "position")
),

judged AS (
    SELECT
        run_id, correlation_id, "position",
        CASE
            WHEN attempt = before THEN 'repeats'
            WHEN attempt < before THEN 'goes back'
            -- A start without a number may have taken one.
            WHEN attempt > coalesce(before, 0) + nth - coalesce(before_nth, 0) THEN 'jumps'
        END AS fault,
        CASE WHEN before IS NULL THEN [] ELSE [witness('start before it', before_no)] END
        || [witness('start', event_no)] AS witness,
        CASE
            WHEN before IS NULL
                THEN format('its first numbered start, #{}, says attempt {}', "position", attempt)
            ELSE format(
                'attempt {} at #{} follows attempt {} at #{}',
                attempt, "position", before, before_position
            )
        END AS says
    FROM pair
),

-- The world's own row, once the step is over: it has counted at least what the log shows, and no more.
stored AS (
    SELECT
        run_id, correlation_id,
        max(entity_row.attempt) AS attempt,
        min(entity_no) AS entity_no
    FROM entity_row
    JOIN suspected USING (run_id, correlation_id)
    WHERE kind = 'step' AND entity_row.attempt IS NOT NULL
    GROUP BY run_id, correlation_id
),

reached AS (
    SELECT
        run_id, correlation_id,
        max(attempt) AS attempt,
        count(*) AS starts,
        max("position") AS "position",
        arg_max(event_no, "position") AS event_no
    FROM start
    GROUP BY run_id, correlation_id
),

fault AS (
    SELECT run_id, correlation_id, "position", fault, witness, says
    FROM judged
    WHERE fault IS NOT NULL
    UNION ALL
    SELECT
        run_id, correlation_id, reached."position", 'row',
        [witness('last start', event_no), entity_witness('stored row', stored.entity_no)],
        format(
            'its stored row says attempt {}, but the log comes to {} with its last start at #{}',
            stored.attempt, greatest(reached.attempt, starts), reached."position"
        )
    FROM reached
    JOIN stored USING (run_id, correlation_id)
    JOIN entity USING (run_id, correlation_id)
    WHERE entity.kind = 'step'
        AND closed > 0
        AND (stored.attempt < reached.attempt OR stored.attempt > greatest(reached.attempt, starts))
),

-- One finding a step, for its worst and first fault.
ranked AS (
    SELECT
        *,
        count(*) OVER step AS faults,
        bool_and(fault = 'repeats') OVER step AS only_repeats
    FROM fault
    WINDOW step AS (PARTITION BY run_id, correlation_id)
    QUALIFY row_number() OVER (
        PARTITION BY run_id, correlation_id ORDER BY fault = 'repeats', fault = 'row', "position"
    ) = 1
)

SELECT
    run_id,
    witness,
    format(
        '{}: {}{}.',
        short_id(correlation_id), says,
        CASE faults WHEN 1 THEN '' ELSE format(' (and {} more)', faults - 1) END
    ) AS because,
    only_repeats
FROM ranked;
