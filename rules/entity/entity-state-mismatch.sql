/*
title: The world's row says something else than the log
diagnosis: The world's rows ({entities}) say something else than the log.
severity:
  - {when: "finding.how = 'row behind'", is: info}
  - {when: "finding.how = 'run row behind'", is: warning}
  - {is: error}
confidence: strong
needs: [complete, entities]
implies: []
since: 0.1.0
params:
  grace_seconds: {default: 60, meaning: how much older than the export an event must be}
---
## What it means
The log says how a run, a step or a wait ended, and the world's own row disagrees:
- error: the row says `completed` and the log only says failed (or any other two ends), or the row
  of the run holds another output than its `run_completed`. Callers read the row, replay reads the
  log, and one of them is wrong.
- warning: the row of the run is still open although the log has its end. Whoever waits for the
  result by reading the row waits forever.
- info: the row of a step or a wait is still open although the log has its outcome. Replay is not
  affected, but the world no longer refuses another start of that step.

## Why it happens
- Row and event are two writes, and only one of them was made.
- Two writers ended the same thing in different ways; one won the row, the other the log.
- A second worker started a step again after its outcome and set its row back to `running`. This is
  the usual cause of the info.
- A row was repaired by hand.

## Example
    #6  step_created   step_…QH0X2N  charge
    #7  step_started   step_…QH0X2N
    #8  step_failed    step_…QH0X2N
    #9  run_failed     USER_ERROR
    row of the run     status completed

## How to confirm
The run's row beside all ends in the log, with the digests of the outputs:

    SELECT entity_row.run_id, entity_row.status, entity_row.output_sha256, entity_row.updated_at,
        log.position, log.event_type, event.payload_sha256, log.created_at
    FROM entity_row
    JOIN log USING (run_id)
    JOIN event USING (event_no)
    WHERE entity_row.kind = 'run'
        AND log.event_type IN ('run_completed', 'run_failed', 'run_cancelled')
        AND log.run_id IN (SELECT run_id FROM finding WHERE rule = 'entity-state-mismatch')
    ORDER BY ALL;

The rows of steps and waits beside their outcomes:

    SELECT entity_row.run_id, kind, correlation_id, entity_row.status, entity_row.updated_at,
        log.event_type, log.position, log.created_at
    FROM entity
    JOIN entity_row USING (run_id, kind, correlation_id)
    JOIN log ON log.run_id = entity.run_id AND log.position = first_closed
    WHERE entity_row.status <> 'completed' OR log.event_type = 'step_failed'
    ORDER BY ALL;

## What to do
- Export again before you act. If row and log agree now, the export was made between the two writes.
- Decide from the effects of the steps which end is true, and tell those who read the other one.
- If the row of the run is behind, repair the row or wake the run: the next tick replays to the end
  and writes it again.
- A step whose row is behind needs nothing. Look for step-restarted-after-outcome in the same run,
  and for two processes on one world-local folder.

## When it is wrong
- An export is not one snapshot. A row that is merely behind is only reported if the event is older
  than `grace_seconds` (60) before the reference time. Contradictions need no grace: nothing turns a
  completed row into a failed one.
- All ends that the log holds count, not only the first: a log with a `run_completed` and a
  `run_failed` agrees with either row. See conflicting-terminals for that.
- Outputs are compared by digest, and only if every `run_completed` of the run has a payload in the
  clear; encrypted values differ at every write. Results of steps are not compared.
- If a row was exported several times, the one that was updated last counts.
- Rows of steps that are `cancelled` are not judged.

Base rate, on 1,256 runs of the corpora of real SDK logs, all with entity rows: no error and no
warning. 11 infos in 11 runs, all of them rows of steps on 4.2.4 with two processes on one folder: 10
runs were corrupted, 1 was cut off. Without the grace time it is 31 infos, 3 of them in healthy runs.
In all 681 completed runs whose row holds an output it is that of the log.

## References
Catalogue ENT-003. vercel/workflow#3081 (rows and events that part).
*/
WITH ended AS (
    SELECT
        run_id,
        list(substr(event_type, 5)) AS ways,
        count(*) FILTER (WHERE event_type = 'run_completed') AS completions,
        list(payload_sha256) FILTER (
            WHERE event_type = 'run_completed' AND payload_sha256 IS NOT NULL AND NOT payload_encrypted
        ) AS outputs
    FROM event
    WHERE event_type IN ('run_completed', 'run_failed', 'run_cancelled')
    GROUP BY run_id
),

