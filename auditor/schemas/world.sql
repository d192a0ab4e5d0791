-- The tables of our own world, as an audit reads them: `auditor.world/v1`. One DDL for both stores. SQLite runs it as
-- it is, PostgreSQL (14 or newer) in the schema `auditor`:
--
--     CREATE SCHEMA auditor; SET search_path = auditor; \i world.sql
--
-- What a store needs beside these (its queue, its streams, the results it remembers for idempotency keys, indexes) is
-- its own; an audit reads the tables and columns below and nothing else, in one transaction, and never writes.
-- A reader finds the columns by name: a later v1 may add some, and only v2 may change or drop one.
--
-- Times are milliseconds since 1970 (UTC) by the clock of the store: exact, ordered, and one type in both stores.
-- Identifiers are the SDK's. JSON is text, because a digest speaks of the bytes that were stored; SQLite's and
-- PostgreSQL's own JSON types may store others.

-- Facts about the world. Always there: ('schema', 'auditor.world/v1').
CREATE TABLE meta (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- One row a run: what the world believes of it, and the end of its log. Every append moves version, tail and hash
-- in the transaction that inserts the events; the audit compares them with the events that it finds.
CREATE TABLE run (
    run_id TEXT NOT NULL PRIMARY KEY,
    workflow_name TEXT,
    deployment_id TEXT,
    core_version TEXT,                  -- of the runtime that started the run
    spec_version INTEGER,               -- of the SDK's event format in which the run is written
    status TEXT NOT NULL,               -- pending | running | completed | failed | cancelled
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    started_at BIGINT,
    completed_at BIGINT,                -- when it ended, however it ended
    error_code TEXT,                    -- of a failed run, e.g. CORRUPTED_EVENT_LOG
    version BIGINT NOT NULL,            -- events in the log: the position of its last one, and what a guarded
                                        -- append compares
    tail TEXT,                          -- event_id of the last event; null: there is none
    hash TEXT,                          -- hash of the last event; null: there is none, or the world keeps no chain
    marker BIGINT NOT NULL DEFAULT 0    -- time in the id of the newest signal or step outcome: what a
                                        -- state_updated_at fence is compared with
);

-- One row an event. Inserted once, never changed.
CREATE TABLE event (
    run_id TEXT NOT NULL,
    "position" BIGINT NOT NULL,         -- 1 for the first, then dense
    event_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    correlation_id TEXT,                -- the step, wait or hook; null: the run itself
    created_at BIGINT NOT NULL,         -- when it was committed
    occurred_at BIGINT,                 -- when it happened, by the clock of the client
    spec_version INTEGER,
    resume_id TEXT,                     -- names one delivery to a hook (hook_received)
    data TEXT,                          -- the event's data, a JSON object; null: it has none, or it was redacted
    data_sha256 TEXT,                   -- SHA-256 of the bytes of `data`, in hex; stays when `data` is redacted
    -- the write that made it
    fence TEXT,                         -- the condition it carried, a JSON object {kind, value, resolved?, reason?};
                                        -- null: the writer sent nothing
    tail_at_commit TEXT,                -- event_id of the last event before the write, `none` before the first; for
                                        -- every member of a batch: before the batch
    commit_seq BIGINT,                  -- number of the commit: never decreases within a run, across runs only a hint
    request_id TEXT,                    -- members of a batch share it
    tick_id TEXT,                       -- the replay that decided the write
    writer_id TEXT,                     -- the process
    site TEXT,                          -- the place in its code
    write_attempt INTEGER,              -- 1 for the first try of this write in its tick
    -- the chain: SHA-256 in hex, made as `auditor schema log` says
    prev_hash TEXT,
    hash TEXT,
    PRIMARY KEY (run_id, "position"),   -- two writers cannot both have a place: the last guard behind the fence
    UNIQUE (run_id, event_id)           -- ids are unique in a run; slots are not unique across runs
);

-- One row a write that was refused: what a log of events alone can never show.
CREATE TABLE refusal (
    refusal_no BIGINT NOT NULL PRIMARY KEY, -- names the row; increases
    run_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    correlation_id TEXT,
    fence TEXT,                         -- as of an event
    tail_at_refusal TEXT,               -- event_id of the last event then, `none` if there was none
    code TEXT NOT NULL,                 -- FENCE_CONFLICT, RUN_TERMINAL, ENTITY_CONFLICT, ...
    reason TEXT,                        -- what the code means here, in prose
    expected TEXT,                      -- what the writer asked for; of a fence conflict: the tail it had read
    actual TEXT,                        -- what the world had instead
    request_id TEXT,
    tick_id TEXT,
    writer_id TEXT,
    site TEXT,
    write_attempt INTEGER,
    refused_at BIGINT NOT NULL
);

-- One row a step, wait or hook of a run: what the world believes of it, to be compared with its events.
CREATE TABLE entity (
    run_id TEXT NOT NULL,
    kind TEXT NOT NULL,                 -- step | wait | hook
    correlation_id TEXT NOT NULL,
    status TEXT NOT NULL,               -- step: as of a run; wait: waiting | completed; hook: open | disposed
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    started_at BIGINT,                  -- of a step: its first start
    completed_at BIGINT,
    resume_at BIGINT,                   -- of a wait: when it is over
    retry_after BIGINT,                 -- of a step: when it may be tried again
    step_name TEXT,
    attempt INTEGER,                    -- of a step: times that it was started
    token TEXT,                         -- of a hook; a credential, of which an audit keeps 16 hex of its SHA-256
    token_retention_until BIGINT,       -- of a hook: how long its token stays taken after the end of the run
    PRIMARY KEY (run_id, kind, correlation_id)
);
