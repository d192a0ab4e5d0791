/*
title: A run ended in two different ways
diagnosis: Runs end in two different ways ({event types of ended}).
severity: error
confidence: proof
needs: []
implies: [event-after-terminal]
only_with: [after_terminal]
since: 0.1.0
---
## What it means
The run has two or three different terminal events: completed, failed, cancelled. A run ends once.
Here the log says two things about how it ended, and each reader believes the one it meets first or
the one that its table of runs kept. A caller may have been told "completed" while the log, or
another caller, says "failed". The same terminal event repeated is not meant: that is harmless.

## Why it happens
Two writers ended the run without knowing of each other:
- two ticks with different histories, one of which saw an event that the other missed;
- a cancellation that arrived while the last tick wrote its result;
- a tick that failed after its `run_completed` was committed, and then wrote `run_failed` for
  itself.

A world that checks the state of the run in the same transaction as the write refuses the second
one.

## Example
    #3  step_created    step_…SKY95Z  chargeCard
    #4  step_started    step_…SKY95Z
    #5  step_completed  step_…SKY95Z
    #6  run_cancelled
    #7  run_completed                  2 ms later, by a tick that had read the log up to #5

## How to confirm
List the terminal events of the run beside the status that the log's first one gives:

    SELECT log.run_id, log.position, log.event_type, log.created_at, run.status, event.error_code
    FROM log JOIN event USING (event_no) JOIN run ON run.run_id = log.run_id
    WHERE log.event_type IN ('run_completed', 'run_failed', 'run_cancelled')
        AND log.run_id IN (SELECT run_id FROM finding WHERE rule = 'conflicting-terminals')
    ORDER BY log.run_id, log.position;

Compare with the status that the world reports for the run and with what its callers were told.

## What to do
- Decide by hand which end is true, from the effects of the steps and not from the log.
- If it was completed and cancelled: whoever cancelled must know that the work was done.
- Fence the terminal writes, or make the world refuse any terminal event of an ended run.
- Do not start the run again before you know that its work was not done.

## When it is wrong
The log alone proves it, as far as all events belong to one run. A log that was merged by hand from
two worlds shows the same picture. Which of the two ends the callers saw cannot be read from the
log.

Base rate: no finding in 1,256 runs of the corpora of real SDK logs. 69 of these runs repeat the
*same* terminal event, which is normal for world-local and is not reported.

## References
Catalogue id RUN-004. vercel/workflow#2113 (why terminal writes are among the fenced ones).
*/
WITH conflicting AS (
    SELECT run_id
    FROM log
    WHERE event_type IN ('run_completed', 'run_failed', 'run_cancelled')
    GROUP BY run_id
    HAVING min(event_type) <> max(event_type)
)

SELECT
    run_id,
    list(witness('ended', event_no) ORDER BY "position") AS witness,
    format(
        'The run ended as {}: its outcome depends on which of them is read.',
        string_agg(format('{} at #{}', substr(event_type, 5), "position"), ' and ' ORDER BY "position")
    ) AS because
FROM (
    SELECT run_id, event_type, min("position") AS "position", arg_min(event_no, "position") AS event_no
    FROM log
    WHERE event_type IN ('run_completed', 'run_failed', 'run_cancelled') AND run_id IN (FROM conflicting)
    GROUP BY run_id, event_type
)
GROUP BY run_id;
