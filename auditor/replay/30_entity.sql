-- entity: every step, wait and hook of a run. `first_*` are positions (null: never); the stage before a
-- position p is closed if first_closed < p, else active if first_active < p, else created if first_created < p.
CREATE TABLE entity AS
WITH life AS (
    SELECT
        run_id,
        correlation_id,
        kind,
        min("position") FILTER (WHERE reaches = 1) AS first_created,
        min("position") FILTER (WHERE reaches = 2) AS first_active,
        min("position") FILTER (WHERE reaches = 3) AS first_closed,
        count(*) FILTER (WHERE reaches = 1) AS created,
        count(*) FILTER (WHERE log.event_type = 'step_started') AS started,
        count(*) FILTER (WHERE log.event_type = 'step_retrying') AS retried,
        count(*) FILTER (WHERE reaches = 3) AS closed,
        max(reaches) AS stage
    FROM log
    JOIN (SELECT DISTINCT event_type, reaches FROM lifecycle) USING (event_type)
    WHERE correlation_id IS NOT NULL
    GROUP BY ALL
),

bodies AS (
    SELECT *, correlation_id[-26:] AS body FROM life
),

-- Bodies of a run are draws of ONE sequence if they share everything but the low digits and lie close
-- together. Two kinds on the very first draw cannot come from a stale snapshot (nothing had been resolved
-- yet): there each kind draws from a sequence of its own.
sequence AS (
    SELECT
        run_id,
        min(ulid_low(body)) AS lowest,
        bool_and(regexp_full_match(body, '[0-7][0-9A-HJKMNP-TV-Z]{25}') AND NOT regexp_full_match(body, '\d{26}'))
        AND count(DISTINCT body[:14]) = 1
        AND max(ulid_low(body)) - min(ulid_low(body)) <= 2 * count(DISTINCT body) + 64 AS shared
    FROM bodies
    GROUP BY run_id
),

first_draw AS (
    SELECT run_id, count(DISTINCT kind) AS kinds
    FROM bodies JOIN sequence USING (run_id)
    WHERE shared AND ulid_low(body) = lowest
    GROUP BY run_id
)

SELECT
    bodies.* EXCLUDE (body),
    CASE WHEN shared AND kinds = 1 THEN ulid_low(body) - lowest END AS ordinal
FROM bodies
LEFT JOIN sequence USING (run_id)
LEFT JOIN first_draw USING (run_id);
