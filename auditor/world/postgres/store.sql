-- What a PostgreSQL world keeps beside the tables of `auditor schema world`, in the schema `auditor`: nobody else
-- reads these.

CREATE SEQUENCE commit_number;
CREATE SEQUENCE refusal_number OWNED BY refusal.refusal_no;
SELECT setval('commit_number', coalesce(max(commit_seq), 0) + 1, FALSE) FROM event;
SELECT setval('refusal_number', coalesce(max(refusal_no), 0) + 1, FALSE) FROM refusal;

-- A repeated delivery to a hook is the first event again.
CREATE UNIQUE INDEX event_resume ON event (run_id, resume_id) WHERE resume_id IS NOT NULL;
CREATE INDEX refusal_of_run ON refusal (run_id);

-- The first accepted result of an idempotency key.
CREATE TABLE remembered (
    run_id TEXT NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL,                 -- SHA-256 of what the request said
    first BIGINT NOT NULL,              -- positions of its events
    last BIGINT NOT NULL,
    PRIMARY KEY (run_id, key)
);

-- Hook tokens that are taken: by an open hook, or after the end of its run until a time.
CREATE TABLE token (
    token TEXT NOT NULL PRIMARY KEY,
    run_id TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    until BIGINT                        -- ms since 1970; null: until the hook is disposed or its run ends
);
CREATE INDEX token_of_run ON token (run_id);
INSERT INTO token
SELECT token, run_id, correlation_id, NULL FROM entity WHERE kind = 'hook' AND status = 'open' AND token IS NOT NULL
ON CONFLICT DO NOTHING;

CREATE TABLE message (
    message_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id TEXT NOT NULL,
    kind TEXT NOT NULL,                 -- run | step
    correlation_id TEXT,
    key TEXT NOT NULL,                  -- names it among the waiting messages of its run
    state TEXT NOT NULL,                -- waiting | leased | dead
    ready_at BIGINT NOT NULL,           -- when it is due, when its lease ends, or when it died
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
    until BIGINT NOT NULL
);

CREATE TABLE stream (
    run_id TEXT NOT NULL,
    name TEXT NOT NULL,
    length BIGINT NOT NULL,             -- chunks
    size BIGINT NOT NULL,               -- bytes
    closed BOOLEAN NOT NULL,
    PRIMARY KEY (run_id, name)
);

CREATE TABLE chunk (
    run_id TEXT NOT NULL,
    name TEXT NOT NULL,
    number BIGINT NOT NULL,             -- from 0, dense
    data BYTEA NOT NULL,
    PRIMARY KEY (run_id, name, number)
);

-- The clock of the store, in ms since 1970.
CREATE FUNCTION now_ms() RETURNS BIGINT LANGUAGE SQL VOLATILE
AS $$ SELECT CAST(floor(extract(EPOCH FROM clock_timestamp()) * 1000) AS BIGINT) $$;
