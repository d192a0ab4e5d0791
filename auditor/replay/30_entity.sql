-- entity: every step, wait and hook of a run. `first_*` are positions (null: never); the stage before a
-- position p is closed if first_closed < p, else active if first_active < p, else created if first_created < p.
CREATE TEMP TABLE life AS
SELECT
    run_id,
    correlation_id,
    kind,
    min("position") FILTER (WHERE reaches = 1) AS first_created,
    min("position") FILTER (WHERE reaches = 2) AS first_active,
    min("position") FILTER (WHERE reaches = 3) AS first_closed,
    count(*) FILTER (WHERE reaches = 1) AS created,
    count(*) FILTER (WHERE event_type = 'step_started') AS started,
    count(*) FILTER (WHERE event_type = 'step_retrying') AS retried,
    count(*) FILTER (WHERE reaches = 3) AS closed,
    max(reaches) AS stage,
    -- Created once and first of all, closed at most once and last of all, by events that the table allows there.
    coalesce(
        bool_and(in_turn)
        AND created = 1 AND first_created = min("position")
        AND (closed = 0 OR (closed = 1 AND first_closed = max("position"))),
        FALSE
    ) AS regular
FROM log
JOIN (
    SELECT
        event_type, reaches,
        bool_and(accusation IS NULL) FILTER (
            WHERE CASE reaches WHEN 1 THEN before = 0 ELSE before IN (1, 2) END
        ) AS in_turn
    FROM lifecycle
    GROUP BY ALL
) USING (event_type)
WHERE correlation_id IS NOT NULL
GROUP BY run_id, correlation_id, kind;

CREATE TABLE audit.entity AS
WITH bodies AS (
    SELECT *, ulid_low(body) AS low
    FROM (SELECT * EXCLUDE (regular), correlation_id[-26:] AS body FROM life)
),

by_kind AS (
    SELECT
        run_id, kind,
        min(low) AS lowest, max(low) AS highest, count(*) AS entities,
        min(min(low)) OVER (PARTITION BY run_id) AS first_draw,
        min(body[:18]) AS first_half, max(body[:18]) AS last_half,
        bool_and(regexp_full_match(body, '[0-7][0-9A-HJKMNP-TV-Z]{25}')) AS ulids,
        bool_or(body[:2] = '00' AND regexp_full_match(body, '\d{26}')) AS numbers
    FROM bodies
    GROUP BY run_id, kind
),

-- Bodies of a run are draws of ONE sequence if they share everything but the low digits and lie close
-- together. Two kinds on the very first draw cannot come from a stale snapshot (nothing had been resolved
-- yet): there each kind draws from a sequence of its own.
sequence AS (
    SELECT run_id, min(lowest) AS lowest
    FROM by_kind
    GROUP BY run_id
    HAVING bool_and(ulids) AND NOT bool_or(numbers)
        AND min(first_half) = max(last_half)
        AND max(highest) - min(lowest) <= 2 * sum(entities) + 64
        AND count(*) FILTER (WHERE lowest = first_draw) = 1
)

SELECT
    bodies.* EXCLUDE (body, low),
    low - lowest AS ordinal
FROM bodies
LEFT JOIN sequence USING (run_id);
