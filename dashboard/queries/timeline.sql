-- What queries/timeline.py asks of an audit file. $1 is the run, $2 and $3 are the first and the last position shown.

-- name: run
SELECT
    first_position, last_position, events, list_contains(capabilities, 'fences') AS records_fences,
    CASE
        WHEN unordered THEN 'the order of its events is unknown'
        WHEN gap IS NOT NULL THEN 'its history is incomplete'
    END AS doubt
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
    log.kind, correlation_id, any_value(ordinal) AS ordinal,
    min("position") AS first,
    CASE WHEN bool_or(reaches = 3) THEN max("position") ELSE any_value(last_position) END AS last
FROM log
JOIN run USING (run_id)
LEFT JOIN entity USING (run_id, kind, correlation_id)
LEFT JOIN (SELECT DISTINCT event_type, reaches FROM lifecycle) USING (event_type)
WHERE run_id = $1 AND log.kind IN ('step', 'hook', 'wait') AND correlation_id IS NOT NULL
GROUP BY log.kind, correlation_id
HAVING last >= $2 AND first <= $3
ORDER BY first;

-- name: events
SELECT
    log."position", log.event_type, log.kind, log.correlation_id, event.step_name,
    strftime(log.created_at, '%Y-%m-%d %H:%M:%S.%g') AS created_at,
    log.kind || coalesce('#' || ordinal, '') AS entity
FROM log
JOIN event USING (event_no)
LEFT JOIN entity
    ON entity.run_id = log.run_id AND entity.kind = log.kind AND entity.correlation_id = log.correlation_id
WHERE log.run_id = $1 AND log."position" BETWEEN $2 AND $3
ORDER BY log."position";

-- name: fences
-- Decisions by what they say of their snapshot, and what they missed. That is what stale-snapshot-write says, without
-- its bound of 64 places. $4: each of them; else the worst of a sort in each of the bins of width $5, with the number
-- of `writes` that it stands for.
WITH accepted AS (
    SELECT
        "position", event_no, event_type, role, fence_kind, known,
        coalesce(
            'request ' || request_id,
            fence_kind || ' ' || fence_value || concat_ws(' ', '', tick_id, writer_id),
            'event ' || event_no
        ) AS batch
    FROM write
    WHERE run_id = $1 AND refusal_no IS NULL
        AND list_contains((SELECT capabilities FROM run WHERE run_id = $1), 'fences')
),

decision AS (
    SELECT
        "position", event_no, batch, coalesce(fence_kind = 'state_updated_at', FALSE) AS weak,
        CASE
            WHEN fence_kind IS NULL THEN 'dropped'
            WHEN fence_kind = 'unfenced' THEN 'unfenced'
            WHEN known BETWEEN 0 AND "position" - 1 THEN 'current'
            ELSE 'unknown'
        END AS snapshot,
        CASE WHEN snapshot = 'current' THEN known END AS known
    FROM accepted
    WHERE role = 'decision' AND "position" BETWEEN $2 AND $3
),

-- What can be missed: all but sealed slots; under a weak fence, signals and outcomes only.
said AS (
    SELECT
        weak, batch, "position",
        count(*) OVER (PARTITION BY weak ORDER BY "position") AS nth,
        count(*) OVER (PARTITION BY weak, batch ORDER BY "position") AS nth_of_batch
    FROM accepted, (SELECT DISTINCT weak FROM decision)
    WHERE event_type <> 'noop' AND (NOT weak OR role IN ('signal', 'outcome'))
        AND "position" BETWEEN (SELECT min(known) FROM decision) AND $3
),

-- What stood before the write, without what it knew; without what is of its own batch.
counted AS (
    SELECT
        decision.*,
        coalesce(stood.nth, 0) - coalesce(read.nth, 0)
        - (coalesce(own.nth_of_batch, 0) - coalesce(own_read.nth_of_batch, 0)) AS missed
    FROM decision
    ASOF LEFT JOIN said AS stood ON stood.weak = decision.weak AND stood."position" < decision."position"
    ASOF LEFT JOIN said AS read ON read.weak = decision.weak AND read."position" <= decision.known
    ASOF LEFT JOIN said AS own
        ON own.weak = decision.weak AND own.batch = decision.batch AND own."position" < decision."position"
    ASOF LEFT JOIN said AS own_read
        ON own_read.weak = decision.weak AND own_read.batch = decision.batch
        AND own_read."position" <= decision.known
),

judged AS (
    SELECT
        * REPLACE (CASE WHEN snapshot = 'current' AND missed > 0 THEN 'stale' ELSE snapshot END AS snapshot),
        CASE WHEN snapshot = 'current' THEN missed ELSE 0 END AS unseen,
        CASE WHEN $4 THEN "position" ELSE floor(("position" - $2) / $5) END AS bin
    FROM counted
),

chosen AS (
    SELECT *, count(*) OVER (PARTITION BY snapshot, bin) AS writes
    FROM judged
    QUALIFY row_number() OVER (PARTITION BY snapshot, bin ORDER BY unseen DESC, "position") = 1
)

SELECT
    chosen."position", snapshot, known, unseen, writes, log.kind, log.correlation_id,
    read.kind AS known_kind, read.correlation_id AS known_correlation_id
FROM chosen
JOIN log USING (event_no)
LEFT JOIN log AS read ON read.run_id = $1 AND read."position" = known
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
-- Seconds since the first event shown. $4: an idle gap counts for ten times the usual gap at most. An event whose time
-- is not from $5 to $6 stands where the one before it does.
WITH timed AS (
    SELECT "position", CASE WHEN created_at BETWEEN $5 AND $6 THEN created_at END AS moment
    FROM log
    WHERE run_id = $1 AND "position" BETWEEN $2 AND $3
),

stored AS (
    SELECT
        "position", count(*) FILTER (WHERE moment IS NULL) OVER () AS misplaced,
        coalesce(last_value(moment IGNORE NULLS) OVER (ORDER BY "position"), min(moment) OVER ()) AS moment
    FROM timed
),

gap AS (
    SELECT
        "position", misplaced, epoch(moment) - epoch(min(moment) OVER ()) AS seconds,
        greatest(epoch(moment) - coalesce(lag(epoch(moment)) OVER (ORDER BY "position"), epoch(moment)), 0) AS idle
    FROM stored
),

usual AS (SELECT coalesce(10 * median(idle), 0) AS most FROM gap WHERE idle > 0)

SELECT
    "position", misplaced,
    CASE WHEN $4 THEN sum(least(idle, most)) OVER (ORDER BY "position") ELSE seconds END AS seconds
FROM gap, usual
ORDER BY "position";
