/*
title: The export does not hold the whole history of a run
severity: info
confidence: proof
needs: []
implies: []
only_with: [gap]
since: 0.1.0
---
## What it means
Something proves that events of this run exist which the input does not hold, or could not be read.
Rules about what is absent (an orphan, an overdue wait, a hole) would accuse the run of what the
export did, so they are not evaluated on it. Its verdict is `cannot_tell`, unless another rule
proves it corrupt.

The finding says which proof there is: the head of the run counts more events or names another tail;
recorded positions are missing; both `run_created` and `run_started` are missing; rows could not be
read; the input broke off; or the run is mentioned, by its row or a refused write, while none of its
events is there.

## Why it happens
- Only one page was exported. `workflow inspect events --json` prints 20 rows by default, without a
  cursor, so a cut export looks complete.
- The export ran while the run was being written, or read a lagging replica.
- A file was cut off, filtered, or joined from parts of which one is missing.
- Old events were deleted by retention while the run's row was kept.

## Example
    #1  run_created
    …
    #8  step_completed  step_…N4J1YV
    head: tail evnt_…2CKED0, 11 events

The head, written last by the exporter, counts 11 events. The input holds 8.

## How to confirm
    SELECT run_id, events, tail, gap FROM run WHERE gap IS NOT NULL;

Where there are head records, compare them with what was read:

    SELECT run.run_id, run.events, head.events AS head_events, run.tail, head.tail AS head_tail
    FROM run
    JOIN head USING (run_id)
    WHERE run.events <> head.events OR run.tail <> head.tail;

Rows that could not be read:

    SELECT source.name, reject.line, reject.run_id, reject.reason
    FROM reject
    JOIN source USING (source_id);

## What to do
- Export the run again, with every page (`--limit 1000` on 4.x; 5.0.0-beta.55 gives at most 100
  rows), or read the store itself: the world-local folder or the tables of the Postgres world.
- Audit all parts of a split export together; rows that occur twice are merged.
- If rows were rejected, repair the exporter: the reason and the line are in the audit.
- Until then treat "sound" as unproven for this run. Findings that do not rest on absence still
  hold.

## When it is wrong
- It can only see what leaves a trace. A log without head, positions and slots that was cut at its
  end looks complete.
- A run whose first events were removed by retention is reported although the rest is sound.
- A row that could not be read and that names no run counts against every run of its input.
- If several head records of one run disagree, the greatest count is used.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs, read as world-local folders
  and as tables of the Postgres world. It says nothing about exports made with the command line
  tool.

## References
Catalogue EXP-001. vercel/workflow#3467 (never classify on a partial history), vercel/workflow#2056.
*/
SELECT
    run.run_id,
    CASE
        WHEN events > 0 THEN [
            witness('first exported event', first_event_no),
            witness('last exported event', last_event_no)
        ]
        WHEN entity_no IS NOT NULL THEN [entity_witness('the run''s own row', entity_no)]
        ELSE [{'role': 'the export', 'record': 'export', 'no': CAST(mentioned.source_id AS BIGINT)}]
    END AS witness,
    format('The run cannot be judged: {}.', gap) AS because
FROM run
LEFT JOIN (
    SELECT run_id, min(source_id) AS source_id
    FROM (
        SELECT run_id, source_id FROM entity_row
        UNION ALL SELECT run_id, source_id FROM refusal
        UNION ALL SELECT run_id, source_id FROM head
        UNION ALL SELECT run_id, source_id FROM reject
    )
    GROUP BY run_id
) AS mentioned USING (run_id)
WHERE gap IS NOT NULL;
