/*
title: A delivery was accepted for a disposed hook
severity:
  - {when: finding.survived, is: warning}
  - {is: error}
confidence: proof
needs: []
implies: [runtime-corruption-verdict]
only_with: [accusation]
since: 0.1.0
---
## What it means
A `hook_received` stands behind the `hook_disposed` of the same hook. The caller was told that its
payload was accepted, but no code will ever read it. The event also stops replay: the hook's consumer
is gone at the disposal, so the event belongs to nobody, and the run fails as corrupted although
workflow and caller did nothing wrong.

The finding is a warning where the run has ended all the same: it completed, was cancelled, failed by
an error of its own code, or had ended before the delivery. The payload is lost there too.

## Why it happens
A resume races the disposal. The world checks that the hook exists, the disposal commits, then the
delivery is appended. The check and the append are not one step, or do not take the lock that the
disposal takes. A caller that sends its resume twice, late, is enough.

## Example
    #3  hook_created   hook_…W1F83K
    #4  hook_received  hook_…W1F83K  the payload the workflow waited for
    #5  hook_disposed  hook_…W1F83K
    #6  hook_received  hook_…W1F83K  9 ms later: a resume that had passed the check before
    #7  step_created   step_…W1F83M
    #10 run_failed     CORRUPTED_EVENT_LOG, latest divergent event is #6

## How to confirm
The life of each such hook. The `resume_id`, where recorded, tells a repeat of an earlier delivery
from a payload of its own:

    SELECT log.run_id, log.correlation_id, log.position, log.event_type, log.created_at,
        event.resume_id, event.payload_sha256
    FROM log
    JOIN event USING (event_no)
    WHERE (log.run_id, log.correlation_id) IN (
        SELECT d.run_id, d.correlation_id
        FROM finding JOIN witness_detail AS d USING (finding_no)
        WHERE rule = 'delivery-after-disposal'
    )
    ORDER BY log.run_id, log.correlation_id, log.position;

If the run failed, its message names the event at which replay stopped.

## What to do
- Find out what the late payload was and deliver it in another way, if it was not a repeat.
- A run that failed of it cannot be retried, since it reads the same log. Start it again from its
  input.
- Upgrade the world to a release that refuses a resume which races the disposal
  (vercel/workflow#2781).
- In a world of your own, check the hook and append the delivery under the lock of the disposal.

## When it is wrong
- The order is certain, since replay reads a run by event id. In worlds that draw the id before the
  commit, the delivery may have been committed first. Replay stops at it all the same.
- The severity does not follow the version. In the published source of `@workflow/core` 4.2.4,
  4.8.9 and 5.0.0-beta.5 nothing takes such an event. 5.0.0-beta.55 sets it aside and goes on, but
  reports a divergence when the workflow returns and the event is still unclaimed. No version is
  known to us that ignores it.
- A running run with the severity error has not failed yet. Its next replay may.
- A hook that was closed by a conflict and never disposed is not meant.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs (1,162 healthy, 51 corrupted,
  43 neither). They hold 69 disposals and 2,536 deliveries.

## References
Catalogue HOK-004. vercel/workflow#2781 (the report, with such a log), vercel/workflow#3297 and
vercel/workflow#3406 (deliveries around a disposal).
*/
WITH late AS (
    SELECT
        received.run_id, received.correlation_id,
        min(received."position") AS "position",
        count(*) AS deliveries,
        list(witness('delivered afterwards', received.event_no) ORDER BY received."position")[:5] AS seen,
        min(disposed."position") AS disposed_position,
        arg_min(disposed.event_no, disposed."position") AS disposed_no
    FROM accusation AS received
    -- The hook may also have been closed by a conflict; that is not a disposal.
    JOIN (
        SELECT run_id, correlation_id, min("position") AS "position", arg_min(event_no, "position") AS event_no
        FROM log
        WHERE event_type = 'hook_disposed'
            AND run_id IN (SELECT run_id FROM accusation WHERE rule = 'delivery-after-disposal')
        GROUP BY ALL
    ) AS disposed ON disposed.run_id = received.run_id AND disposed.correlation_id = received.correlation_id
        AND disposed."position" < received."position"
    WHERE rule = 'delivery-after-disposal'
    GROUP BY ALL
)

SELECT
    late.run_id,
    [witness('disposed', disposed_no)] || seen AS witness,
    run.status IN ('completed', 'cancelled')
    OR coalesce(run.error_code = 'USER_ERROR', FALSE)
    OR coalesce(late."position" > terminal_position, FALSE) AS survived,
    format(
        '{} was disposed at #{}, and hook_received at #{}{} was accepted for it all the same.',
        short_id(late.correlation_id), disposed_position, late."position",
        CASE deliveries WHEN 1 THEN '' ELSE format(' (and {} more)', deliveries - 1) END
    ) AS because
FROM late
JOIN run USING (run_id);
