-- accusation: every event that the lifecycle table does not allow at the stage its entity had reached.
CREATE TABLE audit.accusation AS
WITH staged AS (
    SELECT
        log.*,
        CASE
            WHEN first_closed < "position" THEN 3
            WHEN first_active < "position" THEN 2
            WHEN first_created < "position" THEN 1
            ELSE 0
        END AS before
    FROM life
    JOIN log USING (run_id, kind, correlation_id)
    WHERE NOT regular
)

SELECT staged.*, accusation AS rule
FROM staged
JOIN lifecycle USING (event_type, before)
WHERE accusation IS NOT NULL;

DROP TABLE life;
