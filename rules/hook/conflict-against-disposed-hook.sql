/*
title: A hook was refused its token by a hook that was already disposed
severity:
  - {when: finding.proven, is: error}
  - {when: finding.one_tick, is: warning}
  - {is: info}
confidence: strong
needs: []
implies: []
only_with: [hook_conflict]
since: 0.1.0
params:
  tolerance_ms: {default: 50, meaning: how long before another run's conflict a disposal must lie}
---
## What it means
A `hook_conflict` says that another hook owns the token. Here that owner had been disposed before,
so the token was free, and the run was refused it without need. Awaiting the hook throws
`HookConflictError`. Unless the workflow catches that, the run fails as USER_ERROR, and nothing
points to the runtime as the cause.

Three cases, by severity:
- error: the conflict names its owner, and every hook of that run with this token had been disposed.
  Within a run the log order says so, across runs `createdAt`.
- warning: in one run the conflict comes first and the disposal of the old hook right after it, both
  written by one tick. The tick wrote its creations before its disposals.
- info, confidence suspect: the same order without the record of the ticks, or a free token where
  the conflict does not name its owner.

## Why it happens
- The runtime writes all `hook_created` of a tick before its `hook_disposed`. A workflow that
  disposes a hook and creates the next one on the same token conflicts with itself
  (vercel/workflow#2777).
- The world releases the token some time after it has stored the disposal. A run that asks in
  between sees a stale claim (vercel/workflow#2778).
- The disposal was stored and the release of the token failed. Then every later hook is refused.

## Example
One run, one token, used again in each round of a loop:

    #3  hook_created   hook_…2RFW2X  round 1
    #4  hook_received  hook_…2RFW2X
    #5  hook_conflict  hook_…2RFW2Y  round 2: the tick writes this first
    #6  hook_disposed  hook_…2RFW2X  and this second
    #7  run_failed     USER_ERROR: Hook token "..." is already in use by another workflow

## How to confirm
All events of the token, of all runs, by the clock of the store:

    SELECT log.created_at, log.run_id, log.position, log.event_type, log.correlation_id,
        event.conflicting_run_id, event.tick_id
    FROM log
    JOIN event USING (event_no)
    WHERE (log.run_id, log.correlation_id) IN (
        SELECT d.run_id, d.correlation_id
        FROM finding JOIN witness_detail AS d USING (finding_no)
        WHERE rule = 'conflict-against-disposed-hook'
    )
    ORDER BY event.token_hash, log.created_at, log.run_id, log.position;

## What to do
- Upgrade core and world to releases with vercel/workflow#2779, which orders the writes of one token
  and lets a claimant wait for a release that is under way.
- Start the refused run again. If it is refused again, the claim is stale for good: look for the row
  or file that holds the token, and whether its hook is disposed.
- Until then give each hook a token of its own, or catch `HookConflictError` and try again.

## When it is wrong
- Across runs the order is that of two `createdAt`. Where several machines stamp them, clocks that
  disagree by more than `tolerance_ms` (50 by default) give a false error.
- The info case may be sound. A workflow that asks twice for one token is refused, and its `using`
  disposes the first hook when the error leaves the scope: the same order, with a tick between.
- On cores that do not write `conflictingRunId` the owner may be a run that is not in the audit.
- Not reported: a disposal by force-claim, for the token then has a new owner; a token whose
  retention time is not over; a conflict with a run that is not in the audit or incomplete; an owner
  that was never disposed but whose run had ended.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs (1,162 healthy, 51 corrupted,
  43 neither). They hold 10 conflicts, all with a hook that was still live.

## References
Catalogue HOK-002. vercel/workflow#2777 (the order within a run), vercel/workflow#2778 (the stale
claim of another run), vercel/workflow#2779 (the fix of both).
*/
WITH conflict AS (
    SELECT
        log.event_no, log.run_id, log.correlation_id, log."position", log.created_at, event.token_hash,
        coalesce(conflicting_run_id, log.run_id) AS owner_run_id,
        conflicting_run_id IS NOT NULL AS named,
        coalesce(conflicting_run_id, log.run_id) = log.run_id AS own,
        tick_id, request_id
    FROM event
    JOIN log USING (event_no)
    WHERE event.event_type = 'hook_conflict' AND log.event_type = 'hook_conflict'
    QUALIFY row_number() OVER (PARTITION BY log.run_id, log.correlation_id ORDER BY log."position") = 1
),

