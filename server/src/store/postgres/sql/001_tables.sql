-- Layout 1 of the store on PostgreSQL: tables. Every key begins with the user, and no statement crosses users, except
-- for the catalog, the status, and the look for users whose sessions have expired.
--
-- Push sessions, snapshot sessions and captures are UNLOGGED: what a crash of PostgreSQL takes of them is asked for
-- again by the client, and nothing of them counts until a bundle is committed.

-- Registered tables; numbers are never reused, so tables can be added to a live deployment.
CREATE TABLE rowtide.table_catalog (
    table_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    key_column text NOT NULL,
    key_type text NOT NULL,
    payload_sql text NOT NULL,     -- an expression over the row t: its payload as JSON text
    triggers_sql text NOT NULL DEFAULT '',    -- what was installed, so that it is replaced only where it changes
    adopted boolean NOT NULL DEFAULT false,   -- whether rows from before the registration are in bundles
    UNIQUE (schema_name, table_name)
);

CREATE TABLE rowtide.user_state (
    user_id text PRIMARY KEY,
    initialized boolean NOT NULL DEFAULT false,
    lease_id text,
    lease_source text,
    lease_expires_at bigint NOT NULL DEFAULT 0,    -- milliseconds since 1970 UTC
    latest_bundle_seq bigint NOT NULL DEFAULT 0,
    retained_floor bigint NOT NULL DEFAULT 0
);

CREATE TABLE rowtide.source_state (
    user_id text NOT NULL,
    source_id text NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'reserved', 'retired')),
    max_source_bundle_id bigint NOT NULL DEFAULT 0,
    replaced_by text,
    PRIMARY KEY (user_id, source_id)
);

-- Versions of live rows, which are in the business tables, and tombstones, which are kept for ever.
CREATE TABLE rowtide.row_state (
    user_id text NOT NULL,
    table_id integer NOT NULL,
    key text NOT NULL,
    row_version bigint NOT NULL,
    deleted boolean NOT NULL,
    PRIMARY KEY (user_id, table_id, key)
);

CREATE TABLE rowtide.bundle_log (
    user_id text NOT NULL,
    bundle_seq bigint NOT NULL,
    source_id text NOT NULL,
    source_bundle_id bigint NOT NULL,
    row_count bigint NOT NULL,
    byte_count bigint NOT NULL,
    generation text,               -- the one that bundle_hash is of
    bundle_hash text,              -- NULL where SQL wrote the bundle: computed as it is read
    request_hash text,
    committed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, bundle_seq),
    UNIQUE (user_id, source_id, source_bundle_id)
);

-- The payload's numbers are JSON numbers in the digits that the second generation demands, so that quoting them makes
-- the second generation's payload of it.
CREATE TABLE rowtide.bundle_rows (
    user_id text NOT NULL,
    bundle_seq bigint NOT NULL,
    row_ordinal bigint NOT NULL,
    table_id integer NOT NULL,
    key text NOT NULL,
    op text NOT NULL,
    payload text,
    PRIMARY KEY (user_id, bundle_seq, row_ordinal)
);

CREATE UNLOGGED TABLE rowtide.push_sessions (
    user_id text NOT NULL,
    push_id text NOT NULL,
    source_id text NOT NULL,
    source_bundle_id bigint NOT NULL,
    planned_row_count bigint NOT NULL,
    staged_rows bigint NOT NULL DEFAULT 0,
    lease_id text,
    request_hash text,
    expires_at bigint NOT NULL,
    PRIMARY KEY (user_id, push_id)
);

CREATE INDEX push_sessions_by_expiry ON rowtide.push_sessions (expires_at);

CREATE UNLOGGED TABLE rowtide.push_rows (
    user_id text NOT NULL,
    push_id text NOT NULL,
    row_ordinal bigint NOT NULL,
    table_id integer NOT NULL,
    key text NOT NULL,
    op text NOT NULL,
    base_row_version bigint NOT NULL,
    missing text NOT NULL,         -- columns of the table that the payload lacks
    payload jsonb,
    PRIMARY KEY (user_id, push_id, row_ordinal),
    UNIQUE (user_id, push_id, table_id, key)
);

CREATE UNLOGGED TABLE rowtide.snapshot_sessions (
    user_id text NOT NULL,
    snapshot_id text NOT NULL,
    source_id text NOT NULL,
    generation text NOT NULL,
    bundle_seq bigint NOT NULL,
    row_count bigint NOT NULL,
    byte_count bigint NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (user_id, snapshot_id)
);

CREATE INDEX snapshot_sessions_by_expiry ON rowtide.snapshot_sessions (expires_at);

CREATE UNLOGGED TABLE rowtide.snapshot_rows (
    user_id text NOT NULL,
    snapshot_id text NOT NULL,
    row_ordinal bigint NOT NULL,
    table_id integer NOT NULL,
    key text NOT NULL,
    row_version bigint NOT NULL,
    payload text NOT NULL,         -- as the session's generation sends it
    PRIMARY KEY (user_id, snapshot_id, row_ordinal)
);

-- The bundle that a transaction writes.
CREATE UNLOGGED TABLE rowtide.open_bundle (
    user_id text NOT NULL,
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    source_id text NOT NULL,
    source_bundle_id bigint NOT NULL,
    seal_at_commit boolean NOT NULL,
    PRIMARY KEY (user_id, transaction_id)
);

-- What a transaction did to registered tables; the rows themselves are read when the bundle is sealed.
CREATE UNLOGGED TABLE rowtide.bundle_capture (
    user_id text NOT NULL,
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    ordinal bigint GENERATED ALWAYS AS IDENTITY,
    table_id integer NOT NULL,
    key text NOT NULL,
    op smallint NOT NULL,          -- 0 insert, 1 update, 2 delete
    PRIMARY KEY (user_id, transaction_id, ordinal)
);
