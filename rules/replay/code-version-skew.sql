/*
title: Two versions of the code take part in one run
diagnosis: Two versions of the code of {workflow} take part in one run.
about: runtime
severity:
  - {when: finding.diverged, is: error}
  - {when: finding.versions, is: warning}
  - {is: info}
confidence: proof
needs: []
implies: [replay-divergence, runtime-verdict-unexplained, terminal-not-reproducible]
since: 0.1.0
params:
  gap_seconds: {default: 30, meaning: how long nothing of either name is created where one name takes over from the other}
---
## What it means
A step is known in this run under two names that differ only in the version or in the path of the
module it is in: `step//shop@1.2.0//charge` first, and from some event on `step//shop@1.3.0//charge`.
The name of a step is part of the history, so code of one version does not follow what code of the
other has written: neither can replay the run as a whole.
- error: the run was replayed with its code, and the replay left the history just there, for nothing
  but that difference. No worker with this code can go on with the run.
- warning: the log alone shows two versions, one after the other. Nothing is proven to have broken.
- info (suspect): the two names differ in the path, not in a version. It may be a step that was moved,
  or two steps of one name in two modules.

## Why it happens
A new version was deployed while the run was open, and a worker of the new version went on with it.
The version, or the path of the file, is part of the names of its steps, so every step has a new name.

## Example
    #3  step_created  step_…3ZAEVA  step//shop@1.2.0//charge
    #6  wait_created  wait_…3ZAEVB
    #7  wait_completed  wait_…3ZAEVB
    #8  step_created  step_…3ZAEVC  step//shop@1.3.0//charge    an hour later

## How to confirm
The names of the steps of such runs, in the order of their creation:

    SELECT log.run_id, log.position, event.step_name, log.created_at, event.deployment_id
    FROM log JOIN event USING (event_no)
    WHERE log.event_type = 'step_created'
        AND log.run_id IN (SELECT run_id FROM finding WHERE rule = 'code-version-skew')
    ORDER BY log.run_id, log.position;

Compare the time of the second name with your deployments. `auditor replay` with the code of either
version says where it leaves the history.

## What to do
- Keep open runs on the deployment that they began with.
- Keep version and path out of the names: give steps and workflows names of their own
  (`@step(name=...)`), and change such a name only together with the meaning of the step.
- For the runs that are open now: run them to their end with the old version.

## When it is wrong
- That both names are in the log, one behind the other, is certain. That a deployment lies between
  them is read from the order, and from a silence of `gap_seconds` or two deployment ids.
- Two modules may each have a step of one name, and a workflow may call one after the other, a sleep
  between. Where only the path differs it is therefore a suspicion.
- Two versions of a package may be in use at once, on purpose. Where the two names alternate nothing is
  reported.
- Two names under one id are another thing, and worse: step-name-conflict.
- A version in the function's own name (`chargeV2`) is not recognised.

Base rate: no finding in 1,256 runs of the corpora of real SDK logs; none of them holds two names of
one function.

## References
Catalogue id RPL-005. eve#2866 (bulk failure after an upgrade: versions inside step names).
*/
WITH name AS (
    SELECT step_name, regexp_extract(step_name, '^[a-z]+//.+//(.+)$', 1) AS function
    FROM (SELECT DISTINCT step_name FROM event_core WHERE step_name IS NOT NULL)
),

-- A whole log has few names, and most logs have one for each function: then there is nothing more to look at.
ambiguous AS MATERIALIZED (
    SELECT step_name, function
    FROM name
    WHERE function <> '' AND function IN (SELECT function FROM name GROUP BY function HAVING count(*) > 1)
),

suspected AS MATERIALIZED (
    SELECT run_id, function
    FROM event_core JOIN ambiguous USING (step_name)
    WHERE event_type = 'step_created'
    GROUP BY run_id, function
    HAVING count(DISTINCT step_name) > 1
),

-- Ids that carry two names are not counted: two replays went different ways there.
one_name AS (
    SELECT run_id, correlation_id
    FROM event_core
    WHERE step_name IS NOT NULL AND run_id IN (SELECT run_id FROM suspected)
    GROUP BY run_id, correlation_id
    HAVING min(step_name) = max(step_name)
),

used AS (
    SELECT
        log.run_id, suspected.function, step_name,
        min(log."position") AS first_position,
        max(log."position") AS last_position,
        arg_min(log.event_no, log."position") AS first_event_no,
        arg_max(log.event_no, log."position") AS last_event_no,
        arg_min(log.created_at, log."position") AS first_at,
        arg_max(log.created_at, log."position") AS last_at,
        arg_min(deployment_id, log."position") AS first_deployment,
        arg_max(deployment_id, log."position") AS last_deployment
    FROM log
    JOIN event_core USING (event_no)
    JOIN one_name ON one_name.run_id = log.run_id AND one_name.correlation_id = log.correlation_id
    JOIN ambiguous USING (step_name)
    JOIN suspected ON suspected.run_id = log.run_id AND suspected.function = ambiguous.function
    WHERE log.event_type = 'step_created'
    GROUP BY log.run_id, suspected.function, step_name
),

neighbours AS (
    SELECT
        *,
        lead(step_name) OVER taken_over AS next_name,
        lead(first_position) OVER taken_over AS next_position,
        lead(first_event_no) OVER taken_over AS next_event_no,
        lead(first_at) OVER taken_over AS next_at,
        lead(first_deployment) OVER taken_over AS next_deployment
    FROM used
    WINDOW taken_over AS (PARTITION BY run_id, function ORDER BY first_position)
),

skewed AS (
    SELECT neighbours.*, run.workflow
    FROM neighbours
    JOIN run USING (run_id)
    WHERE neighbours.last_position < next_position
        AND (
            next_at - last_at >= to_seconds(param('code-version-skew', 'gap_seconds', run.workflow))
            OR last_deployment <> next_deployment
        )
),

left_over AS (
    SELECT *
    FROM replayed
    WHERE outcome = 'diverged' AND expected_name <> actual_name
        AND regexp_extract(expected_name, '^[a-z]+//.+//(.+)$', 1) <> ''
        AND regexp_extract(expected_name, '^[a-z]+//.+//(.+)$', 1)
            = regexp_extract(actual_name, '^[a-z]+//.+//(.+)$', 1)
)

SELECT
    run_id,
    [witness('last under the one name', last_event_no), witness('first under the other', next_event_no)] AS witness,
    format(
        '{} is {} up to #{} and {} from #{} on: the names differ only in {}.',
        function, step_name, last_position, next_name, next_position,
        CASE WHEN versions THEN 'the version' ELSE 'the path' END
    ) AS because,
    -- Where only the path differs nothing is certain: null, so the finding is a suspicion.
    CASE WHEN versions THEN FALSE END AS diverged,
    versions
FROM (
    SELECT
        *,
        regexp_replace(step_name, '@v?[0-9][^/]*', '', 'g') = regexp_replace(next_name, '@v?[0-9][^/]*', '', 'g')
            AS versions
    FROM skewed
)
UNION ALL BY NAME
SELECT
    run_id,
    [witness('the code has another name for it', event_no)] AS witness,
    format(
        'At #{} the log has {}, and the code has {}: they differ only in the version or the path of the module.',
        "position", actual_name, expected_name
    ) AS because,
    TRUE AS diverged,
    TRUE AS versions
FROM left_over;
