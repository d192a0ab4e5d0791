/*
title: An open step was created twice
diagnosis: Open steps[ ({steps of created again})] are created twice.
severity: info
confidence: proof
needs: []
implies: []
only_with: [accusation]
since: 0.1.0
---
## What it means
A step that had no outcome yet was created twice under the same correlation id. Both creations ask
for the same call, and replay takes the first and skips the second. The history stays usable. It is
worth knowing because it proves that two ticks of this run overlapped, which is what the harmful
rules of this catalogue need to happen.

## Why it happens
Two ticks replayed the same prefix of the log, came to the same call and both wrote its creation. A
queue that delivers a message twice, a hook and a timer that wake the run together, or a retry after
a lost acknowledgement is enough. Worlds without a unique index on creations (world-local 4.x,
world-postgres 4.2.4) accept both writes; others refuse the second.

## Example
    #2  run_started
    #3  step_created    step_…TF4X6Q  chargeCard   one tick
    #4  step_created    step_…TF4X6Q  chargeCard   another tick, 2 ms later
    #5  step_started    step_…TF4X6Q
    #6  step_completed  step_…TF4X6Q

## How to confirm
Count the creations and starts of each step that was created more than once:

    SELECT
        run_id, correlation_id, first_created, created, started,
        first_closed AS outcome, run.status
    FROM entity JOIN run USING (run_id)
    WHERE kind = 'step' AND created > 1
    ORDER BY run_id, first_created;

More starts than attempts mean that the step's body may have run more than once.

## What to do
Nothing for this run. If the finding is frequent, find out why ticks overlap:
- world-local: run one process on one folder;
- elsewhere: let only one orchestrator work on a run at a time;
- make steps idempotent, since a second dispatch can run the body twice.

## When it is wrong
It is not harmful by itself. It says nothing about a second creation with another step name or
another input; equal names and inputs are not compared here. A creation that sorts behind its own
start (a lazy start writes both in one millisecond) is not counted as a second one.

Base rate: 281 findings in 165 of 1,256 runs of the corpora of real SDK logs, all on 4.2.4, 4.6.0
and 4.8.9. 136 of these runs completed, 14 were corrupted and have another error, and 15 were cut
off when the driver stopped. 12 % of all completed runs have it.

## References
Catalogue id STP-001. vercel/workflow#3381 (a second creation of an open step is absorbed),
vercel/workflow#4089, vercel/workflow#4090.
*/
SELECT
    again.run_id,
    [
        witness('created', first.event_no),
        witness('created again', again.event_no)
    ] AS witness,
    format(
        '{} was created at #{} and again at #{}, before it had an outcome.',
        short_id(again.correlation_id), first."position", again."position"
    ) AS because
FROM accusation AS again
JOIN entity USING (run_id, kind, correlation_id)
JOIN log AS first ON first.run_id = again.run_id AND first."position" = first_created
WHERE rule = 'duplicate-step-created'
    -- A creation that sorts behind its own start is no second one.
    AND again."position" > first_created;
