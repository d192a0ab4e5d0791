/*
title: A slot of the log is empty
severity:
  - {when: finding.settled, is: error}
  - {is: warning}
confidence: proof
needs: [slots, complete]
implies:
  - orphan-hook-event
  - orphan-step-event
  - orphan-wait-completed
  - runtime-corruption-verdict
  - unknown-fence
since: 0.1.0
params:
  grace_seconds: {default: 60, meaning: how long a write of a running run may take to fill its slot}
---
## What it means
From spec 6 on an event id is a slot: its position in the run, dense from 1. Here a number is
missing below the last one. Either the event was never written, or this export did not read it. The
runtime reads the log again a few times and then refuses to replay such a run.

It is an error if the run is terminal or if the event behind the hole is older than the grace time.
Otherwise it is a warning: the write that claimed the slot may still be under way.

## Why it happens
- A writer claimed a slot and died, or its insert was rejected, and nothing filled the slot later.
- world-local staged a hook delivery outside the log, and the next writer moved past its slot
  (vercel/workflow#3492).
- The event is in the store, but the reader was served by a lagging replica or index.
- An event was deleted, or a line was cut out of the export.

## Example
    slot 4   #4  wait_created    wait_…EG60Q2
    slot 5   #5  hook_received   hook_…EG60Q1
    slot 7   #6  step_created    step_…EG60Q3  charge
    slot 8   #7  step_started    step_…EG60Q3
    slot 10  #9  run_completed

Slot 6 is missing, so positions and slots differ from there on.

## How to confirm
    SELECT run_id, any_value(run.status) AS status,
        CAST(right(max(event_id), 16) AS BIGINT) AS last_slot, count(DISTINCT event_id) AS slots
    FROM log
    JOIN run USING (run_id)
    WHERE id_scheme = 'slot'
    GROUP BY run_id
    HAVING last_slot <> slots;

Then ask the store itself for the slot. In world-local it is the file of the run in `events` whose
name holds the 26 digits; in a database it is the row with that run and event id.

## What to do
- Export the run again. If the hole is gone, the first export was taken too early or read a lagging
  replica.
- If the event is in the store, repair the reader or the export.
- If it is not in the store and the run is open, the runtime fails it. Restart the run from its
  input.
- Upgrade the World: vercel/workflow#3492 repairs world-local. From spec 7 on abandoned slots are
  sealed with a `noop`, which is no hole.
- Never renumber events by hand: a missing event may be a signal that somebody was told was
  received.

## When it is wrong
- It is a warning while the write may be under way. A store that commits out of order shows such
  holes briefly in a sound run.
- One export cannot tell "never written" from "not read".
- A hole at the end cannot be seen from slots alone. If the log has a head record, incomplete-export
  reports it. The same goes for logs that record positions: a missing position makes the history
  incomplete, and this rule is then not evaluated.
- Not evaluated on ULID logs, which cannot have holes that show.
- Base rate: no finding in the 224 runs with slots (all on core 5.0.0-beta.55) among 1,256 runs of
  the corpora of real SDK logs.

## References
Catalogue LOG-002. vercel/workflow#3246, vercel/workflow#3389 (slots), vercel/workflow#3492 (holes
of world-local), vercel/workflow#3634 (sealing with `noop`).
*/
WITH slotted AS (
    -- TRY_CAST: a filter may reach the ULIDs of other runs before the one on id_scheme does.
    SELECT log.run_id, event_no, "position", created_at, TRY_CAST(right(event_id, 16) AS BIGINT) AS slot
    FROM log
    JOIN run USING (run_id)
    WHERE id_scheme = 'slot'
),

-- Dense from 1 means that every slot is its position; only other runs are sorted. Counting would not do: a
-- slot that is there twice would hide one that is missing.
neighbour AS (
    SELECT
        *,
        lag(event_no) OVER by_slot AS previous_event_no,
        lag("position") OVER by_slot AS previous_position,
        coalesce(lag(slot) OVER by_slot, 0) AS previous_slot
    FROM slotted
    WHERE run_id IN (SELECT run_id FROM slotted WHERE slot <> "position")
    WINDOW by_slot AS (PARTITION BY run_id ORDER BY "position")
)

SELECT
    neighbour.run_id,
    list_concat(
        CASE WHEN previous_event_no IS NULL THEN [] ELSE [witness('before the hole', previous_event_no)] END,
        [witness('after the hole', event_no)]
    ) AS witness,
    run.status <> 'running'
        OR created_at < run.now - to_seconds(param('slot-hole', 'grace_seconds', run.workflow)) AS settled,
    format(
        'Slot{} {} {} missing: the log {} slot {} at #{}.',
        CASE WHEN slot - previous_slot = 2 THEN '' ELSE 's' END,
        CASE WHEN slot - previous_slot = 2 THEN CAST(slot - 1 AS VARCHAR)
            ELSE format('{} to {}', previous_slot + 1, slot - 1) END,
        CASE WHEN slot - previous_slot = 2 THEN 'is' ELSE 'are' END,
        CASE
            WHEN previous_event_no IS NULL THEN 'begins with'
            ELSE format('goes from slot {} at #{} to', previous_slot, previous_position)
        END,
        slot, "position"
    ) AS because
FROM neighbour
JOIN run USING (run_id)
WHERE slot > previous_slot + 1;
