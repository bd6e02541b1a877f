//! Databases as the other clients of the protocol leave them: their tables and triggers, and a way from a device of
//! ours to the database that such a client would have in the same place.

use rowtide::protocol::profile::WireGeneration;
use rowtide::{LocalDatabase, SqlValue};
use rowtide_tests::{Device, open_local};

const COMMON: &str = "
    CREATE TABLE _sync_apply_state (
        singleton_key INTEGER NOT NULL PRIMARY KEY CHECK (singleton_key = 1),
        apply_mode INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE _sync_row_state (
        schema_name TEXT NOT NULL, table_name TEXT NOT NULL, key_json TEXT NOT NULL,
        row_version INTEGER NOT NULL DEFAULT 0, deleted INTEGER NOT NULL DEFAULT 0,
        updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
        PRIMARY KEY (schema_name, table_name, key_json));
    CREATE TABLE _sync_dirty_rows (
        schema_name TEXT NOT NULL, table_name TEXT NOT NULL, key_json TEXT NOT NULL,
        op TEXT NOT NULL CHECK (op IN ('INSERT', 'UPDATE', 'DELETE')),
        base_row_version INTEGER NOT NULL DEFAULT 0, payload TEXT, dirty_ordinal INTEGER NOT NULL DEFAULT 0,
        updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
        PRIMARY KEY (schema_name, table_name, key_json));
    CREATE TABLE _sync_source_state (
        source_id TEXT NOT NULL PRIMARY KEY, next_source_bundle_id INTEGER NOT NULL DEFAULT 1,
        replaced_by_source_id TEXT NOT NULL DEFAULT '',
        created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')));
    CREATE TABLE _sync_attachment_state (
        singleton_key INTEGER NOT NULL PRIMARY KEY CHECK (singleton_key = 1),
        current_source_id TEXT NOT NULL DEFAULT '',
        binding_state TEXT NOT NULL DEFAULT 'anonymous' CHECK (binding_state IN ('anonymous', 'attached')),
        attached_user_id TEXT NOT NULL DEFAULT '', schema_name TEXT NOT NULL DEFAULT '',
        last_bundle_seq_seen INTEGER NOT NULL DEFAULT 0, rebuild_required INTEGER NOT NULL DEFAULT 0,
        pending_initialization_id TEXT NOT NULL DEFAULT '');
    CREATE TABLE _sync_outbox_rows (
        source_bundle_id INTEGER NOT NULL, row_ordinal INTEGER NOT NULL, schema_name TEXT NOT NULL,
        table_name TEXT NOT NULL, key_json TEXT NOT NULL, wire_key_json TEXT NOT NULL,
        op TEXT NOT NULL CHECK (op IN ('INSERT', 'UPDATE', 'DELETE')),
        base_row_version INTEGER NOT NULL DEFAULT 0, local_payload TEXT, wire_payload TEXT,
        PRIMARY KEY (source_bundle_id, row_ordinal));
    CREATE TABLE _sync_managed_tables (
        schema_name TEXT NOT NULL, table_name TEXT NOT NULL, PRIMARY KEY (schema_name, table_name));";

const GEN_A: &str = "
    CREATE TABLE _sync_snapshot_stage (
        snapshot_id TEXT NOT NULL, row_ordinal INTEGER NOT NULL, schema_name TEXT NOT NULL,
        table_name TEXT NOT NULL, key_json TEXT NOT NULL, row_version INTEGER NOT NULL, payload TEXT NOT NULL,
        PRIMARY KEY (snapshot_id, row_ordinal));
    CREATE TABLE _sync_operation_state (
        singleton_key INTEGER NOT NULL PRIMARY KEY CHECK (singleton_key = 1),
        kind TEXT NOT NULL DEFAULT 'none' CHECK (kind IN ('none', 'remote_replace', 'source_recovery')),
        target_user_id TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',
        replacement_source_id TEXT NOT NULL DEFAULT '', staged_snapshot_id TEXT NOT NULL DEFAULT '',
        snapshot_bundle_seq INTEGER NOT NULL DEFAULT 0, snapshot_row_count INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE _sync_outbox_bundle (
        singleton_key INTEGER NOT NULL PRIMARY KEY CHECK (singleton_key = 1),
        state TEXT NOT NULL DEFAULT 'none' CHECK (state IN ('none', 'prepared', 'committed_remote')),
        source_id TEXT NOT NULL DEFAULT '', source_bundle_id INTEGER NOT NULL DEFAULT 0,
        canonical_request_hash TEXT NOT NULL DEFAULT '', row_count INTEGER NOT NULL DEFAULT 0,
        initialization_id TEXT NOT NULL DEFAULT '', remote_bundle_hash TEXT NOT NULL DEFAULT '',
        remote_bundle_seq INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE _sync_push_stage (
        bundle_seq INTEGER NOT NULL, row_ordinal INTEGER NOT NULL, schema_name TEXT NOT NULL,
        table_name TEXT NOT NULL, key_json TEXT NOT NULL,
        op TEXT NOT NULL CHECK (op IN ('INSERT', 'UPDATE', 'DELETE')), row_version INTEGER NOT NULL, payload TEXT,
        PRIMARY KEY (bundle_seq, row_ordinal));
    INSERT INTO _sync_outbox_bundle (singleton_key) VALUES (1);";

const GEN_B: &str = "
    CREATE INDEX idx_sync_dirty_rows_dirty_ordinal ON _sync_dirty_rows (dirty_ordinal);
    CREATE TABLE _sync_snapshot_stage (
        snapshot_id TEXT NOT NULL, row_ordinal INTEGER NOT NULL, schema_name TEXT NOT NULL,
        table_name TEXT NOT NULL, key_json TEXT NOT NULL, row_version INTEGER NOT NULL, payload TEXT NOT NULL,
        PRIMARY KEY (snapshot_id, row_ordinal), UNIQUE (snapshot_id, schema_name, table_name, key_json));
    CREATE TABLE _sync_operation_state (
        singleton_key INTEGER NOT NULL PRIMARY KEY CHECK (singleton_key = 1),
        kind TEXT NOT NULL DEFAULT 'none' CHECK (kind IN ('none', 'remote_replace', 'source_recovery')),
        target_user_id TEXT NOT NULL DEFAULT '', staged_snapshot_id TEXT NOT NULL DEFAULT '',
        snapshot_bundle_seq INTEGER NOT NULL DEFAULT 0, snapshot_row_count INTEGER NOT NULL DEFAULT 0,
        snapshot_byte_count INTEGER NOT NULL DEFAULT 0, snapshot_stage_complete INTEGER NOT NULL DEFAULT 0,
        reason TEXT NOT NULL DEFAULT '', replacement_source_id TEXT NOT NULL DEFAULT '');
    CREATE TABLE _sync_outbox_bundle (
        singleton_key INTEGER NOT NULL PRIMARY KEY CHECK (singleton_key = 1),
        canonical_json_contract TEXT NOT NULL
            CHECK (canonical_json_contract = 'jcs_uniform_numeric_strings_v1'),
        state TEXT NOT NULL DEFAULT 'none' CHECK (state IN ('none', 'prepared', 'committed_remote')),
        source_id TEXT NOT NULL DEFAULT '', source_bundle_id INTEGER NOT NULL DEFAULT 0,
        initialization_id TEXT NOT NULL DEFAULT '', canonical_request_hash TEXT NOT NULL DEFAULT '',
        row_count INTEGER NOT NULL DEFAULT 0, remote_bundle_hash TEXT NOT NULL DEFAULT '',
        remote_bundle_seq INTEGER NOT NULL DEFAULT 0);
    INSERT INTO _sync_outbox_bundle (singleton_key, canonical_json_contract)
    VALUES (1, 'jcs_uniform_numeric_strings_v1');";

/// What a device of ours knows, in the other client's words.
const FACTS: &str = "
    INSERT INTO _sync_apply_state VALUES (1, 0);
    INSERT INTO _sync_operation_state (singleton_key) VALUES (1);
    INSERT INTO _sync_managed_tables SELECT 'business', table_name FROM _rowtide_tables;
    INSERT INTO _sync_source_state (source_id, next_source_bundle_id)
    SELECT source_id, next_source_bundle_id FROM _rowtide_attachment;
    INSERT INTO _sync_attachment_state
    SELECT 1, source_id, iif(user_id IS NULL, 'anonymous', 'attached'), ifnull(user_id, ''), ifnull(schema_name, ''),
           checkpoint, 0, ifnull(initialization_id, '')
    FROM _rowtide_attachment;
    INSERT INTO _sync_row_state (schema_name, table_name, key_json, row_version, deleted)
    SELECT 'business', table_name,
           json_object(key_column, iif(typeof(key) = 'blob', lower(hex(key)), key)), row_version, deleted
    FROM _rowtide_row_state JOIN _rowtide_tables USING (table_id);
    INSERT INTO _sync_dirty_rows (schema_name, table_name, key_json, op, base_row_version, payload, dirty_ordinal)
    SELECT 'business', table_name,
           json_object(key_column, iif(typeof(key) = 'blob', lower(hex(key)), key)), 'UPDATE', 0, '{}', min(change)
    FROM (SELECT table_id, key, first_change AS change FROM _rowtide_dirty_rows
          UNION ALL SELECT table_id, key, seq + 1000000 FROM _rowtide_change_log)
         JOIN _rowtide_tables USING (table_id)
    GROUP BY table_id, key;
    UPDATE _sync_outbox_bundle SET state = 'prepared', source_id = o.source_id,
           source_bundle_id = o.source_bundle_id, canonical_request_hash = o.request_hash, row_count = o.row_count,
           initialization_id = (SELECT pending_initialization_id FROM _sync_attachment_state)
    FROM _rowtide_outbox AS o;
    INSERT INTO _sync_outbox_rows
    SELECT source_bundle_id, row_ordinal, 'business', table_name,
           json_object(key_column, iif(typeof(key) = 'blob', lower(hex(key)), key)),
           json_object(key_column, wire_key), op, base_row_version, payload, payload
    FROM _rowtide_outbox_rows JOIN _rowtide_tables USING (table_id), _rowtide_outbox;";

/// The triggers of one table; `key` and `row` say how `NEW` or `OLD` is written down.
fn triggers(table: &str, key: impl Fn(&str) -> String, row: &str) -> String {
    let mut sql = String::new();
    for (event, suffix) in [("INSERT", "bi"), ("UPDATE", "bu"), ("DELETE", "bd")] {
        sql += &format!(
            "CREATE TRIGGER trg_{table}_{suffix}_guard BEFORE {event} ON {table}
             WHEN (SELECT kind FROM _sync_operation_state) <> 'none'
              AND (SELECT apply_mode FROM _sync_apply_state) <> 1
             BEGIN SELECT RAISE(ABORT, 'SYNC_TRANSITION_PENDING'); END;"
        );
    }
    let capture = |key: &str, payload: &str, condition: &str| {
        let same = format!("schema_name = 'business' AND table_name = '{table}' AND key_json = {key}");
        format!(
            "INSERT INTO _sync_dirty_rows
                 (schema_name, table_name, key_json, op, base_row_version, payload, dirty_ordinal)
             SELECT 'business', '{table}', {key},
                 CASE WHEN {payload} IS NULL THEN 'DELETE'
                      WHEN EXISTS (SELECT 1 FROM _sync_row_state WHERE {same} AND deleted = 0) THEN 'UPDATE'
                      ELSE 'INSERT' END,
                 coalesce((SELECT base_row_version FROM _sync_dirty_rows WHERE {same}),
                          (SELECT row_version FROM _sync_row_state WHERE {same}), 0),
                 {payload},
                 coalesce((SELECT dirty_ordinal FROM _sync_dirty_rows WHERE {same}),
                          (SELECT ifnull(max(dirty_ordinal), 0) + 1 FROM _sync_dirty_rows))
             WHERE {condition}
             ON CONFLICT (schema_name, table_name, key_json) DO UPDATE SET
                 op = excluded.op, payload = excluded.payload, updated_at = excluded.updated_at;"
        )
    };
    let (old, new) = (key("OLD"), key("NEW"));
    for (event, suffix, body) in [
        ("INSERT", "ai", capture(&new, row, "true")),
        ("UPDATE", "au", capture(&old, "NULL", &format!("{old} <> {new}")) + &capture(&new, row, "true")),
        ("DELETE", "ad", capture(&old, "NULL", "true")),
    ] {
        sql += &format!(
            "CREATE TRIGGER trg_{table}_{suffix} AFTER {event} ON {table}
             WHEN (SELECT apply_mode FROM _sync_apply_state) = 0 BEGIN {body} END;"
        );
    }
    sql
}

/// Opens the device's database without sync.
pub(crate) async fn local(device: &Device) -> LocalDatabase {
    open_local(&device.path()).await
}

/// Runs statements on the closed database.
pub(crate) async fn exec(device: &Device, sql: &str) {
    local(device).await.execute_script(sql).await.unwrap();
}

/// Closes a device and turns its database into the one that the other client of a generation would have.
pub(crate) async fn regress(device: &mut Device, generation: WireGeneration) {
    device.close().await;
    let database = local(device).await;
    let tables = if generation == WireGeneration::A { GEN_A } else { GEN_B };
    database.execute_script(&format!("{COMMON}{tables}{FACTS}")).await.unwrap();
    assert!(database.uninstall_sync().await.unwrap());
    let notes = triggers(
        "notes",
        |row| format!("json_object('id', {row}.id)"),
        "json_object('id', NEW.id, 'title', NEW.title, 'stars', NEW.stars, 'weight', NEW.weight,
                     'body', lower(hex(NEW.body)), 'parent', NEW.parent)",
    );
    let tags = triggers(
        "tags",
        |row| format!("json_object('id', lower(hex({row}.id)))"),
        "json_object('id', lower(hex(NEW.id)), 'name', NEW.name, 'note_id', NEW.note_id)",
    );
    database.execute_script(&format!("{notes}{tags}")).await.unwrap();
}

/// Every object and every row of the database.
pub(crate) async fn everything(device: &Device) -> Vec<Vec<Vec<SqlValue>>> {
    let database = local(device).await;
    let all = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name";
    let mut found = vec![database.query(all, Vec::new()).await.unwrap().rows];
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    for name in database.query(tables, Vec::new()).await.unwrap().rows {
        let [SqlValue::Text(name)] = name.as_slice() else { panic!("a table has a name") };
        found.push(
            database.query(&format!("SELECT * FROM \"{name}\" ORDER BY 1"), Vec::new()).await.unwrap().rows,
        );
    }
    found
}

/// Names of whatever is left of either client.
pub(crate) async fn leftovers(device: &Device, prefix: &str) -> i64 {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE substr(name, 1, length(?1)) = ?1";
    let found = local(device).await.query(sql, vec![SqlValue::from(prefix)]).await.unwrap().rows;
    match found[0][0] {
        SqlValue::Integer(count) => count,
        _ => panic!("a count is a number"),
    }
}
