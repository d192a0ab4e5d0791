-- Rows equal in run, event id and content are one event that was exported twice; they are merged and counted.
-- Other content under the same id stays: that is a finding, not noise.
CREATE OR REPLACE TEMP TABLE repeated AS
WITH copies AS (
    SELECT
        event_no, source_id,
        row_number() OVER (
            PARTITION BY run_id, event_id, row(*COLUMNS(* EXCLUDE (event_no, source_id, line, run_id, event_id)))
            ORDER BY event_no
        ) AS copy
    FROM event
    WHERE (run_id, event_id) IN (SELECT (run_id, event_id) FROM event GROUP BY ALL HAVING count(*) > 1)
)
SELECT event_no, source_id FROM copies WHERE copy > 1;

UPDATE input SET merged = (
    SELECT count(*)
    FROM repeated JOIN source USING (source_id) JOIN export USING (export_id)
    WHERE export.input_id = input.input_id
);

DELETE FROM event WHERE event_no IN (SELECT event_no FROM repeated);

DROP TABLE repeated;
