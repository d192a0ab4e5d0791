/*
title: An event was put in behind a place that readers had passed
diagnosis: Events ({event types of put in late}) are put in behind places that readers had passed.
severity: error
confidence: proof
needs: []
implies:
  - chain-broken
  - duplicate-event-id
  - order-inversion
  - orphan-hook-event
  - orphan-step-event
  - orphan-wait-completed
  - stale-snapshot-write
  - unknown-fence
since: 0.1.0
---
## What it means
A log only grows at its end: what a reader has read never changes. Every replay relies on it. Here
an event stands in front of others that were there before it. Whoever read the log in between saw it
without this event, and decided so; whoever reads it now sees another history. No fence on the last
event can tell the two apart.

Two things show it. The log says in which order its events were committed (`commitSeq`), and an
event stands before one that was committed earlier. Or the run was exported twice, and one export
has an event that the other lacks, although the other goes on behind it.

There is one finding for each run, with the first such event and one that was there before it.

## Why it happens
- Ids are minted before the commit, and the log is read in the order of ids. A writer that is slow
  between the two lands behind what others have committed and read.
- A database gives numbers when they are asked for (`nextval`), and commits in another order.
- Clocks of writers disagree, and ids carry the time.
- Somebody put a row into the log by hand, or took one out.

## Example
    #5  step_created    step_…1T7WH9B   commitSeq 81
    #6  hook_received   hook_…1T7WH99   commitSeq 83   the late one
    #7  wait_completed  wait_…1T7WH9A   commitSeq 82
    #8  wait_created    wait_…1T7WH9C   commitSeq 84   the branch of the elapsed wait

When #7 was written, #6 was not there. A replay of today finds the hook first.

## How to confirm
The order of the commits beside the order of the log; `commit_seq` must never go down:

    SELECT log.run_id, log.position, log.event_type, log.correlation_id, commit_seq, log.created_at
    FROM log
    JOIN event_more USING (event_no)
    WHERE log.run_id IN (SELECT run_id FROM finding WHERE rule = 'prefix-rewritten')
    ORDER BY log.run_id, log.position;

Which exports hold which event, if the run was exported more than once:

    SELECT log.run_id, log.position, log.event_type, list(DISTINCT source.name) AS sources
    FROM log
    JOIN (
        SELECT event_no, source_id FROM event_core UNION ALL SELECT event_no, source_id FROM copy
    ) USING (event_no)
    JOIN source USING (source_id)
    WHERE log.run_id IN (SELECT run_id FROM finding WHERE rule = 'prefix-rewritten')
    GROUP BY ALL
    ORDER BY log.run_id, log.position;

## What to do
- Do not trust what the run decided after the late event: restart it from its input.
- Give an event its place in the log at commit, in the transaction that appends.
- Where places are given before, let readers wait until all smaller ones are filled or sealed.
- Keep a hash of the last event of every run elsewhere, and compare it (`auditor world verify`).

## When it is wrong
- Which of two exports is the older one does not matter: the two differ in what both have passed.
  An event that was taken out between them is found as well, and reads like one that was put in.
- Of two exports the one that lacks the event must be whole. It is taken for whole if its `head`
  counts the events that it has; or if it is a world-local folder, a dump of the Postgres world or
  an uncut answer of the CLI, has the first event of the run, and all its events are in the other
  export. A file that was lost from such a folder looks like an event that came late.
- Not judged: an export without a `head` in any other format, one that was cut off or has rejected
  rows, runs whose order is unknown, and slots. An empty slot is seen by its readers, who wait for
  it (see slot-hole).
- A log without `commitSeq` that was exported once shows nothing of this. That the rule holds there
  is no promise: order-inversion is a weak hint.
- Base rate: none found in 1,256 runs of the corpora of real SDK logs. Each was exported once, and
  none has a commit order.

## References
Catalogue LOG-003. vercel/workflow#2228 (an event that lands behind what was read),
vercel/workflow#3201, vercel/workflow#3269 (a sequence that is given at commit).
*/
WITH judged AS (
    SELECT run_id, first_event_no, list_contains(capabilities, 'two_exports') AS two_exports
    FROM run
    WHERE id_scheme <> 'slot' AND NOT unordered
),

-- By the order of commits: the first event that was committed after one behind it.
committed AS (
    SELECT
        first_event_no, run_id, event_no, "position", commit_seq,
        min(commit_seq) OVER (
            PARTITION BY first_event_no ORDER BY "position" ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
        ) AS earliest_behind
    FROM log
    JOIN (SELECT event_no, commit_seq FROM event_more WHERE commit_seq IS NOT NULL) USING (event_no)
    JOIN judged USING (run_id)
    -- A noop fills a place that was left empty, whenever that is.
    WHERE event_type <> 'noop'
),

