-- run: one row a run, with what it is (workflow, versions, status), what its log can show (capabilities), why
-- its history is incomplete (gap), the reference time for what is overdue (now) and what its core's
-- replay tolerates (one column a row of TOLERANCES).
CREATE TABLE audit.run AS
WITH known AS (
    SELECT run_id FROM event_core
    UNION SELECT run_id FROM entity_row
    UNION SELECT run_id FROM refusal
    UNION SELECT run_id FROM head
    UNION SELECT run_id FROM reject WHERE run_id IS NOT NULL
),

born AS (
    SELECT
        run_id,
        arg_min(workflow_name, event_id) AS workflow,
        arg_min(core_version, event_id) AS core_version,
        arg_min(deployment_id, event_id) AS deployment_id
    FROM event
    WHERE event_type = 'run_created'
    GROUP BY run_id
),

stored AS (
    SELECT
        run_id,
        max(workflow_name) AS workflow,
        max(core_version) AS core_version,
        max(deployment_id) AS deployment_id,
        max(spec_version) AS spec_version,
        arg_max(status, coalesce(updated_at, created_at, TIMESTAMP '1970-01-01')) AS status,
        max(error_code) AS error_code,
        max(runtime_signature) AS runtime_signature,
        max(runtime_event_id) AS runtime_event_id,
        max(runtime_correlation_id) AS runtime_correlation_id,
        min(entity_no) AS entity_no
    FROM entity_row
    WHERE kind = 'run'
    GROUP BY run_id
),

seen AS (
    SELECT
        run_id,
        count(*) AS events,
        min("position") AS first_position,
        max("position") AS last_position,
        arg_min(event_no, "position") AS first_event_no,
        arg_max(event_no, "position") AS last_event_no,
        min("position") FILTER (WHERE event_type IN ('run_completed', 'run_failed', 'run_cancelled'))
            AS terminal_position,
        arg_min(event_type, "position") FILTER (
            WHERE event_type IN ('run_completed', 'run_failed', 'run_cancelled')
        ) AS terminal_type,
        count(*) FILTER (WHERE event_type IN ('run_created', 'run_started')) AS beginnings,
        max(created_at) AS last_created_at,
        -- The digits of a slot would pass for a ULID of 1970.
        bool_and(contains(event_id, '_0000000000') AND regexp_full_match(event_id, '[a-z]+_\d{26}')) AS slots,
        bool_and(
            NOT contains(event_id, '_0000000000')
            AND regexp_full_match(event_id, '([a-z]+_)?[0-7][0-9A-HJKMNP-TV-Z]{25}')
        ) AS ulids
    FROM log
    GROUP BY run_id
),

said AS (
    SELECT
        run_id,
        max(spec_version) AS spec_version,
        bool_or(resume_at IS NOT NULL) FILTER (WHERE event_type = 'wait_completed') AS completion_has_resume_at,
        bool_or(step_name IS NOT NULL) FILTER (WHERE event_type = 'step_started') AS start_has_step_name
    FROM event_core
    GROUP BY run_id
),

detail AS (
    SELECT run_id, count("position") AS positioned
    FROM event_core
    JOIN event_more USING (event_no)
    GROUP BY run_id
),

ended AS (
    SELECT seen.run_id, event_id AS tail FROM seen JOIN log ON event_no = last_event_no
),

failed AS (
    SELECT
        run_id,
        arg_min(event_no, event_id) AS event_no,
        arg_min(error_code, event_id) AS error_code,
        arg_min(runtime_signature, event_id) AS runtime_signature,
        arg_min(runtime_event_id, event_id) AS runtime_event_id,
        arg_min(runtime_correlation_id, event_id) AS runtime_correlation_id
    FROM event
    WHERE event_type = 'run_failed'
    GROUP BY run_id
),

ordinals AS (
    SELECT run_id, bool_and(ordinal IS NOT NULL) AS ordinals FROM entity GROUP BY run_id
),

-- Which sources, and which exports, hold (a part of) a run.
part AS (
    SELECT run_id, source_id FROM event_core
    UNION
    SELECT run_id, copy.source_id FROM copy JOIN event USING (event_no)
),

held AS (
    SELECT DISTINCT run_id, export_id FROM part JOIN source USING (source_id)
),

-- Every source of the run may have been cut off; one that cannot have been holds the whole of it.
cut AS (
    SELECT run_id, min(cut) AS cut
    FROM part JOIN source USING (source_id)
    GROUP BY run_id
    HAVING count(cut) = count(*)
),

-- The same event was read from two exports, so they are two exports of the run and no split of one.
twice AS (
    SELECT DISTINCT run_id
    FROM copy
    JOIN event USING (event_no)
    JOIN source AS kept ON kept.source_id = event.source_id
    JOIN source AS other ON other.source_id = copy.source_id
    WHERE kept.export_id <> other.export_id
),

recorded AS (
    SELECT run_id, list_distinct(flatten(list(records))) AS records
    FROM held JOIN export USING (export_id)
    GROUP BY run_id
),

-- The reference time of an export: what its manifest says, else its newest event; never the wall clock.
dated AS (
    SELECT
        export_id,
        coalesce(
            (SELECT CAST(value AS TIMESTAMP) FROM meta WHERE key = 'now'),
            any_value(CAST(TRY_CAST(manifest ->> '$.exportedAt' AS TIMESTAMPTZ) AS TIMESTAMP)),
            max(newest)
        ) AS now
    FROM export
    LEFT JOIN source USING (export_id)
    LEFT JOIN (SELECT source_id, max(created_at) AS newest FROM event_core GROUP BY source_id) USING (source_id)
    GROUP BY export_id
),

