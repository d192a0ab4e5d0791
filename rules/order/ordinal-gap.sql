/*
title: A draw of the run's id sequence left no trace
severity: info
confidence: proof
needs: [complete, ordinals]
implies: []
since: 0.1.0
---
## What it means
The bodies of a run's correlation ids are draws of one sequence, and the place of a body in it is
the entity's ordinal. Every step, wait, hook, refused hook and attribute takes one draw. Here a
number in the middle of the sequence belongs to nothing in the log: the code drew an id, later
entities were created, and what the id was for is not there.

There is one finding for each run. It names at most three gaps and the entities on both sides.

## Why it happens
- Something that takes a draw and writes no event: an abort controller, a stream, or a kind of
  entity that a newer SDK has added.
- A creation was lost: the write was refused or failed, and the tick went on with the others of its
  batch.
- A tick died between two writes of one suspension, and the missing one was never repeated.
- Rows were deleted from the log.

## Example
    #3  step_created    step_…N8RWQ0  reserve   ordinal 0
    #4  step_started    step_…N8RWQ0
    #5  step_completed  step_…N8RWQ0
    #6  step_created    step_…N8RWQ2  charge    ordinal 2: nothing has ordinal 1

## How to confirm
The entities of the run in the order of their draws:

    SELECT entity.run_id, ordinal, kind, correlation_id, first_created, first_closed
    FROM entity
    WHERE run_id IN (SELECT run_id FROM finding WHERE rule = 'ordinal-gap')
    ORDER BY run_id, ordinal;

Read the code between the calls of the two neighbours. If nothing there takes an id without a trace,
export the run again; if the gap is still there, look in the world's own tables for a row with the
missing id (its body is that of the neighbour plus one).

## What to do
- If the run ended well, nothing.
- If the run hangs, the missing entity is the first place to look: its creation was decided and
  never became part of the log. Wake the run, so that a new tick decides again.
- If many runs of one workflow have the same gap, the code draws an id there. That is normal.

## When it is wrong
- Streams and abort controllers take draws and need not write events. So the finding is an info, and
  the gap alone proves no loss.
- A gap at either end cannot be seen: the sequence is counted from its lowest id in the log, and
  nothing tells how many draws came after the last one. A gap of more than some 64 draws makes the
  ids look like no sequence at all, and the rule is not evaluated.
- Not evaluated where ids are counters or are drawn by kind (vercel/workflow#3301).
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs, healthy and corrupted ones.
  Their ids are consecutive in every run. They use no streams and no attributes.

## References
Catalogue ORD-001 and ORD-002 (the same sequence), RAC-003. vercel/workflow#3145 (suspensions that
are written in part), vercel/workflow#3301 (sequences by kind).
*/
WITH gapped AS MATERIALIZED (
    SELECT run_id
    FROM entity
    WHERE ordinal IS NOT NULL
    GROUP BY run_id
    HAVING max(ordinal) + 1 > list_unique(list(ordinal))
),

drawn AS MATERIALIZED (
    SELECT
        run_id, ordinal, correlation_id, correlation_id[-26:] AS body,
        least(first_created, first_active, first_closed) AS "position"
    FROM gapped
    JOIN entity USING (run_id)
),

-- An attr_set with an id of its own has drawn it from the same sequence.
attribute AS (
    SELECT
        log.run_id,
        ulid_low(log.correlation_id[-26:]) - ulid_low(body) + ordinal AS ordinal,
        log.correlation_id, log."position"
    FROM log
    JOIN drawn ON drawn.run_id = log.run_id AND drawn.ordinal = 0 AND log.correlation_id[-26:][:14] = body[:14]
    WHERE event_type = 'attr_set'
        AND regexp_full_match(log.correlation_id, '([a-z]+_)?[0-7][0-9A-HJKMNP-TV-Z]{25}')
),

held AS (
    SELECT run_id, ordinal, correlation_id, "position" FROM drawn
    UNION ALL
    FROM attribute
),

neighbour AS (
    SELECT
        run_id, ordinal, min("position") AS "position", arg_min(correlation_id, "position") AS correlation_id,
        lead(ordinal) OVER following AS next_ordinal,
        lead(min("position")) OVER following AS next_position,
        lead(arg_min(correlation_id, "position")) OVER following AS next_id
    FROM held
    GROUP BY run_id, ordinal
    WINDOW following AS (PARTITION BY run_id ORDER BY ordinal)
),

gap AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY run_id ORDER BY ordinal) AS place,
        count(*) OVER (PARTITION BY run_id) AS gaps,
        sum(next_ordinal - ordinal - 1) OVER (PARTITION BY run_id) AS draws
    FROM neighbour
    WHERE next_ordinal > ordinal + 1 AND ordinal >= 0
)

SELECT
    gap.run_id,
    flatten(list(
        [witness('last before the gap', before.event_no), witness('first after the gap', after.event_no)]
        ORDER BY gap.ordinal
    )) AS witness,
    format(
        '{} to nothing in the log: {}{}.',
        CASE min(draws)
            WHEN 1 THEN 'One draw of the id sequence belongs'
            ELSE format('{} draws of the id sequence belong', min(draws))
        END,
        string_agg(
            format(
                '{} between {} of #{} and {} of #{}',
                CASE gap.next_ordinal - gap.ordinal
                    WHEN 2 THEN format('ordinal {}', gap.ordinal + 1)
                    ELSE format('ordinals {} to {}', gap.ordinal + 1, gap.next_ordinal - 1)
                END,
                short_id(gap.correlation_id), gap."position", short_id(gap.next_id), gap.next_position
            ),
            '; ' ORDER BY gap.ordinal
        ),
        CASE WHEN min(gaps) > 3 THEN '; ...' ELSE '' END
    ) AS because
FROM gap
JOIN log AS before ON before.run_id = gap.run_id AND before."position" = gap."position"
JOIN log AS after ON after.run_id = gap.run_id AND after."position" = gap.next_position
WHERE place <= 3
GROUP BY gap.run_id;
