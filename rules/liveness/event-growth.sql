/*
title: The log of a run grows in a loop or towards its limit
diagnosis: >-
  The logs of {workflow} grow in a loop or towards their limit[, by {event types of latest event
  of the loop}].
severity: warning
confidence: strong
needs: []
implies: []
since: 0.1.0
params:
  entity_events: {default: 50, meaning: most events that one entity may have without hook_received}
  max_events: {default: 25000, meaning: how many events the world allows a run}
  near: {default: 0.8, meaning: share of max_events from which on an open run is reported}
---
---
## What it means
One of three things:

- One step, wait or hook has more than 50 events of its own life (created, started, sent to a retry,
  closed). A step that works has three, and a few more for each retry. This one goes round in
  circles, and its body may run each time.
- An open run has used 80 % of the events that its world allows. When it reaches the limit the
  runtime fails it, and it cannot be continued.
- The run was failed with `MAX_EVENTS_EXCEEDED`: it has reached the limit.

There is one finding for the loops of a run, with the worst of them, and one for the limit.

## Why it happens
- A step is retried without end: its `maxRetries` is very high, or each new message starts the step
  again and none of them brings it to an outcome.
- A message is delivered again every second, because an entity that is completed in the world's
  table has no event, so the tick makes no progress (vercel/workflow#3081).
- The workflow itself loops: a poll without a pause, or a run that never ends by design.

## Example
    #3   step_created   step_…M2V8QD  poll
    #4   step_started   step_…M2V8QD  attempt 1
    #5   step_retrying  step_…M2V8QD
    ...
    #54  step_started   step_…M2V8QD  attempt 26
    #55  step_retrying  step_…M2V8QD

53 events of one step in half a minute, and none of them is an outcome.

## How to confirm
The entities with the most events:

    SELECT run_id, kind, correlation_id, created, started, retried, closed
    FROM entity
    ORDER BY created + started + retried + closed DESC
    LIMIT 20;

The longest runs, and how long it took them:

    SELECT run.run_id, run.status, run.events, run.error_code,
        date_diff('second', first.created_at, run.last_created_at) AS seconds
    FROM run
    JOIN event AS first ON first.event_no = run.first_event_no
    ORDER BY run.events DESC
    LIMIT 20;

## What to do
- A step in a loop: read its errors, and let it fail for good (`FatalError`, a lower `maxRetries`).
  Then check its effects outside for repeats.
- A loop without any retry: look for a row of this step or wait in the world's tables that says
  completed while the log has no such event.
- A run near its limit: end it and carry on in a new one. Split long work over child runs.
- Set `max_events` to the limit of your world. The default, 25,000, is that of the Vercel world; the
  local world takes `WORKFLOW_MAX_EVENTS`, and others may have none.
- Raise `entity_events` where steps are meant to be retried that often.

## When it is wrong
- A step that polls by failing and is retried on purpose reaches the number without any fault.
- Worlds without a limit: a run near `max_events` is only long. Set the parameter high.
- Loops that create a new entity in every round (a poll with sleep and step) are not seen before
  they come near the limit.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs. The step with the most events
  has 9 of them (7 in a healthy run), the longest run has 371.

## References
Catalogue LIV-003. vercel/workflow#3081 (deliveries in a loop of one second).
*/
-- A step or wait with so many events that only a loop can have written them.
WITH looped AS (
    SELECT
        entity.run_id, kind, correlation_id,
        created + started + retried + closed AS written,
        count(*) OVER (PARTITION BY entity.run_id) AS entities
    FROM entity
    JOIN run USING (run_id)
    WHERE created + started + retried + closed > param('event-growth', 'entity_events', workflow)
    QUALIFY row_number() OVER (PARTITION BY entity.run_id ORDER BY written DESC, kind, correlation_id) = 1
),

edges AS (
    SELECT
        run_id, correlation_id, written, entities,
        arg_min(event_no, "position") AS first_no,
        arg_max(event_no, "position") AS last_no,
        min("position") AS first_position,
        max("position") AS last_position
    FROM looped
    JOIN log USING (run_id, kind, correlation_id)
    GROUP BY ALL
)

SELECT
    run_id,
    [witness('first event of the loop', first_no), witness('latest event of the loop', last_no)] AS witness,
    format(
        '{} has {} events, from #{} to #{}{}.',
        short_id(correlation_id), written, first_position, last_position,
        CASE entities
            WHEN 1 THEN ''
            WHEN 2 THEN '; 1 more entity of the run loops like this'
            ELSE format('; {} more entities of the run loop like this', entities - 1)
        END
    ) AS because
FROM edges
UNION ALL
SELECT
    run_id,
    [witness('last event', coalesce(failed_event_no, last_event_no))] AS witness,
    CASE error_code
        WHEN 'MAX_EVENTS_EXCEEDED'
            THEN format(
                'The run was failed at #{}, because its log had reached the event limit of its world.',
                coalesce(terminal_position, last_position)
            )
        ELSE format(
            'The run is open and holds {} events up to #{}; at {} its world fails it.', events, last_position,
            CAST(param('event-growth', 'max_events', workflow) AS BIGINT)
        )
    END AS because
FROM run
WHERE last_event_no IS NOT NULL
    AND (
        error_code = 'MAX_EVENTS_EXCEEDED'
        OR (
            status = 'running'
            AND events >= param('event-growth', 'near', workflow) * param('event-growth', 'max_events', workflow)
        )
    );
