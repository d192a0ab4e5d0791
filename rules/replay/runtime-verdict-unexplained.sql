/*
title: The runtime calls the run corrupt, and the log does not show why
about: runtime
severity: error
confidence: strong
needs: []
implies: [runtime-corruption-verdict]
since: 0.1.0
reads: [finding]
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
    [
        CASE
            WHEN failed_event_no IS NOT NULL THEN witness('the runtime''s verdict', failed_event_no)
            ELSE entity_witness('the runtime''s verdict', entity_no)
        END
    ] AS witness,
    'The runtime failed the run as corrupt, but no rule found an error in its log: the cause lies outside it.'
        AS because
FROM run
WHERE runtime_signature IS NOT NULL
    AND run_id NOT IN (
        SELECT finding.run_id
        FROM finding JOIN rule USING (rule)
        WHERE about = 'log' AND severity = 'error' AND finding.run_id IS NOT NULL
    );
