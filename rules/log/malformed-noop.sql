/*
title: A noop does not seal its slot as it should
severity:
  - {when: finding.breaks, is: error}
  - {is: warning}
confidence: proof
needs: []
implies: [duplicate-event-id, runtime-corruption-verdict]
only_with: [noop]
since: 0.1.0
---
## What it means
From spec 7 on a reader that meets an abandoned slot seals it: the World writes a `noop` with the
slot in both ids (`evnt_<slot>`, `noop_<slot>`) and `sealed: true`. After that no event may enter the
slot.

It is an error if
- a noop and another event have the same slot. One reader has skipped the slot and another will read
  the event, so two replays of one run differ;
- a noop stands in a run below spec 7. The replay of such a run does not know the type and stops at
  it.

It is a warning if the two ids of a noop do not name one slot, or if it does not say that it seals.
Readers skip it all the same, but it was not written by the sealer of the World, or not correctly.

## Why it happens
- The store does not refuse the late writer after it has sealed the slot, or the seal and the write
  do not meet in one transaction.
- A World that seals was put under runs of an older spec.
- A client wrote the noop itself, as a placeholder or to repair a hole.
- A migration numbered the events of a run anew and forgot one of the two ids.

## Example
    #6  wait_created  slot 6   wait_…R3N0TK
    #7  noop          slot 7   sealed
    #8  step_created  slot 7   step_…R3N0TM   written by a process that had stalled

## How to confirm
All noops of the log with what shares their slot:

    SELECT noop.run_id, noop.event_id, noop.correlation_id, event.sealed, run.spec_version,
        other.event_type AS same_slot
    FROM log AS noop
    JOIN event USING (event_no)
    JOIN run ON run.run_id = noop.run_id
    LEFT JOIN log AS other ON other.run_id = noop.run_id AND other.event_id = noop.event_id
        AND other.event_type <> 'noop'
    WHERE noop.event_type = 'noop'
    ORDER BY noop.run_id, noop.position;

## What to do
- Two events in one slot: stop the run. Find out which of them the store serves, and whether
  anything acted on the other (its step may have run). Start the run again from its input.
- Make the insert of an event and of a seal meet on a unique key of run and slot, so that the later
  one is refused.
- A noop below spec 7: take the sealing reader off these runs. They end as corrupt; start them again.
- A malformed noop: find its writer. Only the World may write this type.

## When it is wrong
- A missing `sealed` counts only where the export records event data.
- Of the spec, the highest one that any event of the run carries is taken. If the versions of a run
  differ, see mixed-id-scheme. If no event carries one, the rule says nothing about the spec.
- The noop and the event may come from two exports, the first taken before the slot was filled. Then
  the store replaced a seal, which it must not do either.
- Base rate: none. The 9 corpora of real SDK logs hold no `noop` in 1,256 runs, 224 of them on spec
  7. The rule was evaluated on them all and found nothing.

## References
Catalogue LOG-005. vercel/workflow#3634 (sealed slots), vercel/workflow#3735, vercel/workflow#3737
(sealing is opt-in, then the default).
*/
WITH noop AS (
    SELECT
        log.run_id, log.event_no, log."position", log.event_id, run.spec_version,
        coalesce(run.spec_version < 7, FALSE) AS too_early,
        regexp_full_match(log.event_id, '[a-z]+_0{10}\d{16}')
            AND coalesce(log.correlation_id = 'noop_' || log.event_id[-26:], FALSE) AS names_its_slot,
        -- Where an export drops event data, a missing `sealed` says nothing.
        coalesce(sealed, NOT list_contains(capabilities, 'digests')) AS says_sealed
    FROM log
    JOIN event USING (event_no)
    JOIN run ON run.run_id = log.run_id
    WHERE log.event_type = 'noop'
),

clash AS (
    SELECT
        noop.run_id, noop.event_id,
        min(noop."position") AS "position",
        arg_min(noop.event_no, noop."position") AS event_no,
        list(DISTINCT {'place': log."position", 'no': log.event_no, 'type': log.event_type}) AS others
    FROM noop
    JOIN log USING (run_id, event_id)
    WHERE log.event_type <> 'noop'
    GROUP BY noop.run_id, noop.event_id
)

SELECT
    run_id,
    TRUE AS breaks,
    [witness('noop', event_no)]
    || [witness('event in the same slot', other.no) FOR other IN list_sort(others)[:5]] AS witness,
    format(
        'Slot {} holds a noop (#{}) and {} (#{}): a writer was not refused after its slot had been sealed.',
        ltrim(event_id[-26:], '0'), "position",
        list_min(others).type, list_min(others).place
    ) AS because
FROM clash
UNION ALL BY NAME
SELECT
    run_id,
    TRUE AS breaks,
    list(witness('noop', event_no) ORDER BY "position")[:5] AS witness,
    format(
        'The noop at #{}{} stands in a run of spec {}: noops exist from spec 7 on, so this replay knows none.',
        min("position"), CASE count(*) WHEN 1 THEN '' ELSE format(' (and {} more)', count(*) - 1) END,
        any_value(spec_version)
    ) AS because
FROM noop
WHERE too_early
GROUP BY run_id
UNION ALL BY NAME
SELECT
    run_id,
    FALSE AS breaks,
    list(witness('noop', event_no) ORDER BY "position")[:5] AS witness,
    format(
        'The noop at #{} {}{}.',
        min("position"),
        CASE WHEN arg_min(names_its_slot, "position") THEN 'does not say that it seals its slot'
            ELSE 'has two ids that do not name one slot' END,
        CASE count(*) WHEN 1 THEN '' ELSE format('; {} noops of the run are malformed', count(*)) END
    ) AS because
FROM noop
WHERE NOT too_early AND NOT (names_its_slot AND says_sealed)
GROUP BY run_id;
