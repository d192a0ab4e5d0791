-- accusation: every event that the lifecycle table does not allow at the stage its entity had reached.
CREATE TABLE accusation AS
WITH staged AS (
    SELECT
        event_no,
        CASE
            WHEN first_closed < "position" THEN 3
            WHEN first_active < "position" THEN 2
            WHEN first_created < "position" THEN 1
            ELSE 0
        END AS before,
        event_type
    FROM event_core
    JOIN place USING (event_no)
    JOIN (SELECT DISTINCT kind, event_type FROM lifecycle) USING (event_type)
    JOIN entity USING (run_id, kind, correlation_id)
),

accused AS (
    SELECT event_no, before, accusation AS rule
    FROM staged
    JOIN lifecycle USING (event_type, before)
    WHERE accusation IS NOT NULL
)

SELECT log.*, before, rule
FROM accused
JOIN log USING (event_no);
