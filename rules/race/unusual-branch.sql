/*
title: A run took the branch of runs that had missed an event
diagnosis: Runs of {workflow} go on as if they had not read {event types of perhaps not read}.
severity: warning
confidence: suspect
needs: [complete, ordinals]
implies: [hook-sleep-near-race]
since: 0.1.0
params:
  min_runs: {default: 5, meaning: how many runs must have come by a branch before it is known}
  share: {default: 0.95, meaning: which part of them must have gone on in the same way}
---
## What it means
This rule learns from all runs of a workflow. What a run creates follows from the outcomes and
deliveries that it has received, and from their order. So runs of one workflow that have received
the same things in the same order create the same things, one after the other, as long as their
input and payloads do not lead them apart.

Here nearly all runs agree on what is created after some event. This run received the same, in the
same order, and created something else. And that is what runs create which have *not* received the
event. So the writer may have decided from a snapshot that lacked it: a stale decision, which this
log shows in no other way. If that is so, a replay takes the branch of the others, finds creations
that it has no use for, and the run fails as corrupt.

There is one finding for each run, at the first creation of this kind.

## Why it happens
- Two ticks of one run overlapped. One read the log before the event was committed and wrote behind
  it, and nothing refused the write.
- The fresh tick was late or lost, so nothing else stands on the same ordinal and no collision
  tells of it.
- The input or the payload of this run asks for the other branch, and the timing fits by chance.

## Example
A hook is raced against a sleep. 57 runs with this history created the step `ship` next:

    #3  hook_created    hook_…1T7WH99
    #4  wait_created    wait_…1T7WH9A
    #5  hook_received   hook_…1T7WH99

This run has the same history, and goes on in another way:

    #6  wait_completed  wait_…1T7WH9A
    #7  step_created    step_…1T7WH9B  escalate

`escalate` is what 40 runs created whose sleep ended without a delivery.

## How to confirm
Read the code: which branch does it take when the events come in the order of this log? `auditor
replay` answers that for Python workflows of this project. Otherwise compare with other runs of the
workflow:

    SELECT log.run_id, log.position, log.event_type, log.correlation_id, event.step_name
    FROM log
    JOIN event USING (event_no)
    JOIN run ON run.run_id = log.run_id
    WHERE workflow IN (
            SELECT workflow FROM run JOIN finding USING (run_id) WHERE rule = 'unusual-branch'
        )
        AND log.event_type IN (
            'step_created', 'wait_created', 'hook_created', 'hook_received', 'wait_completed',
            'step_completed', 'step_failed'
        )
    ORDER BY ALL;

If the log records fences, stale-snapshot-write decides: this finding then stands folded under it.

## What to do
- If the run failed as corrupt, begin here: this is the likely cause.
- If it is still open, expect it to fail at its next replay. Look at the side effects of the branch.
- Fence every decision write with `tail`, and record the fences.
- If the code may take this branch by its input or a payload, raise `min_runs` for the workflow, or
  suppress the rule for it.

## When it is wrong
- It is a statement about what other runs did, not about the code. Payloads steer branches: where a
  rare answer leads to the same step as an elapsed sleep, and the sleep ends before that step is
  written, a sound run is reported.
- It finds only what other runs explain. Runs must share everything that they received up to the
  place in question, so in workflows with many concurrent hooks and steps few runs are alike, and
  late in a run hardly any. With fewer than `min_runs` runs of a workflow and deployment nothing is
  learnt.
- If most runs of a workflow are corrupt in the same way, that way is what is usual.
- A stale branch whose creation is of the same kind and name is not told from the right one.
- Only the first 64 outcomes and deliveries of a run, and creations at most 8 of them behind the
  missed one, are compared.
- Base rate: none in 1,256 runs of the corpora of real SDK logs, of which 51 are corrupted, all in
  ways that other rules prove.

## References
Catalogue RAC-001. vercel/workflow#2113, vercel/workflow#2169 (the hook and the sleep),
vercel/workflow#3379 (which orders are sound).
*/
WITH member AS (
    SELECT
        -- Numbers and digests instead of ids: all runs of a workflow are grouped by them.
        run_id, first_event_no AS run_no,
        hash(workflow, deployment_id) AS tree,
        param('unusual-branch', 'min_runs', workflow) AS min_runs,
        param('unusual-branch', 'share', workflow) AS share
    FROM run
    WHERE list_has_all(capabilities, ['complete', 'ordinals'])
    QUALIFY count(*) OVER (PARTITION BY tree) >= min_runs
),

known_entity AS (
    SELECT
        run_id, run_no, kind, correlation_id, ordinal, first_closed,
        least(first_created, first_active, first_closed) AS born
    FROM member
    JOIN entity USING (run_id)
),

-- What a run received: which entity, and what of it.
received AS (
    SELECT
        run_no, first_closed AS "position",
        ordinal * 4 + CASE WHEN failed.run_id IS NULL THEN 0 ELSE 1 END AS what
    FROM known_entity
    LEFT JOIN (
        SELECT run_id, "position" AS first_closed FROM log WHERE event_type = 'step_failed'
    ) AS failed USING (run_id, first_closed)
    WHERE kind <> 'hook' AND first_closed IS NOT NULL
    UNION ALL
    SELECT run_no, "position", ordinal * 4 + CASE event_type WHEN 'hook_received' THEN 2 ELSE 3 END
    FROM log
    JOIN known_entity USING (run_id, kind, correlation_id)
    WHERE event_type IN ('hook_received', 'hook_conflict')
),

