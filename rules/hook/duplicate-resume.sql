/*
title: One resume was delivered twice
severity:
  - {when: NOT finding.one_hook, is: error}
  - {when: run.spec_version >= 7, is: warning}
  - {is: error}
confidence: proof
needs: []
implies: []
only_with: [hook_received]
since: 0.1.0
---
## What it means
Two `hook_received` of a run carry the same `resumeId`. One call of the resume API makes one
`resumeId`, and every repeat of that call carries it, so that the world can store the delivery once.
It was stored twice: the guard did not work. To a workflow that counts or adds up deliveries this is
a payload too many.

On logs of spec 7 replay drops the second delivery to one hook, so that is a warning. Two replays
that run at the same time can still each take one of them. Below spec 7, or where the two went to
different hooks, it is an error.

## Why it happens
- A resume is sent in two ways at once, as an event and with the message that wakes the run. Both
  writes are allowed to arrive, and the world has no unique key on run and `resumeId`.
- The caller got no answer, sent the resume again, and the first one had been stored.
- The world checks for the `resumeId` and appends in two steps, and two repeats passed together.

## Example
    #3  hook_created   hook_…8T0VQ1
    #4  hook_received  hook_…8T0VQ1  resumeId …7XM2D9
    #5  step_created   step_…8T0VQ2  addToBasket
    #8  hook_received  hook_…8T0VQ1  resumeId …7XM2D9, 2 s later: the same call
    #9  step_created   step_…8T0VQ3  addToBasket

## How to confirm
The deliveries, and whether they carry one payload (digests of encrypted payloads always differ):

    SELECT run_id, resume_id, count(*) AS deliveries, count(DISTINCT correlation_id) AS hooks,
        count(DISTINCT payload_sha256) AS payloads, min(created_at) AS first, max(created_at) AS last
    FROM event
    WHERE event_type = 'hook_received' AND resume_id IS NOT NULL
    GROUP BY run_id, resume_id
    HAVING count(*) > 1;

## What to do
- See what the workflow did with the second delivery: steps that were created after it may have
  repeated an effect.
- Give the world a unique key on run and `resumeId`, and let it answer a repeat with the event that
  it has stored.
- Make the workflow tolerate a repeat: put an id of your own into the payload and skip known ones.

## When it is wrong
- A hook may be resumed many times, with equal payloads. Without a `resumeId` nothing is compared,
  so logs of cores that do not write it show nothing. A caller that sets one `resumeId` for two
  resumes on purpose looks the same as a failed guard.
- Equal ids in two runs are not reported: the promise holds within a run.
- That replay drops the second delivery is read from the published source of `@workflow/core`
  5.0.0-beta.55; 5.0.0-beta.35 and the 4.x cores do not know the field. An unknown spec version makes
  the finding a warning of confidence suspect.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs (1,162 healthy, 51 corrupted,
  43 neither). Only those of 5.0.0-beta.55 record the id: 51 deliveries, 51 ids.

## References
Catalogue HOK-006. vercel/workflow#1834 and vercel/workflow#3230 (a resume that travels twice),
vercel/workflow#3841.
*/
WITH repeated AS (
    SELECT run_id, resume_id
    FROM event
    WHERE event_type = 'hook_received' AND resume_id IS NOT NULL
    GROUP BY ALL
    HAVING count(*) > 1
)

SELECT
    run_id,
    list(witness('delivery of the resume', log.event_no) ORDER BY log."position")[:5] AS witness,
    min(log.correlation_id) = max(log.correlation_id) AS one_hook,
    format(
        'One resume stands {} times in the log, first at #{} and #{}{}.',
        count(*), list_sort(list(log."position"))[1], list_sort(list(log."position"))[2],
        CASE WHEN one_hook THEN '' ELSE format(', for {} hooks', count(DISTINCT log.correlation_id)) END
    ) AS because
FROM repeated
JOIN event USING (run_id, resume_id)
JOIN log USING (run_id, event_no)
WHERE event.event_type = 'hook_received' AND log.event_type = 'hook_received'
GROUP BY run_id, resume_id;
