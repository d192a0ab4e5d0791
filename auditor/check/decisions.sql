-- What counts of the findings: `suppression` and `baseline` say what was decided, `state` what follows from it.
-- A folded finding never counts; a suppression that matches nothing else than such a one is still of use.
-- A finding of the log as a whole is about the workflows of its witnesses: a glob has to match all of them.
CREATE OR REPLACE TEMP TABLE concerned AS
SELECT finding_no, run.workflow
FROM finding LEFT JOIN run USING (run_id)
WHERE finding.run_id IS NOT NULL
UNION
SELECT finding_no, run.workflow
FROM finding
JOIN witness_detail AS d USING (finding_no)
LEFT JOIN run ON run.run_id = d.run_id
WHERE finding.run_id IS NULL;

CREATE OR REPLACE TEMP TABLE matched AS
SELECT finding_no, suppression.suppression_no
FROM finding
JOIN suppression USING (rule)
JOIN concerned USING (finding_no)
LEFT JOIN suppression_pattern ON suppression_pattern.suppression_no = suppression.suppression_no
WHERE suppression.state <> 'expired'
    AND (suppression.run IS NULL OR suppression.run = finding.run_id)
    AND (suppression.instance IS NULL OR suppression.instance = finding.instance)
    AND (suppression.pattern IS NULL OR suppression.pattern = finding.pattern)
    AND (
        suppression.event IS NULL
        OR (finding_no, suppression.event) IN (SELECT (finding_no, event_id) FROM witness_detail)
    )
GROUP BY finding_no, suppression.suppression_no
HAVING bool_and(workflow_like IS NULL OR coalesce(concerned.workflow LIKE workflow_like ESCAPE '\', FALSE));

-- Several may match: the first one counts, and the others are of use as well.
UPDATE finding
SET suppression_no = first_one.suppression_no
FROM (SELECT finding_no, min(suppression_no) AS suppression_no FROM matched GROUP BY finding_no) AS first_one
WHERE first_one.finding_no = finding.finding_no;

-- Of each bug the first findings, as many as the baseline knows: new runs have later ids, so they are the new ones,
-- however severe. An occurrence is known however often a rule tells of it.
CREATE OR REPLACE TEMP TABLE familiar AS
SELECT finding_no, fingerprint
FROM (
    SELECT
        finding_no, fingerprint, ceiling,
        row_number() OVER (PARTITION BY fingerprint ORDER BY run_id NULLS FIRST, finding_no) AS nth
    FROM finding
    JOIN baseline ON fingerprint = finding.$by
    WHERE folded_under IS NULL AND suppression_no IS NULL
)
WHERE nth <= ceiling OR '$by' = 'instance';

UPDATE finding
SET state = CASE
    WHEN folded_under IS NOT NULL THEN 'folded'
    WHEN suppression_no IS NOT NULL THEN 'suppressed'
    WHEN finding_no IN (SELECT finding_no FROM familiar) THEN 'known'
    ELSE 'new'
END;

UPDATE baseline
SET found = counted.found
FROM (SELECT fingerprint, count(*) AS found FROM familiar GROUP BY fingerprint) AS counted
WHERE counted.fingerprint = baseline.fingerprint;

UPDATE suppression
SET state = 'used', findings = counted.findings
FROM (
    SELECT
        matched.suppression_no,
        count(*) FILTER (state = 'suppressed' AND finding.suppression_no = matched.suppression_no) AS findings
    FROM matched JOIN finding USING (finding_no)
    GROUP BY matched.suppression_no
) AS counted
WHERE counted.suppression_no = suppression.suppression_no;

-- Beyond the kept ones of a rule findings are only counted; the new ones come first.
UPDATE finding
SET kept = nth <= $kept_witnesses
FROM (
    SELECT
        finding_no AS of_finding,
        row_number() OVER (PARTITION BY rule ORDER BY state <> 'new', finding_no) AS nth
    FROM finding
)
WHERE of_finding = finding_no;
