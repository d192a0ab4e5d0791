-- place: the position of every event. The runtime reads a run by event id, so that is the order; a run that
-- records all its positions is read by them. Two numbers a row, because text is what costs in a sort.
CREATE TABLE place AS
WITH recorded AS (
    SELECT run_id
    FROM event
    WHERE run_id IN (SELECT run_id FROM event_core JOIN event_more USING (event_no) WHERE "position" IS NOT NULL)
    GROUP BY run_id
    HAVING count("position") = count(*) AND count(DISTINCT "position") = count(*)
)

SELECT
    event_core.event_no,
    CAST(
        CASE
            WHEN recorded.run_id IS NOT NULL THEN "position"
            ELSE row_number() OVER (PARTITION BY run_id ORDER BY event_id, created_at, event_no)
        END
        AS BIGINT
    ) AS "position"
FROM event_core
LEFT JOIN event_more USING (event_no)
LEFT JOIN recorded USING (run_id);

-- log: every event at its position. What a rule needs beyond this is in `event`.
CREATE VIEW log AS
SELECT
    event_no,
    run_id,
    place."position",
    event_id,
    event_type,
    role,
    CASE WHEN event_type[:5] IN ('step_', 'wait_', 'hook_') THEN event_type[:4] END AS kind,
    correlation_id,
    created_at
FROM event_core
JOIN place USING (event_no)
LEFT JOIN write_role USING (event_type);
