/*
title: A hook conflicts with itself
severity: error
confidence: strong
needs: []
implies: [runtime-corruption-verdict]
only_with: [accusation]
since: 0.1.0
---
## What it means
The log holds `hook_created` and later `hook_conflict` for the same hook: same correlation id, same
token, same run. Nobody else owned the token. The run was refused its own hook because it already
had it. On replay the hook rejects with `HookConflictError`. Unless the workflow catches that, the
run fails as USER_ERROR, and nothing points to the runtime as the cause.

## Why it happens
Two ticks of one run came to the same `createHook` and both wrote it. The first took the token. For
the second the world only saw that the token was taken, did not compare the hook's id, and recorded
a conflict instead of treating the write as a repeat.

## Example
    #2  run_started
    #3  hook_created   hook_…QR9T06
    #4  hook_conflict  hook_…QR9T06   6 ms later; conflictingRunId is the run itself
    #5  step_created   step_…QR9T07  askManager
    #8  run_failed     USER_ERROR: Hook token "..." is already in use by another workflow

## How to confirm
The two events name one hook, and the conflict names no other run:

    SELECT log.run_id, log.position, log.event_type, log.created_at, event.token_hash,
        event.conflicting_run_id = log.run_id AS conflict_with_itself
    FROM log JOIN event USING (event_no)
    WHERE (log.run_id, log.correlation_id) IN (
        SELECT d.run_id, d.correlation_id
        FROM finding JOIN witness_detail AS d USING (finding_no)
        WHERE rule = 'self-hook-conflict'
    )
    ORDER BY log.run_id, log.correlation_id, log.position;

## What to do
- Upgrade world-local or world-postgres to a release in which a repeated `hook_created` is
  idempotent (vercel/workflow#2295).
- Let only one orchestrator work on a run at a time, or fence every decision write: then the second
  tick is refused before it asks for the token.
- Start the run again from its input. Do not look for a second owner of the token: there is none.

## When it is wrong
`conflictingRunId` is absent in older events, and the token may be absent from an export; then the
same correlation id is all that proves the case. If the two clocks disagree and the conflict sorts
before the creation, this rule does not see it. Two hooks of one run that ask for one token have
different correlation ids; that is a fault of the workflow, not of the log, and is not reported.
Whether the workflow caught the error cannot be read from the log.

Base rate: no finding in 1,256 runs of the corpora of real SDK logs; the 10 `hook_conflict` events
in them are all of hooks that their run had not created. In the full collection of 1,830 runs the
shape occurs, and its runs failed as USER_ERROR.

## References
Catalogue id HOK-001. vercel/workflow#2283 (the report, with such a log), vercel/workflow#2295 (the
fix in world-local and world-postgres), vercel/workflow#3453 (the same under the QuickJS engine).
*/
SELECT
    conflict.run_id,
    [
        witness('created', created.event_no),
        witness('conflict with itself', conflict.event_no)
    ] AS witness,
    format(
        '{} was created at #{} and refused as taken at #{}: two ticks created the same hook, and the second '
        'lost against the first.',
        short_id(conflict.correlation_id), created."position", conflict."position"
    ) AS because
FROM accusation AS conflict
JOIN entity USING (run_id, kind, correlation_id)
JOIN log AS created ON created.run_id = conflict.run_id AND created."position" = first_created
JOIN event AS created_event ON created_event.event_no = created.event_no
JOIN event AS conflict_event ON conflict_event.event_no = conflict.event_no
WHERE rule = 'self-hook-conflict'
    AND coalesce(created_event.token_hash = conflict_event.token_hash, TRUE);