story AS MATERIALIZED (
    SELECT
        run_no,
        any_value(tree) AS tree,
        -- One more than is compared: a creation behind the last of them must not look like one in front of it.
        list(what ORDER BY "position")[:65] AS whats,
        list("position" ORDER BY "position")[:65] AS places
    FROM received
    JOIN member USING (run_no)
    GROUP BY run_no
),

-- Every prefix of it, as a digest, that more than one run has.
every_prefix AS MATERIALIZED (
    SELECT run_no, tree, length, hash(tree, whats[:length]) AS path
    FROM (SELECT *, unnest(range(1, least(len(whats), 64) + 1)) AS length FROM story)
),

prefix AS MATERIALIZED (
    SELECT *
    FROM every_prefix
    WHERE path IN (SELECT path FROM every_prefix GROUP BY path HAVING count(*) > 1)
),

-- What a run created, and how much it had received when that was written.
made AS MATERIALIZED (
    SELECT
        run_no, event_no, ordinal, born AS "position",
        len([place FOR place IN places IF place < born]) AS length,
        hash(known_entity.kind, step_name) AS thing
    FROM known_entity
    JOIN story USING (run_no)
    JOIN log ON log.run_id = known_entity.run_id AND log."position" = born
    JOIN event_core USING (event_no)
    WHERE born > places[1]
),

-- A log that goes on from a prefix keeps what was created after it: what runs draw next, when they have received
-- exactly this, every run must draw that has received this and more.
branch AS (
    SELECT
        path, tree, ordinal, thing,
        count(*) AS runs, min(event_no) AS example
    FROM made
    JOIN prefix USING (run_no, length)
    GROUP BY path, tree, ordinal, thing
),

usual AS MATERIALIZED (
    SELECT
        path, ordinal,
        max(runs) AS runs, sum(runs) AS all_runs,
        arg_max(thing, (runs, thing)) AS thing,
        arg_max(example, (runs, thing)) AS example
    FROM branch
    JOIN (SELECT DISTINCT tree, min_runs, share FROM member) USING (tree)
    GROUP BY path, ordinal, min_runs, share
    HAVING sum(runs) >= min_runs AND max(runs) >= share * sum(runs)
),

odd AS (
    SELECT
        made.*, prefix.tree, prefix.length AS missed,
        path, usual.runs, usual.all_runs, usual.example, usual.thing AS usual_thing
    FROM usual
    JOIN prefix USING (path)
    JOIN made USING (run_no, ordinal)
    WHERE made.thing <> usual.thing AND made.length BETWEEN prefix.length + 1 AND prefix.length + 8
),

-- What is drawn at a prefix is drawn by all that pass it, whenever it is written: most of them have to agree.
-- Else those that wrote it at once were the stale ones.
agreed AS (
    SELECT path, ordinal
    FROM (SELECT DISTINCT path, ordinal, usual_thing FROM odd)
    JOIN prefix USING (path)
    JOIN made USING (run_no, ordinal)
    WHERE made.length >= prefix.length
    GROUP BY path, ordinal, usual_thing
    HAVING count(*) FILTER (WHERE made.thing = usual_thing) > count(*) / 2
),

-- What the writer may have read instead: all that the run had received but the last of that prefix, and perhaps
-- some that came right behind it.
stale AS (
    SELECT *, unnest(range(seen_from, length + 1)) AS seen_to
    FROM (
        SELECT odd.*, whats, places, unnest(range(missed + 1, odd.length + 1)) AS seen_from
        FROM odd
        JOIN agreed USING (path, ordinal)
        JOIN story USING (run_no)
    )
),

explained AS MATERIALIZED (
    SELECT
        stale.*,
        usual.runs AS like_it, usual.all_runs AS all_like_it
    FROM stale
    JOIN usual
        ON usual.path = hash(tree, whats[:missed - 1] || whats[seen_from:seen_to])
        AND usual.ordinal = stale.ordinal AND usual.thing = stale.thing
    QUALIFY row_number() OVER (
        PARTITION BY run_no ORDER BY stale."position", missed, seen_from, seen_to, stale.thing
    ) = 1
),

placed AS MATERIALIZED (
    SELECT run_id, explained.*
    FROM explained
    JOIN member USING (run_no)
),

event_at AS MATERIALIZED (
    SELECT run_id, "position", event_no, event_type
    FROM log
    WHERE (run_id, "position") IN (
        SELECT (run_id, "position")
        FROM (SELECT run_id, unnest([places[missed], places[seen_to]]) AS "position" FROM placed)
    )
),

-- What was created, in words: by this run, and by one of the others.
named AS MATERIALIZED (
    SELECT event_no, concat_ws(' ', kind_of(event_type), regexp_extract(step_name, '[^/]*$')) AS name
    FROM event_core
    WHERE event_no IN (SELECT event_no FROM placed UNION ALL SELECT example FROM placed)
)

SELECT
    placed.run_id,
    [
        witness('perhaps not read', missed_event.event_no),
        witness('read', seen_event.event_no),
        witness('created as without it', placed.event_no)
    ] AS witness,
    format(
        'After {} at #{}, {} of {} runs draw ordinal {} for a {}; this one drew it for a {}, as {} of {} runs do '
        'that have not received that event.',
        missed_event.event_type, missed_event."position", runs, all_runs, ordinal, other.name, own.name,
        like_it, all_like_it
    ) AS because
FROM placed
JOIN event_at AS missed_event ON missed_event.run_id = placed.run_id AND missed_event."position" = places[missed]
JOIN event_at AS seen_event ON seen_event.run_id = placed.run_id AND seen_event."position" = places[seen_to]
JOIN named AS own ON own.event_no = placed.event_no
JOIN named AS other ON other.event_no = example;
