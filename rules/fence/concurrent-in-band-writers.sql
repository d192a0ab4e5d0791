/*
title: Two writers were accepted as the orchestrator of one run
diagnosis: Two in-band writers of one run are accepted on one count[ ({event types of accepted on this count})].
severity: error
confidence: proof
needs: [fences]
implies: [stale-snapshot-write]
only_with: [in_band]
since: 0.1.0
---
## What it means
From spec 9 on, a run has one orchestrator at a time, and what it writes is *in band*. Every in-band
write says how many in-band events its writer had read (`expectedSeqInBand`), and moves that number
on. So of all writers that send one number, one is accepted. Here two requests were accepted on the
same number: two orchestrators wrote to the run, and the second had not read what the first wrote.
From there on the log may hold two branches.

There is one finding for each number. Its witness is the first write of each request, five at most.

## Why it happens
- The world compares the number first and appends later, in two steps, and two requests passed in
  between.
- It counts per connection, per replica or in a cache, and not in the row of the run.
- Writes whose answer was lost were sent again and taken for new ones.
- In-band writes do not move the number if they come through one path (a batch, a lazy start).

## Example
    #7  hook_received   hook_…1T7WH99   inBand false
    #8  step_created    step_…1T7WH9B   inBand true, expectedSeqInBand 5, request req_8
    #9  wait_created    wait_…1T7WH9B   inBand true, expectedSeqInBand 5, request req_9

#8 moved the number to 6, so #9 should have been refused as `in-band-superseded`.

## How to confirm
The in-band writes of the run and what each of them expected. The number must go up from one request
to the next:

    SELECT log.run_id, log.position, log.event_type, log.correlation_id, expected_seq_in_band,
        request_id, tick_id, writer_id
    FROM event_more
    JOIN log USING (event_no)
    WHERE expected_seq_in_band IS NOT NULL
        AND log.run_id IN (SELECT run_id FROM finding WHERE rule = 'concurrent-in-band-writers')
    ORDER BY log.run_id, log.position;

## What to do
- Do not trust what the run did after the second write: restart it from its input.
- Compare and move the number in the statement that appends.
- Let a writer stop for good at its first refusal, and let deliveries of one run go to one consumer.

## When it is wrong
- Writes of one request share a number: they are one write. If a capture gives each of them a
  request id of its own, they look like two writers. The times, the tick and the writer then agree.
- Without request ids, writes of one tick and writer count as one request; without those, too,
  nothing can be told and nothing is reported.
- That the two writes agree with each other by chance is possible. It does not mend the fence.
- Base rate: none. Stock exports do not record what a writer expected, so the rule was evaluated on
  none of the 1,256 runs that we measured in the corpora of real SDK logs.

## References
Catalogue FNC-008. The in-band fence of spec 9 and its conformance suite; vercel/workflow#2193
(serialised replays, the step before it).
*/
WITH in_band AS (
    SELECT
        log.run_id, expected_seq_in_band AS expected, log."position", log.event_no, log.event_type,
        coalesce('request ' || request_id, nullif(concat_ws(' ', 'tick ' || tick_id, 'writer ' || writer_id), ''))
            AS request
    FROM event_more
    JOIN log USING (event_no)
    WHERE expected_seq_in_band IS NOT NULL AND in_band IS DISTINCT FROM FALSE
)

-- The first write of each request stands for it.
SELECT
    run_id,
    (list(witness('accepted on this count', event_no) ORDER BY "position"))[:5] AS witness,
    format(
        'The in-band writes of {} requests were accepted on the count {}: {} at #{} first, {} at #{} last.',
        count(*), expected,
        arg_min(event_type, "position"), min("position"), arg_max(event_type, "position"), max("position")
    ) AS because
FROM (
    SELECT
        run_id, expected,
        min("position") AS "position", arg_min(event_no, "position") AS event_no,
        arg_min(event_type, "position") AS event_type
    FROM in_band
    WHERE request IS NOT NULL
    GROUP BY run_id, expected, request
)
GROUP BY run_id, expected
HAVING count(*) > 1;
