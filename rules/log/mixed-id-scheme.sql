/*
title: Events of one run have ids of two schemes or two spec versions
severity:
  - {when: finding.mixes_ids, is: error}
  - {is: warning}
confidence: proof
needs: []
implies:
  - event-after-terminal
  - late-creation
  - order-inversion
  - orphan-hook-event
  - orphan-step-event
  - orphan-wait-completed
  - run-created-misplaced
  - runtime-corruption-verdict
  - step-restarted-after-outcome
since: 0.1.0
---
## What it means
The ids of a run are either ULIDs, which carry a time, or slots, which are positions counted from 1.
If a run has both, its order is undefined: sorted as text all slots stand before all ULIDs, whatever
was written first. A replay reads such a run in an order in which it was not written. This is an
error.

If the ids agree but the `specVersion` of the events differs, two versions of the SDK wrote to one
run. What a replay accepts depends on the version, so each of them may take events of the other for
damage. No harm is proven; this is a warning.

## Why it happens
- The SDK or the World was upgraded while the run was open, and the run was not pinned to the old
  one.
- Two deployments work on one database or folder.
- A run was moved between worlds, or two worlds were merged.
- A World that does not know slots served a run that needs them (vercel/workflow#3305).

## Example
    slot 5      #5  hook_created   specVersion 7
    slot 6      #6  step_created   specVersion 7
    slot 7      #7  run_completed  specVersion 7
    01M65P…VQ   #8  hook_received  specVersion 3   came before slot 6

## How to confirm
Which versions and kinds of ids such a run has, and when:

    SELECT event.run_id, spec_version, regexp_matches(event_id, '_0{10}\d{16}$') AS is_slot,
        count(*) AS events, min(created_at) AS first_at, max(created_at) AS last_at
    FROM event
    WHERE event.run_id IN (SELECT run_id FROM finding WHERE rule = 'mixed-id-scheme')
    GROUP BY ALL
    ORDER BY ALL;

If the times of the two groups do not overlap, it was an upgrade. If they do, two versions work side
by side.

## What to do
- Mixed ids: do not let the run go on. Start it again from its input, on one version.
- Find the second writer: the deployment, worker or script that wrote the smaller group.
- Pin runs to the deployment that started them, or let them end before an upgrade.
- Spec versions alone: look at the run's other findings. If there are none, nothing has to be done.

## When it is wrong
- Ids of any other shape are neither slots nor ULIDs and are not judged. The run's order is then
  unknown, unless its log records positions.
- An event without a `specVersion` is no difference.
- The prefix does not matter. `evnt_` and `wevt_` ULIDs in one run are not reported.
- Base rate: no finding in 1,256 runs of the corpora of real SDK logs. No run of them has two spec
  versions; but each corpus was made with one version, so none of them shows an upgrade.

## References
Catalogue LOG-006. vercel/workflow#3305, vercel/workflow#3389 (slots replace ULIDs).
*/
WITH doubtful AS (
    -- Ten zeros: no ULID since 1970 begins with them, and every slot does.
    SELECT run_id
    FROM event
    WHERE contains(event_id, '_0000000000') AND run_id IN (SELECT run_id FROM run WHERE id_scheme <> 'slot')
    UNION
    SELECT run_id FROM event GROUP BY run_id HAVING min(spec_version) <> max(spec_version)
),

tagged AS (
    SELECT
        log.run_id, log."position", log.event_no,
        CASE
            WHEN regexp_full_match(log.event_id, '[a-z]+_0{10}\d{16}') THEN 'a slot as its id'
            WHEN regexp_full_match(log.event_id, '([a-z]+_)?[0-7][0-9A-HJKMNP-TV-Z]{25}') THEN 'a ULID as its id'
        END AS scheme,
        'specVersion ' || spec_version AS spec
    FROM log
    JOIN event USING (event_no)
    WHERE log.run_id IN (SELECT run_id FROM doubtful)
),

variant AS (
    SELECT
        run_id, what, word,
        count(*) AS events, min("position") AS first_at, arg_min(event_no, "position") AS event_no
    FROM (
        SELECT run_id, 'ids' AS what, scheme AS word, "position", event_no FROM tagged
        UNION ALL
        SELECT run_id, 'spec' AS what, spec AS word, "position", event_no FROM tagged
    )
    WHERE word IS NOT NULL
    GROUP BY run_id, what, word
    QUALIFY count(*) OVER (PARTITION BY run_id, what) > 1
),

first_event AS (
    SELECT
        run_id, event_no, first_at,
        bool_or(what = 'ids') AS mixes_ids,
        'first with ' || string_agg(word, ' and ' ORDER BY word) AS role
    FROM variant
    GROUP BY run_id, event_no, first_at
)

SELECT
    run_id,
    bool_or(mixes_ids) AS mixes_ids,
    list(witness(role, event_no) ORDER BY first_at)[:5] AS witness,
    any_value(text) AS because
FROM first_event
JOIN (
    SELECT
        run_id,
        'The run has events with '
            || string_agg(format('{} ({}, first #{})', word, events, first_at), ', ' ORDER BY what, first_at)
            || '.' AS text
    FROM variant
    GROUP BY run_id
) USING (run_id)
GROUP BY run_id;
