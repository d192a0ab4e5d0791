/*
title: A decision was written without any fence
diagnosis: >-
  Fences are dropped on[ {class of written without a fence}:] {event types of written without a fence}[
  at {sites of written without a fence}][; every {fenced types} carries one].
severity: warning
confidence: proof
needs: [fences]
implies: []
since: 0.1.0
---
## What it means
The log records fences, but a decision write carries none: its writer sent nothing. No store could
tell whether the writer had read the whole log. The write may be right. What is missing is the
protection that would have refused it if it were not.

There is one finding for each run, event type and site. If the same event type at the same site lost
its fence in more than one run, one more finding, about the log as a whole, names the first event
without it.

## Why it happens
- One code path builds its request without the fence: a lazy start, a payload that is resolved
  later, a second engine, a retry.
- A change of the client or of a proxy drops the field.
- The writer had read no event yet and sent nothing, where it should have said that it expects an
  empty log.

## Example
A hook is raced against a sleep of 30 s.

    #3  hook_created    hook_…3Y6YHY            fence #2
    #4  wait_created    wait_…3Y6YHZ            fence #2
    #5  wait_completed  wait_…3Y6YHZ            fence null, site elapsed-wait-scan
    #6  step_created    step_…3Y6YJ0  escalate  fence #5

All writes but #5 are fenced. If a `hook_received` had been committed just before #5, nothing would
have refused the `wait_completed`.

## How to confirm
Every decision write without a fence, the oldest first:

    SELECT log.created_at, write.run_id, write.position, write.event_type, write.site
    FROM write
    JOIN log ON log.event_no = write.event_no
    WHERE write.role = 'decision' AND write.fence_kind IS NULL
    ORDER BY ALL;

How many writes of each event type were fenced, unfenced on purpose, or sent nothing:

    FROM fence_coverage;

Then read the request that the named site sends.

## What to do
- Repair the site that the finding names, so that it sends the fence of its snapshot.
- Look at what was deployed shortly before the first event that the log-wide finding names.
- Where a write must go without a fence, say so with `unfenced` and a reason. That is no finding; it
  lowers the fence coverage in every report.
- Let the store refuse a decision write that carries neither.
- Check the affected runs for stale writes by other rules: ordinal-collision,
  duplicate-wait-created, late-creation.

## When it is wrong
- It never claims that a write was stale. Most writes without a fence do no harm.
- Protocols that send no fence with the first decision write of a run (vercel/workflow#2113) give
  one finding a run, at its first creation.
- If the log was joined from a capture of requests, a request that the capture missed looks like a
  dropped fence. Then the events concerned lack their request id as well.
- "Since" is the oldest creation time of a write without a fence; it is only as exact as the clock
  of the store.
- The rule relies on what the manifest or the events say of the format. A log of which every trace
  of fences was removed is not evaluated.
- Base rate: none. Stock exports do not record fences, so the rule was evaluated on none of the
  1,256 runs that we measured in the corpora of real SDK logs.

## References
Catalogue FNC-002. vercel/workflow#2113 (which writes are fenced), vercel/workflow#2970 (lazy starts
without the field), vercel/workflow#3305 (a run loses its only fence).
*/
WITH decision AS (
    SELECT
        run_id, event_no, write.event_type, coalesce(site, '') AS site, fence_kind IS NULL AS dropped,
        write."position", log.event_id,
        (log.created_at, run_id, write."position") AS moment
    FROM write
    JOIN log USING (run_id, event_no)
    JOIN run USING (run_id)
    WHERE refusal_no IS NULL AND write.role = 'decision' AND list_contains(capabilities, 'fences')
),

-- One bug drops the fences of one event type at one site, in every run from some moment on.
across AS (
    SELECT
        event_type, site,
        min(moment) FILTER (WHERE dropped) AS since,
        count(DISTINCT run_id) FILTER (WHERE dropped) AS runs
    FROM decision
    GROUP BY event_type, site
    HAVING runs > 1
)

SELECT
    run_id,
    (list(witness('written without a fence', event_no) ORDER BY "position") FILTER (WHERE dropped))[:10] AS witness,
    format(
        '{} of {} {}{} in this run carr{} no fence, the first at #{}.',
        count(*) FILTER (WHERE dropped), count(*), event_type, coalesce(' at ' || nullif(site, ''), ''),
        CASE count(*) FILTER (WHERE dropped) WHEN 1 THEN 'ies' ELSE 'y' END,
        min("position") FILTER (WHERE dropped)
    ) AS because
FROM decision
GROUP BY run_id, event_type, site
HAVING bool_or(dropped)
UNION ALL
SELECT
    NULL AS run_id,
    [
        witness('first without a fence', arg_min(event_no, moment) FILTER (WHERE dropped)),
        witness('latest without a fence', arg_max(event_no, moment) FILTER (WHERE dropped))
    ] AS witness,
    format(
        '{} {} {}{} since {} of {} carry no fence, in {} runs.',
        CASE WHEN bool_and(dropped) THEN 'All' ELSE format('{} of', count(*) FILTER (WHERE dropped)) END,
        count(*), event_type, coalesce(' at ' || nullif(site, ''), ''),
        arg_min(event_id, moment) FILTER (WHERE dropped),
        arg_min(run_id, moment) FILTER (WHERE dropped),
        any_value(runs)
    ) AS because
FROM decision
JOIN across USING (event_type, site)
WHERE moment >= since
GROUP BY event_type, site;
