-- Layout 1 of the embedded store. Every key begins with the scope: a user within one wire generation.

CREATE TABLE meta (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    layout_version INTEGER NOT NULL
);
INSERT INTO meta VALUES (1, 1);

-- Registered tables; numbers are never reused, so tables can be added to a live store.
CREATE TABLE tables (
    table_id INTEGER PRIMARY KEY AUTOINCREMENT,
    schema_name TEXT NOT NULL,
    table_name TEXT NOT NULL,
    key_column TEXT NOT NULL,
    UNIQUE (schema_name, table_name)
);

CREATE TABLE scopes (
    scope_id INTEGER PRIMARY KEY,
    generation TEXT NOT NULL,
    user_id TEXT NOT NULL,
    initialized INTEGER NOT NULL DEFAULT 0,
    lease_id TEXT,
    lease_source TEXT,
    lease_expires_at INTEGER NOT NULL DEFAULT 0,
    latest_bundle_seq INTEGER NOT NULL DEFAULT 0,
    retained_floor INTEGER NOT NULL DEFAULT 0,
    UNIQUE (generation, user_id)
);

CREATE TABLE sources (
    scope_id INTEGER NOT NULL,
    source_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'reserved', 'retired')),
    max_source_bundle_id INTEGER NOT NULL DEFAULT 0,
    replaced_by TEXT,
    PRIMARY KEY (scope_id, source_id)
) WITHOUT ROWID;

-- Live rows and tombstones; tombstones are kept for ever.
CREATE TABLE rows (
    scope_id INTEGER NOT NULL,
    table_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    row_version INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    fixed_bytes INTEGER NOT NULL,
    payload TEXT,
    PRIMARY KEY (scope_id, table_id, key)
) WITHOUT ROWID;

CREATE TABLE bundles (
    scope_id INTEGER NOT NULL,
    bundle_seq INTEGER NOT NULL,
    source_id TEXT NOT NULL,
    source_bundle_id INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    byte_count INTEGER NOT NULL,
    bundle_hash TEXT NOT NULL,
    request_hash TEXT,
    PRIMARY KEY (scope_id, bundle_seq),
    UNIQUE (scope_id, source_id, source_bundle_id)
) WITHOUT ROWID;

CREATE TABLE bundle_rows (
    scope_id INTEGER NOT NULL,
    bundle_seq INTEGER NOT NULL,
    row_ordinal INTEGER NOT NULL,
    table_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    op TEXT NOT NULL,
    payload TEXT,
    PRIMARY KEY (scope_id, bundle_seq, row_ordinal)
) WITHOUT ROWID;

CREATE TABLE push_sessions (
    session_id INTEGER PRIMARY KEY AUTOINCREMENT,
    push_id TEXT NOT NULL UNIQUE,
    scope_id INTEGER NOT NULL,
    source_id TEXT NOT NULL,
    source_bundle_id INTEGER NOT NULL,
    planned_row_count INTEGER NOT NULL,
    staged_rows INTEGER NOT NULL DEFAULT 0,
    lease_id TEXT,
    request_hash TEXT,
    expires_at INTEGER NOT NULL
);
CREATE INDEX push_sessions_by_scope ON push_sessions (scope_id, source_id, source_bundle_id);

CREATE TABLE push_rows (
    session_id INTEGER NOT NULL,
    row_ordinal INTEGER NOT NULL,
    table_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    op TEXT NOT NULL,
    base_row_version INTEGER NOT NULL,
    fixed_bytes INTEGER NOT NULL,
    payload TEXT,
    PRIMARY KEY (session_id, row_ordinal)
) WITHOUT ROWID;
CREATE UNIQUE INDEX push_rows_by_target ON push_rows (session_id, table_id, key);

CREATE TABLE snapshots (
    session_id INTEGER PRIMARY KEY AUTOINCREMENT,
    snapshot_id TEXT NOT NULL UNIQUE,
    scope_id INTEGER NOT NULL,
    source_id TEXT NOT NULL,
    bundle_seq INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    byte_count INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX snapshots_by_scope ON snapshots (scope_id);

CREATE TABLE snapshot_rows (
    session_id INTEGER NOT NULL,
    row_ordinal INTEGER NOT NULL,
    table_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    row_version INTEGER NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (session_id, row_ordinal)
) WITHOUT ROWID;
