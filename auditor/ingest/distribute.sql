-- From the staged rows of one batch to the ingested tables; what lacks an identity becomes a reject.
INSERT INTO reject
SELECT
    source_id,
    line,
    run_id,
    CASE
        WHEN record NOT IN ('manifest', 'event', 'refusal', 'entity', 'head', 'run', 'step', 'hook', 'wait')
            THEN format('record is {}, which auditor.log/v1 does not know', record)
        WHEN run_id IS NULL THEN 'runId is missing'
        WHEN record = 'event' AND event_id IS NULL THEN 'eventId is missing'
        WHEN record = 'event' AND event_type IS NULL THEN 'eventType is missing'
        WHEN record = 'event' THEN 'createdAt is not a time'
        WHEN record = 'refusal' THEN 'eventType is missing'
        ELSE 'kind is not run, step, hook or wait'
    END
FROM placed
WHERE record <> 'manifest'
    AND CASE
        WHEN run_id IS NULL THEN TRUE
        WHEN record = 'event'
            THEN event_id IS NULL OR event_type IS NULL
                OR (created_text IS NOT NULL AND created_at IS NULL)
        WHEN record = 'refusal' THEN event_type IS NULL
        WHEN record IN ('entity', 'run', 'step', 'hook', 'wait')
            THEN entity_kind IS NULL OR entity_kind NOT IN ('run', 'step', 'hook', 'wait')
        ELSE record <> 'head'
    END;

INSERT INTO event
SELECT
    (SELECT coalesce(max(event_no), 0) FROM event) + row_no,
    source_id, line,
    run_id, event_id, event_type, correlation_id, created_at, occurred_at, spec_version, resume_id,
    workflow_name, deployment_id, core_version, step_name, attempt, owner_message_id, resume_at, retry_after, token_hash,
    token_retention_until, conflicting_run_id, force_claimed_by, sealed, error_code,
    signature, named_event_id, named_correlation_id,
    payload_bytes, payload_sha256, payload_encrypted, payload_kept,
    "position", commit_seq, fence_kind, fence_value, fence_resolved, tail_at_commit,
    request_id, tick_id, writer_id, site, write_attempt, prev_hash, hash, data_sha256
FROM placed
LEFT JOIN corruption_report USING (row_no)
WHERE record = 'event' AND run_id IS NOT NULL AND event_id IS NOT NULL AND event_type IS NOT NULL
    AND (created_text IS NULL OR created_at IS NOT NULL);

INSERT INTO refusal
SELECT
    (SELECT coalesce(max(refusal_no), 0) FROM refusal) + row_no,
    source_id, line,
    run_id, event_type, correlation_id, fence_kind, fence_value, tail_at_refusal, code,
    expected, actual, request_id, tick_id, writer_id, site, write_attempt, coalesce(refused_at, created_at)
FROM placed
WHERE record = 'refusal' AND run_id IS NOT NULL AND event_type IS NOT NULL;

INSERT INTO entity_row
SELECT
    (SELECT coalesce(max(entity_no), 0) FROM entity_row) + row_no,
    source_id, line,
    entity_kind, run_id,
    CASE WHEN entity_kind <> 'run' THEN entity_id END,
    status, created_at, updated_at, started_at, completed_at, resume_at, retry_after, expired_at,
    spec_version, workflow_name,
    deployment_id, core_version, step_name, attempt, token_hash, token_retention_until,
    output_sha256, error_code,
    signature, named_event_id, named_correlation_id
FROM placed
LEFT JOIN corruption_report USING (row_no)
WHERE record IN ('entity', 'run', 'step', 'hook', 'wait') AND run_id IS NOT NULL
    AND entity_kind IN ('run', 'step', 'hook', 'wait');

INSERT INTO head
SELECT source_id, line, run_id, tail, events, hash
FROM placed
WHERE record = 'head' AND run_id IS NOT NULL;
