/*
title: A run ended with open waits
diagnosis: Runs end with open waits[, by {event types of end of the run}].
severity: info
confidence: proof
needs: [complete]
implies: []
only_with: [wait_created]
since: 0.1.0
---
## What it means
The run is over (completed, failed or cancelled), and the log holds waits of it that were created and
never completed. This is normal: a `sleep` that lost a race is not completed by anybody, and a run
does not wait for what its code no longer awaits. It is worth knowing because the timer of such a
wait may still be set and wakes a run that has nothing to do.

There is one finding for each run. It names at most five of the waits.

## Why it happens
- A race of a hook or a step against a sleep was won by the other side, and the run ended before the
  sleep was due.
- The code started a sleep and did not await it.
- The run failed or was cancelled while it slept.
- The `wait_completed` was lost, and the run ended all the same, because nothing depended on it.

## Example
    #3  hook_created    hook_…5QW4FT
    #4  wait_created    wait_…5QW4FV  resumeAt one day later
    #5  hook_received   hook_…5QW4FT  the hook wins
    #6  step_created    step_…5QW4FW  charge
    #9  run_completed                 #4 is still open

## How to confirm
Every open wait of an ended run, and when it was or will be due:

    SELECT entity.run_id, entity.correlation_id, first_created, event.resume_at, run.status,
        log.created_at AS ended_at
    FROM entity
    JOIN run USING (run_id)
    JOIN log AS created ON created.run_id = entity.run_id AND created.position = first_created
    JOIN event ON event.event_no = created.event_no
    JOIN log ON log.run_id = entity.run_id AND log.position = terminal_position
    WHERE entity.kind = 'wait' AND first_closed IS NULL
    ORDER BY ALL;

A `resume_at` long before `ended_at` is unusual: that wait was overdue while the run was still going.

## What to do
Nothing for the run. If the timers cost you queue messages, cancel what lost a race in the code, or
upgrade to a core that closes what a run leaves open when it ends (vercel/workflow#3749).

## When it is wrong
It is right whenever the history is complete, and it says nothing about harm. A wait that is
completed after the run has ended counts as completed. Cores with vercel/workflow#3749 leave no open
waits; there the finding deserves a look.

Base rate: 195 findings in 195 of 1,256 runs of the corpora of real SDK logs. All 195 runs are
healthy; one wait each, nearly always the sleep of a lost race. None of the corrupted runs has one.

## References
Catalogue WAI-006. vercel/workflow#3749 (waits of ended runs).
*/
WITH open_wait AS MATERIALIZED (
    SELECT
        entity.run_id, terminal_position, terminal_type, first_created AS "position", correlation_id,
        row_number() OVER (PARTITION BY entity.run_id ORDER BY first_created) AS place,
        count(*) OVER (PARTITION BY entity.run_id) AS waits
    FROM entity
    JOIN run USING (run_id)
    WHERE kind = 'wait' AND first_closed IS NULL AND terminal_position IS NOT NULL
)

SELECT
    open_wait.run_id,
    list(witness('left open', created.event_no) ORDER BY open_wait."position")
    || [witness('end of the run', min(ended.event_no))] AS witness,
    format(
        '{} at #{} left {} of the run open: {}{}.',
        min(terminal_type), min(terminal_position),
        CASE min(waits) WHEN 1 THEN 'a wait' ELSE format('{} waits', min(waits)) END,
        string_agg(format('{} of #{}', short_id(open_wait.correlation_id), open_wait."position"), ', '
            ORDER BY open_wait."position"),
        CASE WHEN min(waits) > 5 THEN ', ...' ELSE '' END
    ) AS because
FROM open_wait
JOIN log AS created ON created.run_id = open_wait.run_id AND created."position" = open_wait."position"
JOIN log AS ended ON ended.run_id = open_wait.run_id AND ended."position" = terminal_position
WHERE place <= 5
GROUP BY open_wait.run_id;
