/*
title: Two live hooks hold the same token
severity: error
confidence: strong
needs: [complete]
implies: []
only_with: [hook_created]
since: 0.1.0
params:
  tolerance_ms: {default: 1000, meaning: how long two hooks may overlap by the clock of the store}
---
## What it means
A hook token has one owner at a time. Here a hook was created for a token that another hook still
held: that one had not been disposed, and its run had not ended. Whoever resumes the token reaches
one of the two hooks. The other waits for a delivery that went elsewhere, and nothing tells it.

One finding covers one later grant. Its witness is that of the earlier hooks which held the token
longest, the later hook, and the event that released the token, if there is one.

## Why it happens
- The world checks whether the token is free and stores the hook in two steps, and two creations
  passed the check together.
- Two processes share a store that keeps its locks in memory. World-local is made for one process.
- The claim of the token was lost or deleted while its hook was live: a clean-up, a restored backup,
  a table edited by hand.
- Two ticks of one run created two hooks for one token, and the world took them for one owner.

## Example
Run …E5R6A1 waits for an approval. Ten minutes later a second run gets the same token:

    run …E5R6A1  #3  hook_created   hook_…E5R6A2  12:00:05
    run …M3X8K0  #3  hook_created   hook_…M3X8K1  12:10:41   should have been a hook_conflict
    run …M3X8K0  #4  hook_received  hook_…M3X8K1  12:11:00   meant for …E5R6A2, perhaps

## How to confirm
All hooks that were granted a token of a finding, and what became of them:

    SELECT event.token_hash, log.run_id, log.position, log.event_type, log.correlation_id,
        log.created_at, run.status
    FROM log
    JOIN event USING (event_no)
    JOIN run ON run.run_id = log.run_id
    WHERE (log.run_id, log.correlation_id) IN (
        SELECT d.run_id, d.correlation_id
        FROM finding JOIN witness_detail AS d USING (finding_no)
        WHERE rule = 'token-granted-twice'
    )
    ORDER BY log.created_at, log.run_id, log.position;

Then ask the world who owns the token now (`getHookByToken`): it names one of the two.

## What to do
- Find the runs that wait in vain and resume them by hand, or cancel them. Check what the deliveries
  after the second grant were meant for.
- Give the world a unique key on the token of live hooks, and write hook and event in one
  transaction.
- Run one process per world-local folder.
- Make tokens specific enough that two runs never ask for one, if they should not share it.

## When it is wrong
- Only the hash of a token is kept. Two worlds may use equal tokens without harm, so hooks of
  different exports are never compared. Runs of one world that were exported into several files are
  not compared either.
- Across runs the order is that of `createdAt`, and of two hooks of one millisecond that of
  `commitSeq`; where the log has none, which of them came later is a guess. A store that stamps a
  hook before it waits for the token to be released gives a short overlap, hence `tolerance_ms`
  (1000 by default). Clocks that disagree by more than that give a false finding. Within a run the
  order of the log has to show the overlap too, and alone suffices if the first hook was never
  disposed.
- A token counts as released when its hook is disposed or its run ends. A retention time beyond that
  is not counted, so a grant before its end is not reported.
- A hook that lost its token to a force-claim (`forceClaimedBy`) is not compared with later hooks.
- Runs with an incomplete history are left out, for their disposals may be what is missing.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs (1,162 healthy, 51 corrupted,
  43 neither). They hold 745 hooks, each with a token of its own; the 10 hooks that asked for a
  token in use were all refused.

## References
Catalogue HOK-003. vercel/workflow#2012, vercel/workflow#4193 (force-claim).
*/
WITH shared AS (
    SELECT token_hash
    FROM event
    WHERE event_type = 'hook_created' AND token_hash IS NOT NULL
    GROUP BY token_hash
    HAVING count(*) > 1
),

