/*
title: The runtime itself gave the run up as corrupt
diagnosis: The runtime gave runs up as corrupt[, at {event types of the runtime stopped at}].
about: runtime
severity: error
confidence: strong
needs: []
implies: []
only_with: [runtime_verdict]
since: 0.1.0
---
## What it means
The SDK itself gave the run up: its replay and the log did not fit together, and it failed the run
for good. This finding repeats what the runtime said, and at which event it stopped. It is about the
runtime and does not change the verdict on the log. The cause is in the other findings of the run,
and this one is folded under them where they are at least as certain. If there is none, see
runtime-verdict-unexplained.

## Why it happens
Replay runs the workflow's code against the log. Each event must be one that the code asks for. An
event that no code asks for, or that differs from what the code asked, ends it.
- 4.2.4 and 5.0.0-beta.5 fail the run at once, as `RUNTIME_ERROR` with the text "Unconsumed event in
  event log".
- Later cores (seen: 4.6.0 and 4.8.9) retry three times. The fourth divergence in a row is
  stored as `CORRUPTED_EVENT_LOG` with the text "Workflow replay diverged 4 times".

## Example
    #3  step_created    step_…61827S  reserveStock
    #5  step_completed  step_…61827S
    #6  step_started    step_…61827S   the runtime stopped here
    #8  run_failed      CORRUPTED_EVENT_LOG: Workflow replay diverged 4 times after 3 recovery
                        replays; latest divergent event was evnt_…44RKHJ. ...

## How to confirm
The verdict is in the `run_failed` event or, if that is missing, in the stored row of the run:

    SELECT run_id, core_version, error_code, runtime_signature, runtime_event_id,
        runtime_correlation_id
    FROM run
    WHERE runtime_signature IS NOT NULL
    ORDER BY run_id;

What the log itself shows of these runs:

    SELECT run.run_id, finding.rule, finding.severity, finding.place, finding.because
    FROM run LEFT JOIN finding
        ON finding.run_id = run.run_id AND finding.rule NOT LIKE 'runtime-%'
    WHERE run.runtime_signature IS NOT NULL
    ORDER BY run.run_id, finding.place;

## What to do
Read the earliest error finding of the run and follow its advice. A retry of the run reads the same
log and ends the same way: start it again from its input, once the effects of its finished steps are
known. If many runs have the verdict, sort them by the rule of their earliest finding, not by the
message: one cause gives many messages.

## When it is wrong
The runtime is the authority on what it said, but not on the cause. The event at which it stopped is
often a healthy sibling of the wrong one, and in a long chain of retries only the latest is named.
The verdict is recognised by the error code and by the two texts above; a workflow that throws an
error with one of these texts is taken for it. Only the code and the two ids of the message are
kept.

Base rate: 51 of 1,256 runs of the corpora of real SDK logs, exactly those that the SDK failed as
corrupted (113 of 1,830 in the full collection). None of the 20 runs that failed by their own code
(`USER_ERROR`) is among them.

## References
Catalogue id RPL-004. vercel/workflow#2208 and vercel/workflow#2212 (divergence is retried before it
is final), vercel/workflow#3418 (what the message does not say), vercel/workflow#2737 (130 runs at
once).
*/
WITH named AS (
    SELECT
        run.run_id, min("position") AS "position", arg_min(event_no, "position") AS event_no,
        any_value(runtime_event_id) IS NOT NULL AS exactly
    FROM run
    JOIN log ON log.run_id = run.run_id
        AND (log.event_id = runtime_event_id
            OR (runtime_event_id IS NULL AND log.correlation_id = runtime_correlation_id))
    WHERE runtime_signature IS NOT NULL
    GROUP BY run.run_id
)

SELECT
    run.run_id,
    list_concat(
        CASE
            WHEN named.event_no IS NULL THEN []
            WHEN exactly THEN [witness('the runtime stopped at', named.event_no)]
            ELSE [witness('first event of the entity the runtime named', named.event_no)]
        END,
        [
            CASE
                WHEN failed_event_no IS NOT NULL THEN witness('the runtime''s verdict', failed_event_no)
                ELSE entity_witness('the runtime''s verdict', entity_no)
            END
        ]
    ) AS witness,
    format(
        'The runtime failed the run as corrupt: {}{}.',
        CASE runtime_signature
            WHEN 'unconsumed_event' THEN 'replay came upon an event that no code asked for'
            ELSE 'its replays diverged from the log'
        END,
        CASE WHEN exactly THEN format(', at #{}', named."position") ELSE '' END
    ) AS because
FROM run
LEFT JOIN named ON named.run_id = run.run_id
WHERE runtime_signature IS NOT NULL;
