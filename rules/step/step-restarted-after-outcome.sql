/*
title: A step was started again after its outcome
severity:
  - {when: run.tolerates_restart, is: info}
  - {is: error}
confidence: proof
needs: []
implies: [orphaned-wait, runtime-corruption-verdict]
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
    again.run_id,
    [
        witness('outcome', outcome.event_no),
        witness('started again', again.event_no)
    ] AS witness,
    format(
        '{} of {} at #{} follows its {} at #{}: the step ran again although its result was known.',
        again.event_type, short_id(again.correlation_id), again."position", outcome.event_type, outcome."position"
    ) AS because
FROM accusation AS again
JOIN entity USING (run_id, kind, correlation_id)
JOIN log AS outcome ON outcome.run_id = again.run_id AND outcome."position" = first_closed
WHERE rule = 'step-restarted-after-outcome';
