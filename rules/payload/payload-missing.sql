/*
title: An event has lost its payload
diagnosis: Payloads of {event types of no payload} are missing.
severity:
  - {when: finding.nothing_left OR run.spec_version < 2, is: info}
  - {is: error}
confidence: strong
needs: [digests]
implies: [runtime-corruption-verdict]
since: 0.1.0
---
## What it means
An event that always carries a value has none, while other events of the same type in the same export
have theirs. The value of a step, the input of a run or the payload of a delivery is gone. Replay
needs it: it fails with an unreadable payload, or goes on with nothing in its place.

The events that are looked at: `run_created` and `step_created` (input), `step_completed` (result),
`step_failed` (error), `hook_received` (payload), `run_completed` (output). There is one finding for
each run, which names at most five events. If the run has no payload at all, it has more likely
expired than lost them, and the finding is an info.

## Why it happens
- Payloads are stored apart from the events, and the reference of this one could not be resolved.
- The payload was deleted: the retention of the run is over, or somebody cleaned up by hand.
- The exporter dropped it: too large, an error that was ignored, a page fetched without data.

## Example
    #3  step_created    step_…6GB8ME  reserve  input 98 bytes
    #4  step_started    step_…6GB8ME
    #5  step_completed  step_…6GB8ME  result 61 bytes
    #6  step_created    step_…6GB8MF  charge   input 97 bytes
    #7  step_started    step_…6GB8MF
    #8  step_completed  step_…6GB8MF           no result

## How to confirm
What of each type has a payload, and what has not, for the runs of the findings and for all others:

    SELECT event_type, run_id IN (SELECT run_id FROM finding WHERE rule = 'payload-missing') AS found,
        count(payload_bytes) AS with_payload, count(*) - count(payload_bytes) AS without
    FROM event
    WHERE event_type IN (
        'run_created', 'step_created', 'step_completed', 'step_failed', 'hook_received', 'run_completed')
    GROUP BY ALL
    ORDER BY ALL;

Then read the event in the world itself. If the payload is there, the export lost it.

## What to do
- Export the run again, with payloads.
- If the world has lost the value: a run that has ended needs nothing, as long as nobody replays it.
  A run that is still open will fail at this event. Start it again from its input.
- Keep payloads at least as long as the longest run may take.

## When it is wrong
- `undefined` is a value: from spec 2 on the SDK stores it as bytes, so a step that returns nothing
  has a payload too. In spec 1 it is left out, and there the finding is an info; so it is, with
  confidence suspect, where the spec version is unknown.
- An export without payloads (an inspection without `--withData`) is no finding, because no event of
  the type has one. If an export is put together from a part with payloads and a part without, the
  latter's runs are reported, as an info.
- A run whose row says that it has expired (`expiredAt` before the reference time) is not judged. If
  the export has no rows of runs, an expired run is reported as an info.
- A creation whose step was started with the input (a lazy start) may lack it.
- An event with a `dataSha256` counts as one with a payload.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs, healthy or not. All 16,626
  events of these types have their payload. No workflow of the corpora returns `undefined`: that it is
  stored as bytes was read in the SDK's public source.

## References
Catalogue PAY-001. vercel/workflow#4095 (expired payloads are absent on valid rows),
vercel/workflow#549 (expiry).
*/
-- The types that carry a value which replay or a caller reads; one without a value carries `undefined`.
WITH bare AS MATERIALIZED (
    SELECT export_id, run_id, event_no, event_type, correlation_id
    FROM event
    JOIN source USING (source_id)
    WHERE payload_bytes IS NULL AND data_sha256 IS NULL
        AND event_type IN (
            'run_created', 'step_created', 'step_completed', 'step_failed', 'hook_received', 'run_completed'
        )
),

-- An export without payloads is no finding: other events of the same type in the same export must have one.
recorded AS (
    SELECT DISTINCT export_id, event_type
    FROM event
    JOIN source USING (source_id)
    WHERE payload_bytes IS NOT NULL AND event_type IN (SELECT event_type FROM bare)
),

lazy AS (
    SELECT run_id, correlation_id
    FROM event
    WHERE event_type = 'step_started' AND payload_bytes IS NOT NULL
),

expired AS (
    SELECT run_id
    FROM run
    JOIN entity_row USING (run_id)
    WHERE kind = 'run' AND expired_at <= run.now
),

missing AS (
    SELECT
        bare.run_id, bare.event_no, bare.event_type, "position",
        row_number() OVER (PARTITION BY bare.run_id ORDER BY "position") AS place,
        count(*) OVER (PARTITION BY bare.run_id) AS events
    FROM bare
    JOIN recorded USING (export_id, event_type)
    JOIN log USING (event_no)
    -- A lazy start carries the step's input in place of the creation.
    WHERE NOT (bare.event_type = 'step_created' AND (bare.run_id, bare.correlation_id) IN (FROM lazy))
        AND bare.run_id NOT IN (FROM expired)
),

kept AS (
    SELECT DISTINCT run_id
    FROM event
    WHERE payload_bytes IS NOT NULL AND run_id IN (SELECT run_id FROM missing)
)

SELECT
    missing.run_id,
    kept.run_id IS NULL AS nothing_left,
    list(witness('no payload', event_no) ORDER BY "position") AS witness,
    format(
        '{} of the run {} no payload, unlike others of the same type in this export: {}{}{}.',
        CASE min(events) WHEN 1 THEN 'One event' ELSE format('{} events', min(events)) END,
        CASE min(events) WHEN 1 THEN 'has' ELSE 'have' END,
        string_agg(format('{} at #{}', event_type, "position"), ', ' ORDER BY "position"),
        CASE WHEN min(events) > 5 THEN ', ...' ELSE '' END,
        CASE WHEN kept.run_id IS NULL THEN '; no event of the run has one' ELSE '' END
    ) AS because
FROM missing
LEFT JOIN kept USING (run_id)
WHERE place <= 5
GROUP BY missing.run_id, kept.run_id;