-- The hooks of the owner that had the token before the conflict, and their disposals.
owned AS (
    SELECT
        conflict.event_no AS conflict_no,
        created.correlation_id,
        min(created."position") AS created_position,
        arg_min(created.event_no, created."position") AS created_no,
        min(disposed."position") AS disposed_position,
        arg_min(disposed.event_no, disposed."position") AS disposed_no,
        arg_min(disposed.created_at, disposed."position") AS disposed_at,
        bool_or(let_go.force_claimed_by IS NOT NULL)
        OR coalesce(bool_or(
            greatest(made.token_retention_until, let_go.token_retention_until) > conflict.created_at
        ), FALSE) AS kept,
        -- Tick and request are null where the log does not record them.
        arg_min(let_go.tick_id, disposed."position") AS tick_id,
        arg_min(let_go.request_id, disposed."position") AS request_id
    FROM conflict
    JOIN run ON run.run_id = owner_run_id AND list_contains(run.capabilities, 'complete')
    JOIN event AS made ON made.run_id = owner_run_id AND made.event_type = 'hook_created'
        AND made.token_hash = conflict.token_hash
    JOIN log AS created ON created.event_no = made.event_no AND created.event_type = 'hook_created'
    LEFT JOIN log AS disposed ON disposed.run_id = created.run_id AND disposed.event_type = 'hook_disposed'
        AND disposed.correlation_id = created.correlation_id
    LEFT JOIN event AS let_go ON let_go.event_no = disposed.event_no AND let_go.event_type = 'hook_disposed'
    WHERE CASE
        WHEN own THEN created."position" < conflict."position"
        ELSE created.created_at <= conflict.created_at + to_milliseconds(
            CAST(param('conflict-against-disposed-hook', 'tolerance_ms', run.workflow) AS BIGINT)
        )
    END
    GROUP BY conflict.event_no, created.correlation_id
),

judged AS (
    SELECT
        conflict.*,
        owned.* EXCLUDE (conflict_no, correlation_id, tick_id, request_id),
        owned.correlation_id AS owner_id,
        NOT kept AND coalesce(
            CASE
                WHEN own THEN disposed_position < conflict."position"
                ELSE disposed_at < conflict.created_at - to_milliseconds(
                    CAST(param('conflict-against-disposed-hook', 'tolerance_ms', run.workflow) AS BIGINT)
                )
            END, FALSE
        ) AS free,
        NOT kept AND coalesce(
            own AND owned.correlation_id <> conflict.correlation_id
            AND disposed_position > conflict."position", FALSE
        ) AS freed_next,
        coalesce(owned.tick_id = conflict.tick_id, CASE WHEN owned.request_id = conflict.request_id THEN TRUE END)
            AS one_tick
    FROM conflict
    JOIN run USING (run_id)
    JOIN owned ON conflict_no = conflict.event_no
),

-- One hook of the owner that still held the token makes the conflict a true one.
blamed AS (
    SELECT *, bool_and(free) OVER (PARTITION BY event_no) AS all_free
    FROM judged
    QUALIFY bool_and(free OR freed_next) OVER (PARTITION BY event_no)
        AND row_number() OVER (
            PARTITION BY event_no ORDER BY disposed_position DESC, created_position DESC
        ) = 1
),

-- Between a conflict and a disposal that follows it: what a later tick could have reacted to.
reacted AS (
    SELECT DISTINCT blamed.event_no
    FROM blamed
    JOIN log AS between_them ON between_them.run_id = blamed.run_id
        AND between_them."position" > blamed."position" AND between_them."position" < disposed_position
    WHERE NOT all_free
        AND between_them.event_type NOT IN (
            'hook_created', 'hook_conflict', 'hook_disposed', 'step_created', 'wait_created'
        )
)

SELECT
    run_id,
    CASE
        WHEN all_free THEN [
            witness('held the token', created_no), witness('disposed', disposed_no),
            witness('conflict', event_no)
        ]
        ELSE [
            witness('held the token', created_no), witness('conflict', event_no),
            witness('disposed only then', disposed_no)
        ]
    END AS witness,
    CASE WHEN NOT all_free THEN FALSE WHEN named THEN TRUE END AS proven,
    one_tick,
    CASE
        WHEN all_free THEN format(
            '{} was refused its token at #{}, but {}{} had been disposed {}.',
            short_id(correlation_id), "position", short_id(owner_id),
            CASE WHEN own THEN '' ELSE ' of ' || short_id(owner_run_id) END,
            CASE
                WHEN own THEN 'at #' || disposed_position
                ELSE format(
                    'at #{}, {} before', disposed_position,
                    to_milliseconds(date_diff('millisecond', disposed_at, created_at))
                )
            END
        )
        ELSE format(
            '{} was refused its token at #{}, and {}, which held it, was disposed at #{}{}.',
            short_id(correlation_id), "position", short_id(owner_id), disposed_position,
            CASE WHEN one_tick THEN ' by the same tick' ELSE ' with nothing between that a tick could react to' END
        )
    END AS because
FROM blamed
WHERE all_free
    OR one_tick
    OR (one_tick IS NULL AND event_no NOT IN (SELECT event_no FROM reacted));
