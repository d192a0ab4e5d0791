/*
title: The hash chain of a run is broken
severity: error
confidence: proof
needs: [hashes]
implies:
  - early-wait-completed
  - event-after-terminal
  - fence-regressed
  - order-inversion
  - orphan-hook-event
  - orphan-step-event
  - orphan-wait-completed
  - runtime-corruption-verdict
  - spurious-conflict
  - stale-snapshot-write
  - step-restarted-after-outcome
  - unknown-fence
since: 0.1.0
---
## What it means
The log has a hash chain: every event carries a hash of its own columns and of the hash before it.
Here the chain does not hold. After the log was written, an event was changed, put in, taken out or
moved, or its writer made the chain wrongly. From the first break on, what the log says is not what
was committed.

There is one finding for each run. It names the first break and counts the others.

## Why it happens
- Somebody or something changed the log: a repair by hand, a migration, an import that sets times or
  ids anew, a redaction that changes more than it may.
- Rows were lost, put in or numbered anew in the store or in the export.
- Two writers extended the chain from the same event, because the store does not check the tail.
- The exporter prints a column otherwise than it was hashed, for instance a rounded time.

## Example
    #5  hook_received   hook_…T3W7RA   prevHash 51a0…  hash 9c27…
    #6  step_created    step_…T3W7RC   prevHash 9c27…  hash e4d1…   changed, and hashed anew
    #7  step_started    step_…T3W7RC   prevHash 07bb…  hash 2f6e…   07bb was the hash of #6

#7 still carries the hash that #6 had when #7 was written.

## How to confirm
The rule recomputes `hash` as the SHA-256, in hex, of ten columns joined by U+001F, with an empty
text for null. Every event of a run with a finding, and what is wrong with it:

    WITH chained AS (
        SELECT log.run_id, log.position, log.event_type, event.hash, event.prev_hash,
            lag(event.hash) OVER (PARTITION BY log.run_id ORDER BY log.position) AS hash_before,
            sha256(concat(event.prev_hash, chr(31), event.position, chr(31), event.event_id, chr(31),
                event.event_type, chr(31), event.correlation_id, chr(31),
                epoch_ms(event.created_at), chr(31), event.spec_version, chr(31),
                event.fence_kind, chr(31), event.fence_value, chr(31),
                event.data_sha256)) AS recomputed
        FROM log
        JOIN event USING (event_no)
        WHERE log.run_id IN (SELECT run_id FROM finding WHERE rule = 'chain-broken')
    )
    SELECT run_id, position, event_type, hash IS NULL AS no_hash, hash <> recomputed AS changed,
        prev_hash IS DISTINCT FROM hash_before AS not_linked
    FROM chained
    ORDER BY run_id, position;

Only `changed` at one place: that event was edited in place. Only `not_linked`: the event before was
edited and hashed anew, or one was put in or taken out there. `changed` at every place from some
point on: the positions were numbered anew. `changed` everywhere in every run: the exporter prints a
column otherwise than it was hashed.

## What to do
- Export the run again from the store, and compare. If the new export holds, only the copy was
  changed.
- If the store itself is broken, find who wrote to its tables. Trust the events before the first
  break; for all that follows go back to a backup.
- Compare the hash of the last event with a copy that is kept elsewhere.

## When it is wrong
- The chain shows that something was changed, not that it matters: a time that was rounded breaks it
  as surely as a changed decision.
- It does not show a tail that was removed together with the `head` of the run, nor a forger who
  made all later hashes anew. Only a hash that is kept elsewhere shows that.
- Not judged: a link to an event that the input does not hold, and a head that names an event which
  the input does not hold. An export that was cut is no broken chain (see incomplete-export).
- Payloads may be redacted: `dataSha256` stays and is what was hashed. So data that was edited beside
  a digest that was kept is not seen here; `auditor world verify` compares the two in the store.
- Whether a log has a chain is read from `fields` of its manifest. A log that promises `hash` and
  carries none is reported.
- Base rate: none. Stock exports have no hash chain, so the rule was evaluated on none of the 1,256
  runs of the corpora of real SDK logs.

## References
Catalogue: no entry of its own; the hash chain is part of auditor.log/v1 (`auditor schema log`).
*/
-- Only exports that have a hash chain: the same run may come from another export as well.
WITH chained_source AS (
    SELECT source_id FROM source JOIN export USING (export_id) WHERE list_contains(records, 'hashes')
),

chained AS (
    SELECT event_no, run_id, event_id, "position", nullif(prev_hash, '') AS prev_hash, nullif(hash, '') AS hash
    FROM event
    WHERE source_id IN (SELECT source_id FROM chained_source)
),

-- Whoever does not carry on the hash of the event one position before; the first of every run is here too.
unlinked AS (
    SELECT this.*
    FROM chained AS this
    WHERE hash IS NOT NULL
        AND NOT EXISTS (
            SELECT 1
            FROM chained AS before
            WHERE before.run_id = this.run_id AND before.hash = this.prev_hash
                AND before."position" = this."position" - 1
        )
),

fault AS (
    SELECT
        event_no, CAST(NULL AS BIGINT) AS before_no, 1 AS rank,
        CASE
            WHEN nullif(hash, '') IS NULL THEN 'carries no hash'
            ELSE 'is not what its hash was made of'
        END AS what
    FROM event
    WHERE source_id IN (SELECT source_id FROM chained_source)
        AND coalesce(
            hash <> sha256(concat(
                prev_hash, chr(31), "position", chr(31), event_id, chr(31), event_type, chr(31), correlation_id,
                chr(31), epoch_ms(created_at), chr(31), spec_version, chr(31), fence_kind, chr(31), fence_value,
                chr(31), data_sha256
            )),
            TRUE
        )
    UNION ALL
    SELECT
        unlinked.event_no, before.event_no, 2,
        format('does not carry on the hash of #{}', before_log."position")
    FROM unlinked
    JOIN log ON log.event_no = unlinked.event_no
    JOIN log AS before_log ON before_log.run_id = log.run_id AND before_log."position" = log."position" - 1
    JOIN chained AS before ON before.event_no = before_log.event_no
    WHERE before.hash IS NOT NULL AND before.hash IS DISTINCT FROM unlinked.prev_hash
    UNION ALL
    SELECT event_no, NULL, 2, 'is the first of the run, but carries on the hash of another event'
    FROM unlinked
    WHERE "position" = 1 AND prev_hash IS NOT NULL
    UNION ALL
    SELECT event_no, NULL, 3, 'has another hash than the head of the run says'
    FROM chained
    JOIN head ON head.run_id = chained.run_id AND head.tail = chained.event_id
    WHERE nullif(head.hash, '') <> chained.hash
),

broken AS (
    SELECT event_no, max(before_no) AS before_no, arg_min(what, rank) AS what
    FROM fault
    GROUP BY event_no
)

SELECT
    run_id,
    CASE arg_min(coalesce(before_no, -1), "position")
        WHEN -1 THEN []
        ELSE [witness('event before it', arg_min(coalesce(before_no, -1), "position"))]
    END
    || [witness('breaks the chain', arg_min(event_no, "position"))] AS witness,
    format(
        '{} at #{} {}{}.',
        arg_min(event_type, "position"), min("position"), arg_min(what, "position"),
        CASE count(*)
            WHEN 1 THEN ''
            WHEN 2 THEN '; the chain breaks at 1 more event of the run'
            ELSE format('; the chain breaks at {} more events of the run', count(*) - 1)
        END
    ) AS because
FROM broken
JOIN log USING (event_no)
GROUP BY run_id;
