/*
title: A write was accepted although it had missed an event that it was waiting for
diagnosis: >-
  Writes of {event types of written without it} are accepted although they missed {event types of
  missed resolution} that they were waiting for.
severity: error
confidence: proof
needs: [fences]
implies: [stale-snapshot-write]
only_with: [awaiting]
since: 0.1.0
---
## What it means
A writer sent the number of events that it had read (`eventCount`) and the entities that it was
waiting for (`awaitingCorrelationIds`). The world committed the write further back than that, over
events which the writer had not read. That is the bump of the slot protocol, and harmless as long as
nothing in the skipped places matters to the writer. Here one of the skipped events resolves an
entity that it was waiting for, or cancels the run. Had the writer read it, it would have gone on
along another branch, or not at all.

The contract of a World has one exception to the bump for this case: it may refuse the write before
it is committed. This one did not. There is one finding for each request, with five missed events at
most.

## Why it happens
- The world ignores `awaitingCorrelationIds`, or compares the ids with something else, such as the
  bare ULID.
- It checks the events that were there when the request came in, and not those that took a place
  before the write got its own.
- A proxy or a wrapper drops the list on the way to the world.

## Example
A hook is raced against a sleep. The writer had read 4 events and waited for both.

    #3  hook_created    hook_…1T7WH99
    #4  wait_created    wait_…1T7WH9A
    #5  hook_received   hook_…1T7WH99
    #6  wait_completed  wait_…1T7WH9A  eventCount 4, awaiting hook_…1T7WH99 and wait_…1T7WH9A

The write went to #6, over #5. #5 is the hook that the run was waiting for.

## How to confirm
What the writers of this run had read and waited for:

    SELECT write.run_id, write.position, write.event_type, known, awaiting, write.request_id
    FROM event_more
    JOIN write USING (event_no)
    WHERE awaiting IS NOT NULL
        AND write.run_id IN (SELECT run_id FROM finding WHERE rule = 'skipped-awaited-resolution')
    ORDER BY ALL;

Then look for the events of those ids between `known` and `position`.

## What to do
- Look at what the run did after the write. If its creations are those of the other branch, a replay
  will not find a use for them: restart the run from its input.
- Make the world check the list in the statement that gives the write its place, and refuse with 412.
- Fence decision writes with the tail of the log (`tail`). Then there is nothing left to skip.

## When it is wrong
- A world may ignore the list: the exception is optional, and it reports the skipped events to the
  writer with the answer. A writer that reads them and replays before it writes again repairs most
  of the harm. What is proven is that this write was decided without them.
- A resolution that changes nothing for this write is reported as well, such as a second delivery
  to a hook whose first one was read.
- Not judged: writes that sent no list, and those under another fence than a count.
- Without request ids, the writes of one tick and writer under one count pass as one request.
- Base rate: none. Stock exports have neither counts nor lists, so the rule was evaluated on none
  of the 1,256 runs that we measured in the corpora of real SDK logs.

## References
Catalogue FNC-007. vercel/workflow#3389 (the bump, and its exception), vercel/workflow#3479 (every
replay-context write sends its count).
*/
WITH accepted AS (
    SELECT
        run_id, "position", write.event_no, write.event_type, write.correlation_id, known,
        -- As in stale-snapshot-write: what one request wrote is not unseen by its other writes.
        coalesce(
            'request ' || write.request_id,
            write.fence_kind || ' ' || write.fence_value || concat_ws(' ', '', write.tick_id, write.writer_id),
            'event ' || write.event_no
        ) AS batch
    FROM write
    WHERE refusal_no IS NULL
),

waiting AS (
    SELECT accepted.*, awaiting
    FROM (SELECT event_no, awaiting FROM event_more WHERE awaiting IS NOT NULL AND fence_kind = 'count')
    JOIN accepted USING (event_no)
    WHERE known < "position" - 1
),

wanted AS (
    SELECT * EXCLUDE (awaiting, correlation_id), unnest(list_distinct(awaiting)) AS correlation_id FROM waiting
),

missed AS (
    SELECT
        wanted.* EXCLUDE (correlation_id),
        seen.event_no AS missed_no, seen.event_type AS missed_type, seen."position" AS missed_position
    FROM wanted
    JOIN accepted AS seen USING (run_id, correlation_id)
    WHERE seen.event_type IN ('step_completed', 'step_failed', 'wait_completed', 'hook_received')
        AND seen."position" > wanted.known AND seen."position" < wanted."position" AND seen.batch <> wanted.batch
    UNION ALL
    SELECT
        waiting.* EXCLUDE (correlation_id, awaiting),
        seen.event_no, seen.event_type, seen."position"
    FROM waiting
    JOIN accepted AS seen USING (run_id)
    WHERE seen.event_type = 'run_cancelled'
        AND seen."position" > waiting.known AND seen."position" < waiting."position"
        AND seen.batch <> waiting.batch
),

skipping AS (
    SELECT
        run_id, event_no, event_type, batch, "position", known,
        list(missed_no ORDER BY missed_position) AS missed_nos,
        min(missed_position) AS first_missed,
        arg_min(missed_type, missed_position) AS first_type,
        count(*) AS missed_count
    FROM missed
    GROUP BY ALL
)

SELECT
    run_id,
    [witness('missed resolution', no) FOR no IN arg_min(missed_nos, "position")[:5]]
    || list(witness('written without it', event_no) ORDER BY "position") AS witness,
    format(
        '{} at #{}{} was written after {} events, waiting for what {} at #{}{} brought, and was accepted all the '
        'same.',
        arg_min(event_type, "position"), min("position"),
        CASE count(*) WHEN 1 THEN '' ELSE format(' (and {} more of its request)', count(*) - 1) END,
        known,
        arg_min(first_type, "position"), min(first_missed),
        CASE min(missed_count) WHEN 1 THEN '' ELSE format(' and {} more', min(missed_count) - 1) END
    ) AS because
FROM skipping
GROUP BY run_id, batch, known;
