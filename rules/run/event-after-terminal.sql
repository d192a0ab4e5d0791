/*
title: An event was written after the run had ended
severity:
  - {when: NOT finding.decides, is: info}
  - {when: run.terminal_type = 'run_failed', is: warning}
  - {is: error}
confidence: strong
needs: []
implies: [runtime-corruption-verdict]
since: 0.1.0
---
## What it means
To be written.

## Why it happens
To be written.

## Example
To be written.

## How to confirm
To be written.

## What to do
To be written.

## When it is wrong
To be written.

## References
To be written.
*/
SELECT
    late.run_id,
    [
        witness('the run ended', ended.event_no),
        witness('written afterwards', late.event_no)
    ] AS witness,
    late.event_type IN ('run_created', 'step_created', 'wait_created', 'hook_created') AS decides,
    format(
        '{} at #{} follows {} at #{}, which ended the run.',
        late.event_type, late."position", ended.event_type, ended."position"
    ) AS because
FROM log AS late
JOIN run USING (run_id)
JOIN log AS ended ON ended.run_id = late.run_id AND ended."position" = terminal_position
WHERE late."position" > terminal_position
    -- Work that was under way may still report: steps and waits of lost races, and what releases a hook.
    AND late.event_type NOT IN (
        'step_started', 'step_retrying', 'step_completed', 'step_failed', 'wait_completed', 'hook_disposed', 'noop'
    )
    -- Another terminal event is a repeat (harmless) or a conflict (a rule of its own).
    AND late.event_type NOT IN ('run_completed', 'run_failed', 'run_cancelled')
    -- A caller may deliver to a run that has just failed.
    AND NOT (late.event_type = 'hook_received' AND ended.event_type = 'run_failed');
