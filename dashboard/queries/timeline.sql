-- What queries/timeline.py asks of an audit file. $1 is the run, $2 and $3 are the first and the last position shown.

-- name: run
SELECT first_position, last_position, events, list_contains(capabilities, 'fences') AS records_fences
FROM run WHERE run_id = $1;

-- name: witnesses
SELECT "position", role
FROM witness_detail
WHERE finding_no = $1 AND run_id = $2 AND "position" IS NOT NULL
ORDER BY place_in_proof;

-- name: count
SELECT count(*) AS events FROM log WHERE run_id = $1 AND "position" BETWEEN $2 AND $3;

-- name: entities
-- An entity that nothing closed lasts to the end of the run.
SELECT
    log.kind, correlation_id,
    min("position") AS first,
    CASE WHEN bool_or(reaches = 3) THEN max("position") ELSE any_value(last_position) END AS last
FROM log
JOIN run USING (run_id)
LEFT JOIN (SELECT DISTINCT event_type, reaches FROM lifecycle) USING (event_type)
WHERE run_id = $1 AND log.kind IN ('step', 'hook', 'wait') AND correlation_id IS NOT NULL
GROUP BY log.kind, correlation_id
HAVING last >= $2 AND first <= $3
ORDER BY first;

-- name: events
SELECT
    log."position", log.event_type, log.kind, log.correlation_id, log.created_at, event.step_name,
    log.kind || coalesce('#' || ordinal, '') AS entity
FROM log
JOIN event USING (event_no)
LEFT JOIN entity
    ON entity.run_id = log.run_id AND entity.kind = log.kind AND entity.correlation_id = log.correlation_id
WHERE log.run_id = $1 AND log."position" BETWEEN $2 AND $3
ORDER BY log."position";

-- name: fences
-- Members of one batch do not miss each other. $4: each of them; else what is wrong in each of the bins of width $5.
WITH decision AS (
    SELECT
        "position", event_no, known, fence_kind IS NULL AS dropped,
        "position" - known - row_number() OVER (
            PARTITION BY
                known,
                coalesce('request ' || request_id, fence_kind || ' ' || fence_value || concat_ws(' ', '', tick_id, writer_id))
            ORDER BY "position"
        ) AS missed
    FROM write
    WHERE run_id = $1 AND refusal_no IS NULL AND role = 'decision' AND fence_kind IS DISTINCT FROM 'unfenced'
        AND list_contains((SELECT capabilities FROM run WHERE run_id = $1), 'fences')
),

judged AS (
    SELECT *, greatest(coalesce(missed, 0), 0) AS unseen
    FROM decision
    WHERE "position" BETWEEN $2 AND $3 AND (known IS NOT NULL OR dropped)
),

chosen AS (
    SELECT * FROM judged WHERE $4
    UNION ALL BY NAME
    SELECT unnest(arg_max(judged, unseen))
    FROM judged
    WHERE NOT $4 AND (unseen > 0 OR dropped)
    GROUP BY dropped, floor(("position" - $2) / $5)
)

SELECT
    chosen."position", chosen.known, unseen, log.kind, log.correlation_id,
    read.kind AS known_kind, read.correlation_id AS known_correlation_id
FROM chosen
JOIN log USING (event_no)
LEFT JOIN log AS read ON read.run_id = $1 AND read."position" = chosen.known
ORDER BY chosen."position";

-- name: findings
-- Of each severity, one in each of the bins of width $5, a cause before its consequences; $4: one of each rule.
-- `hidden`: how many others stand in its bin.
SELECT
    place, severity, rule, because, log.kind, log.correlation_id,
    count(*) OVER (PARTITION BY severity, floor((place - $2) / $5), CASE WHEN $4 THEN rule END) - 1 AS hidden
FROM finding
JOIN log ON log.run_id = finding.run_id AND log."position" = place
WHERE finding.run_id = $1 AND place BETWEEN $2 AND $3
QUALIFY row_number() OVER (
    PARTITION BY severity, floor((place - $2) / $5), CASE WHEN $4 THEN rule END
    ORDER BY folded_under IS NOT NULL, finding_no
) = 1
ORDER BY list_position(['error', 'warning', 'info'], severity), place, folded_under IS NOT NULL DESC, finding_no;

-- name: clock
-- Seconds since the first event shown. $4: an idle gap counts for ten times the usual gap at most.
WITH stored AS (
    SELECT
        "position",
        coalesce(
            last_value(created_at IGNORE NULLS) OVER (ORDER BY "position"),
            min(created_at) OVER ()
        ) AS moment
    FROM log
    WHERE run_id = $1 AND "position" BETWEEN $2 AND $3
),

gap AS (
    SELECT
        "position", epoch(moment) - epoch(min(moment) OVER ()) AS seconds,
        greatest(epoch(moment) - coalesce(lag(epoch(moment)) OVER (ORDER BY "position"), epoch(moment)), 0) AS idle
    FROM stored
),

usual AS (SELECT coalesce(10 * median(idle), 0) AS most FROM gap WHERE idle > 0)

SELECT
    "position",
    CASE WHEN $4 THEN sum(least(idle, most)) OVER (ORDER BY "position") ELSE seconds END AS seconds
FROM gap, usual
ORDER BY "position";
