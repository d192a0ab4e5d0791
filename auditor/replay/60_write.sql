-- write: every write of the runs whose log records fences or refusals, accepted or refused. `known` is the
-- position of the last event its writer had read (0: none; null: the fence names no event of this log).
CREATE TABLE audit.write AS
WITH fenced_run AS (
    SELECT run_id, id_scheme
    FROM run
    WHERE list_has_any(capabilities, ['fences', 'refusals'])
),

accepted AS (
    SELECT
        log.run_id, log."position", log.event_no, CAST(NULL AS BIGINT) AS refusal_no,
        log.event_type, log.role, log.correlation_id,
        fence_kind, fence_value, fence_resolved,
        tail_at_commit AS tail, request_id, tick_id, writer_id, site, write_attempt,
        CAST(NULL AS VARCHAR) AS code,
        id_scheme
    FROM fenced_run
    JOIN log USING (run_id)
    JOIN event USING (event_no)
),

-- Weak fences carry a time; they reach up to the last event older than it (as_of) or not newer
-- (state_updated_at), by the time inside ULIDs where ids are ULIDs, else by the store's clock.
weak AS (
    SELECT
        event_no, run_id, "position",
        fence_ms(fence_value) + CAST(fence_kind = 'state_updated_at' AS BIGINT) AS ms,
        CASE id_scheme WHEN 'ulid' THEN ulid_floor(ms) ELSE lpad(CAST(ms AS VARCHAR), 26, '0') END AS beyond
    FROM accepted
    WHERE fence_kind = 'state_updated_at' OR (fence_kind = 'as_of' AND fence_resolved IS NULL)
),

timed AS (
    SELECT
        log.run_id, "position",
        CASE id_scheme
            WHEN 'ulid' THEN event_id[-26:]
            ELSE lpad(CAST(epoch_ms(created_at) AS VARCHAR), 26, '0')
        END AS moment
    FROM log JOIN run USING (run_id)
    WHERE run_id IN (SELECT run_id FROM weak)
),

by_time AS (
    SELECT
        weak.event_no,
        -- A fence whose time cannot be read names nothing.
        CASE WHEN weak.ms IS NOT NULL THEN least(coalesce(timed."position", 0), weak."position" - 1) END AS known
    FROM weak
    ASOF LEFT JOIN timed ON timed.run_id = weak.run_id AND weak.beyond > timed.moment
)

SELECT
    accepted.* EXCLUDE (id_scheme, fence_resolved),
    CASE
        WHEN fence_kind = 'count' THEN TRY_CAST(fence_value AS BIGINT)
        WHEN coalesce(fence_resolved, fence_value) = 'none' THEN 0
        WHEN named."position" IS NOT NULL THEN named."position"
        ELSE by_time.known
    END AS known
FROM accepted
LEFT JOIN by_time USING (event_no)
LEFT JOIN log AS named
    ON fence_kind IN ('tail', 'as_of')
    AND named.run_id = accepted.run_id
    AND named.event_id = coalesce(fence_resolved, fence_value)
UNION ALL BY NAME
SELECT
    run_id, CAST(NULL AS BIGINT) AS "position", CAST(NULL AS BIGINT) AS event_no, refusal_no,
    event_type, role, correlation_id, fence_kind, fence_value, tail_at_refusal AS tail,
    request_id, tick_id, writer_id, site, write_attempt, code, CAST(NULL AS BIGINT) AS known
FROM refusal
LEFT JOIN write_role USING (event_type);

-- fence_coverage: how many decision writes of each type carried a fence, said "unfenced", or sent nothing.
CREATE TABLE audit.fence_coverage AS
SELECT
    event_type,
    count(*) AS writes,
    count(*) FILTER (WHERE fence_kind IS NOT NULL AND fence_kind <> 'unfenced') AS fenced,
    count(*) FILTER (WHERE fence_kind = 'unfenced') AS unfenced,
    count(*) FILTER (WHERE fence_kind IS NULL) AS dropped
FROM write
JOIN run USING (run_id)
WHERE refusal_no IS NULL AND role = 'decision' AND list_contains(capabilities, 'fences')
GROUP BY event_type
ORDER BY event_type;
