-- cause: the standing findings of one rule, as far apart as the rule's diagnosis can say. The placeholders of all
-- diagnoses stand in `asked`, and in `subject` the role that each sentence is about.

CREATE OR REPLACE TEMP TABLE told AS
SELECT
    finding_no, finding.rule, finding.run_id AS of_run, d.run_id, d.role, d.writer_id,
    -- When a row of an entity was made says nothing about what it shows.
    CASE d.record WHEN 'entity' THEN NULL ELSE d.created_at END AS created_at,
    d.event_type, d.step_name AS step, split_part(d.entity, '#', 1) AS entity, d.site, d.fence_kind AS fence,
    run.workflow,
    -- A witness tells of the cause itself if it is of that role; without one of them, all do.
    coalesce(d.role = subject.role OR NOT bool_or(d.role = subject.role) OVER (PARTITION BY finding_no), TRUE)
        AS telling
FROM finding
JOIN witness_detail AS d USING (finding_no)
LEFT JOIN subject ON subject.rule = finding.rule
LEFT JOIN run ON run.run_id = coalesce(finding.run_id, d.run_id)
WHERE folded_under IS NULL;

CREATE OR REPLACE TEMP TABLE said AS
SELECT DISTINCT
    finding_no, asked.fact, asked.role, divides,
    CASE fact
        WHEN 'event_type' THEN event_type
        WHEN 'class' THEN event_type
        WHEN 'step' THEN step
        WHEN 'entity' THEN entity
        WHEN 'site' THEN site
        WHEN 'fence' THEN fence
        WHEN 'workflow' THEN workflow
    END AS value
FROM told
JOIN asked ON asked.rule = told.rule AND (asked.role IS NULL OR asked.role = told.role)
WHERE value IS NOT NULL;

-- Every standing finding with what divides it from others of its rule.
CREATE OR REPLACE TEMP TABLE member AS
WITH divided AS (
    SELECT finding_no, string_agg(value, chr(31) ORDER BY fact, role, value) AS part
    FROM said
    WHERE divides
    GROUP BY finding_no
),

dated AS (
    SELECT
        finding_no, min(created_at) AS first_at, max(created_at) AS last_at,
        list(DISTINCT writer_id) FILTER (WHERE writer_id IS NOT NULL) AS writers
    FROM told
    WHERE telling
    GROUP BY finding_no
)

SELECT
    finding_no, finding.rule, coalesce(part, '') AS part, run_id, severity, confidence, pattern,
    first_at, last_at, writers,
    -- The finding that stands for all: the gravest, then the surest, then the first that a report shows of a run.
    (
        array_position(['error', 'warning', 'info'], severity),
        array_position(['proof', 'strong', 'suspect'], confidence),
        NOT kept, run_id IS NULL, finding_no
    ) AS standing
FROM finding
LEFT JOIN divided USING (finding_no)
LEFT JOIN dated USING (finding_no)
WHERE folded_under IS NULL;

CREATE OR REPLACE TEMP TABLE grouped AS
WITH explained AS (
    SELECT folded_under AS finding_no, count(*) AS consequences
    FROM finding
    WHERE folded_under IS NOT NULL
    GROUP BY ALL
),

-- A finding of the log as a whole is about the runs of its witnesses.
touched AS (
    SELECT rule, part, run_id FROM member WHERE run_id IS NOT NULL
    UNION
    SELECT rule, part, told.run_id FROM member JOIN told USING (finding_no, rule) WHERE of_run IS NULL
),

of_workflow AS (
    SELECT workflow, count(*) AS all_runs FROM run GROUP BY workflow
),

reach AS (
    SELECT
        rule, part, sum(runs) AS runs, sum(all_runs) AS all_runs,
        list(reached.workflow ORDER BY reached.workflow) FILTER (WHERE reached.workflow IS NOT NULL) AS workflows
    FROM (
        SELECT rule, part, workflow, count(*) AS runs FROM touched JOIN run USING (run_id) GROUP BY ALL
    ) AS reached
    JOIN of_workflow ON of_workflow.workflow IS NOT DISTINCT FROM reached.workflow
    GROUP BY rule, part
)

SELECT
    rule, part,
    arg_min(severity, standing) AS severity,
    arg_min(confidence, standing) AS confidence,
    coalesce(any_value(workflows), []) AS workflows,
    count(*) AS findings,
    coalesce(any_value(runs), 0) AS runs,
    coalesce(any_value(all_runs), 0) AS all_runs,
    coalesce(sum(consequences), 0) AS consequences,
    min(first_at) AS first_at,
    max(last_at) AS last_at,
    list_sort(list_distinct(flatten(list(coalesce(writers, []))))) AS writers,
    list_sort(coalesce(list(DISTINCT pattern) FILTER (WHERE pattern IS NOT NULL), [])) AS patterns,
    arg_min(finding_no, standing) AS example
FROM member
LEFT JOIN explained USING (finding_no)
LEFT JOIN reach USING (rule, part)
GROUP BY rule, part;

INSERT INTO cause BY NAME
SELECT
    row_number() OVER (
        ORDER BY
            array_position(['error', 'warning', 'info'], severity), consequences DESC, runs DESC,
            grouped.findings DESC, rule, part
    ) AS cause_no,
    grouped.* EXCLUDE (part),
    title AS diagnosis
FROM grouped
JOIN rule USING (rule);

-- A consequence belongs to the cause of its root.
CREATE OR REPLACE TEMP TABLE caused AS
SELECT finding.finding_no, cause.cause_no
FROM finding
JOIN member ON member.finding_no = coalesce(folded_under, finding.finding_no)
JOIN grouped ON grouped.rule = member.rule AND grouped.part = member.part
JOIN cause ON cause.example = grouped.example;
