-- A time in UTC. Text that ends in Z, as the SDK writes it, is read without the time zone machinery.
CREATE OR REPLACE TEMP MACRO utc(text) AS CASE
    WHEN suffix(text, 'Z') THEN TRY_CAST(text AS TIMESTAMP)
    ELSE CAST(TRY_CAST(text AS TIMESTAMPTZ) AS TIMESTAMP)
END;

-- One vectorised read of a file of JSON objects onto the canonical columns. Payloads end here: of each only
-- the size and the digest go on. $path: the file. $record: what every row is, or 'log' if the row says it.
-- The rowid of `staged` is the place of a row in its file.
CREATE OR REPLACE TEMP TABLE staged AS
WITH raw AS (
    SELECT
        *,
        concat_ws(
            chr(31),
            'input=' || eventData.input, 'result=' || eventData.result, 'output=' || eventData.output,
            'error=' || eventData.error, 'stack=' || eventData.stack, 'payload=' || eventData.payload,
            'metadata=' || eventData.metadata, 'changes=' || eventData.changes,
            'cancelReason=' || eventData.cancelReason
        ) AS payload,
        -- A write that says it is out of band is never refused by a count.
        CASE
            WHEN TRY_CAST(coalesce(inBand, params.inBand) AS BOOLEAN) IS DISTINCT FROM FALSE
                THEN coalesce(expectedSeqInBand, params.expectedSeqInBand)
        END AS in_band_fence
    FROM read_json(
        $path,
        format = 'newline_delimited',
        maximum_object_size = 16777216,
        columns = {
            'record': 'VARCHAR',
            'runId': 'VARCHAR', 'eventId': 'VARCHAR', 'eventType': 'VARCHAR', 'correlationId': 'VARCHAR',
            'createdAt': 'VARCHAR', 'occurredAt': 'VARCHAR', 'specVersion': 'VARCHAR', 'resumeId': 'VARCHAR',
            'eventData': 'STRUCT(
                workflowName VARCHAR, deploymentId VARCHAR,
                executionContext STRUCT(workflowCoreVersion VARCHAR),
                stepName VARCHAR, attempt VARCHAR, ownerMessageId VARCHAR, resumeAt VARCHAR, token VARCHAR,
                tokenSha256 VARCHAR,
                conflictingRunId VARCHAR, forceClaimedBy VARCHAR, tokenRetentionUntil VARCHAR, errorCode VARCHAR,
                retryAfter VARCHAR, sealed VARCHAR,
                input JSON, result JSON, output JSON, error JSON, stack JSON, payload JSON, metadata JSON,
                changes JSON, cancelReason JSON)',
            -- auditor.log/v1: events
            'position': 'VARCHAR', 'commitSeq': 'VARCHAR',
            'fence': 'STRUCT("kind" VARCHAR, "value" VARCHAR, resolved VARCHAR)',
            'tailAtCommit': 'VARCHAR', 'requestId': 'VARCHAR', 'tickId': 'VARCHAR', 'writerId': 'VARCHAR',
            'site': 'VARCHAR', 'writeAttempt': 'VARCHAR', 'prevHash': 'VARCHAR', 'hash': 'VARCHAR',
            'dataSha256': 'VARCHAR',
            -- the request names of the seed and of the SDK
            'lastKnownEventId': 'VARCHAR', 'asOfTimestamp': 'VARCHAR', 'stateUpdatedAt': 'VARCHAR',
            'stateEventCount': 'VARCHAR', 'eventCount': 'VARCHAR', 'awaitingCorrelationIds': 'VARCHAR',
            'inBand': 'VARCHAR', 'expectedSeqInBand': 'VARCHAR',
            'params': 'STRUCT(lastKnownEventId VARCHAR, asOfTimestamp VARCHAR, stateUpdatedAt VARCHAR,
                stateEventCount VARCHAR, eventCount VARCHAR, awaitingCorrelationIds VARCHAR, inBand VARCHAR,
                expectedSeqInBand VARCHAR, requestId VARCHAR)',
            -- auditor.log/v1: refusals and heads
            'tailAtRefusal': 'VARCHAR', 'code': 'VARCHAR', 'expected': 'VARCHAR',
            'actual': 'VARCHAR', 'at': 'VARCHAR', 'tail': 'VARCHAR', 'events': 'VARCHAR',
            -- entity rows
            'kind': 'VARCHAR', 'status': 'VARCHAR', 'stepId': 'VARCHAR', 'hookId': 'VARCHAR',
            'waitId': 'VARCHAR', 'updatedAt': 'VARCHAR', 'startedAt': 'VARCHAR', 'completedAt': 'VARCHAR',
            'resumeAt': 'VARCHAR', 'workflowName': 'VARCHAR', 'deploymentId': 'VARCHAR',
            'executionContext': 'STRUCT(workflowCoreVersion VARCHAR)', 'workflowCoreVersion': 'VARCHAR',
            'stepName': 'VARCHAR',
            'attempt': 'VARCHAR', 'token': 'VARCHAR', 'tokenSha256': 'VARCHAR',
            'tokenRetentionUntil': 'VARCHAR', 'retryAfter': 'VARCHAR',
            'expiredAt': 'VARCHAR', 'errorCode': 'VARCHAR', 'error': 'JSON', 'output': 'JSON', 'result': 'JSON'
        }
    )
)

