/*
title: An event of a hook does not fit the life of the hook
diagnosis: Events of hooks ({event types}) do not fit the life of the hook.
severity:
  - {when: finding.fault = 'never created', is: error}
  - {is: info}
confidence: strong
needs: [complete]
implies: [runtime-corruption-verdict]
only_with: [accusation]
since: 0.1.0
---
## What it means
Three cases in one rule:
- error: a `hook_received` or `hook_disposed` stands in the log, but at that place the hook had not
  been created. A hook can only be reached after its creation is stored, so the history lost an
  event or its order was changed. Replay cannot place the event.
- info: `hook_created` stands twice for one hook.
- info: `hook_disposed` stands twice for one hook.

The two repeats show that ticks of the run overlap. They do no harm by themselves on cores that step
over repeats (vercel/workflow#3381); older cores can stop at a repeat after the disposal.

## Why it happens
- A creation was lost: acknowledged, but not in the log. Or rows were deleted, edited or sorted by
  something other than the event id.
- A writer whose clock runs ahead gave the creation an id behind the events that follow from it.
- Two ticks of one run overlap and write the same creation or disposal, and the world has no guard
  that refuses the second.

## Example
    #3  step_created    step_…3QPC7R
    #5  step_completed  step_…3QPC7R
    #6  hook_received   hook_…3QPC7S  there is no hook_created of this id
    #7  step_created    step_…3QPC7T
    #10 run_failed      CORRUPTED_EVENT_LOG, latest divergent event is #6

## How to confirm
Hooks whose events do not begin with a creation, and hooks with repeats:

    SELECT log.run_id, log.correlation_id, min(log.position) AS first_event, first_created, created,
        count(*) FILTER (WHERE log.event_type = 'hook_disposed') AS disposals
    FROM log
    JOIN entity USING (run_id, kind, correlation_id)
    WHERE kind = 'hook' AND log.event_type <> 'hook_conflict'
    GROUP BY ALL
    HAVING coalesce(first_created > min(log.position), TRUE) OR created > 1 OR disposals > 1;

If the export has entity tables, see whether the world knows the hook:

    SELECT run_id, correlation_id, status, created_at
    FROM entity_row
    WHERE kind = 'hook' AND (run_id, correlation_id) IN (
        SELECT d.run_id, d.correlation_id
        FROM finding JOIN witness_detail AS d USING (finding_no)
        WHERE rule = 'orphan-hook-event'
    );

## What to do
- An error: export the run again and check it again. If the creation is missing in the world too,
  start the run again from its input, and look for what else was lost in those minutes.
- An info needs no action by itself. Serialise the ticks of a run or fence all decision writes, and
  the repeats end.

## When it is wrong
- A creation with the same `createdAt` as the event is taken for one transaction, whatever the order
  of their ids. That is no finding.
- A history that is known to be incomplete is not judged. An export from which an inner row was lost
  without a trace cannot be told from a log that lost it, hence the confidence strong.
- A hook that was refused (`hook_conflict`) and then disposed, as `using` does, is no finding. One
  that was refused first and created later is none either; see self-hook-conflict.
- The repeats are infos on every core, because no log of an old core that failed of one is known to
  us.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs (1,162 healthy, 51 corrupted,
  43 neither), which hold 745 hooks.

## References
Catalogue HOK-005. vercel/workflow#3381 (repeats of a closed entity are ignored),
vercel/workflow#2283 (two ticks create one hook).
*/
WITH accused AS MATERIALIZED (
    SELECT
        odd.*, first_created, created.event_no AS created_no, created.created_at AS hook_created_at,
        CASE
            WHEN odd.event_type = 'hook_created' THEN 'created again'
            WHEN odd.before = 3 AND odd.event_type = 'hook_disposed' THEN 'disposed again'
            ELSE 'never created'
        END AS fault
    FROM accusation AS odd
    JOIN entity USING (run_id, kind, correlation_id)
    LEFT JOIN log AS created ON created.run_id = odd.run_id AND created."position" = first_created
    WHERE rule = 'orphan-hook-event'
        OR (rule = 'delivery-after-disposal' AND coalesce(first_created > odd."position", TRUE))
),

-- What the repeats of a hook repeat: its first event of that type. A hook that was refused and then disposed
-- repeats nothing, and neither does one that was refused and got its token later.
earlier AS (
    SELECT
        log.run_id, log.correlation_id, log.event_type,
        min(log."position") AS "position",
        arg_min(log.event_no, log."position") AS event_no
    FROM (SELECT DISTINCT run_id, correlation_id FROM accused)
    JOIN log USING (run_id, correlation_id)
    WHERE log.event_type IN ('hook_created', 'hook_disposed')
    GROUP BY ALL
),

grouped AS (
    SELECT
        run_id, correlation_id, fault, first_created, created_no,
        min("position") AS "position",
        arg_min(event_type, "position") AS event_type,
        count(*) AS events,
        list(witness(
            CASE fault WHEN 'never created' THEN 'event without a creation' ELSE fault END, event_no
        ) ORDER BY "position")[:5] AS seen
    FROM accused
    -- Rows written in one transaction share their time, whatever the order of their ids.
    WHERE fault <> 'never created' OR coalesce(hook_created_at <> created_at, TRUE)
    GROUP BY ALL
)

SELECT
    grouped.run_id,
    CASE
        WHEN fault <> 'never created' THEN [witness('first', first.event_no)] || seen
        WHEN created_no IS NULL THEN seen
        ELSE seen || [witness('created only now', created_no)]
    END AS witness,
    fault,
    CASE fault
        WHEN 'never created' THEN format(
            '{} of {} stands at #{}{}, but the hook {}.',
            grouped.event_type, short_id(grouped.correlation_id), grouped."position",
            CASE events WHEN 1 THEN '' ELSE format(' (and {} more events)', events - 1) END,
            coalesce('is created only at #' || first_created, 'is created nowhere in the run')
        )
        ELSE format(
            '{} of {} at #{} follows its {} at #{}{}.',
            grouped.event_type, short_id(grouped.correlation_id), grouped."position",
            first.event_type, first."position",
            CASE events WHEN 1 THEN '' ELSE format(', and {} more do', events - 1) END
        )
    END AS because
FROM grouped
LEFT JOIN earlier AS first ON first.run_id = grouped.run_id AND first.correlation_id = grouped.correlation_id
    AND first."position" < grouped."position" AND first.event_type = grouped.event_type
WHERE fault = 'never created' OR first.event_no IS NOT NULL;
