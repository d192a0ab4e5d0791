-- log: every event at its position. The runtime reads a run by event id, so that is the order; a run that records
-- all its positions is read by them. What a rule needs beyond this is in `event`. Every rule reads it, so it stands
-- as a table while the audit is made; the file keeps two numbers a row, and a view with the same name and columns.
CREATE TABLE working.log AS
WITH recorded AS (
    SELECT run_id
    FROM event
    WHERE run_id IN (SELECT run_id FROM event_core JOIN event_more USING (event_no) WHERE "position" IS NOT NULL)
    GROUP BY run_id
    HAVING count("position") = count(*) AND count(DISTINCT "position") = count(*)
)

SELECT
    event_core.event_no,
    run_id,
    CAST(
        CASE
            WHEN recorded.run_id IS NOT NULL THEN "position"
            ELSE row_number() OVER (PARTITION BY run_id ORDER BY event_id, created_at, event_no)
        END
        AS BIGINT
    ) AS "position",
    event_id,
    event_type,
    role,
    kind_of(event_type) AS kind,
    correlation_id,
    created_at
FROM event_core
LEFT JOIN event_more USING (event_no)
LEFT JOIN recorded USING (run_id)
LEFT JOIN write_role USING (event_type);

CREATE TABLE audit.place AS
SELECT event_no, "position" FROM log;

CREATE VIEW audit.log AS
SELECT
    event_no,
    run_id,
    place."position",
    event_id,
    event_type,
    role,
    kind_of(event_type) AS kind,
    correlation_id,
    created_at
FROM event_core
JOIN place USING (event_no)
LEFT JOIN write_role USING (event_type);