-- Columns are what costs here, not bytes: those that most events lack go on together, as one JSON text.
SELECT
    CASE
        WHEN $record <> 'log' THEN $record
        WHEN record IS NOT NULL THEN record
        WHEN eventType IS NOT NULL THEN 'event'
        WHEN stepId IS NOT NULL THEN 'step'
        WHEN hookId IS NOT NULL THEN 'hook'
        WHEN waitId IS NOT NULL OR (resumeAt IS NOT NULL AND correlationId IS NOT NULL) THEN 'wait'
        WHEN workflowName IS NOT NULL AND status IS NOT NULL THEN 'run'
        ELSE 'event'
    END AS record,
    nullif(runId, '') AS run_id,
    nullif(eventId, '') AS event_id,
    nullif(eventType, '') AS event_type,
    nullif(correlationId, '') AS correlation_id,
    utc(createdAt) AS created_at,
    createdAt IS NOT NULL AND created_at IS NULL AS created_unreadable,
    TRY_CAST(specVersion AS INTEGER) AS spec_version,
    coalesce(eventData.workflowName, workflowName) AS workflow_name,
    coalesce(eventData.deploymentId, deploymentId) AS deployment_id,
    coalesce(
        eventData.executionContext.workflowCoreVersion, executionContext.workflowCoreVersion, workflowCoreVersion
    ) AS core_version,
    coalesce(eventData.stepName, stepName) AS step_name,
    TRY_CAST(coalesce(eventData.attempt, attempt) AS INTEGER) AS attempt,
    utc(coalesce(eventData.resumeAt, resumeAt)) AS resume_at,
    coalesce(
        substr(sha256(coalesce(eventData.token, token)), 1, 16),
        nullif(regexp_extract(coalesce(eventData.tokenSha256, tokenSha256), '^([0-9a-f]{16})[0-9a-f]{48}$', 1), '')
    ) AS token_hash,
    CASE
        WHEN eventType = 'run_failed' THEN coalesce(eventData.error, '{}')
        WHEN $record = 'run' OR kind = 'run' THEN error
    END AS error_json,
    nullif(strlen(payload), 0) AS payload_bytes,
    CASE WHEN payload <> '' THEN sha256(payload) END AS payload_sha256,
    -- The SDK's encrypted formats are bytes that begin `encr` or `encp`, in base64 `ZW5jc`.
    contains(payload, '"data":"ZW5jc') AS encrypted,
    CASE
        WHEN encrypted OR ({keep_payloads} AND payload <> '') OR coalesce(
            record, occurredAt, resumeId, eventData.ownerMessageId, eventData.retryAfter, retryAfter,
            eventData.sealed, eventData.tokenRetentionUntil, tokenRetentionUntil, eventData.conflictingRunId,
            eventData.forceClaimedBy, eventData.errorCode, errorCode, "position", commitSeq, fence."kind",
            fence."value", lastKnownEventId, asOfTimestamp, stateUpdatedAt, stateEventCount, eventCount,
            params.lastKnownEventId, params.asOfTimestamp, params.stateUpdatedAt, params.stateEventCount,
            params.eventCount, awaitingCorrelationIds, params.awaitingCorrelationIds, inBand, params.inBand,
            expectedSeqInBand, params.expectedSeqInBand, params.requestId, requestId, tailAtCommit, tickId, writerId, site, writeAttempt,
            prevHash, hash, dataSha256, status, kind, stepId, hookId, waitId, updatedAt, resumeAt
        ) IS NOT NULL OR $record NOT IN ('log', 'event')
            THEN to_json({
                'occurred_at': utc(occurredAt),
                'resume_id': resumeId,
                'owner_message_id': eventData.ownerMessageId,
                'retry_after': utc(coalesce(eventData.retryAfter, retryAfter)),
                'sealed': eventData.sealed,
                'token_retention_until': utc(coalesce(eventData.tokenRetentionUntil, tokenRetentionUntil)),
                'conflicting_run_id': eventData.conflictingRunId,
                'force_claimed_by': eventData.forceClaimedBy,
                'error_code': coalesce(
                    eventData.errorCode, errorCode,
                    CASE WHEN $record = 'run' OR kind = 'run' THEN TRY(error ->> '$.code') END
                ),
                'payload_encrypted': nullif(encrypted, FALSE),
                -- Put together as text: a function that drops what is null here drops it inside payloads, too.
                'payload': CASE WHEN {keep_payloads} AND payload <> '' THEN CAST('{' || concat_ws(
                    ',',
                    '"input":' || eventData.input, '"result":' || eventData.result,
                    '"output":' || eventData.output, '"error":' || eventData.error,
                    '"stack":' || eventData.stack, '"payload":' || eventData.payload,
                    '"metadata":' || eventData.metadata, '"changes":' || eventData.changes,
                    '"cancelReason":' || eventData.cancelReason
                ) || '}' AS JSON) END,
                'position': "position",
                'commit_seq': commitSeq,
                'fence_kind': CASE
                    WHEN fence."kind" IS NOT NULL THEN fence."kind"
                    WHEN coalesce(lastKnownEventId, params.lastKnownEventId) IS NOT NULL THEN 'tail'
                    WHEN coalesce(asOfTimestamp, params.asOfTimestamp) IS NOT NULL THEN 'as_of'
                    WHEN coalesce(stateEventCount, params.stateEventCount, eventCount, params.eventCount) IS NOT NULL
                        THEN 'count'
                    WHEN coalesce(stateUpdatedAt, params.stateUpdatedAt) IS NOT NULL THEN 'state_updated_at'
                    WHEN in_band_fence IS NOT NULL THEN 'in_band'
                END,
                'fence_value': coalesce(
                    fence."value",
                    lastKnownEventId, params.lastKnownEventId,
                    asOfTimestamp, params.asOfTimestamp,
                    stateEventCount, params.stateEventCount, eventCount, params.eventCount,
                    stateUpdatedAt, params.stateUpdatedAt,
                    in_band_fence
                ),
                'fence_resolved': fence.resolved,
                'awaiting': coalesce(awaitingCorrelationIds, params.awaitingCorrelationIds),
                'in_band': coalesce(inBand, params.inBand),
                'expected_seq_in_band': coalesce(expectedSeqInBand, params.expectedSeqInBand),
                'tail_at_commit': tailAtCommit,
                'request_id': coalesce(requestId, params.requestId),
                'tick_id': tickId,
                'writer_id': writerId,
                'site': site,
                'write_attempt': writeAttempt,
                'prev_hash': prevHash,
                'hash': hash,
                'data_sha256': dataSha256,
                'tail_at_refusal': tailAtRefusal,
                'code': code,
                'expected': expected,
                'actual': actual,
                'refused_at': utc("at"),
                'tail': tail,
                'events': events,
                'kind': CASE
                    WHEN $record <> 'log' THEN $record
                    WHEN record IS NOT NULL THEN "kind"
                    WHEN stepId IS NOT NULL THEN 'step'
                    WHEN hookId IS NOT NULL THEN 'hook'
                    WHEN waitId IS NOT NULL OR (resumeAt IS NOT NULL AND correlationId IS NOT NULL) THEN 'wait'
                    ELSE 'run'
                END,
                'status': status,
                'entity_id': coalesce(stepId, hookId, regexp_extract(waitId, '(wait_[^-]+)$', 1), correlationId),
                'updated_at': utc(updatedAt),
                'started_at': utc(startedAt),
                'completed_at': utc(completedAt),
                'expired_at': utc(expiredAt),
                -- As the digest of the event with this one payload: what a step's row calls its output is the
                -- event's result.
                'output_sha256': sha256(
                    CASE WHEN $record = 'step' OR kind = 'step' OR stepId IS NOT NULL THEN 'result=' ELSE 'output=' END
                    || coalesce(output, result)
                )
            })
    END AS more
FROM raw;
