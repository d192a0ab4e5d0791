/*
title: A refused decision was taken for done, and nobody made it again
diagnosis: >-
  Refusals of {event types of refused}[ at {sites of refused}] are taken for done, and nobody decides
  again.
severity: error
confidence: strong
needs: [refusals, complete]
implies: [hung-step, orphaned-wait, stalled-run, torn-suspension, undispatched-step]
only_with: [refusal]
since: 0.1.0
params:
  grace_seconds: {default: 60, meaning: how long after a refusal somebody may still decide again}
---
## What it means
A decision write was refused: by its fence, or because its entity was not as its writer thought. The
cure is to read again and to decide again. Here that did not happen. The run is still open, the
grace time since the refusal is over, and

- a refused `wait_completed`: the wait is still open;
- a refused creation or disposal: it is not in the log, and nobody has written a decision since;
- a refused end of the run: the run has not ended, and nobody has written a decision since.

Most such runs hang: the writer took "refused" for "somebody did it", and nobody did.

That a refused decision never appears is no fault by itself. A stale branch must not appear. It is
enough that somebody has decided since: a decision behind the refusal, or one whose writer had read
more than the refused one. Only a later decision of the same tick under the same `writeAttempt` does
not count, for it follows from the very belief that the refused write was done.

There is one finding for each run, with five refused writes at most.

## Why it happens
- Every 409 is taken for "already completed", and a fence conflict is a 409 there.
- A conflict is recognised by the text of its message, and the text was changed.
- The store asks for the state of the entity before it judges the fence, and tells a stale writer
  "already done".
- The writer does not retry and trusts that another tick is under way. There is none.

## Example
The log was exported at 15:20:00.

    #3  wait_created    wait_…3Y6YHZ            resumeAt 15:10:30
    #4  step_completed  step_…3Y6YHY            15:10:31
        wait_completed  wait_…3Y6YHZ            fence #3, refused at #4: FENCE_CONFLICT

Ten minutes later #4 is still the last event of the run, and the wait is open.

## How to confirm
What was refused in open runs, and whether it is in the log now:

    SELECT write.run_id, refused_at, write.event_type, write.correlation_id, write.code, write.tick_id,
        tail.position AS tail_at_refusal, written.position AS written_at
    FROM write
    JOIN refusal USING (refusal_no)
    JOIN run ON run.run_id = write.run_id AND status = 'running'
    LEFT JOIN log AS tail ON tail.run_id = write.run_id AND tail.event_id = write.tail
    LEFT JOIN log AS written ON written.run_id = write.run_id AND written.event_type = write.event_type
        AND written.correlation_id = write.correlation_id
    WHERE write.role = 'decision'
    ORDER BY ALL;

Then look at the log of the writer: what did it do after the refusal?

## What to do
- Wake the run: `Run.wakeUp()`, "Wake up" in the web interface, or any delivery. The next tick reads
  the whole log and decides again.
- Let the store answer with codes, and the fence before the entity: 412 for a stale writer, 409 for
  an entity that is not in a state for the event. Never match the text of a message.
- Let the writer read, replay and decide again after every refusal, and hand the tick back to the
  queue when it gives up.

## When it is wrong
- The workers were stopped, or the queue is more than the grace time late. Raise `grace_seconds`, or
  export again.
- A tick that decided again and found nothing left to write leaves no trace. With the runtime of
  this project that cannot be: what a snapshot asks for is asked for by every longer one. A runtime
  without that property may drop a decision for good reason.
- A refusal for ENTITY_CONFLICT under the right tail is a divergence of the replay. If nobody goes
  on with the run, it is reported here.
- A tick that had more conflicts than its limit gave up knowingly: that is retries-exhausted.
- A log whose refusals name no tail is judged by times.
- Base rate: none in 600 seeded runs of our runtime under contention (policy `full`), with 11,000
  refused writes. In 200 more, cut off at a random moment as if their workers had been stopped and
  audited much later, there are 6 (and 37 orphaned waits). Stock exports record no refusals.

## References
Catalogue FNC-005. vercel/workflow#2113 (conflicts matched by text), vercel/workflow#3081 (any 409
taken for done), vercel/workflow#4090.
*/
WITH refused AS (
    SELECT
        write.run_id, refusal_no, write.event_type, kind_of(write.event_type) AS kind, write.correlation_id,
        write.code, write.tail, write.tick_id, write.write_attempt, write.fence_kind,
        CASE write.fence_kind WHEN 'as_of' THEN expected ELSE write.fence_value END AS fence,
        refused_at, run.now, workflow,
        coalesce(write.tick_id, 'refusal ' || refusal_no) AS tick
    FROM write
    JOIN refusal USING (refusal_no)
    JOIN run ON run.run_id = write.run_id
    WHERE (write.role = 'decision' OR write.event_type = 'run_started')
        AND run.status = 'running'
        AND coalesce(write.code, '') NOT IN ('RUN_TERMINAL', 'TOO_EARLY', 'NOT_FOUND')
),

