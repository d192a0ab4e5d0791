-- What the dashboard knows beside the audit files: `state.sqlite` in its folder. Times are milliseconds since 1970,
-- UTC. Audits can be made again from their logs; this file cannot, so it is what to back up.

CREATE TABLE IF NOT EXISTS meta (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- One import: it becomes the audit file `<audit_id>.duckdb` when it is done.
CREATE TABLE IF NOT EXISTS audit (
    audit_id TEXT NOT NULL PRIMARY KEY,     -- a ULID
    name TEXT NOT NULL,                     -- what its owner calls these logs
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    state TEXT NOT NULL,                    -- receiving | queued | running | done | failed | cancelled
    phase TEXT,                             -- what it is doing while it runs
    progress REAL,                          -- 0..1 of that phase; null: nobody knows
    problem TEXT,                           -- why it failed
    finished_at INTEGER,                    -- of an imported audit file: when that was written, before created_at
    keep_payloads INTEGER NOT NULL DEFAULT 0,
    uploaded_bytes INTEGER NOT NULL DEFAULT 0,  -- 0 too where a log of the command line was read in place
    audit_bytes INTEGER,                    -- size of its audit file
    summary TEXT                            -- JSON, when it is done: verdict, exit_code, counts, fence_coverage
) STRICT;
CREATE INDEX IF NOT EXISTS audit_by_time ON audit (created_at);

-- What was uploaded for it, file by file; the files themselves are removed when it is done. In their folder a log of
-- the command line is a link: removing it leaves the log alone.
CREATE TABLE IF NOT EXISTS upload (
    audit_id TEXT NOT NULL REFERENCES audit (audit_id) ON DELETE CASCADE,
    name TEXT NOT NULL,                     -- relative, as the uploader called it
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (audit_id, name)
) STRICT;

-- What somebody decided about all findings of one pattern. No row: open.
CREATE TABLE IF NOT EXISTS triage (
    pattern TEXT NOT NULL PRIMARY KEY,
    rule TEXT NOT NULL,
    workflow TEXT,
    message TEXT NOT NULL,                  -- the sentence of one of its findings
    state TEXT NOT NULL,                    -- open | resolved | ignored
    until TEXT,                             -- ignored: the last day (ISO); null: for good
    ceiling INTEGER NOT NULL,               -- ignored: how many findings of it are known
    comment TEXT NOT NULL,
    decided_by TEXT NOT NULL,
    decided_at INTEGER NOT NULL,
    audit_id TEXT NOT NULL                  -- the audit that was looked at
) STRICT;

-- Who did what: triage, payloads revealed, uploads, deletions. Rows are added and never changed.
CREATE TABLE IF NOT EXISTS trail (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL                    -- JSON
) STRICT;
