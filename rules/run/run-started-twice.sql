/*
title: A run was started more than once
severity: info
confidence: proof
needs: []
implies: []
only_with: [run_started]
since: 0.1.0
---
## What it means
The run has more than one `run_started`. The first delivery of the run was made twice, and each time
a worker found no start in its snapshot and wrote one. Replay takes the first and ignores the rest.
No step has run twice because of it.

It shows that two ticks of the run worked at the same time, at least at its beginning. If the run
has other findings, this is where to begin.

## Why it happens
- Queues deliver at least once: the first message was delivered again, after a timeout or a restart.
- `start()` ran the workflow in its own process while the queue delivered the same message.
- The run was put into the queue again by hand.

## Example
    #1  run_created
    #2  run_started
    #3  run_started                    12 ms later
    #4  step_created  step_…P0M84C  reserveStock

## How to confirm
    SELECT run_id, count(*) AS starts, list(position ORDER BY position) AS places,
        max(created_at) - min(created_at) AS apart
    FROM log
    WHERE event_type = 'run_started'
    GROUP BY run_id
    HAVING starts > 1;

A few milliseconds apart mean two workers; seconds or minutes a message that came again.

## What to do
- Nothing, if the run has no other findings.
- If many runs have it, raise the visibility timeout of the queue above the time of a first tick.
- Old cores may stop at the second start: see whether the runtime's verdict names it, and upgrade to
  one that ignores repeats.

## When it is wrong
- Nothing is claimed but the number. Whether the second worker did anything else cannot be read from
  its start.
- Two equal rows of one start are merged when the log is read and are not counted.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs.

## References
Catalogue RUN-002. vercel/workflow#3381 (a second `run_started` is ignored).
*/
SELECT
    run_id,
    list(witness('run_started', event_no) ORDER BY "position")[:5] AS witness,
    format(
        'The run has {} run_started, at {}{}.',
        count(*),
        array_to_string(list('#' || "position" ORDER BY "position")[:5], ', '),
        CASE WHEN count(*) > 5 THEN ', ...' ELSE '' END
    ) AS because
FROM log
WHERE event_type = 'run_started'
    AND run_id IN (
        SELECT run_id FROM event WHERE event_type = 'run_started' GROUP BY run_id HAVING count(*) > 1
    )
GROUP BY run_id;
