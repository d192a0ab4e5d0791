-- What a SQLite world keeps beside the tables of `auditor schema world`: nobody else reads these.

-- The number and the time (ms since 1970) of the last commit: the clock never falls behind it. One row.
CREATE TABLE last_commit (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    commit_seq INTEGER NOT NULL,
    at INTEGER NOT NULL
);
INSERT INTO last_commit SELECT 1, coalesce(max(commit_seq), 0), coalesce(max(created_at), 0) FROM event;

-- A repeated delivery to a hook is the first event again.
CREATE UNIQUE INDEX event_resume ON event (run_id, resume_id) WHERE resume_id IS NOT NULL;
CREATE INDEX refusal_of_run ON refusal (run_id);

-- The first accepted result of an idempotency key.
CREATE TABLE remembered (
    run_id TEXT NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL,                 -- SHA-256 of what the request said
    first INTEGER NOT NULL,             -- positions of its events
    last INTEGER NOT NULL,
    PRIMARY KEY (run_id, key)
) WITHOUT ROWID;

-- Hook tokens that are taken: by an open hook, or after the end of its run until a time.
CREATE TABLE token (
    token TEXT NOT NULL PRIMARY KEY,
    run_id TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    until INTEGER                       -- ms since 1970; null: until the hook is disposed or its run ends
) WITHOUT ROWID;
CREATE INDEX token_of_run ON token (run_id);
INSERT OR IGNORE INTO token
SELECT token, run_id, correlation_id, NULL FROM entity WHERE kind = 'hook' AND status = 'open' AND token IS NOT NULL;

CREATE TABLE message (
    message_id INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL,
    kind TEXT NOT NULL,                 -- run | step
    correlation_id TEXT,
    key TEXT NOT NULL,                  -- names it among the waiting messages of its run
    state TEXT NOT NULL,                -- waiting | leased | dead
    ready_at INTEGER NOT NULL,          -- when it is due, when its lease ends, or when it died
    attempt INTEGER NOT NULL DEFAULT 0, -- deliveries so far
    lease TEXT,
    memo TEXT
);
CREATE UNIQUE INDEX message_waiting ON message (run_id, key) WHERE state = 'waiting';
CREATE INDEX message_ready ON message (ready_at) WHERE state <> 'dead';
CREATE INDEX message_dead ON message (ready_at) WHERE state = 'dead';

-- Who ticks a run: for throughput only.
CREATE TABLE run_lease (
    run_id TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    until INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE stream (
    run_id TEXT NOT NULL,
    name TEXT NOT NULL,
    length INTEGER NOT NULL,            -- chunks
    size INTEGER NOT NULL,              -- bytes
    closed INTEGER NOT NULL,
    PRIMARY KEY (run_id, name)
) WITHOUT ROWID;

CREATE TABLE chunk (
    run_id TEXT NOT NULL,
    name TEXT NOT NULL,
    number INTEGER NOT NULL,            -- from 0, dense
    data BLOB NOT NULL,
    PRIMARY KEY (run_id, name, number)
);
