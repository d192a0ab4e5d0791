-- log: every event at its position. The runtime reads a run by event id, so that is the order; a log that
-- records its positions is read by them. Narrow on purpose: what a rule needs beyond this is in `event`.
CREATE TABLE log AS
WITH recorded AS (
    SELECT run_id
    FROM event
    WHERE "position" IS NOT NULL
    GROUP BY run_id
    HAVING count(DISTINCT "position") = count(*)
        AND count(*) = (SELECT count(*) FROM event AS every WHERE every.run_id = event.run_id)
)

SELECT
    event_no,
    run_id,
    CAST(
        CASE
            WHEN recorded.run_id IS NOT NULL THEN "position"
            ELSE row_number() OVER (PARTITION BY run_id ORDER BY event_id, event_no)
        END
        AS BIGINT
    ) AS "position",
    event_id,
    event_type,
    role,
    CASE WHEN event_type[:5] IN ('step_', 'wait_', 'hook_') THEN event_type[:4] END AS kind,
    correlation_id,
    created_at
FROM event
LEFT JOIN recorded USING (run_id)
LEFT JOIN write_role USING (event_type);
