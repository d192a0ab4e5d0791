/*
title: A run does not begin with its one run_created
severity:
  - {when: finding.breaks, is: error}
  - {is: info}
confidence: strong
needs: [complete]
implies: [runtime-corruption-verdict]
since: 0.1.0
---
## What it means
A run should begin with `run_created`, once. This one has none, or has it later, or has several.

That is normal if the worker was faster than the caller of `start()`: the run is then created on its
first delivery, `run_started` comes first, and the `run_created` of the caller comes later, twice or
not at all. Such a finding is an info; replay takes what it needs from wherever it stands.

It is an error
- if an event of the run stands before both `run_created` and `run_started`. Nothing can write for a
  run that has not begun, so the order of the log is not that in which it was written, or its
  beginning was replaced;
- if the creations of one run name different workflows. Then the log holds two runs under one id.

## Why it happens
- `start()` sends the first message and writes `run_created` at the same time (info).
- `start()` was retried after a timeout although its first write had been committed (info).
- Writers with clocks that disagree: the id of the first events was minted too late, or that of
  another event too early (error).
- Events of two runs were merged, or a log was edited (error).

## Example
    #1  run_started
    #2  run_created     1 ms later
    #3  step_created    step_…B2W91Q  reserveStock

## How to confirm
How the runs begin that do not begin with one `run_created`:

    SELECT run_id,
        count(*) FILTER (WHERE event_type = 'run_created') AS creations,
        list(event_type ORDER BY position)[:5] AS beginning,
        list(created_at ORDER BY position)[:5] AS times
    FROM log
    GROUP BY run_id
    HAVING creations <> 1 OR beginning[1] <> 'run_created';

## What to do
- Info: nothing.
- An event before the beginning: compare `createdAt` of the first events with the time in their ids.
  If they disagree by the same amount, a clock is wrong; set it. If not, export the run again, then
  look for what rewrote the log.
- Two workflows under one run id: do not trust the run. Find out which workflow its caller started
  and start that one again.

## When it is wrong
- A run without any beginning is not judged: the export lacks it. A run with a `run_started` and no
  `run_created` cannot be told from one whose first row was cut off, hence only an info.
- A `noop` before `run_created` is a slot that was claimed and abandoned. It is not reported.
- The order is that of the ids. Where clocks disagree by more than the time between `run_created`
  and the first event, an error may mean that and nothing else. Hence the confidence strong.
- Runs whose order is unknown are not judged.
- Base rate: 51 findings, all infos of the shape "run_started first", in 51 of 1,256 runs of the
  corpora of real SDK logs: 49 healthy runs and 2 corrupted ones, all on core 4.8.9 with world-local.
  `run_created` was at most 3 ms late, and the next event came 10 ms after it or more. No run has
  another event before its `run_created`, two `run_created`, or none. In the full collection of
  1,830 runs some healthy ones have two, where `start()` raced its own worker.

## References
Catalogue RUN-001. vercel/workflow#3381 (repeats are ignored).
*/
WITH creation AS (
    SELECT
        run_id, count(*) AS creations, min(event_no) AS event_no,
        min(workflow_name) <> max(workflow_name) AS contradict
    FROM event
    WHERE event_type = 'run_created'
    GROUP BY run_id
),

-- Most runs simply begin with their one run_created.
odd AS MATERIALIZED (
    SELECT
        run_id, coalesce(contradict, FALSE) AS contradict,
        min("position") FILTER (WHERE event_type = 'run_created') AS created,
        min("position") FILTER (WHERE event_type = 'run_started') AS started,
        list("position" ORDER BY "position") FILTER (WHERE event_type = 'run_created') AS creations
    FROM (
        SELECT run.run_id, contradict
        FROM run
        LEFT JOIN creation USING (run_id)
        WHERE NOT unordered AND (creations IS DISTINCT FROM 1 OR event_no <> first_event_no)
    )
    JOIN log USING (run_id)
    WHERE event_type IN ('run_created', 'run_started')
    GROUP BY ALL
),

early AS (
    SELECT
        run_id, created, started,
        min("position") AS "position",
        arg_min(event_no, "position") AS event_no,
        arg_min(event_type, "position") AS event_type,
        count(*) AS events
    FROM log
    JOIN odd USING (run_id)
    WHERE "position" < created AND event_type NOT IN ('run_created', 'run_started', 'noop')
    GROUP BY ALL
),

shown AS (
    SELECT run_id, list(witness(role, event_no) ORDER BY "position")[:6] AS witness
    FROM (
        SELECT run_id, "position", event_no, event_type AS role
        FROM log
        JOIN odd USING (run_id)
        WHERE event_type IN ('run_created', 'run_started')
        UNION ALL
        SELECT run_id, "position", event_no, 'before the creation' FROM early
    )
    GROUP BY run_id
)

SELECT
    odd.run_id,
    witness,
    -- Behind a run_started an event can be written although run_created comes late; before both it cannot.
    contradict OR coalesce(early."position" < coalesce(odd.started, odd.created), FALSE) AS breaks,
    format('The run {}.', concat_ws(
        ', and ',
        CASE WHEN odd.created IS NULL THEN format('has no run_created, only a run_started at #{}', odd.started) END,
        CASE
            WHEN odd.started < odd.created OR early."position" IS NOT NULL
                THEN format('has its first run_created at #{}, behind {}', odd.created, concat_ws(
                    ' and ',
                    CASE WHEN odd.started < odd.created THEN format('run_started at #{}', odd.started) END,
                    early.event_type || ' at #' || early."position",
                    CASE WHEN early.events > 1 THEN format('{} more events', early.events - 1) END
                ))
        END,
        CASE
            WHEN len(creations) > 1
                THEN format(
                    'has {} run_created, at {}{}', len(creations),
                    array_to_string(['#' || place FOR place IN creations[:5]], ' and '),
                    CASE WHEN contradict THEN ', which name different workflows' ELSE '' END
                )
        END
    )) AS because
FROM odd
JOIN shown ON shown.run_id = odd.run_id
LEFT JOIN early ON early.run_id = odd.run_id
-- A noop alone before the creation is a slot that nobody filled.
WHERE odd.created IS NULL OR len(creations) > 1 OR odd.started < odd.created OR early."position" IS NOT NULL;
