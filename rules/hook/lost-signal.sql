/*
title: A signal was refused as stale and is not in the log
diagnosis: >-
  Signals ({event types of refused}) are refused as stale[ at {sites of refused}] and never delivered.
severity:
  - {when: finding.chosen, is: info}
  - {is: error}
confidence: strong
needs: [refusals, complete]
implies: [fenced-signal]
only_with: [refusal]
since: 0.1.0
params:
  grace_seconds: {default: 60, meaning: how long a sender may take to send a refused signal again}
---
## What it means
A delivery to a hook, or a cancellation, was refused because something had happened in the run since
its sender looked. A signal is true whatever the run has done meanwhile, so it must not be refused
for that. And it was not sent again: the log has no later delivery to this hook by the same writer,
tick or request, or the run was not cancelled. Whoever sent it believes that the run knows, and it
does not. The run may wait for it forever.

An `as_of` fence is an info: in our world a caller can ask for it on purpose (`resume_hook(as_of=...)`,
"only if nothing happened since what I read"), and the refusal is its answer.

There is one finding for each run, event type and kind of fence, with five refused signals at most.

## Why it happens
- Signals go through the same helper as decisions, and that fences every write.
- The sender does not look at the answer, or logs it and goes on.
- A proxy or a wrapper adds the fence, and the sender knows nothing of it.

## Example
    #4  hook_created    hook_…3Y6YHY            fence #3
    #5  step_completed  step_…3Y6YHZ
        hook_received   hook_…3Y6YHY            fence #4, refused: FENCE_CONFLICT

The approval was sent and is not in the log.

## How to confirm
Refused signals, and the deliveries that came later:

    SELECT refusal.run_id, refused_at, refusal.event_type, refusal.correlation_id, refusal.code,
        refusal.writer_id, later.position AS accepted_at, later.writer_id AS accepted_writer
    FROM refusal
    JOIN write_role ON write_role.event_type = refusal.event_type AND role = 'signal'
    LEFT JOIN log AS tail ON tail.run_id = refusal.run_id AND tail.event_id = tail_at_refusal
    LEFT JOIN write AS later ON later.run_id = refusal.run_id AND later.event_type = refusal.event_type
        AND later.correlation_id IS NOT DISTINCT FROM refusal.correlation_id AND later.position > tail.position
    ORDER BY ALL;

Then ask the sender: was the request answered with an error, and what did it do?

## What to do
- Send the signal again, without a fence. If the run has gone on without it, decide what that means
  for the run: a cancelled order may have been shipped.
- Send signals without a fence, as `resume_hook` does. A `resumeId` keeps a repeated delivery from
  counting twice.
- Let the sender report a refusal to whoever it acts for.

## When it is wrong
- The sender tried again through another process, with another writer id. Its delivery is in the log
  then, and the rule does not know that it is the same one. Logs without writer ids count any later
  delivery to the hook as the retry.
- One later delivery of a writer stands for all its refused ones: if it sent three, and one was
  accepted later, the loss of the other two is missed.
- A signal to a run or a hook that was over already is not reported: it would have been refused
  anyway.
- Base rate: none. Our runtime never fences signals unless the caller asks for it. Stock exports
  record no refusals.

## References
Catalogue HOK-007. vercel/workflow#2113, vercel/workflow#2132 (why `hook_received` is not fenced),
vercel/workflow#1834 and vercel/workflow#3841 (acknowledged and lost).
*/
WITH refused AS (
    SELECT
        write.run_id, refusal_no, write.event_type, kind_of(write.event_type) AS kind, write.correlation_id,
        write.code, write.fence_kind, write.tail, write.request_id, write.tick_id, write.writer_id, refused_at,
        run.now, run.status, run.terminal_position, workflow
    FROM write
    JOIN refusal USING (refusal_no)
    JOIN run ON run.run_id = write.run_id
    WHERE write.role = 'signal' AND write.code IN ('FENCE_CONFLICT', 'PRECONDITION_FAILED')
),

placed AS (
    SELECT
        refused.*, first_created,
        CASE refused.tail WHEN 'none' THEN 0 ELSE stood."position" END AS tail_position,
        coalesce(refused_at, stood.created_at) AS moment
    FROM refused
    LEFT JOIN entity USING (run_id, kind, correlation_id)
    LEFT JOIN log AS stood ON stood.run_id = refused.run_id AND stood.event_id = refused.tail
    -- A run or a hook that was over takes no signal, stale or not.
    WHERE (terminal_position <= tail_position) IS NOT TRUE
        AND (first_closed <= tail_position) IS NOT TRUE
        AND (
            status <> 'running'
            OR moment < now - to_seconds(param('lost-signal', 'grace_seconds', workflow))
        )
),

delivered AS (
    SELECT DISTINCT placed.refusal_no
    FROM placed
    JOIN write AS later ON later.run_id = placed.run_id AND later.event_type = placed.event_type
    JOIN log ON log.event_no = later.event_no
    WHERE CASE placed.event_type
            WHEN 'run_cancelled' THEN TRUE
            ELSE later.correlation_id IS NOT DISTINCT FROM placed.correlation_id
                AND coalesce(later."position" > tail_position, log.created_at >= moment)
                AND (
                    later.writer_id = placed.writer_id
                    OR later.tick_id = placed.tick_id
                    OR later.request_id = placed.request_id
                    OR placed.writer_id IS NULL
                )
        END
),

lost AS (
    SELECT
        *,
        fence_kind IS NOT DISTINCT FROM 'as_of' AS chosen,
        CASE WHEN correlation_id IS NOT NULL THEN short_id(correlation_id) END AS hook,
        (moment, correlation_id, request_id, writer_id) AS place
    FROM placed
    WHERE refusal_no NOT IN (SELECT refusal_no FROM delivered)
        AND NOT (event_type = 'run_cancelled' AND status = 'cancelled')
),

told AS (
    SELECT
        run_id, event_type, chosen,
        (list(refusal_witness('refused', refusal_no) ORDER BY place))[:5] AS witness,
        min(first_created) AS created,
        count(*) AS signals,
        min_by(coalesce(' of ' || hook, ''), place) AS hook,
        min_by(coalesce(tail_position, -1), place) AS tail_position,
        string_agg(DISTINCT code, ', ' ORDER BY code) AS codes
    FROM lost
    GROUP BY run_id, event_type, chosen
)

SELECT
    told.run_id,
    CASE WHEN log.event_no IS NULL THEN [] ELSE [witness('created', log.event_no)] END || told.witness AS witness,
    format(
        '{} {}{} {} refused{} ({}), and {}.',
        signals, told.event_type, told.hook,
        CASE signals WHEN 1 THEN 'was' ELSE 'were' END,
        CASE
            WHEN tail_position < 0 THEN ''
            WHEN signals = 1 THEN format(' behind #{}', tail_position)
            ELSE format(', the first behind #{}', tail_position)
        END,
        codes,
        CASE told.event_type
            WHEN 'run_cancelled' THEN 'the run was never cancelled'
            ELSE 'no later delivery of its sender is in the log'
        END
    ) AS because,
    chosen
FROM told
LEFT JOIN log ON log.run_id = told.run_id AND log."position" = told.created;
