/*
title: An event stands in the log of another run
severity: error
confidence: proof
needs: [complete]
implies:
  - orphan-hook-event
  - orphan-step-event
  - orphan-wait-completed
  - run-created-misplaced
  - runtime-corruption-verdict
since: 0.1.0
---
## What it means
An event was filed under the wrong run. One run has an event that no replay of it can place, and
another has lost one: its step or wait may never end. Two things prove it:

- In a folder of world-local, the file `events/<runId>-<eventId>.json` holds an event with another
  run id or event id than its name says. The run in the file name is the one that lacks its event.
- A run has an event of a step, wait or hook that it never created, and another run of this audit
  did create it, under the very same id. The body of the id is a ULID, which no two runs draw.

## Why it happens
- A script that copied, restored or repaired logs wrote events to the wrong run.
- An exporter paged through several runs at once and mixed their pages.
- A worker kept the run id of its previous job in a variable that two jobs share.
- Files were renamed or overwritten by hand.

## Example
    wrun_…A7XW0P  #6  step_completed  step_…6B9K1D   created nowhere in this run

    wrun_…T40GHE  #6  step_created    step_…6B9K1D  chargeCard
    wrun_…T40GHE  #7  step_started    step_…6B9K1D

The outcome at #6 of the first run belongs behind #7 of the second.

## How to confirm
Steps, waits and hooks that occur in more than one run, and which of these runs created them:

    SELECT correlation_id, run_id, first_created, first_active, first_closed
    FROM entity
    WHERE correlation_id IN (
        SELECT correlation_id FROM entity
        GROUP BY correlation_id
        HAVING count(DISTINCT run_id) > 1
    )
    ORDER BY ALL;

Files of world-local whose name is not that of their event:

    SELECT source.name, run_id, event_id, event_type
    FROM event
    JOIN source USING (source_id)
    WHERE line IS NULL AND NOT ends_with(source.name, run_id || '-' || event_id || '.json')
    ORDER BY ALL;

## What to do
- Export both runs again, each by its own id. If the finding is gone, the exporter is at fault and
  the world is sound.
- If the world itself holds the event in the wrong run, look at what else the same writer wrote.
- Start the run that has the foreign event again from its input. See whether the owner waits for the
  event, and start it again too if it does.

## When it is wrong
- Ids that are counters (`step_0…01`) occur in every run and are not judged.
- If both runs created the entity, their ids are not random, and nothing is reported. Logs of a
  simulator that draws the same ids in each run look like this.
- The owner must be in the same audit. An event of a run that was not read shows up as
  orphan-step-event or orphan-wait-completed only.
- A run whose history is known to be incomplete is not judged: the creation may be what it lacks.
- If an event lies in its own file and once more in a wrong one, the two rows are equal and are
  merged. The wrong file is then reported only if it was read first.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs. No id of an entity occurs in
  two runs, and all 14,702 files of events in the 7 world-local corpora have the right name.

## References
Catalogue LOG-007. vercel/workflow#2073, vercel/workflow#3280 (ids are unique only within a run).
*/
WITH misfiled AS (
    SELECT
        event.event_no, event.run_id AS of_run, event.event_id,
        regexp_extract(source.name, '(?:^|/)events/(wrun_[^/-]+)-[^/]+\.json$', 1) AS named_run,
        regexp_extract(source.name, '(?:^|/)events/wrun_[^/-]+-([^/]+)\.json$', 1) AS named_event
    FROM event
    JOIN source USING (source_id)
    -- One record a source: the folder of world-local, which names each file after the event in it.
    WHERE line IS NULL AND NOT ends_with(source.name, event.run_id || '-' || event.event_id || '.json')
),

-- No two runs draw one ULID, so its creation says to which run an entity belongs.
foreigner AS MATERIALIZED (
    SELECT
        entity.run_id, entity.kind, entity.correlation_id, entity.first_active, entity.first_closed,
        min(owner.run_id) AS of_run
    FROM entity
    JOIN entity AS owner USING (kind, correlation_id)
    WHERE entity.first_created IS NULL
        AND owner.first_created IS NOT NULL
        AND owner.run_id <> entity.run_id
    GROUP BY ALL
)

SELECT
    coalesce(run.run_id, of_run) AS run_id,
    [witness('in the file of another event', misfiled.event_no)] AS witness,
    format(
        'The file of event {} of run {} holds {} (#{}, id {}) of run {}.',
        short_id(named_event), short_id(named_run),
        event_type, "position", short_id(misfiled.event_id), short_id(of_run)
    ) AS because
FROM misfiled
JOIN log USING (event_no)
LEFT JOIN run ON run.run_id = named_run
WHERE named_run <> ''
UNION ALL BY NAME
SELECT
    foreigner.run_id,
    [witness('event of another run', stray.event_no), witness('created there', created.event_no)] AS witness,
    format(
        '{} at #{} is of {}, which this run never created; run {} created it, at its #{}.',
        stray.event_type, stray."position", short_id(foreigner.correlation_id), short_id(of_run), created."position"
    ) AS because
FROM foreigner
JOIN log AS stray
    ON stray.run_id = foreigner.run_id AND stray."position" = least(foreigner.first_active, foreigner.first_closed)
JOIN entity AS owner
    ON owner.run_id = of_run AND owner.kind = foreigner.kind AND owner.correlation_id = foreigner.correlation_id
JOIN log AS created ON created.run_id = of_run AND created."position" = owner.first_created
-- A counter is unique only in its own run, so it names nothing in another.
WHERE regexp_full_match(foreigner.correlation_id, '[a-z]+_[0-7][0-9A-HJKMNP-TV-Z]{25}')
    AND NOT regexp_full_match(foreigner.correlation_id, '[a-z]+_\d{26}');