clock AS (
    SELECT run_id, max(now) AS now FROM held JOIN dated USING (export_id) GROUP BY run_id
),

headed AS (
    SELECT run_id, max(events) AS events, max(tail) AS tail FROM head GROUP BY run_id
),

own_rejects AS (
    SELECT run_id, count(*) AS rejects FROM reject WHERE run_id IS NOT NULL GROUP BY run_id
),

-- A reject whose run is unknown may belong to any run of its export.
stray_rejects AS (
    SELECT run_id, sum(rejects) AS rejects
    FROM (
        SELECT export_id, count(*) AS rejects
        FROM reject JOIN source USING (source_id)
        WHERE run_id IS NULL
        GROUP BY export_id
    )
    JOIN held USING (export_id)
    GROUP BY run_id
),

-- An input that broke off: what was lost may belong to any run that was read from it.
broken_inputs AS (
    SELECT DISTINCT run_id, problem
    FROM held JOIN export USING (export_id) JOIN input USING (input_id)
    WHERE problem IS NOT NULL
),

joined AS (
    SELECT
        run_id,
        coalesce(born.workflow, stored.workflow) AS workflow,
        coalesce(born.deployment_id, stored.deployment_id) AS deployment_id,
        coalesce(said.spec_version, stored.spec_version) AS spec_version,
        coalesce(born.core_version, stored.core_version) AS core_version,
        core_rank(coalesce(born.core_version, stored.core_version)) AS core_rank,
        CASE
            WHEN terminal_type IS NOT NULL THEN substr(terminal_type, 5)
            WHEN stored.status IN ('completed', 'failed', 'cancelled') THEN stored.status
            ELSE 'running'
        END AS status,
        terminal_position,
        terminal_type,
        coalesce(seen.events, 0) AS events,
        first_position, last_position, first_event_no, last_event_no, ended.tail, last_created_at, clock.now,
        CASE WHEN slots THEN 'slot' WHEN ulids THEN 'ulid' ELSE 'unknown' END AS id_scheme,
        coalesce(positioned, 0) = seen.events AS positions_recorded,
        completion_has_resume_at,
        start_has_step_name,
        stored.entity_no,
        failed.event_no AS failed_event_no,
        coalesce(failed.error_code, stored.error_code) AS error_code,
        coalesce(
            failed.runtime_signature, stored.runtime_signature,
            CASE
                WHEN coalesce(failed.error_code, stored.error_code) = 'CORRUPTED_EVENT_LOG'
                    THEN 'replay_divergence'
            END
        ) AS runtime_signature,
        coalesce(failed.runtime_event_id, stored.runtime_event_id) AS runtime_event_id,
        coalesce(failed.runtime_correlation_id, stored.runtime_correlation_id) AS runtime_correlation_id,
        CASE
            WHEN seen.events IS NULL THEN 'none of its events was exported'
            WHEN own_rejects.rejects > 0 THEN format('{} of its rows could not be read', own_rejects.rejects)
            WHEN stray_rejects.rejects > 0
                THEN format('{} unreadable rows of its export may belong to it', stray_rejects.rejects)
            WHEN broken_inputs.problem IS NOT NULL THEN 'its input broke off while it was read'
            WHEN cut.cut IS NOT NULL THEN cut.cut
            WHEN beginnings = 0 THEN 'the export lacks its run_created and run_started'
            WHEN positioned = seen.events AND (first_position <> 1 OR last_position <> seen.events)
                THEN format('positions 1 to {} should be there, {} of them are', last_position, seen.events)
            WHEN headed.events <> seen.events
                THEN format('its head counts {} events, {} were exported', headed.events, seen.events)
            WHEN headed.tail <> ended.tail
                THEN format('its head names the tail {}, the export ends at {}', headed.tail, ended.tail)
        END AS gap,
        coalesce(records, []) AS records,
        coalesce(ordinals, FALSE) AS ordinals,
        twice.run_id IS NOT NULL AS two_exports
    FROM known
    LEFT JOIN seen USING (run_id)
    LEFT JOIN said USING (run_id)
    LEFT JOIN detail USING (run_id)
    LEFT JOIN ended USING (run_id)
    LEFT JOIN born USING (run_id)
    LEFT JOIN stored USING (run_id)
    LEFT JOIN failed USING (run_id)
    LEFT JOIN ordinals USING (run_id)
    LEFT JOIN recorded USING (run_id)
    LEFT JOIN clock USING (run_id)
    LEFT JOIN headed USING (run_id)
    LEFT JOIN own_rejects USING (run_id)
    LEFT JOIN stray_rejects USING (run_id)
    LEFT JOIN broken_inputs USING (run_id)
    LEFT JOIN cut USING (run_id)
    LEFT JOIN twice ON twice.run_id = known.run_id
)

SELECT
    * EXCLUDE (records, ordinals, two_exports, completion_has_resume_at, start_has_step_name, positions_recorded),
    id_scheme = 'unknown' AND NOT coalesce(positions_recorded, FALSE) AS unordered,
    list_sort(list_concat(records, list_filter(
        [
            CASE WHEN gap IS NULL THEN 'complete' END,
            CASE WHEN ordinals THEN 'ordinals' END,
            CASE WHEN two_exports THEN 'two_exports' END,
            CASE WHEN id_scheme = 'slot' THEN 'slots' END,
            CASE WHEN core_version IS NOT NULL THEN 'core_version' END
        ],
        lambda name: name IS NOT NULL
    ))) AS capabilities,
    -- Where the core is unknown, it is at least 4.6 iff its events carry what 4.6 began to write.
    {tolerances}
FROM joined;
