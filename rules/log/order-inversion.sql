/*
title: The times of a run go back in log order
severity: info
confidence: proof
needs: []
implies: []
since: 0.1.0
params:
  min_ms: {default: 10, meaning: how many milliseconds the time must go back to be counted}
---
## What it means
Replay reads a run by event id. Here an event has an earlier `createdAt` than the event before it.
So ids and times were given by different clocks, or an id was taken some time before its event was
committed. Many healthy runs have this, and replay does not look at the times.

It is worth knowing for one reason. If events are committed in another order than that of their ids,
an event can appear *behind* a place that a reader has already passed. Such a run can look sound and
yet be replayed differently from one moment to the next. One finding per run gives the largest step
back and counts all of them.

## Why it happens
- The writer mints the id, waits, and the store stamps `createdAt` when it commits, or the other way
  round.
- The writers run on machines whose clocks disagree.
- A slot is taken first and its event written later.
- The log was sorted, merged or edited by hand.

## Example
    #3  hook_created   17:05:20.114
    #7  hook_received  17:05:21.060
    #8  hook_received  17:05:20.870   190 ms back

## How to confirm
Every step back, the largest first:

    SELECT run_id, position, event_type, created_at, before_at, before_at - created_at AS back
    FROM (
        SELECT *, lag(created_at) OVER (PARTITION BY run_id ORDER BY position) AS before_at
        FROM log
        WHERE event_type <> 'noop'
    )
    WHERE created_at < before_at
    ORDER BY back DESC;

Where event ids are ULIDs, their first ten characters after the prefix are the time at which the id
was minted. Compare it with `createdAt`: it shows which of the two events was late.

## What to do
- Nothing, if the steps are short and no other rule complains.
- If the runtime failed the run as corrupt and the log looks sound, look at the places of the steps
  back first: export the run again and see whether its order has changed.
- Synchronise the clocks of the workers if the steps are seconds long.
- Give ids at commit, in the transaction that appends (slots), so that order and time agree.
- Raise `min_ms` where this is too loud.

## When it is wrong
- The order of the times is certain. What caused it does not follow from the log.
- A `noop` has the clock of whoever sealed its slot and is left out. So are events without a time.
- Not judged: runs whose order is unknown (foreign ids without recorded positions).
- The step is measured against the event directly before. A run in which one early event has a time
  far ahead has one step back, not many.
- Base rate: 174 findings, one per run, in 1,256 runs of the corpora of real SDK logs: 173 healthy
  runs, no corrupted one, 1 other. On core 4.2.4 with Postgres it is 150 of 384 runs, up to 1.6 s;
  on 4.8.9 with Postgres 1 of 84; on 5.0.0-beta.55 23 of 224, up to 4.7 s; none elsewhere. Counted
  from the first millisecond on it is 250 runs.

## References
Catalogue LOG-004. vercel/workflow#3201 (ids are minted before the commit), vercel/workflow#2228
(an event that lands behind what was read).
*/
WITH ordered AS (
    -- The number of the run's first event stands for its id: a number is cheaper to partition by than text.
    SELECT
        first_event_no, event_no, "position", created_at,
        lag(event_no) OVER by_position AS before_no,
        lag(created_at) OVER by_position AS before_at
    FROM log
    JOIN run USING (run_id)
    -- A noop has the clock of whoever sealed the slot.
    WHERE event_type <> 'noop' AND created_at IS NOT NULL AND NOT unordered
    WINDOW by_position AS (PARTITION BY first_event_no ORDER BY "position")
),

step_back AS (
    SELECT *, epoch_ms(before_at) - epoch_ms(created_at) AS ms
    FROM ordered
    WHERE created_at < before_at
),

counted AS (
    SELECT run.run_id, step_back.*, count(*) OVER (PARTITION BY first_event_no) AS steps
    FROM step_back
    JOIN run USING (first_event_no)
    WHERE ms >= param('order-inversion', 'min_ms', run.workflow)
    QUALIFY row_number() OVER (PARTITION BY first_event_no ORDER BY ms DESC, "position") = 1
)

SELECT
    counted.run_id,
    [witness('stands before', before_no), witness('was created earlier', counted.event_no)] AS witness,
    format(
        'The createdAt of #{} is {} ms earlier than that of #{}, which stands before it{}.',
        counted."position", ms, before."position",
        CASE steps WHEN 1 THEN '' ELSE format('; it is the largest of {} steps back in the run', steps) END
    ) AS because
FROM counted
JOIN log AS before ON before.event_no = before_no;