-- Two formats write one output in two ways (the CLI prints what a world stores encoded): their digests differ.
completed AS (
    SELECT run_id, list_distinct(list(format)) AS formats
    FROM (
        SELECT run_id, source_id FROM event WHERE event_type = 'run_completed'
        UNION
        SELECT run_id, copy.source_id
        FROM copy JOIN event USING (event_no)
        WHERE event_type = 'run_completed'
    )
    JOIN source USING (source_id)
    JOIN export USING (export_id)
    GROUP BY run_id
),

step_failure AS (
    SELECT run_id, correlation_id, count(*) AS failures
    FROM event
    WHERE event_type = 'step_failed'
    GROUP BY ALL
),

differs AS (
    SELECT
        entity_row.run_id, entity_row.entity_no, terminal_position AS "position",
        CASE
            WHEN entity_row.status NOT IN ('completed', 'failed', 'cancelled') THEN 'run row behind'
            WHEN NOT list_contains(ways, entity_row.status) THEN 'contradiction'
            ELSE 'output'
        END AS how
    FROM entity_row
    JOIN run USING (run_id)
    JOIN ended USING (run_id)
    LEFT JOIN completed USING (run_id)
    JOIN source ON source.source_id = entity_row.source_id
    JOIN export USING (export_id)
    WHERE kind = 'run'
        AND (
            NOT list_contains(ways, entity_row.status)
            -- Digests of encrypted payloads differ at every write, so all outputs must be in the clear.
            OR (
                entity_row.status = 'completed' AND output_sha256 IS NOT NULL
                AND len(outputs) = completions AND NOT list_contains(outputs, output_sha256)
                AND formats = [export.format]
            )
        )
    UNION ALL
    SELECT
        entity_row.run_id, entity_no, first_closed,
        CASE WHEN entity_row.status = 'failed' THEN 'contradiction' ELSE 'row behind' END
    FROM entity_row
    JOIN entity USING (run_id, kind, correlation_id)
    LEFT JOIN step_failure USING (run_id, correlation_id)
    WHERE kind IN ('step', 'wait')
        AND entity_row.status NOT IN ('completed', 'cancelled')
        AND first_closed IS NOT NULL
        AND (entity_row.status <> 'failed' OR failures IS NULL)
    UNION ALL
    SELECT entity_row.run_id, entity_no, first_closed, 'contradiction'
    FROM step_failure
    JOIN entity USING (run_id, correlation_id)
    JOIN entity_row USING (run_id, kind, correlation_id)
    WHERE kind = 'step' AND entity_row.status = 'completed' AND failures = closed
)

SELECT
    differs.run_id,
    how,
    [witness('ended in the log', log.event_no), entity_witness('stored', entity_row.entity_no)] AS witness,
    CASE how
        WHEN 'output' THEN format(
            'The output that the world stores of the run is not the one that {} at #{} carries.',
            log.event_type, log."position"
        )
        ELSE format(
            'The world stores {} as {}, but the log has {} of it at #{}{}.',
            CASE entity_row.kind WHEN 'run' THEN 'the run' ELSE short_id(entity_row.correlation_id) END,
            entity_row.status, log.event_type, log."position",
            CASE how WHEN 'contradiction' THEN format(' and no {}_{}', entity_row.kind, entity_row.status) ELSE '' END
        )
    END AS because
FROM differs
JOIN run USING (run_id)
JOIN entity_row ON entity_row.entity_no = differs.entity_no
JOIN log ON log.run_id = differs.run_id AND log."position" = differs."position"
WHERE
    -- A later export of the same row counts, not an earlier one.
    NOT EXISTS (
        FROM entity_row AS newer
        WHERE newer.run_id = entity_row.run_id AND newer.kind = entity_row.kind
            AND newer.correlation_id IS NOT DISTINCT FROM entity_row.correlation_id
            AND newer.updated_at > entity_row.updated_at
    )
    -- A row may have been read before the event was written.
    AND (
        how NOT IN ('row behind', 'run row behind')
        OR log.created_at <= run.now - to_seconds(param('entity-state-mismatch', 'grace_seconds', run.workflow))
    );