granted AS (
    SELECT event.token_hash, event.source_id, event.commit_seq, created.*
    FROM event
    JOIN shared USING (token_hash)
    JOIN log AS created USING (event_no)
    JOIN entity ON entity.run_id = created.run_id AND entity.kind = created.kind
        AND entity.correlation_id = created.correlation_id AND first_created = created."position"
    WHERE event.event_type = 'hook_created' AND created.event_type = 'hook_created'
),

disposed AS (
    SELECT
        log.run_id, log.correlation_id,
        min(log."position") AS "position",
        arg_min(log.event_no, log."position") AS event_no,
        arg_min(log.created_at, log."position") AS created_at,
        bool_or(force_claimed_by IS NOT NULL) AS taken
    FROM log
    JOIN event USING (event_no)
    WHERE log.event_type = 'hook_disposed' AND event.event_type = 'hook_disposed'
        AND (log.run_id, log.correlation_id) IN (SELECT (run_id, correlation_id) FROM granted)
    GROUP BY ALL
),

-- How long each hook held its token: to its disposal, else to the end of its run. One that was force-claimed
-- counts as not holding it, and so does one whose run has ended nobody knows when.
held AS (
    SELECT
        granted.token_hash, export_id, granted.run_id, granted.correlation_id, granted.event_no,
        granted."position", granted.created_at AS since, granted.commit_seq, workflow,
        coalesce(disposed."position", terminal_position) AS end_position,
        coalesce(disposed.event_no, ended.event_no) AS end_no,
        disposed.event_no IS NOT NULL AS is_disposed,
        CASE
            WHEN coalesce(disposed.taken, FALSE) THEN granted.created_at
            WHEN disposed.event_no IS NOT NULL THEN least(disposed.created_at, ended.created_at)
            WHEN run.status = 'running' THEN TIMESTAMP '9999-12-31'
            ELSE coalesce(ended.created_at, granted.created_at)
        END AS until
    FROM granted
    JOIN run USING (run_id)
    JOIN source USING (source_id)
    LEFT JOIN disposed ON disposed.run_id = granted.run_id AND disposed.correlation_id = granted.correlation_id
    LEFT JOIN log AS ended ON ended.run_id = granted.run_id AND ended."position" = terminal_position
        AND ended.event_type IN ('run_completed', 'run_failed', 'run_cancelled')
    WHERE list_contains(run.capabilities, 'complete') AND granted.created_at IS NOT NULL
),

-- Of the hooks of one world that had the token before this one, that which held it longest.
ordered AS (
    SELECT
        *,
        max({
            'until': until, 'run_id': run_id, 'correlation_id': correlation_id, 'since': since,
            'position': "position", 'event_no': event_no, 'end_position': end_position, 'end_no': end_no,
            'is_disposed': is_disposed
        }) OVER (
            PARTITION BY export_id, token_hash
            ORDER BY since, commit_seq, run_id, "position"
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS holder
    FROM held
)

SELECT
    run_id,
    [witness('holder', holder.event_no), witness('granted again', event_no)]
    || CASE WHEN holder.end_no IS NULL THEN [] ELSE [witness('released only here', holder.end_no)] END AS witness,
    format(
        '{} was granted its token at #{}, {} after {}{} got the same one at #{}, which {}.',
        short_id(correlation_id), "position",
        to_milliseconds(date_diff('millisecond', holder.since, since)),
        short_id(holder.correlation_id),
        CASE WHEN holder.run_id = run_id THEN '' ELSE ' of ' || short_id(holder.run_id) END,
        holder."position",
        coalesce('released it only at #' || holder.end_position, 'has not released it')
    ) AS because
FROM ordered
WHERE (holder.run_id <> run_id OR coalesce(holder.end_position > "position", TRUE))
    AND (
        holder.until > since
        + to_milliseconds(CAST(param('token-granted-twice', 'tolerance_ms', workflow) AS BIGINT))
        -- Without a disposal the order within a run needs no clock.
        OR (holder.run_id = run_id AND NOT holder.is_disposed)
    );
