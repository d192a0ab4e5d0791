/*
title: An event was written after the run had ended
diagnosis: >-
  Events ({event types of written afterwards}) are written after {event types of the run ended}.
severity:
  - {when: NOT finding.decides, is: info}
  - {when: run.terminal_type = 'run_failed', is: warning}
  - {is: error}
confidence: strong
needs: []
implies: [event-after-terminal, runtime-corruption-verdict]
only_with: [after_terminal]
since: 0.1.0
---
## What it means
The log goes on after the event that ended the run. If what follows is a creation (`step_created`,
`wait_created`, `hook_created`, `run_created`), a tick went on to decide for a run that was over:
work was started that nobody waits for, and its effects are real. That is an error. After
`run_failed` it is a warning, because the run's result is lost anyway. Anything else that does not
belong there, such as a delivery to a completed run, is an info.

## Why it happens
A tick had read the log before the end and wrote its decisions after it. Nothing refused them: the
writes were not fenced, and the world did not check in the same transaction that the run was still
open. A delivery after the end comes from a caller that resumed a hook while the run was ending.

## Example
    #3  step_created    step_…FG3107  chargeCard
    #5  step_completed  step_…FG3107
    #6  run_completed
    #7  step_created    step_…FG3108  shipParcel   7 ms later, by a tick that had not read #6
    #8  step_started    step_…FG3108
    #9  step_completed  step_…FG3108

## How to confirm
Read the end of the run, with the two events before its end:

    SELECT
        log.run_id, log.position, log.event_type, log.correlation_id, log.created_at,
        event.step_name
    FROM log JOIN event USING (event_no) JOIN run ON run.run_id = log.run_id
    WHERE log.run_id IN (SELECT run_id FROM finding WHERE rule = 'event-after-terminal')
        AND log.position >= run.terminal_position - 2
    ORDER BY log.run_id, log.position;

## What to do
- Check what the steps created after the end have done. They ran, and their results go nowhere.
- Fence every decision write, or let the world refuse decisions for an ended run.
- Let only one orchestrator work on a run at a time.
- A delivery after the end was accepted and is not read. Tell its sender, or send it to a new run.

## When it is wrong
Much may legally follow the end of a run and is not reported: starts, retries and outcomes of steps
that lost a race, `wait_completed` and `hook_disposed`, a repeated terminal event, `noop`, and a
`hook_received` after `run_failed`. Another terminal event is the matter of conflicting-terminals.
If the clock of the terminal event's writer was behind, events that were committed before the end
sort after it. Hence the confidence strong.

Base rate: no finding in 1,256 runs of the corpora of real SDK logs. What did follow the end there
is all of the legal kind: repeated terminal events (69 runs), `step_completed` after `run_completed`
(3), `step_started` after `run_failed` (2), `hook_received` after `run_failed` (1).

## References
Catalogue id RUN-003. vercel/workflow#2073 (offline replay that rejects events after the end),
vercel/workflow#3749 (waits of ended runs are completed), vercel/workflow#3125 (deliveries to ended
runs).
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
