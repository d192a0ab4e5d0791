-- The audit file: one DuckDB database that holds one audit. This file is its contract, `auditor schema audit`
-- prints it. Written as `<name>.part` with STORAGE_VERSION 'v1.2.0' and renamed when complete; readers open it
-- read-only. All times are UTC. Identifiers are the SDK's, in snake_case.

-- One row of facts about the audit itself: schema, auditor version, now and where it came from, options.
CREATE TABLE meta (
    key VARCHAR PRIMARY KEY,
    value VARCHAR
);

-- What was read. An input is what the user named. An export is one log in it: a world-local folder, a set of
-- tables, a file of JSON lines; what a format can show is a property of the export. A source is one file of it.
CREATE TABLE input (
    input_id INTEGER PRIMARY KEY,
    path VARCHAR NOT NULL,          -- as the user wrote it
    format VARCHAR,                 -- of its exports, joined by ' + '; null: no log was found in it
    events BIGINT NOT NULL,
    entities BIGINT NOT NULL,
    refusals BIGINT NOT NULL,
    rejects BIGINT NOT NULL,
    merged BIGINT NOT NULL,         -- rows equal to one already read
    skipped BIGINT NOT NULL,        -- files left aside on purpose (*.json.tmp.*, streams, locks)
    problem VARCHAR                 -- why it could not be read, or not to its end; else null
);
CREATE TABLE export (
    export_id INTEGER PRIMARY KEY,
    input_id INTEGER NOT NULL,
    name VARCHAR NOT NULL,          -- relative to the input; '' for the input itself
    format VARCHAR,                 -- auditor.log/v1 | world-local | workflow-cli-json | postgres-world | ...; null: not recognised
    records VARCHAR[] NOT NULL,     -- capabilities that the format records
    manifest JSON                   -- the manifest of an auditor.log/v1, else null
);
CREATE TABLE source (
    source_id INTEGER PRIMARY KEY,
    export_id INTEGER NOT NULL,
    name VARCHAR NOT NULL,          -- relative to the input
    cut VARCHAR                     -- why it may hold only a part of what was asked for; null: it does not say
);

-- The same event read once more: from another export of its run, or twice from one. The kept row is `event_no`.
CREATE TABLE copy (
    event_no BIGINT NOT NULL,
    source_id INTEGER NOT NULL,
    line BIGINT
);

-- Ingested tables ------------------------------------------------------------------------------------------

-- event: what every event has, and beside it what most events lack. Read the view `event`, which has both.
CREATE TABLE event_core (
    event_no BIGINT NOT NULL,       -- names the row; says nothing about order
    source_id INTEGER NOT NULL,
    line BIGINT,                    -- 1-based line in the source; null where the source is one record
    run_id VARCHAR NOT NULL,
    event_id VARCHAR NOT NULL,
    event_type VARCHAR NOT NULL,
    correlation_id VARCHAR,
    created_at TIMESTAMP,           -- the store's clock
    spec_version INTEGER,
    -- plain event data
    workflow_name VARCHAR,
    deployment_id VARCHAR,
    core_version VARCHAR,
    step_name VARCHAR,
    attempt INTEGER,
    resume_at TIMESTAMP,
    token_hash VARCHAR,             -- first 16 hex of sha256: a hook token is a credential
    -- payloads are dropped at ingest; their size and digest stay
    payload_bytes BIGINT,
    payload_sha256 VARCHAR
);
CREATE TABLE event_more (
    event_no BIGINT NOT NULL,
    occurred_at TIMESTAMP,          -- the client's clock
    resume_id VARCHAR,
    owner_message_id VARCHAR,
    retry_after TIMESTAMP,
    token_retention_until TIMESTAMP,
    conflicting_run_id VARCHAR,
    force_claimed_by VARCHAR,
    sealed BOOLEAN,                 -- a noop says that it fills an abandoned slot
    error_code VARCHAR,
    -- what a run_failed says of its cause; nothing else of a runtime error is kept
    runtime_signature VARCHAR,      -- unconsumed_event | replay_divergence | null
    runtime_event_id VARCHAR,
    runtime_correlation_id VARCHAR,
    payload_encrypted BOOLEAN,      -- its digest then differs at every write of one value
    payload JSON,                   -- null unless payloads are kept (`--keep-payloads`)
    -- what auditor.log/v1 adds
    position BIGINT,
    commit_seq BIGINT,
    fence_kind VARCHAR,             -- null: the writer sent nothing; the reason of an unfenced write is prose, dropped
    fence_value VARCHAR,
    fence_resolved VARCHAR,
    awaiting VARCHAR[],             -- awaitingCorrelationIds: whose resolution the writer must not have missed
    in_band BOOLEAN,
    expected_seq_in_band BIGINT,    -- where no other fence was sent, fence_kind is in_band and this its value
    tail_at_commit VARCHAR,
    request_id VARCHAR,
    tick_id VARCHAR,
    writer_id VARCHAR,
    site VARCHAR,
    write_attempt INTEGER,
    prev_hash VARCHAR,
    hash VARCHAR,
    data_sha256 VARCHAR
);
CREATE VIEW event AS
SELECT * REPLACE (coalesce(payload_encrypted, FALSE) AS payload_encrypted)
FROM event_core
LEFT JOIN event_more USING (event_no);

