/*
title: The code follows the history and comes to another end
diagnosis: >-
  The code of {workflow} follows the history and does not come to {event types of the code does
  not come to this end}.
about: runtime
severity: error
confidence: proof
needs: [replay]
implies: [runtime-corruption-verdict, runtime-verdict-unexplained]
since: 0.1.0
---
## What it means
The code of the workflow was replayed on the log of this run, without the event that ends it. It made
every step, sleep and hook of the log, and then did not come to the end that the log has: it still
waits, returns another output, or raises another error. Nothing else in the log shows this. Either
the code was changed, or the run ended with a result that its history does not support.

## Why it happens
- The code behind the last event was changed: the output is put together in another way, an error has
  another text.
- The workflow is not deterministic where it does not show: the output holds a time, a random number
  or a path that the context did not give.
- The runtime that wrote the log handed a result to the wrong call, so the run completed with a value
  that belongs to something else.
- A run that was failed as `CORRUPTED_EVENT_LOG` is followed to its end: the code that gave it up was
  wrong, not the log.

## Example
    the log:
      #5 step_completed step_…3ZAEVA (step//./shop//charge)
    > #6 run_completed
    what the code creates:
      0: step step_…3ZAEVA (step//./shop//charge)
    > then it returns an object of 2 keys        the log has an object of 3 keys

## How to confirm
Which end the log has and which the code comes to, without the values:

    SELECT run_id, workflow, position, actual AS in_the_log, expected AS by_the_code
    FROM replayed
    WHERE outcome = 'other_terminal'
    ORDER BY run_id;

Compare the values in a debugger: replay the events of the run with `auditor.cold.replay_history`, and
look at what the workflow returns. Then replay with the code that wrote the log.

## What to do
- If the change is meant: record the histories anew. The results of closed runs stand.
- If the code was not changed: make the output follow from the context alone; take times from
  `ctx.now()`, random numbers from `ctx.random()`, all else from steps.
- If the run completed with a value that is not its own, do not trust what was done with the value.

## When it is wrong
- That this code does not come to this end is certain. Which of the two is right, it does not say.
- Outputs are compared as JSON: key order is no difference, 1 and 1.0 are two values.
- Errors are compared by class and message. A message that names a file or a time differs at each
  replay: raise an error without it.
- A cancelled run has no end that code could come to and is not compared; neither is a run that is
  still under way.

Base rate: it cannot be measured on the corpora of real SDK logs, whose workflows are no Python code.
Of the histories beside our tests each one is reproduced by the code that wrote it.

## References
Catalogue id RPL-002. vercel/workflow#3453 (a run completed with the result of another call).
*/
SELECT
    run_id,
    [witness('the code does not come to this end', event_no)] AS witness,
    format('The run ends at #{} with {}; the code {}.', "position", actual, expected) AS because
FROM replayed
WHERE outcome = 'other_terminal';
