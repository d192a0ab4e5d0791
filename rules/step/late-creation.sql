/*
title: An entity was created again after its outcome
severity:
  - {when: run.dies_of_late_creation AND run.status = 'completed', is: warning}
  - {when: run.dies_of_late_creation, is: error}
  - {is: info}
confidence: strong
needs: []
implies: [duplicate-step-created, orphaned-wait, runtime-corruption-verdict]
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
    late.run_id,
    [
        witness('outcome', outcome.event_no),
        witness('created again', late.event_no)
    ] AS witness,
    format(
        '{} of {} at #{} follows its {} at #{}: its writer had not read the outcome.',
        late.event_type, short_id(late.correlation_id), late."position", outcome.event_type, outcome."position"
    ) AS because
FROM accusation AS late
JOIN entity USING (run_id, kind, correlation_id)
JOIN log AS outcome ON outcome.run_id = late.run_id AND outcome."position" = first_closed
WHERE rule = 'late-creation';