CREATE TABLE refusal (
    refusal_no BIGINT NOT NULL,
    source_id INTEGER NOT NULL,
    line BIGINT,
    run_id VARCHAR NOT NULL,
    event_type VARCHAR NOT NULL,
    correlation_id VARCHAR,
    fence_kind VARCHAR,
    fence_value VARCHAR,
    tail_at_refusal VARCHAR,
    code VARCHAR,
    expected VARCHAR,
    actual VARCHAR,
    request_id VARCHAR,
    tick_id VARCHAR,
    writer_id VARCHAR,
    site VARCHAR,
    write_attempt INTEGER,
    refused_at TIMESTAMP
);

-- Rows of the world's own tables of runs, steps, waits and hooks.
CREATE TABLE entity_row (
    entity_no BIGINT NOT NULL,
    source_id INTEGER NOT NULL,
    line BIGINT,
    kind VARCHAR NOT NULL,          -- run | step | wait | hook
    run_id VARCHAR NOT NULL,
    correlation_id VARCHAR,         -- null for a run
    status VARCHAR,
    created_at TIMESTAMP,
    updated_at TIMESTAMP,
    started_at TIMESTAMP,
    completed_at TIMESTAMP,
    resume_at TIMESTAMP,
    retry_after TIMESTAMP,
    expired_at TIMESTAMP,           -- when the payloads of a run were or will be deleted
    spec_version INTEGER,
    workflow_name VARCHAR,
    deployment_id VARCHAR,
    core_version VARCHAR,
    step_name VARCHAR,
    attempt INTEGER,
    token_hash VARCHAR,
    token_retention_until TIMESTAMP,
    output_sha256 VARCHAR,          -- of a run's output or a step's result, as event.payload_sha256
    error_code VARCHAR,
    runtime_signature VARCHAR,
    runtime_event_id VARCHAR,
    runtime_correlation_id VARCHAR
);

-- One row a run, last in its log: what the exporter says the run holds.
CREATE TABLE head (
    source_id INTEGER NOT NULL,
    line BIGINT,
    run_id VARCHAR NOT NULL,
    tail VARCHAR,
    events BIGINT,
    hash VARCHAR
);

CREATE TABLE reject (
    source_id INTEGER NOT NULL,
    line BIGINT,
    run_id VARCHAR,                 -- null: may belong to any run of its export
    reason VARCHAR NOT NULL
);

-- Contracts as data ----------------------------------------------------------------------------------------

-- model/lifecycle.py, row by row: what an event of an entity does, and what it is accused of.
CREATE TABLE lifecycle (
    kind VARCHAR NOT NULL,
    event_type VARCHAR NOT NULL,
    reaches INTEGER NOT NULL,       -- 1 created, 2 active, 3 closed
    before INTEGER NOT NULL,        -- the stage already reached: 0 absent .. 3 closed
    accusation VARCHAR              -- a rule id; null: legal
);

-- model/events.py: why a write was made (decision | signal | outcome | envelope).
CREATE TABLE write_role (
    event_type VARCHAR PRIMARY KEY,
    role VARCHAR NOT NULL
);

-- Parameters of the rules as this audit used them; rules read them through the macro param().
CREATE TABLE rule_param (
    rule VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    workflow VARCHAR,               -- null: every workflow without a row of its own
    value DOUBLE NOT NULL
);

-- Cold replay --------------------------------------------------------------------------------------------

