/*
title: A step was started again with no retry or outcome between
diagnosis: Steps[ ({steps of started})] are started again with no retry or outcome between.
severity:
  - {when: finding.owners > 1, is: warning}
  - {is: info}
confidence: proof
needs: [complete]
implies: [attempt-mismatch]
only_with: [restart]
since: 0.1.0
---
## What it means
A step was started twice before its outcome, and no `step_retrying` ended the first start. The body
of the step may have run twice, and the two runs may have overlapped.

If both starts name an owner (`ownerMessageId`, the queue message that the worker held) and the
owners differ, two deliveries worked on one step: a warning. Without owners the finding is an info,
since a start that is repeated after a crash or by the same worker is normal.

## Why it happens
- A worker died or ran into its time limit, and the message was delivered again. This is how the
  queue is meant to work.
- Another wake of the run found the step still open and sent it out a second time.
- Two processes work on one world-local folder.
- The success of the first run was lost on its way to the store.

## Example
    #3  step_created    step_…8E7A4M  sendInvoice
    #4  step_started    step_…8E7A4M  owner msg_…2CQ9TD
    #6  step_started    step_…8E7A4M  owner msg_…51XBKF   no step_retrying since #4
    #7  step_completed  step_…8E7A4M

## How to confirm
Starts, retries and outcomes of these steps, with the owners and the time between:

    SELECT
        log.run_id, log.position, log.event_type, event.attempt, event.owner_message_id,
        log.created_at - lag(log.created_at) OVER (
            PARTITION BY log.run_id, log.correlation_id ORDER BY log.position
        ) AS after_the_one_before
    FROM log JOIN event USING (event_no)
    WHERE (log.run_id, log.correlation_id) IN (
        SELECT d.run_id, d.correlation_id
        FROM finding JOIN witness_detail AS d USING (finding_no)
        WHERE rule = 'overlapping-step-starts'
    )
    ORDER BY log.run_id, log.correlation_id, log.position;

Starts that are milliseconds apart raced each other. Starts that are about one lease of the queue
apart (minutes) are a delivery after a crash or a time limit.

## What to do
- Check the effects of the step for doubles, if it is not idempotent. Use the step id as the key for
  calls outside.
- If starts race within milliseconds in many runs, find out what wakes a run twice. On world-local
  run one process on one folder.
- If they are one lease apart, the step is longer than the lease or its worker dies: look at the
  worker's memory and time limits.

## When it is wrong
- A start is written before the body runs. A worker that died in between has done nothing.
- A second owner is normal after a crash. The log does not tell that from an overlap; the time
  between the starts does.
- Some worlds never write `step_retrying`. There every retry gives this finding.
- A start without an owner is not compared with others: only some starts carry one, and only from
  core 5 on.
- A step that is started after its outcome is reported by step-restarted-after-outcome, not here.
- Base rate: 135 findings in 73 of 1,256 runs of the corpora of real SDK logs, all of them infos: 43
  in 17 healthy runs (1.5 % of 1,162), 33 in 25 of 51 corrupted runs, 59 in 31 of 43 runs that were
  cut off when the driver stopped. Most come from two processes on one folder. No step has two
  owners; only 5.0.0-beta.55 records owners, on 523 of 576 starts.

## References
Catalogue id STP-006. vercel/workflow#2780 (a step in flight is dispatched again),
vercel/workflow#2848, vercel/workflow#3069 (attempts cannot be derived from the number of starts).
*/
WITH step AS (
    SELECT
        entity.run_id, entity.correlation_id, log.event_type, log."position",
        event_no, owner_message_id,
        -- The starts between two step_retrying belong together.
        count(*) FILTER (WHERE log.event_type = 'step_retrying') OVER (
            PARTITION BY entity.run_id, entity.correlation_id ORDER BY log."position"
        ) AS retries
    FROM entity
    JOIN log USING (run_id, correlation_id)
    JOIN event USING (event_no, run_id, correlation_id)
    WHERE entity.kind = 'step' AND started > 1
        AND log.event_type IN ('step_started', 'step_retrying')
        AND log."position" < coalesce(first_closed, log."position" + 1)
),

attempt AS (
    SELECT
        run_id, correlation_id, retries,
        count(*) AS starts,
        count(DISTINCT owner_message_id) AS owners,
        min("position") AS first_position,
        max("position") AS last_position,
        list(witness('started', event_no) ORDER BY "position")[:5] AS witness
    FROM step
    WHERE event_type = 'step_started'
    GROUP BY run_id, correlation_id, retries
    HAVING count(*) > 1
    -- One finding a step: the first attempt that had two owners, else the first.
    QUALIFY row_number() OVER (PARTITION BY run_id, correlation_id ORDER BY owners > 1 DESC, retries) = 1
)

SELECT
    run_id,
    witness,
    format(
        '{} was started {} times from #{} to #{}{}, with no step_retrying and no outcome between.',
        short_id(correlation_id), starts, first_position, last_position,
        CASE WHEN owners > 1 THEN format(' for {} different messages', owners) ELSE '' END
    ) AS because,
    owners
FROM attempt;
