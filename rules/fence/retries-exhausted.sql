/*
title: A tick gave up after too many fence conflicts
diagnosis: >-
  Ticks give up on {event types of last refused write of the tick} after too many fence conflicts.
severity:
  - {when: finding.pending, is: error}
  - {is: info}
confidence: strong
needs: [refusals, complete]
implies: [orphaned-wait, stalled-run, undispatched-step]
only_with: [refusal]
since: 0.1.0
params:
  limit: {default: 5, meaning: how many conflicts a tick may have and still try again}
  grace_seconds: {default: 60, meaning: how long after it gave up another tick may still go on}
---
## What it means
A tick was refused by its fence more often than it tries again, and wrote nothing after that. That is
how it should be: it hands the run back to the queue, and a later tick goes on.

An info: the run has ended, or somebody else wrote what was refused or decided something since, or
the grace time is not over. An error: the run is open, the grace time is over, and nobody went on.
Then the message that should have brought the next tick is late or lost.

There is one finding for each run and severity, with the last refused write of five ticks at most.

## Why it happens
- Others were faster every time: many ticks of one run, or many signals, while the backoff is short.
- One replay takes longer than the time between two events of the run.
- The store refuses writers that are not stale (spurious-conflict).
- An error: the tick was acknowledged in place of being handed back, or its message went to the
  dead letters.

## Example
    wait_completed  wait_…3Y6YHZ  fence #8,  refused: FENCE_CONFLICT  tick_7  writeAttempt 1
    wait_completed  wait_…3Y6YHZ  fence #10, refused: FENCE_CONFLICT  tick_7  writeAttempt 2
    ...
    wait_completed  wait_…3Y6YHZ  fence #19, refused: FENCE_CONFLICT  tick_7  writeAttempt 6

After the sixth conflict the log has nothing more of tick_7.

## How to confirm
Ticks by the number of their conflicts, and what they wrote in the end:

    SELECT run_id, tick_id, count(DISTINCT request_id) FILTER (WHERE code IS NOT NULL) AS refused,
        max(write_attempt) AS attempts, max(position) AS last_written
    FROM write
    WHERE tick_id IS NOT NULL
    GROUP BY ALL
    HAVING refused > 5
    ORDER BY refused DESC;

Then ask the queue for messages of the run: waiting, leased or dead-lettered.

## What to do
- An error: wake the run, then find out where the message of the tick went.
- If it happens often: pause longer after each conflict, with jitter, and let the ticks of one run
  wait for each other (a lease).
- Set `limit` to that of your runtime.

## When it is wrong
- With another limit than the runtime's, ticks are reported that would have gone on (they died), or
  none are.
- A tick that died after its last conflict looks the same.
- Without `writeAttempt` the requests that were refused are counted; without tick ids nothing is
  said.
- Workers that were stopped give an error that goes away when they are back.
- Base rate: none in 600 seeded runs of our runtime under contention (policy `full`, up to ten ticks
  of a run at a time). Stock exports record no refusals.

## References
Catalogue FNC-006. vercel/workflow#2113 (at most 5 tries, then the queue).
*/
WITH refused AS (
    SELECT
        write.run_id, refusal_no, write.event_type, kind_of(write.event_type) AS kind, write.correlation_id,
        write.tail, write.tick_id, write.request_id, write.write_attempt,
        CASE write.fence_kind WHEN 'as_of' THEN expected ELSE write.fence_value END AS fence,
        refused_at, run.now, run.status, workflow
    FROM write
    JOIN refusal USING (refusal_no)
    JOIN run ON run.run_id = write.run_id
    WHERE (write.role = 'decision' OR write.event_type = 'run_started')
        AND write.code IN ('FENCE_CONFLICT', 'PRECONDITION_FAILED')
        AND write.tick_id IS NOT NULL
),

tick AS (
    SELECT
        run_id, tick_id, workflow,
        greatest(coalesce(max(write_attempt), 0), count(DISTINCT request_id)) AS conflicts,
        max((write_attempt, refused_at, request_id)) AS last_append
    FROM refused
    GROUP BY run_id, tick_id, workflow
),

tired AS (
    SELECT * EXCLUDE (workflow)
    FROM tick
    WHERE conflicts > param('retries-exhausted', 'limit', workflow)
),

-- The events of its last append.
refused_last AS (
    SELECT
        refused.*, conflicts,
        stood.event_no AS tail_no,
        CASE refused.tail WHEN 'none' THEN 0 ELSE stood."position" END AS tail_position,
        CASE fence WHEN 'none' THEN 0 ELSE named."position" END AS known,
        coalesce(refused_at, stood.created_at) AS moment,
        CASE
            WHEN refused.event_type IN ('wait_completed', 'hook_disposed') THEN first_closed
            ELSE coalesce(first_created, first_closed)
        END AS written
    FROM refused
    JOIN tired USING (run_id, tick_id)
    LEFT JOIN entity USING (run_id, kind, correlation_id)
    LEFT JOIN log AS stood ON stood.run_id = refused.run_id AND stood.event_id = refused.tail
    LEFT JOIN log AS named ON named.run_id = refused.run_id AND named.event_id = refused.fence
    WHERE (refused.write_attempt, refused_at, request_id) IS NOT DISTINCT FROM last_append
),

decided AS (
    SELECT run_id, tick_id, max("position") AS latest, max(known) AS known
    FROM write
    WHERE refusal_no IS NULL AND role = 'decision' AND run_id IN (SELECT run_id FROM tired)
    GROUP BY run_id, tick_id
),

went_on AS (
    SELECT
        refusal_no,
        bool_or(decided.tick_id = refused_last.tick_id AND latest > tail_position) AS by_itself,
        bool_or(latest > tail_position OR decided.known > refused_last.known) AS by_anyone
    FROM refused_last
    JOIN decided USING (run_id)
    GROUP BY refusal_no
),

gave_up AS (
    SELECT
        run_id, tick_id,
        any_value(conflicts) AS conflicts,
        min_by(refusal_no, (event_type, correlation_id)) AS refusal_no,
        min_by(event_type, (event_type, correlation_id)) AS event_type,
        any_value(tail_no) AS tail_no,
        any_value(tail_position) AS tail_position,
        max((moment, tick_id)) AS place,
        bool_or(
            status = 'running'
            AND written IS NULL
            AND by_anyone IS NOT TRUE
            AND coalesce(moment < now - to_seconds(param('retries-exhausted', 'grace_seconds', workflow)), FALSE)
        ) AS pending
    FROM refused_last
    LEFT JOIN went_on USING (refusal_no)
    GROUP BY run_id, tick_id
    HAVING bool_or(by_itself) IS NOT TRUE
)

SELECT
    run_id,
    CASE WHEN count(tail_no) = 0 THEN []
        ELSE [witness('tail at the refusal', min_by(tail_no, place) FILTER (WHERE tail_no IS NOT NULL))] END
    || (list(refusal_witness('last refused write of the tick', refusal_no) ORDER BY place))[:5] AS witness,
    format(
        '{} gave up after {} conflicts, the last on {}{}{}; {}.',
        min_by(tick_id, place), min_by(conflicts, place), min_by(event_type, place),
        coalesce(' behind #' || min_by(tail_position, place), ''),
        CASE count(*) WHEN 1 THEN '' ELSE format(' (and {} more of the run)', count(*) - 1) END,
        CASE WHEN pending THEN 'nobody went on since, and the run is still open'
            ELSE 'others went on, or still may' END
    ) AS because,
    pending
FROM gave_up
GROUP BY run_id, pending;
