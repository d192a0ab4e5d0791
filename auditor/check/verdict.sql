-- One verdict a run, the first that holds: corrupt, cannot_tell, suspect, sound (model/judgement.py Verdict).
-- Findings about the runtime's own opinion do not count: the log verdict stands without them.
CREATE OR REPLACE TEMP TABLE against AS
SELECT
    run_id,
    -- Named after its root; a folded finding is at most as grave, so it never decides.
    arg_min(rule, (folded_under IS NOT NULL, place, rule))
        FILTER (WHERE severity = 'error' AND confidence <> 'suspect') AS corrupt,
    arg_min(rule, (folded_under IS NOT NULL, place, rule))
        FILTER (WHERE severity <> 'info' AND confidence = 'suspect') AS suspect
FROM finding JOIN rule USING (rule)
WHERE about = 'log'
GROUP BY run_id;

INSERT INTO verdict
WITH broken AS (
    SELECT min(rule) AS rule FROM rule WHERE outcome = 'failed'
)

SELECT
    run.run_id,
    CASE
        WHEN corrupt IS NOT NULL THEN 'corrupt'
        WHEN gap IS NOT NULL OR unordered OR broken.rule IS NOT NULL THEN 'cannot_tell'
        WHEN suspect IS NOT NULL THEN 'suspect'
        ELSE 'sound'
    END,
    CASE
        WHEN runtime_signature IS NOT NULL THEN 'corrupted'
        WHEN status IN ('completed', 'cancelled', 'failed') THEN status
        ELSE 'none'
    END,
    CASE
        WHEN corrupt IS NOT NULL THEN corrupt
        WHEN gap IS NOT NULL THEN gap
        WHEN unordered THEN 'its event ids follow no known scheme, and the log records no positions'
        WHEN broken.rule IS NOT NULL THEN format('the rule {} failed', broken.rule)
        WHEN suspect IS NOT NULL THEN suspect
        ELSE 'no rule that could be evaluated found anything against it'
    END
FROM run
LEFT JOIN against USING (run_id)
CROSS JOIN broken;

-- That of the audit is the worst: of its runs, and of the log as a whole, which a finding without a run is about.
INSERT INTO meta
SELECT 'verdict', arg_min(log_verdict, list_position(['corrupt', 'cannot_tell', 'suspect', 'sound'], log_verdict))
FROM (
    SELECT log_verdict FROM verdict
    UNION ALL
    SELECT CASE WHEN corrupt IS NOT NULL THEN 'corrupt' WHEN suspect IS NOT NULL THEN 'suspect' ELSE 'sound' END
    FROM against
    WHERE run_id IS NULL
    UNION ALL
    SELECT 'cannot_tell' WHERE NOT EXISTS (FROM run)
);

INSERT INTO capability
SELECT name, count(run_id) FILTER (WHERE list_contains(capabilities, name)), count(run_id)
FROM (SELECT unnest($capabilities) AS name)
LEFT JOIN run ON TRUE
GROUP BY name;
