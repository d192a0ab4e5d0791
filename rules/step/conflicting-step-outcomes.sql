/*
title: A step has more than one outcome
diagnosis: Steps[ ({steps})] have a second outcome, {event types of another outcome}.
severity:
  - {when: finding.differs, is: error}
  - {when: "run.tolerates_restart OR run.status IN ('completed', 'cancelled')", is: warning}
  - {is: error}
confidence: proof
needs: []
implies: [runtime-corruption-verdict]
only_with: [accusation]
since: 0.1.0
---
## What it means
A step ended more than once: `step_completed` or `step_failed` stands in the log a second time. Its
body has most likely run twice, with all its effects outside.

- The outcomes differ (one completed and one failed, or two results with different digests): the log
  gives two answers for one call. Replay goes by the first. Whoever wrote the second went by another
  answer. That is an error.
- The outcomes are the same, or the log does not let us compare them: below spec 7 replay has
  resolved the call and no code asks for the second event, so an open run stops at it: an error.
  From spec 7 on replay skips it, and a run that completed or was cancelled did not stop: a warning.

## Why it happens
- Two workers held the same step, and the store accepted both outcomes. It checks the state of the
  step and appends the event in two separate actions, or it does not check.
- The write of the outcome succeeded, its acknowledgement was lost, and the writer sent it again
  without a key by which the store could know it.
- An outcome was written by hand, by a repair script or by an import.

## Example
    #4  step_created    step_…7PF98H  chargeCard
    #5  step_started    step_…7PF98H
    #6  step_started    step_…7PF98H   a second worker
    #7  step_completed  step_…7PF98H   digest 3f1c...
    #8  step_failed     step_…7PF98H   the second worker was told that the card was charged already

## How to confirm
All outcomes of these steps with the digests of their results:

    SELECT
        log.run_id, log.position, log.event_type, log.created_at, event.payload_bytes,
        event.payload_sha256, event.payload_encrypted
    FROM log JOIN event USING (event_no)
    WHERE log.event_type IN ('step_completed', 'step_failed')
        AND (log.run_id, log.correlation_id) IN (
            SELECT d.run_id, d.correlation_id
            FROM finding JOIN witness_detail AS d USING (finding_no)
            WHERE rule = 'conflicting-step-outcomes'
        )
    ORDER BY log.run_id, log.correlation_id, log.position;

The audit file holds no payloads. Read the two events in the world, by their ids, to see what they
say.

## What to do
- Check the effects of the step (payments, mails, files) for doubles. Do this first.
- If the outcomes differ, find out which one the outside world agrees with. The run went on with the
  first.
- Make the store check the step's state and append the outcome in one transaction, and refuse the
  second.
- Make steps idempotent, with the step id as the key.

## When it is wrong
- That there are two outcomes is certain. That the body ran twice is not: a repeated write of one
  outcome looks the same, with equal digests.
- Digests are compared only between two `step_completed`, and only where both results are recorded
  and not encrypted; an encrypted value has another digest each time. Two `step_failed` are never
  taken as different, since a stack trace differs between two machines.
- The same value that was serialised in two ways (with and without compression, by two versions of
  the SDK) has two digests.
- An open or failed run below spec 7 with the same outcome twice may still get away with it, if no
  later replay reads the second one.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs, neither in the 1,162 healthy
  runs nor in the 51 corrupted ones nor in the 43 others. Their worlds seem to refuse a second
  outcome, even where two processes worked on one folder and started steps twice.

## References
Catalogue id STP-003. vercel/workflow#3381 (a second outcome was fatal before it, and is skipped
since), vercel/workflow#1055 (duplicated events in the log).
*/
WITH outcome AS (
    SELECT
        again.run_id, again.correlation_id,
        first.event_no AS first_no, first.event_type AS first_type, first."position" AS first_position,
        again.event_no, again.event_type, again."position",
        CASE
            WHEN first.event_type <> again.event_type THEN 'other'
            WHEN one.payload_sha256 = two.payload_sha256 THEN 'same'
            WHEN again.event_type = 'step_completed'
                AND one.payload_sha256 <> two.payload_sha256
                AND NOT (one.payload_encrypted OR two.payload_encrypted) THEN 'result'
            ELSE 'unknown'
        END AS compared
    FROM accusation AS again
    JOIN entity USING (run_id, kind, correlation_id)
    JOIN log AS first ON first.run_id = again.run_id AND first."position" = first_closed
    JOIN event AS one ON one.event_no = first.event_no
    JOIN event AS two ON two.event_no = again.event_no
    WHERE rule = 'conflicting-step-outcomes'
),

-- The one to speak of: the first that differs, else the first.
worst AS (
    SELECT *, compared IN ('other', 'result') AS differs, count(*) OVER step AS outcomes
    FROM outcome
    WINDOW step AS (PARTITION BY run_id, correlation_id)
    QUALIFY row_number() OVER (
        PARTITION BY run_id, correlation_id ORDER BY compared IN ('other', 'result') DESC, "position"
    ) = 1
)

SELECT
    run_id,
    [
        witness('outcome', first_no),
        witness('another outcome', event_no)
    ] AS witness,
    format(
        '{} has its outcome at #{} ({}) and another at #{} ({}){}; {}.',
        short_id(correlation_id), first_position, first_type, "position", event_type,
        CASE WHEN outcomes > 1 THEN format(', and {} more', outcomes - 1) ELSE '' END,
        CASE compared
            WHEN 'other' THEN 'they contradict each other'
            WHEN 'result' THEN 'their results have different digests'
            WHEN 'same' THEN 'they have the same digest'
            ELSE 'the log does not show whether they say the same'
        END
    ) AS because,
    differs
FROM worst;