-- `auditor replay` was given the code of a workflow and replayed it on the log of a run, without the event that ends
-- it. No row: the run was not replayed, which is so in every `auditor check`.
CREATE TABLE replayed (
    run_id VARCHAR PRIMARY KEY,
    workflow VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL,       -- reproduced | diverged | other_terminal | not_replayed
    reason VARCHAR,                 -- why it could not be told; or that it diverges as its runtime found
    event_no BIGINT,                -- the first event that the code does not make, or the end that it does not come to
    position BIGINT,                -- and its position
    expected VARCHAR,               -- what the code makes of it; no payload is in it
    actual VARCHAR,                 -- what the log says there
    expected_name VARCHAR,          -- where both speak of a step: its name in the code
    actual_name VARCHAR             -- and in the log
);

-- Both sequences around that event: the log, also behind it, and what the code had created.
CREATE TABLE replayed_line (
    run_id VARCHAR NOT NULL,
    side VARCHAR NOT NULL,          -- log | code
    line INTEGER NOT NULL,          -- its order within its side
    text VARCHAR NOT NULL,
    marked BOOLEAN NOT NULL         -- it is the event, or the entity, in question
);

-- Results --------------------------------------------------------------------------------------------------

CREATE TABLE rule (
    rule VARCHAR PRIMARY KEY,
    version VARCHAR NOT NULL,       -- digest of the SELECT and the parts of the header that change findings
    title VARCHAR NOT NULL,
    origin VARCHAR,                 -- the folder of a custom rule, as the user named it; null: it came with auditor
    rule_group VARCHAR NOT NULL,    -- the folder of its file
    rule_severity VARCHAR NOT NULL, -- the worst that it can give
    rule_confidence VARCHAR NOT NULL,
    about VARCHAR NOT NULL,         -- log | runtime: only findings about the log change its verdict
    outcome VARCHAR NOT NULL,       -- held | found | not_evaluated | failed
    reason VARCHAR,                 -- why it failed, or why runs were skipped
    evaluated_runs BIGINT NOT NULL,
    skipped_runs BIGINT NOT NULL,
    findings BIGINT NOT NULL,       -- exact, also where witnesses were not kept
    seconds DOUBLE NOT NULL,
    document VARCHAR NOT NULL       -- the rule's explanation, Markdown
);

CREATE TABLE finding (
    finding_no BIGINT NOT NULL,
    rule VARCHAR NOT NULL,
    run_id VARCHAR,                 -- null: of the log as a whole
    severity VARCHAR NOT NULL,
    confidence VARCHAR NOT NULL,
    because VARCHAR NOT NULL,
    place BIGINT,                   -- greatest position in its witness
    instance VARCHAR,               -- fingerprint of this occurrence
    pattern VARCHAR,                -- fingerprint of this bug
    folded_under BIGINT,            -- finding_no of its root
    state VARCHAR NOT NULL DEFAULT 'new', -- new | known | suppressed | folded; only new ones count for the exit code
    kept BOOLEAN NOT NULL DEFAULT TRUE, -- its witnesses are kept: those of 1,000 findings a rule
    suppression_no INTEGER,         -- what suppresses it
    cause_no BIGINT                 -- its cause; of a folded one, the cause of its root
);

-- The standing findings of one rule that have one cause: one bug to fix. Findings are told apart as far as the rule's
-- `diagnosis` tells them apart (check/diagnosis.py); all findings of one pattern have one cause.
CREATE TABLE cause (
    cause_no BIGINT PRIMARY KEY,    -- 1 is the gravest; within a severity, the one that explains most
    rule VARCHAR NOT NULL,
    severity VARCHAR NOT NULL,      -- the worst of its findings
    confidence VARCHAR NOT NULL,    -- the surest of those
    diagnosis VARCHAR NOT NULL,     -- one sentence; the rule's title where the witnesses do not say more
    workflows VARCHAR[] NOT NULL,   -- of its runs
    findings BIGINT NOT NULL,       -- exact, also where witnesses were not kept
    runs BIGINT NOT NULL,
    all_runs BIGINT NOT NULL,       -- runs of the same workflows
    consequences BIGINT NOT NULL,   -- findings folded under its own
    first_at TIMESTAMP,             -- of the witnesses that show it; null: they have no time
    last_at TIMESTAMP,
    writers VARCHAR[] NOT NULL,     -- of the same witnesses, where the log records writers
    patterns VARCHAR[] NOT NULL,    -- fingerprints of its findings
    example BIGINT NOT NULL         -- finding_no of the finding that stands for all
);

CREATE TABLE witness (
    finding_no BIGINT NOT NULL,
    place_in_proof INTEGER NOT NULL, -- 1-based, in the order of the sentence
    role VARCHAR NOT NULL,
    record VARCHAR NOT NULL,        -- event | refusal | entity | export
    no BIGINT NOT NULL              -- event_no, refusal_no, entity_no, or source_id for export
);

