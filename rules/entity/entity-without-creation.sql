/*
title: An entity and its creation do not go together
diagnosis: Entities ({entities}) and their creations do not go together.
severity:
  - {when: "finding.lost = 'row'", is: warning}
  - {is: error}
confidence: strong
needs: [complete, entities]
implies: [ordinal-gap, orphan-hook-event, orphan-step-event, orphan-wait-completed, stalled-run]
since: 0.1.0
params:
  grace_seconds: {default: 60, meaning: how much older than the export a row must be}
---
## What it means
Either the world has a row of a step, a wait or a hook that the log never creates. Then a decision of
the run was half written. Replay asks for the entity again, the world refuses it because the row is
there, and the run cannot get past that call. That is an error.

Or the log creates steps of which the world has no row. Whoever starts or completes such a step looks
for the row, so the step may be stuck, but the history is whole. That is a warning, one for each run.

## Why it happens
- Row and event are two writes, and the process died or was refused between them
  (vercel/workflow#3081, vercel/workflow#2295).
- Rows of the log were deleted, or lost in an export.
- The table of steps was cut in the export (a first page), or old rows of it were removed.

## Example
    #43  wait_created    wait_…CEV47X
    #44  wait_completed  wait_…CEV47X
    row  wait_…CEV47Z    status waiting, created 2 s after #44
    #45  wait_created    wait_…CEV47Y  96 s after #44
    #46  wait_completed  wait_…CEV47Y  the last event of the run

The two waits belong to one suspension. The row of …47Z was inserted, its event never was, and the
run stopped there (4.2.4 on Postgres).

## How to confirm
Rows without a creation:

    SELECT entity_row.run_id, kind, correlation_id, entity_row.status, entity_row.created_at,
        run.last_created_at, run.status AS run_status
    FROM entity_row
    LEFT JOIN entity USING (run_id, kind, correlation_id)
    JOIN run ON run.run_id = entity_row.run_id
    WHERE kind <> 'run' AND first_created IS NULL
    ORDER BY ALL;

Steps without a row, in runs that have rows of steps:

    SELECT entity.run_id, correlation_id, first_created, first_closed
    FROM entity
    LEFT JOIN entity_row USING (run_id, kind, correlation_id)
    WHERE kind = 'step' AND entity_no IS NULL
        AND run_id IN (SELECT run_id FROM entity_row WHERE kind = 'step')
    ORDER BY ALL;

## What to do
- Export the run again, tables and events. If the creation is there now, the export was made between
  the two writes.
- A row without a creation, run still open: delete the row, then wake the run. The next tick creates
  the entity again. A run that has ended needs nothing.
- A step without a row: see whether the export holds all rows of steps. If it does and the step is
  open, cancel the run and start it again from its input.
- Make the world write row and event in one transaction.

## When it is wrong
- An export is not one snapshot, and a worker that is killed leaves its last write half done. Rows
  and creations younger than `grace_seconds` (60) before the reference time are not judged; nor are
  rows without `createdAt`.
- A lazy start creates the step itself. A `step_started` that carries the input counts as a
  creation.
- A hook whose first event is its `hook_conflict` counts as created: its token was taken.
- Missing rows are only judged for steps, and only where the export holds the row of the run and
  rows of steps. The world deletes the rows of waits and hooks when a run ends.
- A world that removes old rows of steps makes the second form normal.

Base rate: 1 finding in 1 of 1,256 runs of the corpora of real SDK logs. The run is the example
above, neither healthy nor corrupted: it was still open, with its row two minutes older than the end
of the log. Four more rows (4.2.4 on world-local, killed in full flight) fall under the grace time.
None of the 5,658 steps of the corpora lacks its row.

## References
Catalogue ENT-002. vercel/workflow#3081, vercel/workflow#2295 (an entity without its event).
*/
WITH uncreated AS (
    SELECT
        entity_row.run_id, entity_row.kind, entity_row.correlation_id, entity_no,
        entity_row.status, entity_row.created_at,
        least(first_active, first_closed) AS "position"
    FROM entity_row
    LEFT JOIN entity USING (run_id, kind, correlation_id)
    WHERE kind IN ('step', 'wait', 'hook') AND correlation_id IS NOT NULL AND first_created IS NULL
),

without_creation AS (
    SELECT
        uncreated.run_id,
        'creation' AS lost,
        [entity_witness('stored', min(uncreated.entity_no))]
        || coalesce(list(witness('its first event', log.event_no)) FILTER (log.event_no IS NOT NULL)[:1], [])
            AS witness,
        format(
            'The world has a row of {} ({}created {}), but the log holds no creation of it{}.',
            short_id(uncreated.correlation_id),
            coalesce(min(uncreated.status) || ', ', ''), strftime(min(uncreated.created_at), '%Y-%m-%d %H:%M:%S'),
            coalesce(format(': its first event is {} at #{}', min(log.event_type), min(log."position")), '')
        ) AS because
    FROM uncreated
    JOIN run USING (run_id)
    LEFT JOIN log ON log.run_id = uncreated.run_id AND log."position" = uncreated."position"
    LEFT JOIN event ON event.event_no = log.event_no
    -- A row as young as the export may have been read before its event was; one without a time is not judged.
    WHERE uncreated.created_at
            <= run.now - to_seconds(param('entity-without-creation', 'grace_seconds', run.workflow))
        -- A hook that finds its token taken is created and refused in one event.
        AND log.event_type IS DISTINCT FROM 'hook_conflict'
        -- A lazy start carries the step's input and creates the step itself.
        AND NOT (uncreated.kind = 'step' AND coalesce(log.event_type = 'step_started' AND payload_bytes > 0, FALSE))
    GROUP BY uncreated.run_id, uncreated.kind, uncreated.correlation_id
),

-- Only an export that holds rows of steps, and the row of this run, can lack one.
table_of_steps AS (
    SELECT DISTINCT export_id
    FROM source
    WHERE source_id IN (SELECT source_id FROM entity_row WHERE kind = 'step')
),

rowless AS (
    SELECT entity.run_id, entity.correlation_id, log.event_no, log."position"
    FROM entity
    ANTI JOIN entity_row USING (run_id, kind, correlation_id)
    JOIN run ON run.run_id = entity.run_id
    JOIN entity_row AS of_run ON of_run.entity_no = run.entity_no
    JOIN source ON source.source_id = of_run.source_id
    JOIN log ON log.run_id = entity.run_id AND log."position" = first_created
    WHERE entity.kind = 'step'
        AND source.export_id IN (FROM table_of_steps)
        AND log.created_at
            <= run.now - to_seconds(param('entity-without-creation', 'grace_seconds', run.workflow))
),

without_row AS (
    SELECT
        run_id,
        'row' AS lost,
        list(witness('has no row', event_no) ORDER BY "position")[:5] AS witness,
        format(
            'The world has no row of {}, whose creation is in the log: {}{}.',
            CASE count(*) WHEN 1 THEN 'a step' ELSE format('{} steps', count(*)) END,
            array_to_string(
                list(format('{} of #{}', short_id(correlation_id), "position") ORDER BY "position")[:5], ', '
            ),
            CASE WHEN count(*) > 5 THEN ', ...' ELSE '' END
        ) AS because
    FROM rowless
    GROUP BY run_id
)

FROM without_creation
UNION ALL
FROM without_row;
