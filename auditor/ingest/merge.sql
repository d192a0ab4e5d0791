-- Rows of one run and event id that agree wherever both say something are one event that was read twice: they are
-- merged, and what one of them lacks comes from the other (an export without payloads beside one with them). Other
-- content under the same id stays: that is a finding, not noise.
CREATE OR REPLACE TEMP TABLE repeated AS
SELECT event.*, hash(run_id, event_id) AS same, format
FROM event
JOIN source USING (source_id)
JOIN export USING (export_id)
WHERE hash(run_id, event_id) IN (
    SELECT hash(run_id, event_id) AS same FROM event_core GROUP BY same HAVING count(*) > 1
);

-- A payload is written as each format writes it, so only digests of one format are compared.
CREATE OR REPLACE TEMP TABLE agreeing AS
SELECT run_id, event_id, min(event_no) AS event_no
FROM repeated
GROUP BY run_id, event_id
HAVING count(*) > 1 AND {agree}
    AND count(DISTINCT (format, payload_sha256)) FILTER (WHERE payload_sha256 IS NOT NULL)
        = count(DISTINCT format) FILTER (WHERE payload_sha256 IS NOT NULL);

CREATE OR REPLACE TEMP TABLE merged AS
SELECT repeated.event_no, agreeing.event_no AS kept, source_id, line
FROM repeated
JOIN agreeing USING (run_id, event_id)
WHERE repeated.event_no <> agreeing.event_no
UNION ALL
-- Where two contents share an id, the rows that are equal in all of it are still one.
SELECT event_no, kept, source_id, line
FROM (
    SELECT
        event_no, source_id, line, run_id, event_id,
        min(event_no) OVER (PARTITION BY run_id, event_id, {content}) AS kept
    FROM repeated
)
WHERE event_no <> kept AND (run_id, event_id) NOT IN (SELECT (run_id, event_id) FROM agreeing);

-- What the kept row lacks comes from the others.
CREATE OR REPLACE TEMP TABLE whole AS
SELECT agreeing.event_no, {most}
FROM repeated JOIN agreeing USING (run_id, event_id)
GROUP BY agreeing.event_no;

UPDATE event_core SET {fill_core} FROM whole WHERE whole.event_no = event_core.event_no;
INSERT INTO event_more (event_no)
SELECT event_no FROM whole WHERE event_no NOT IN (SELECT event_no FROM event_more);
UPDATE event_more SET {fill_more} FROM whole WHERE whole.event_no = event_more.event_no;

INSERT INTO copy SELECT kept, source_id, line FROM merged;

UPDATE input SET merged = (
    SELECT count(*)
    FROM merged JOIN source USING (source_id) JOIN export USING (export_id)
    WHERE export.input_id = input.input_id
);

DELETE FROM event_core WHERE event_no IN (SELECT event_no FROM merged);
DELETE FROM event_more WHERE event_no IN (SELECT event_no FROM merged);

DROP TABLE whole;
DROP TABLE merged;
DROP TABLE agreeing;
DROP TABLE repeated;
