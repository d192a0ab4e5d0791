/*
title: The runtime calls the run corrupt, and the log does not show why
diagnosis: The runtime calls runs of {workflow} corrupt, and their logs do not show why.
about: runtime
severity: error
confidence: strong
needs: []
implies: [runtime-corruption-verdict]
only_with: [runtime_verdict]
since: 0.1.0
reads: [finding]
---
## What it means
The SDK failed the run as corrupt, and no rule found an error in its log. Either the log is sound
and the fault is in the replay, or the log is wrong in a way that this catalogue does not know. Both
are serious: the run is lost, and nothing in the log tells you why.

## Why it happens
- The order in which replay woke the parallel branches of the workflow was not the same each time.
  The branches then draw other ids, on a log that is in order.
- The code that replayed was not the code that wrote: a new deployment, or a workflow that reads a
  clock, a random source or the environment.
- A reader got a log with a hole or an old tail. The log in the world is complete.
- A stale decision was written that collides with nothing. Only its order shows it.

## Example
    #3   hook_created    hook_…59EH07
    #4   step_created    step_…59EH08  askManager
    #6   step_completed  step_…59EH08
    #7   hook_received   hook_…59EH07
    #8   step_created    step_…59EH09  chargeCard   the runtime stopped here
    #10  step_completed  step_…59EH09
    #11  run_failed      RUNTIME_ERROR: Unconsumed event in event log: eventType=step_created, ...

## How to confirm
Where the runtime stopped, and which versions were at work:

    SELECT run.run_id, run.workflow, run.core_version, run.deployment_id, run.gap,
        log.position, log.event_type, log.correlation_id
    FROM run
    JOIN finding ON finding.run_id = run.run_id AND rule = 'runtime-verdict-unexplained'
    LEFT JOIN log ON log.run_id = run.run_id AND log.event_id = run.runtime_event_id
    ORDER BY run.run_id;

Read the log around that event and ask whether the code could have come to another call there. Look
for a `hook_received` shortly before a `wait_completed`: a race that both sides could win is the
usual suspect. See also whether any rule was skipped, for this log may not record what it needs:

    SELECT rule, outcome, reason, skipped_runs
    FROM rule
    WHERE outcome <> 'held' OR skipped_runs > 0;

## What to do
- If `gap` is not null the export is incomplete: export again, all of it.
- Look for a deployment between the start and the end of the run.
- Replay the log offline several times. If it is sometimes clean, the wake order is at fault:
  upgrade the core (4.8.5 and later contain fixes for it, among them vercel/workflow#3554).
- Record fences. With them a stale decision is found even if it collides with nothing.
- Start the run again from its input, and keep the log: it is a case for a new rule.

## When it is wrong
It says that no cause was found, not that there is none. Rules that could not be evaluated because
the log lacks what they need may know the cause (where rules were left out by `--select` or
`--ignore`, this rule is not evaluated). On an incomplete export the cause may be in the missing part. A user error with the text of the runtime's verdict is taken for
one.

Base rate: no finding in 1,256 runs of the corpora of real SDK logs: each of the 51 corrupted runs
has another error. In the full collection of 1,830 runs 1 of the 113 corrupted runs is known in
which nothing collides and only the order of two events shows the fault.

## References
Catalogue id RPL-003. vercel/workflow#4017 (a sound log of 633 events whose replay stalled now and
then), vercel/workflow#3139, vercel/workflow#3201, vercel/workflow#3554 (wake order).
*/
SELECT
    run.run_id,
    [
        CASE
            WHEN failed_event_no IS NOT NULL THEN witness('the runtime''s verdict', failed_event_no)
            ELSE entity_witness('the runtime''s verdict', entity_no)
        END
    ] AS witness,
    format(
        'The runtime failed the run as corrupt{}, but no rule found an error in the {} events of its log.',
        coalesce(format(' at #{}', failed."position"), ''), run.events
    ) AS because
FROM run
LEFT JOIN log AS failed ON failed.event_no = failed_event_no
WHERE runtime_signature IS NOT NULL
    AND run.run_id NOT IN (
        SELECT finding.run_id
        FROM finding JOIN rule USING (rule)
        WHERE about = 'log' AND severity = 'error' AND finding.run_id IS NOT NULL
    );
