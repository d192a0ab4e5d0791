/*
title: The export does not hold the whole history of a run
severity: info
confidence: proof
needs: []
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
