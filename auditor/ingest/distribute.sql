-- From the staged rows of one batch to the ingested tables; what lacks an identity becomes a reject.
CREATE OR REPLACE TEMP VIEW judged AS
SELECT
    *,
    CASE
        WHEN record = 'manifest' THEN NULL
        WHEN record NOT IN ('event', 'refusal', 'entity', 'head', 'run', 'step', 'hook', 'wait')
            THEN format('record is {}, which auditor.log/v1 does not know', record)
        WHEN run_id IS NULL THEN 'runId is missing'
        WHEN record = 'event' AND event_id IS NULL THEN 'eventId is missing'
        WHEN record IN ('event', 'refusal') AND event_type IS NULL THEN 'eventType is missing'
        WHEN record = 'event' AND created_unreadable THEN 'createdAt is not a time'
        WHEN record = 'entity' AND coalesce(more ->> 'kind', '') NOT IN ('run', 'step', 'hook', 'wait')
            THEN 'kind is not run, step, hook or wait'
    END AS reason
FROM placed;

INSERT INTO reject
SELECT source_id, line, run_id, reason FROM judged WHERE reason IS NOT NULL;

INSERT INTO event_core
SELECT
    $first_event + row_no,
    source_id, line,
    run_id, event_id, event_type, correlation_id, created_at, spec_version,
    workflow_name, deployment_id, core_version, step_name, attempt, resume_at, token_hash,
    payload_bytes, payload_sha256
FROM judged
WHERE record = 'event' AND reason IS NULL;

-- The rest of what is said of events, refusals, entities and heads, in columns again.
CREATE OR REPLACE TEMP TABLE said AS
SELECT judged.* EXCLUDE (more), signature, named_event_id, named_correlation_id, unnest(json_transform(more, '{
    "occurred_at": "TIMESTAMP", "resume_id": "VARCHAR", "owner_message_id": "VARCHAR", "retry_after": "TIMESTAMP",
    "sealed": "BOOLEAN", "token_retention_until": "TIMESTAMP", "conflicting_run_id": "VARCHAR",
    "force_claimed_by": "VARCHAR", "error_code": "VARCHAR", "payload_encrypted": "BOOLEAN", "payload": "JSON",
    "position": "BIGINT", "commit_seq": "BIGINT", "fence_kind": "VARCHAR", "fence_value": "VARCHAR",
    "fence_resolved": "VARCHAR", "awaiting": "VARCHAR", "in_band": "BOOLEAN", "expected_seq_in_band": "BIGINT",
    "tail_at_commit": "VARCHAR", "request_id": "VARCHAR", "tick_id": "VARCHAR",
    "writer_id": "VARCHAR", "site": "VARCHAR", "write_attempt": "INTEGER", "prev_hash": "VARCHAR",
    "hash": "VARCHAR", "data_sha256": "VARCHAR", "tail_at_refusal": "VARCHAR", "code": "VARCHAR",
    "expected": "VARCHAR", "actual": "VARCHAR", "refused_at": "TIMESTAMP", "tail": "VARCHAR", "events": "BIGINT",
    "kind": "VARCHAR", "status": "VARCHAR", "entity_id": "VARCHAR", "updated_at": "TIMESTAMP",
    "started_at": "TIMESTAMP", "completed_at": "TIMESTAMP", "expired_at": "TIMESTAMP", "output_sha256": "VARCHAR"
}'))
FROM judged
LEFT JOIN corruption_report USING (row_no)
WHERE reason IS NULL AND record <> 'manifest' AND (more IS NOT NULL OR signature IS NOT NULL);

INSERT INTO event_more
SELECT
    $first_event + row_no,
    occurred_at, resume_id, owner_message_id, retry_after, token_retention_until, conflicting_run_id,
    force_claimed_by, sealed, error_code, signature, named_event_id, named_correlation_id,
    payload_encrypted, payload,
    "position", commit_seq, fence_kind, fence_value, fence_resolved,
    from_json(CASE WHEN json_valid(awaiting) THEN awaiting END, '["VARCHAR"]'), in_band, expected_seq_in_band,
    tail_at_commit, request_id, tick_id, writer_id, site, write_attempt, prev_hash, hash, data_sha256
FROM said
WHERE record = 'event';

INSERT INTO refusal
SELECT
    (SELECT coalesce(max(refusal_no), 0) FROM refusal) + row_no,
    source_id, line,
    run_id, event_type, correlation_id, fence_kind, fence_value, tail_at_refusal, code,
    expected, actual, request_id, tick_id, writer_id, site, write_attempt, coalesce(refused_at, created_at)
FROM said
WHERE record = 'refusal';

INSERT INTO entity_row
SELECT
    (SELECT coalesce(max(entity_no), 0) FROM entity_row) + row_no,
    source_id, line,
    kind, run_id,
    CASE WHEN kind <> 'run' THEN entity_id END,
    status, created_at, updated_at, started_at, completed_at, resume_at, retry_after, expired_at,
    spec_version, workflow_name,
    deployment_id, core_version, step_name, attempt, token_hash, token_retention_until,
    output_sha256, error_code,
    signature, named_event_id, named_correlation_id
FROM said
WHERE record NOT IN ('event', 'refusal', 'head');

INSERT INTO head
SELECT source_id, line, run_id, tail, events, hash
FROM said
WHERE record = 'head';

DROP TABLE said;
