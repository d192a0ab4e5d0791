/*
title: A wait was created twice
severity:
  - {when: NOT finding.differs, is: info}
  - {when: run.compares_resume_at, is: error}
  - {is: info}
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
    list_concat(
        [
            witness('created', first.event_no),
            witness('created again', again.event_no)
        ],
        CASE WHEN completed.event_no IS NULL THEN [] ELSE [witness('completed', completed.event_no)] END
    ) AS witness,
    first_event.resume_at IS DISTINCT FROM again_event.resume_at AS differs,
    format(
        '{} was created at #{} for {} and again at #{} for {}.',
        short_id(again.correlation_id),
        first."position", coalesce(strftime(first_event.resume_at, '%Y-%m-%d %H:%M:%S.%g'), 'no time'),
        again."position",
        CASE
            WHEN differs THEN coalesce(strftime(again_event.resume_at, '%Y-%m-%d %H:%M:%S.%g'), 'no time')
            ELSE 'the same time'
        END
    ) AS because
FROM accusation AS again
JOIN entity USING (run_id, kind, correlation_id)
JOIN log AS first ON first.run_id = again.run_id AND first."position" = first_created
JOIN event AS first_event ON first_event.event_no = first.event_no
JOIN event AS again_event ON again_event.event_no = again.event_no
LEFT JOIN log AS completed ON completed.run_id = again.run_id AND completed."position" = first_closed
WHERE rule = 'duplicate-wait-created';