overtaken AS (
    SELECT
        run_id,
        count(*) AS late_events,
        min("position") AS "position",
        arg_min(event_no, "position") AS event_no,
        arg_min(commit_seq, "position") AS commit_seq
    FROM committed
    WHERE commit_seq > earliest_behind
    GROUP BY run_id
),

by_commit AS (
    SELECT
        overtaken.*,
        min(committed."position") AS behind,
        arg_min(committed.event_no, committed."position") AS behind_no,
        arg_min(committed.commit_seq, committed."position") AS behind_seq
    FROM overtaken
    JOIN committed USING (run_id)
    WHERE committed."position" > overtaken."position" AND committed.commit_seq < overtaken.commit_seq
    GROUP BY ALL
),

-- By two exports. An event is known by its id: one whose place has changed is there twice.
part AS (
    SELECT event_no, source_id FROM event_core
    UNION ALL
    SELECT event_no, source_id FROM copy
),

held AS (
    SELECT
        log.run_id, export_id, log.event_id,
        min(coalesce(event_more."position", log."position")) AS "position",
        arg_min(log.event_no, log."position") AS event_no,
        min(source.name) AS source_name
    FROM judged
    JOIN log USING (run_id)
    JOIN part USING (event_no)
    JOIN source USING (source_id)
    LEFT JOIN event_more USING (event_no)
    WHERE two_exports
    GROUP BY ALL
),

counted AS (
    SELECT run_id, export_id, max(events) AS events
    FROM head JOIN source USING (source_id)
    GROUP BY ALL
),

damaged AS (
    SELECT export_id, reject.run_id FROM reject JOIN source USING (source_id)
    UNION ALL
    SELECT export_id, NULL FROM source WHERE cut IS NOT NULL
),

-- The exports of a run that may be whole: they count their own events, or are no files of somebody's choice.
whole AS (
    SELECT
        run_id, export_id,
        count(*) AS events,
        max("position") AS last_position,
        any_value(counted.events) IS NOT NULL AS counts,
        min(source_name) AS source_name
    FROM held
    JOIN export USING (export_id)
    LEFT JOIN counted USING (run_id, export_id)
    WHERE NOT EXISTS (
        SELECT 1
        FROM damaged
        WHERE damaged.export_id = held.export_id AND coalesce(damaged.run_id = held.run_id, TRUE)
    )
    GROUP BY run_id, export_id
    HAVING coalesce(
        any_value(counted.events) = count(*),
        any_value(format) IN ('world-local', 'postgres-world', 'workflow-cli-json') AND min("position") = 1
    )
),

-- Each of them beside each other export of its run: what only that one has, in front of the last event of both.
beside AS (
    SELECT
        whole.*,
        other.export_id AS other_id,
        count(own.event_id) AS shared,
        count(*) FILTER (WHERE own.event_id IS NULL AND other."position" <= last_position) AS late_events,
        min(other."position") FILTER (WHERE own.event_id IS NULL) AS "position",
        arg_min(other.event_no, other."position") FILTER (WHERE own.event_id IS NULL) AS event_no
    FROM whole
    JOIN held AS other ON other.run_id = whole.run_id AND other.export_id <> whole.export_id
    LEFT JOIN held AS own
        ON own.run_id = whole.run_id AND own.export_id = whole.export_id AND own.event_id = other.event_id
    GROUP BY ALL
    HAVING late_events > 0 AND (counts OR shared = events)
),

by_export AS (
    SELECT
        beside.run_id, beside."position", beside.event_no, late_events, beside.source_name, last_position,
        min(own."position") AS behind,
        arg_min(own.event_no, own."position") AS behind_no
    FROM beside
    JOIN held AS own USING (run_id, export_id)
    WHERE own."position" >= beside."position"
    GROUP BY beside.run_id, beside."position", beside.event_no, late_events, beside.source_name, last_position
    QUALIFY row_number() OVER (
        PARTITION BY beside.run_id ORDER BY beside."position", late_events, beside.source_name, last_position
    ) = 1
),

found AS (
    SELECT
        run_id, event_no, behind_no, late_events,
        format(
            'was committed after #{}, which stands behind it (commit {} after {})', behind, commit_seq, behind_seq
        ) AS what
    FROM by_commit
    UNION ALL
    SELECT
        run_id, event_no, behind_no, late_events,
        format('is missing from {}, which goes on behind it up to #{}', source_name, last_position)
    FROM by_export
    WHERE run_id NOT IN (SELECT run_id FROM by_commit)
)

SELECT
    found.run_id,
    [witness('put in late', found.event_no), witness('was there before it', behind_no)] AS witness,
    format(
        '{} at #{} {}{}.',
        log.event_type, log."position", what,
        CASE late_events
            WHEN 1 THEN ''
            WHEN 2 THEN '; so it is with 1 more event of the run'
            ELSE format('; so it is with {} more events of the run', late_events - 1)
        END
    ) AS because
FROM found
JOIN log USING (event_no);
