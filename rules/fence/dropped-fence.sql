/*
title: A decision was written without any fence
severity: warning
confidence: proof
needs: [fences]
implies: []
since: 0.1.0
---
## What it means
To be written.

## Why it happens
To be written.

## Example
To be written.

## How to confirm
To be written.

## What to do
To be written.

## When it is wrong
To be written.

## References
To be written.
*/
WITH decision AS (
    SELECT
        run_id, event_no, write.event_type, coalesce(site, '') AS site, fence_kind IS NULL AS dropped,
        write."position", log.event_id, log.created_at
    FROM write
    JOIN log USING (run_id, event_no)
    JOIN run USING (run_id)
    WHERE refusal_no IS NULL AND write.role = 'decision' AND list_contains(capabilities, 'fences')
),

-- One bug drops the fences of one event type at one site, in every run from some moment on.
across AS (
    SELECT
        event_type, site,
        min((created_at, event_no)) FILTER (WHERE dropped) AS since,
        count(DISTINCT run_id) FILTER (WHERE dropped) AS runs
    FROM decision
    GROUP BY event_type, site
    HAVING runs > 1
)

SELECT
    run_id,
    (list(witness('written without a fence', event_no) ORDER BY "position") FILTER (WHERE dropped))[:10] AS witness,
    format(
        '{} of {} {}{} in this run carr{} no fence, the first at #{}.',
        count(*) FILTER (WHERE dropped), count(*), event_type, coalesce(' at ' || nullif(site, ''), ''),
        CASE count(*) FILTER (WHERE dropped) WHEN 1 THEN 'ies' ELSE 'y' END,
        min("position") FILTER (WHERE dropped)
    ) AS because
FROM decision
GROUP BY run_id, event_type, site
HAVING bool_or(dropped)
UNION ALL
SELECT
    NULL AS run_id,
    [
        witness('first without a fence', arg_min(event_no, (created_at, event_no)) FILTER (WHERE dropped)),
        witness('latest without a fence', arg_max(event_no, (created_at, event_no)) FILTER (WHERE dropped))
    ] AS witness,
    format(
        '{} {} {}{} since {} of {} carry no fence, in {} runs.',
        CASE WHEN bool_and(dropped) THEN 'All' ELSE format('{} of', count(*) FILTER (WHERE dropped)) END,
        count(*), event_type, coalesce(' at ' || nullif(site, ''), ''),
        arg_min(event_id, (created_at, event_no)) FILTER (WHERE dropped),
        arg_min(run_id, (created_at, event_no)) FILTER (WHERE dropped),
        any_value(runs)
    ) AS because
FROM decision
JOIN across USING (event_type, site)
WHERE (created_at, event_no) >= since
GROUP BY event_type, site;
