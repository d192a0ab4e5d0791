/*
title: Attributes were set twice under one id
severity: warning
confidence: proof
needs: []
implies: []
only_with: [attr_set]
since: 0.1.0
---
## What it means
Two or more `attr_set` events of the run have the same correlation id. A call in the code draws an
id once, so one call of "set attributes" has reached the log twice. The world applied the changes
again: an older value may have overwritten a newer one. Cores that do not know this kind of repeat
may also stop at the second event, because no code asks for it.

There is one finding for each id. If the digests of the events differ, the two writers did not even
agree on the values.

## Why it happens
- Two ticks of the run overlapped, and both wrote the attributes of the same call.
- The acknowledgement of the first write was lost, and the writer sent it again.
- A message was delivered twice while the first delivery was still at work.

## Example
    #5  step_completed  step_…R5XE30  reserve
    #6  attr_set        attr_…R5XE31  phase=reserved
    #7  attr_set        attr_…R5XE31  phase=reserved   3 ms later, by another tick
    #8  step_created    step_…R5XE32  charge

## How to confirm
All `attr_set` of the run, with their digests (digests of encrypted payloads always differ):

    SELECT log.run_id, log.position, log.correlation_id, log.created_at, event.payload_sha256
    FROM log JOIN event USING (event_no)
    WHERE log.event_type = 'attr_set'
        AND log.run_id IN (SELECT run_id FROM finding WHERE rule = 'duplicate-attribute')
    ORDER BY log.run_id, log.position;

Then compare the attributes that the world stores for the run with those of the last event.

## What to do
- Read the attributes of the run. If the older value won, set them again.
- Look for other signs that two ticks overlapped (duplicate-step-created, duplicate-wait-created).
  The attributes are the harmless part of it.
- Upgrade to a core that ignores a repeated `attr_set` with an id (vercel/workflow#3849).

## When it is wrong
- An `attr_set` without a correlation id never counts: two of them are two calls. The same holds for
  one that carries the id of the run itself.
- A writer that numbers its attribute calls by anything but the draws of the run's sequence may use
  an id twice on purpose. No such writer is known.
- Two equal changes do no harm. The finding is a warning all the same, because the overlap that made
  it can do worse.
- Base rate: none. None of the 1,256 runs of the corpora of real SDK logs has an `attr_set`.

## References
Catalogue ATR-001. vercel/workflow#3849 (a repeated `attr_set` with an id counts as a duplicate).
*/
WITH repeated AS (
    SELECT run_id, correlation_id
    FROM event
    WHERE event_type = 'attr_set'
        AND correlation_id IS NOT NULL
        -- The run's own id says whose attributes are set, not which call set them.
        AND correlation_id <> run_id
    GROUP BY ALL
    HAVING count(*) > 1
),

numbered AS (
    SELECT
        log.run_id, log.correlation_id, log.event_no, log."position", payload_sha256, payload_encrypted,
        row_number() OVER (PARTITION BY log.run_id, log.correlation_id ORDER BY log."position") AS place
    FROM repeated
    JOIN log USING (run_id, correlation_id)
    JOIN event ON event.event_no = log.event_no
    WHERE log.event_type = 'attr_set'
)

SELECT
    run_id,
    list(
        witness(CASE place WHEN 1 THEN 'attributes set' ELSE 'set again' END, event_no) ORDER BY "position"
    )[:5] AS witness,
    format(
        '{} sets attributes {} times, at {}{}{}.',
        short_id(correlation_id), count(*),
        array_to_string(list('#' || "position" ORDER BY "position")[:5], ', '),
        CASE WHEN count(*) > 5 THEN ' and later' ELSE '' END,
        CASE
            WHEN coalesce(bool_or(payload_encrypted), FALSE) OR count(payload_sha256) < count(*) THEN ''
            WHEN count(DISTINCT payload_sha256) = 1 THEN ', with the same changes each time'
            ELSE ', with different changes'
        END
    ) AS because
FROM numbered
GROUP BY run_id, correlation_id;
