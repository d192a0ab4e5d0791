/*
title: Creations go back in the id sequence across a resolution
diagnosis: >-
  Creations ({event types of created with a lower ordinal}) go back in the id sequence across
  {event types of resolution between them}.
severity: info
confidence: suspect
needs: [ordinals]
implies: []
since: 0.1.0
---
## What it means
The ordinal of an entity says in which order the code asked for it. Here an entity was created, then
a signal or an outcome was written (`hook_received`, `step_completed`, `step_failed`,
`wait_completed`), and only then an entity with a *lower* ordinal was created. A single tick asks for
ids in order. So either its parallel writes were slow and something landed between them, or a second
tick wrote an older part of the sequence later.

It is a weak hint. There is one finding for each run, of the largest step back. The order within one
burst of creations does not count: there a third of all healthy runs go back.

## Why it happens
- The creations of one suspension are written in parallel. A hook was delivered while they were on
  their way, and the one with the lower ordinal was the last to arrive. This is the usual cause.
- Two ticks replayed different histories and numbered from different lengths: one is ahead, the
  other still creates what comes before.

## Example
    #19  wait_created   wait_…3QJP0R  ordinal 4
    #20  hook_received  hook_…3QJP0M
    #21  step_created   step_…3QJP0Q  ordinal 3, 22.7 s after #19

## How to confirm
First creations in log order, with their ordinals and what stands between them:

    SELECT log.run_id, log.position, log.event_type, ordinal, log.created_at
    FROM log
    LEFT JOIN entity ON entity.run_id = log.run_id AND entity.correlation_id = log.correlation_id
        AND entity.first_created = log.position
    WHERE log.run_id IN (SELECT run_id FROM finding WHERE rule = 'ordinal-regression')
        AND (ordinal IS NOT NULL
            OR log.event_type IN ('hook_received', 'step_completed', 'step_failed', 'wait_completed'))
    ORDER BY log.run_id, log.position;

A few milliseconds between the two creations speak for parallel writes. Seconds, or an outcome
between them on which the second one depends, speak for two ticks.

## What to do
Nothing because of this finding alone. Use it when the run has failed as corrupt and nothing else
explains it: the late creation is a candidate for the write of the stale tick. If ticks overlap,
serialise them or fence their writes.

## When it is wrong
- Most findings are parallel writes of healthy runs, so this is an info of confidence suspect.
- Measured on the 1,256 runs of the corpora of real SDK logs:

      creations that go back                                    healthy       corrupted     other
      anywhere                                                  396 of 1,162  34 of 51      32 of 43
      by 3 ordinals or more                                      67           12             0
      more than 2 s later                                        30            3             0
      after any start of the entity that is ahead                10            1             0
      across a signal or an outcome (this rule)                   5            3             0
      across an outcome, signals not counted                      0            0             0

  The rule's form separates best: 0.4 % of the healthy runs and 6 % of the corrupted ones. In all 8
  runs the event between is a `hook_received`. An outcome between the two was never seen; it would
  be a stronger sign.
- Entities that were created twice count by their first creation.
- Not evaluated where the ids are no draws of one sequence.

Base rate: 8 findings in 8 of 1,256 runs: 5 healthy, 3 corrupted, none of the others.

## References
Catalogue ORD-002. vercel/workflow#3418 (correlation ids that go back), vercel/workflow#3147.
*/
-- Runs with a regression, found without a look at all their events: if any two creations stand against their
-- ordinals with a resolution between them, so do two with neighbouring ordinals. A hook without a creation was
-- refused by a conflict, its first_closed.
WITH inverted AS MATERIALIZED (
    SELECT run_id, "position" AS later, next_position AS earlier
    FROM (
        SELECT
            run_id, coalesce(first_created, first_closed) AS "position",
            lead(coalesce(first_created, first_closed)) OVER (PARTITION BY run_id ORDER BY ordinal) AS next_position
        FROM entity
        WHERE ordinal IS NOT NULL AND (first_created IS NOT NULL OR kind = 'hook')
    )
    WHERE next_position < "position"
),

