/*
title: A step was started again after its outcome
diagnosis: >-
  Steps[ ({steps of started again})] are started again after their {event types of outcome}.
severity:
  - {when: run.tolerates_restart, is: info}
  - {is: error}
confidence: proof
needs: []
implies:
  - attempt-mismatch
  - conflicting-step-outcomes
  - entity-state-mismatch
  - orphaned-wait
  - runtime-corruption-verdict
only_with: [accusation]
since: 0.1.0
---
## What it means
The log already held the outcome of a step (`step_completed` or `step_failed`), and the step was
then started or sent to a retry again. Its body has most likely run twice, with all its effects
outside. Below spec 7 the history is also damaged: replay has resolved the call, no code asks for
another start, and the run fails as corrupt. That is an error. From spec 7 on replay skips the
event, and the finding is an info.

## Why it happens
Two workers held the same step. One finished it. The other had been given the step earlier, or had
not read the outcome, and wrote its start afterwards. The usual cause is two processes on one
world-local folder, which is made for one. Two ticks that dispatch the same step, or a step message
that is delivered again, do the same on any world that does not check the step's state in the same
transaction.

## Example
    #6   step_created    step_…J29617  chargeCard
    #7   step_started    step_…J29617
    #8   step_completed  step_…J29617
    #9   step_started    step_…J29617   57 ms after the outcome
    #10  run_failed      CORRUPTED_EVENT_LOG: Workflow replay diverged 4 times ...

## How to confirm
List the starts and outcomes of the step in log order. From spec 7 on, different owners of the
starts show which messages raced:

    SELECT
        log.run_id, log.position, log.event_type, log.created_at, event.attempt,
        event.owner_message_id, event.payload_sha256
    FROM log JOIN event USING (event_no)
    WHERE (log.run_id, log.correlation_id) IN (
        SELECT d.run_id, d.correlation_id
        FROM finding JOIN witness_detail AS d USING (finding_no)
        WHERE rule = 'step-restarted-after-outcome'
    )
    ORDER BY log.run_id, log.correlation_id, log.position;

Two outcomes with different digests show that the body ran twice and did not return the same
(digests of encrypted payloads always differ).

## What to do
- Check the effects of the step (payments, mails, files) for doubles. Do this first.
- Run one process per world-local folder. Use a world with a database where more are needed.
- Upgrade: logs of spec 7 (seen with 5.0.0-beta.55) tolerate the event.
- Start a failed run again from its input. A retry of the same run reads the same log and fails
  again.

## When it is wrong
The order is certain, since replay reads a run by event id. Which of two processes did the work is
not: a start may have been written by a worker that stopped before it ran the body. Clocks that
disagree can place the id of an early start behind an outcome; the runtime still reads it in that
order and stops, so the finding stands. If the spec version is unknown the finding is an info of
confidence suspect.

Base rate: 39 findings in 25 of 1,256 runs of the corpora of real SDK logs, all from two processes
on one world-local folder (4.2.4 and 4.6.0). 24 of these runs were corrupted; 1 was cut off when the
driver stopped. None of the 1,137 completed runs has one. In the full collection of 1,830 runs it
was fatal in 32 runs up to 5.0.0-beta.5, and 6 runs on 5.0.0-beta.55 completed in spite of it.

## References
Catalogue id STP-005. vercel/workflow#3381 (repeats of a closed entity are ignored),
vercel/workflow#2780 (a step in flight is dispatched again), vercel/workflow#2295 (its review shows
a `step_started` after `step_completed` that corrupted a run).
*/
SELECT
    again.run_id,
    [
        witness('outcome', outcome.event_no),
        witness('started again', again.event_no)
    ] AS witness,
    format(
        '{} of {} at #{} follows its {} at #{}: the step was {} although its outcome was in the log.',
        again.event_type, short_id(again.correlation_id), again."position", outcome.event_type, outcome."position",
        CASE again.event_type WHEN 'step_retrying' THEN 'sent to another attempt' ELSE 'started again' END
    ) AS because
FROM accusation AS again
JOIN entity USING (run_id, kind, correlation_id)
JOIN log AS outcome ON outcome.run_id = again.run_id AND outcome."position" = first_closed
WHERE rule = 'step-restarted-after-outcome';