-- What was decided about findings, as configuration and baseline say it.
CREATE TABLE suppression (
    suppression_no INTEGER PRIMARY KEY, -- its place in the configuration, from 0
    rule VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    run VARCHAR,                    -- what a finding must have; null: anything
    workflow VARCHAR,               -- a glob
    event VARCHAR,
    instance VARCHAR,
    pattern VARCHAR,
    expires DATE,                   -- its last day; null: it does not expire
    decided_by VARCHAR,
    state VARCHAR NOT NULL,         -- used | unused | expired
    findings BIGINT NOT NULL        -- that it suppresses
);
CREATE TABLE baseline (
    fingerprint VARCHAR PRIMARY KEY,
    rule VARCHAR NOT NULL,
    ceiling BIGINT NOT NULL,        -- how many findings are known
    found BIGINT NOT NULL,          -- how many of them are there now; fewer: the others are resolved
    workflow VARCHAR,
    message VARCHAR NOT NULL
);

CREATE TABLE capability (
    name VARCHAR PRIMARY KEY,
    runs BIGINT NOT NULL,           -- runs that have it
    all_runs BIGINT NOT NULL
);

CREATE TABLE verdict (
    run_id VARCHAR PRIMARY KEY,
    log_verdict VARCHAR NOT NULL,
    runtime_verdict VARCHAR NOT NULL,
    reason VARCHAR NOT NULL
);

-- Derived relations ----------------------------------------------------------------------------------------
-- What the replay makes of the tables above, and every rule reads. Written by replay/*.sql, listed here because
-- a rule of your own stands on them: `name(column, ...)`, then what a row is.
--
-- log(event_no, run_id, position, event_id, event_type, role, kind, correlation_id, created_at)
--   An event at its 1-based position in its run. role as in write_role; kind: step | wait | hook | null.
-- entity(run_id, correlation_id, kind, first_created, first_active, first_closed, created, started, retried,
--   closed, stage, ordinal)
--   A step, wait or hook. first_*: the position of the first event of that stage, null if there is none; created,
--   started, retried, closed: how many such events; stage: the last one reached; ordinal: draws of the run's id
--   sequence before its own, null where ids are no draws of one sequence.
-- accusation(event_no, run_id, position, event_id, event_type, role, kind, correlation_id, created_at, before, rule)
--   An event that `lifecycle` does not allow at the stage `before`, and the rule that it breaks.
-- run(run_id, workflow, deployment_id, spec_version, core_version, core_rank, status, terminal_position,
--   terminal_type, events, first_position, last_position, first_event_no, last_event_no, tail, last_created_at,
--   now, id_scheme, entity_no, failed_event_no, error_code, runtime_signature, runtime_event_id,
--   runtime_correlation_id, gap, unordered, capabilities, compares_resume_at, tolerates_restart,
--   dies_of_late_creation)
--   A run. status: running | completed | failed | cancelled; now: the reference time for what is overdue;
--   id_scheme: ulid | slot | unknown; entity_no: its stored row; failed_event_no: its run_failed; runtime_*: what
--   the runtime says of the log; gap: why its history is incomplete, null if it is not; unordered: its order is
--   unknown; the last three: what its core's replay does (null: unknown).
-- write(run_id, position, event_no, refusal_no, event_type, role, correlation_id, fence_kind, fence_value, tail,
--   request_id, tick_id, writer_id, site, write_attempt, code, known)
--   A write of a run whose log records fences or refusals: accepted (event_no) or refused (refusal_no, code).
--   tail: the tail at commit or refusal; known: position of the last event that its fence says it had read, 0 for
--   none, null if the fence names no event of this log.
-- fence_coverage(event_type, writes, fenced, unfenced, dropped)
--   Decision writes of one type: with a fence, with an explicit `unfenced`, with nothing.
-- witness_detail(finding_no, place_in_proof, role, record, run_id, event_id, event_type, correlation_id, position,
--   created_at, entity, step_name, event_no, fence_kind, fence_value, site, writer_id, source, line, input)
--   A witness with what it takes to find the record again.
--
-- Macros: witness(role, event_no), refusal_witness(role, refusal_no), entity_witness(role, entity_no);
-- param(rule, name, workflow); short_id(id); kind_of(event_type); core_rank(version); ulid_low(body), ulid_floor(ms),
-- fence_ms(text).