-- A tick that was refused once more has tried again; only its last refusal may have been swallowed.
last_refused AS (
    SELECT *
    FROM refused
    QUALIFY coalesce(write_attempt, 0) = CASE event_type
        WHEN 'wait_completed' THEN
            max(coalesce(write_attempt, 0)) OVER (PARTITION BY run_id, tick, correlation_id)
        ELSE max(coalesce(write_attempt, 0)) OVER (PARTITION BY run_id, tick)
    END
),

-- What is not in the log, although the grace time is over.
pending AS (
    SELECT
        last_refused.*,
        stood.event_no AS tail_no,
        CASE last_refused.tail WHEN 'none' THEN 0 ELSE stood."position" END AS tail_position,
        CASE
            WHEN fence_kind = 'count' THEN TRY_CAST(fence AS BIGINT)
            WHEN fence = 'none' THEN 0
            ELSE named."position"
        END AS known,
        coalesce(refused_at, stood.created_at) AS moment
    FROM last_refused
    LEFT JOIN entity USING (run_id, kind, correlation_id)
    LEFT JOIN log AS stood ON stood.run_id = last_refused.run_id AND stood.event_id = last_refused.tail
    LEFT JOIN log AS named ON named.run_id = last_refused.run_id AND named.event_id = last_refused.fence
    WHERE CASE
            WHEN last_refused.event_type IN ('wait_completed', 'hook_disposed') THEN first_closed
            ELSE coalesce(first_created, first_closed)
        END IS NULL
        -- A tick that gave up is told apart (retries-exhausted).
        AND (write_attempt > param('retries-exhausted', 'limit', workflow)) IS NOT TRUE
        AND moment < now - to_seconds(param('swallowed-conflict', 'grace_seconds', workflow))
),

decided AS (
    SELECT
        write.run_id, write.tick_id, write.write_attempt,
        max(write."position") AS latest, max(known) AS known, max(created_at) AS moment
    FROM write
    JOIN log USING (event_no)
    WHERE write.role = 'decision' AND write.run_id IN (SELECT run_id FROM pending)
    GROUP BY ALL
),

-- Somebody has decided since.
cured AS (
    SELECT DISTINCT refusal_no
    FROM pending
    JOIN decided USING (run_id)
    WHERE pending.event_type <> 'wait_completed'
        AND (
            decided.latest > tail_position
            OR decided.known > pending.known
            OR (tail_position IS NULL AND decided.moment > pending.moment)
        )
        AND (
            pending.tick_id IS NULL
            OR decided.tick_id IS DISTINCT FROM pending.tick_id
            OR decided.write_attempt > pending.write_attempt
        )
),

swallowed AS (
    SELECT
        *,
        (moment, tail_position, event_type, correlation_id, tick_id) AS place,
        concat(
            event_type, CASE WHEN correlation_id IS NOT NULL THEN ' of ' || short_id(correlation_id) END,
            ' was refused', ' behind #' || tail_position, ' (', coalesce(code, 'no code'), ')'
        ) AS said
    FROM pending
    WHERE refusal_no NOT IN (SELECT refusal_no FROM cured)
)

SELECT
    run_id,
    CASE WHEN count(tail_no) = 0 THEN []
        ELSE [witness('tail at the refusal', min_by(tail_no, place) FILTER (WHERE tail_no IS NOT NULL))] END
    || (list(refusal_witness('refused', refusal_no) ORDER BY place))[:5] AS witness,
    format(
        '{}; {} later nobody has {}, and the run is still open{}.',
        min_by(said, place),
        to_seconds(CAST(floor(date_diff('millisecond', min(moment), any_value(now)) / 1000) AS BIGINT)),
        CASE min_by(event_type, place) WHEN 'wait_completed' THEN 'completed it' ELSE 'decided again' END,
        CASE count(*)
            WHEN 1 THEN ''
            WHEN 2 THEN '; so it is with 1 more refused write'
            ELSE format('; so it is with {} more refused writes', count(*) - 1)
        END
    ) AS because
FROM swallowed
GROUP BY run_id;
