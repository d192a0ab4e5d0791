/*
title: The code no longer makes the history of the run
diagnosis: >-
  The code of {workflow} no longer makes {event types of the code does not make this}[ of {steps
  of the code does not make this}].
about: runtime
severity: error
confidence: proof
needs: [replay]
implies: [runtime-corruption-verdict, runtime-verdict-unexplained, unusual-branch]
since: 0.1.0
---
## What it means
The code of the workflow was replayed on the log of this run, and left it: at one event the log has
something that the code, with all events before it, would not have written. A worker that runs this
code cannot go on with the run: every replay stops there, and after some tries the run is failed as
`CORRUPTED_EVENT_LOG`. It says nothing against the log, so it does not change the log verdict: the
log and the code do not belong together.

## Why it happens
- The code was changed while runs of the old one are open or kept: a step was added before others,
  removed, renamed or moved to another module, branches were swapped, two calls changed places.
- The workflow is not deterministic: it reads a clock, a random number, the environment, a global
  variable, or something that it fetched, and branches on it.
- The log was not written by replays that knew it: a stale decision was committed (see
  stale-snapshot-write), or an event was lost.

## Example
The log was written by code that charges first; the code now reserves first.

    the log:
      #1 run_created
      #2 run_started
    > #3 step_created step_…3ZAEVA (step//./shop//charge)
    what the code creates:
    > 0: step step_…3ZAEVA (step//./shop//reserve)

## How to confirm
Both sequences around the event are in the audit:

    SELECT run_id, side, line, marked, text
    FROM replayed_line JOIN replayed USING (run_id)
    WHERE outcome = 'diverged'
    ORDER BY run_id, side, line;

Replay the same log with the code that wrote it (the commit that was deployed then): if that follows
it, the change of the code is the cause. Then audit the log itself with `auditor check`.

## What to do
- Open runs: keep the old code for the runs that began with it, under its old name, and give the new
  code a new workflow name. Or let the old runs end before you deploy.
- Closed runs: nothing is lost, their results stand. Take them out of the replay test, or record the
  histories anew, once you have decided that the change is meant.
- If the code was not changed, look for what it reads besides its context, and put that into a step.

## When it is wrong
- That this code does not make this log is certain. That the code is at fault is not: if the log was
  damaged, the code is right and the log is wrong. `auditor check` is for that question.
- A step that only was moved or renamed diverges as well, since its name stands in the log. Give it its
  old name (`@step(name=...)`). See code-version-skew, which then explains this finding.
- Only what is in the log is compared: which steps, sleeps and hooks are created, in which order, under
  which names. Other arguments of a step, or another duration of a sleep, are no divergence.
- Whatever the code prints, writes or reads beside its context is not seen.
- A run that was failed as `CORRUPTED_EVENT_LOG` is expected to diverge and is no finding.

Base rate: it cannot be measured on the corpora of real SDK logs, whose workflows are no Python code.
Of the histories beside our tests each one is followed by the code that wrote it.

## References
Catalogue id RPL-001. vercel/workflow#2208 and vercel/workflow#2212 (what the SDK does at a
divergence), vercel/workflow#2073 (replay of a supplied history).
*/
SELECT
    run_id,
    [witness('the code does not make this', event_no)] AS witness,
    format('At #{} the log has {}; the code {}.', "position", actual, expected) AS because
FROM replayed
WHERE outcome = 'diverged';
