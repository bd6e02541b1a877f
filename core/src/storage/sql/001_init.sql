-- Layout 1 of Rowtide's tables in the app's database. Keys are stored natively, without affinity, and
-- tables by number, so that capture stays small (docs/local-schema.md).

CREATE TABLE _rowtide_layout (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    layout_version INTEGER NOT NULL
);
INSERT INTO _rowtide_layout VALUES (1, 1);

-- 1 while remote rows are written, so that capture triggers stay silent; only inside one transaction.
CREATE TABLE _rowtide_apply (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    applying INTEGER NOT NULL
);
INSERT INTO _rowtide_apply VALUES (1, 0);

-- Managed tables; numbers are never reused.
CREATE TABLE _rowtide_tables (
    table_id INTEGER PRIMARY KEY AUTOINCREMENT,
    table_name TEXT NOT NULL UNIQUE,
    key_column TEXT NOT NULL
);

-- What the capture triggers append: one entry for each local change of a row.
CREATE TABLE _rowtide_change_log (
    seq INTEGER PRIMARY KEY,
    table_id INTEGER NOT NULL,
    key NOT NULL
);

-- Local intent that is not in the outbox: the change log, one row a key. The operation, the payload and
-- the base version are read at freeze time from the live row and the row state.
CREATE TABLE _rowtide_dirty_rows (
    table_id INTEGER NOT NULL,
    key NOT NULL,
    first_change INTEGER NOT NULL,
    last_change INTEGER NOT NULL,
    PRIMARY KEY (table_id, key)
) WITHOUT ROWID;

-- The server's version of each row that it has or had.
CREATE TABLE _rowtide_row_state (
    table_id INTEGER NOT NULL,
    key NOT NULL,
    row_version INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    PRIMARY KEY (table_id, key)
) WITHOUT ROWID;

-- Who this database is, to whom it belongs, and how far it has read.
CREATE TABLE _rowtide_attachment (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    source_id TEXT NOT NULL,
    next_source_bundle_id INTEGER NOT NULL DEFAULT 1,
    user_id TEXT,
    schema_name TEXT,
    generation TEXT,
    checkpoint INTEGER NOT NULL DEFAULT 0,
    committed_seq INTEGER NOT NULL DEFAULT 0,
    initialization_id TEXT,
    changes_coalesced INTEGER NOT NULL DEFAULT 0,
    last_error TEXT
);

-- The download that is to replace or rebuild the managed tables, while there is one.
CREATE TABLE _rowtide_operation (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    target_user TEXT,
    replacement_source_id TEXT,
    snapshot_id TEXT,
    snapshot_bundle_seq INTEGER NOT NULL DEFAULT 0,
    row_count INTEGER NOT NULL DEFAULT 0,
    byte_count INTEGER NOT NULL DEFAULT 0,
    expires_at TEXT NOT NULL DEFAULT '',
    staged_rows INTEGER NOT NULL DEFAULT 0,
    staged_bytes INTEGER NOT NULL DEFAULT 0
);

-- Rows that were downloaded and wait to be applied in one step.
CREATE TABLE _rowtide_stage (
    table_id INTEGER NOT NULL,
    key NOT NULL,
    op TEXT NOT NULL,
    row_version INTEGER NOT NULL,
    payload TEXT,
    PRIMARY KEY (table_id, key)
) WITHOUT ROWID;

-- The single frozen upload bundle.
CREATE TABLE _rowtide_outbox (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    source_id TEXT NOT NULL,
    source_bundle_id INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    request_hash TEXT NOT NULL,
    committed TEXT
);
CREATE TABLE _rowtide_outbox_rows (
    row_ordinal INTEGER PRIMARY KEY,
    table_id INTEGER NOT NULL,
    key NOT NULL,
    wire_key TEXT NOT NULL,
    op TEXT NOT NULL,
    base_row_version INTEGER NOT NULL,
    payload TEXT,
    first_change INTEGER NOT NULL
);

-- Rows that cannot be uploaded as they are. The row itself stays in its table; a later edit of it is
-- captured anew and takes it out of here.
CREATE TABLE _rowtide_refused_rows (
    table_id INTEGER NOT NULL,
    key NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    payload TEXT,
    refused_at INTEGER NOT NULL,
    PRIMARY KEY (table_id, key)
) WITHOUT ROWID;
