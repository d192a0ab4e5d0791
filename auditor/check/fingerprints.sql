-- Two names for a finding: this occurrence, and this bug. Both are built from ids and shapes, never from a message, a
-- line, a path or a severity, so they survive another folder, another order of inputs and a reworded explanation.
CREATE OR REPLACE TEMP TABLE seen AS
SELECT
    finding_no, finding.rule, finding.run_id, workflow, place_in_proof, d.role, d.correlation_id,
    concat_ws(
        '/',
        coalesce(d.run_id, ''),
        coalesce(d.event_id, d.correlation_id, CASE d.record WHEN 'export' THEN d.source END, ''),
        coalesce(d.event_type, d.entity)
    ) AS name,
    coalesce(d.event_type, d.entity) || coalesce(':' || d.step_name, '') AS shape
FROM finding
JOIN witness_detail AS d USING (finding_no)
LEFT JOIN run ON run.run_id = finding.run_id;

-- The rule, the run and the names of the witnesses, in any order.
CREATE OR REPLACE TEMP TABLE occurrence AS
SELECT
    finding_no,
    substr(sha256(concat_ws(
        chr(31), '1', 'instance', any_value(rule), coalesce(any_value(run_id), ''),
        string_agg(name, chr(31) ORDER BY name)
    )), 1, 32) AS instance
FROM seen
GROUP BY finding_no;

-- The rule, the workflow and the shape of the proof, however often a role is repeated in it.
CREATE OR REPLACE TEMP TABLE bug AS
WITH shaped AS (
    SELECT
        finding_no, rule, workflow, role || '=' || shape AS part, min(place_in_proof) AS place
    FROM seen
    GROUP BY ALL
)

SELECT
    finding_no,
    substr(sha256(concat_ws(
        chr(31), '1', 'pattern', any_value(rule), coalesce(any_value(workflow), ''),
        string_agg(part, chr(31) ORDER BY place)
    )), 1, 32) AS pattern
FROM shaped
GROUP BY finding_no;

UPDATE finding
SET instance = occurrence.instance, pattern = bug.pattern
FROM occurrence
JOIN bug USING (finding_no)
WHERE occurrence.finding_no = finding.finding_no;