resolution AS (
    SELECT run_id, first_closed AS "position"
    FROM entity
    WHERE run_id IN (SELECT run_id FROM inverted) AND kind IN ('step', 'wait') AND first_closed IS NOT NULL
    UNION ALL
    SELECT run_id, "position"
    FROM log
    WHERE event_type = 'hook_received' AND run_id IN (SELECT run_id FROM inverted)
),

backward AS MATERIALIZED (
    SELECT DISTINCT inverted.run_id
    FROM inverted
    ASOF JOIN resolution ON resolution.run_id = inverted.run_id AND inverted.earlier < resolution."position"
    WHERE resolution."position" < later
),

creation AS MATERIALIZED (
    SELECT run_id, correlation_id, ordinal, coalesce(first_created, first_closed) AS "position"
    FROM entity
    WHERE run_id IN (FROM backward) AND (first_created IS NOT NULL OR (kind = 'hook' AND first_closed IS NOT NULL))
),

mark AS MATERIALIZED (
    SELECT run_id, "position", ordinal, correlation_id, FALSE AS resolves
    FROM creation
    UNION ALL
    SELECT run_id, first_closed, NULL, NULL, TRUE
    FROM entity
    WHERE run_id IN (FROM backward) AND kind IN ('step', 'wait') AND first_closed IS NOT NULL
    UNION ALL
    SELECT run_id, "position", NULL, NULL, TRUE
    FROM log
    WHERE event_type = 'hook_received' AND run_id IN (FROM backward)
),

-- What lies between two resolutions is one burst; the order within it is that of parallel writes.
placed AS (
    SELECT
        *,
        count(*) FILTER (WHERE resolves) OVER (
            PARTITION BY run_id ORDER BY "position" ROWS UNBOUNDED PRECEDING
        ) AS burst
    FROM mark
),

compared AS (
    SELECT
        *,
        max(ordinal) OVER (
            PARTITION BY run_id ORDER BY burst RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS highest
    FROM placed
    WHERE ordinal IS NOT NULL
),

-- The largest one of each run.
regression AS (
    SELECT *, count(*) OVER (PARTITION BY run_id) AS creations
    FROM compared
    WHERE highest > ordinal
    QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY highest - ordinal DESC, "position") = 1
),

ahead AS (
    SELECT
        regression.*,
        min(earlier."position") AS ahead_position,
        arg_min(earlier.correlation_id, earlier."position") AS ahead_id
    FROM regression
    JOIN creation AS earlier ON earlier.run_id = regression.run_id AND earlier.ordinal = highest
    GROUP BY ALL
),

between_them AS (
    SELECT ahead.*, min(mark."position") AS resolved_position
    FROM ahead
    JOIN mark ON mark.run_id = ahead.run_id AND mark.resolves
        AND mark."position" > ahead_position AND mark."position" < ahead."position"
    GROUP BY ALL
)

SELECT
    found.run_id,
    [
        witness('created first', first.event_no),
        witness('resolution between them', resolved.event_no),
        witness('created with a lower ordinal', late.event_no)
    ] AS witness,
    format(
        '{} has ordinal {} and was created at #{}, after {} with ordinal {} at #{}, and {} at #{} stands between{}.',
        short_id(found.correlation_id), ordinal, found."position", short_id(ahead_id), highest, ahead_position,
        resolved.event_type, resolved_position,
        CASE creations WHEN 1 THEN '' ELSE format(' (the largest of {} in this run)', creations) END
    ) AS because
FROM between_them AS found
JOIN log AS first ON first.run_id = found.run_id AND first."position" = ahead_position
JOIN log AS resolved ON resolved.run_id = found.run_id AND resolved."position" = resolved_position
JOIN log AS late ON late.run_id = found.run_id AND late."position" = found."position";
