/*
title: One event id names two different events
diagnosis: One event id names different events[ ({event types of under the same id})].
severity: error
confidence: proof
needs: []
implies:
  - chain-broken
  - conflicting-step-outcomes
  - conflicting-terminals
  - duplicate-attribute
  - duplicate-resume
  - duplicate-step-created
  - duplicate-wait-completed
  - duplicate-wait-created
  - event-after-terminal
  - late-creation
  - order-inversion
  - run-created-misplaced
  - run-started-twice
  - runtime-corruption-verdict
  - skipped-awaited-resolution
  - stale-snapshot-write
  - step-name-conflict
  - step-restarted-after-outcome
  - unknown-fence
since: 0.1.0
---
## What it means
An event id is the identity of an event in its run and its place in the log. Here two or more rows
have the same run id and the same event id, but not the same content. One of them is not what was
written, or was written over another event. A reader that keeps one row per id loses the other, and
nothing says which of the two a replay reads.

Rows that are equal were merged when the log was read and are counted there, so this is no double
export. The sentence names the columns of the table `event` that differ.

## Why it happens
- The store gave one slot to two writers, because it does not enforce that run and event id are
  unique.
- An event was changed in place after it had been exported once, by a repair or a migration.
- Two exports of one run were put together, and the run was written to between them under ids that
  had been used before (a restored backup, two copies of one world).
- The log was edited.

## Example
    #7  hook_received   evnt_…0007  hook_…K7M2QX
    #8  step_completed  evnt_…0007  step_…K7M2QZ   the same slot

## How to confirm
All rows of an id that occurs twice, with the file and line they come from:

    SELECT event.run_id, event_id, event_type, correlation_id, created_at, payload_sha256,
        source.name, line
    FROM event
    JOIN source USING (source_id)
    WHERE (run_id, event_id) IN (
        SELECT (run_id, event_id) FROM event GROUP BY run_id, event_id HAVING count(*) > 1
    )
    ORDER BY ALL;

Then ask the world itself for the event by its id. If it holds one row, compare that row with both.

## What to do
- Find out which row the world holds. If it holds both, its key is not unique: add a unique index on
  run and event id before anything else is written.
- If the rows come from two exports, trust neither until you know why an event changed.
- Do not start the run again from this log. Start it from its input.
- If one of the rows is a `noop`, see malformed-noop.

## When it is wrong
- A value that one row has and the other lacks is no difference: one of two exports may have dropped
  payloads, positions or fences.
- Digests of payloads are compared only between exports of one format and only where no payload is
  encrypted. Times are compared to the millisecond.
- An event id is compared within its run. Slots repeat in every run.
- If two exports with recorded positions differ in nothing but the position, an event has moved
  between them. The finding then says so, and the history is still not the one that was read first.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs, and no repeated row either.

## References
Catalogue LOG-001. vercel/workflow#3280 (ids are unique only within a run), vercel/workflow#3305
(two writers, one slot).
*/
WITH twin AS MATERIALIZED (
    SELECT run_id, event_id
    FROM log
    -- By a digest of both ids first: text is what costs when all events are grouped.
    WHERE hash(run_id, event_id) IN (
        SELECT digest FROM (SELECT hash(run_id, event_id) AS digest FROM log)
        GROUP BY digest
        HAVING count(*) > 1
    )
    GROUP BY run_id, event_id
    HAVING count(*) > 1
),

copy AS MATERIALIZED (
    SELECT
        event.*,
        export_id,
        -- Two formats write one payload in different bytes, and an encrypted one differs at every write.
        min(format) OVER same IS NOT DISTINCT FROM max(format) OVER same
            AND NOT coalesce(bool_or(payload_encrypted) OVER same, FALSE) AS digests_compare
    FROM event
    JOIN twin USING (run_id, event_id)
    JOIN source USING (source_id)
    JOIN export USING (export_id)
    WINDOW same AS (PARTITION BY run_id, event_id)
),

-- One row a recorded value; a value that one copy lacks is no difference.
content AS (
    UNPIVOT (
        SELECT
            "of", id,
            CAST(COLUMNS(* EXCLUDE ("of", id)) AS VARCHAR)
        FROM (
            SELECT
                run_id AS "of", event_id AS id,
                * EXCLUDE (
                    event_no, source_id, line, run_id, event_id, export_id, payload, payload_bytes,
                    payload_encrypted, digests_compare
                ) REPLACE (
                    date_trunc('millisecond', created_at) AS created_at,
                    date_trunc('millisecond', occurred_at) AS occurred_at,
                    date_trunc('millisecond', resume_at) AS resume_at,
                    date_trunc('millisecond', retry_after) AS retry_after,
                    date_trunc('millisecond', token_retention_until) AS token_retention_until,
                    CASE WHEN digests_compare THEN payload_sha256 END AS payload_sha256
                )
            FROM copy
        )
    )
    ON COLUMNS(* EXCLUDE ("of", id))
    INTO NAME field VALUE content
),

difference AS (
    SELECT run_id, event_id, list(field ORDER BY field) AS fields
    FROM (
        SELECT "of" AS run_id, id AS event_id, field
        FROM content
        GROUP BY ALL
        HAVING count(DISTINCT content) > 1
    )
    GROUP BY ALL
)

SELECT
    copy.run_id,
    list(witness('under the same id', event_no) ORDER BY log."position", log.created_at, log.event_type)[:5] AS witness,
    format(
        'Event id {} names {} different events, at {}{}; they differ in {}.',
        short_id(copy.event_id), count(*),
        array_to_string(list('#' || log."position" ORDER BY log."position")[:5], ' and '),
        CASE count(DISTINCT export_id) WHEN 1 THEN '' ELSE format(', from {} exports', count(DISTINCT export_id)) END,
        array_to_string(any_value(fields)[:5], ', ')
    ) AS because
FROM copy
JOIN difference USING (run_id, event_id)
JOIN log USING (event_no)
GROUP BY copy.run_id, copy.event_id;
