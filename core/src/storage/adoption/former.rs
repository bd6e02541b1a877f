//! The other client's tables and triggers: recognised by their full set of names and columns, and dropped.

use super::super::error::Result;
use super::super::quote;
use super::refusal;
use crate::protocol::profile::WireGeneration;
use rusqlite::{Connection, OptionalExtension, Transaction};

/// What both generations have.
const TABLES: [(&str, &[&str]); 10] = [
    ("_sync_apply_state", &["singleton_key", "apply_mode"]),
    (
        "_sync_attachment_state",
        &[
            "singleton_key",
            "current_source_id",
            "binding_state",
            "attached_user_id",
            "schema_name",
            "last_bundle_seq_seen",
            "rebuild_required",
            "pending_initialization_id",
        ],
    ),
    (
        "_sync_dirty_rows",
        &[
            "schema_name",
            "table_name",
            "key_json",
            "op",
            "base_row_version",
            "payload",
            "dirty_ordinal",
            "updated_at",
        ],
    ),
    ("_sync_managed_tables", &["schema_name", "table_name"]),
    (
        OPERATION,
        &[
            "singleton_key",
            "kind",
            "target_user_id",
            "reason",
            "replacement_source_id",
            "staged_snapshot_id",
            "snapshot_bundle_seq",
            "snapshot_row_count",
        ],
    ),
    (
        OUTBOX,
        &[
            "singleton_key",
            "state",
            "source_id",
            "source_bundle_id",
            "initialization_id",
            "canonical_request_hash",
            "row_count",
            "remote_bundle_hash",
            "remote_bundle_seq",
        ],
    ),
    (
        "_sync_outbox_rows",
        &[
            "source_bundle_id",
            "row_ordinal",
            "schema_name",
            "table_name",
            "key_json",
            "wire_key_json",
            "op",
            "base_row_version",
            "local_payload",
            "wire_payload",
        ],
    ),
    ("_sync_row_state", &["schema_name", "table_name", "key_json", "row_version", "deleted", "updated_at"]),
    (
        "_sync_snapshot_stage",
        &["snapshot_id", "row_ordinal", "schema_name", "table_name", "key_json", "row_version", "payload"],
    ),
    ("_sync_source_state", &["source_id", "next_source_bundle_id", "replaced_by_source_id", "created_at"]),
];
const OPERATION: &str = "_sync_operation_state";
const OUTBOX: &str = "_sync_outbox_bundle";
/// What GEN-A has beyond that.
const PUSH_STAGE: (&str, &[&str]) = (
    "_sync_push_stage",
    &["bundle_seq", "row_ordinal", "schema_name", "table_name", "key_json", "op", "row_version", "payload"],
);
/// What GEN-B has beyond that.
const LATER_COLUMNS: [(&str, &str); 3] = [
    (OUTBOX, "canonical_json_contract"),
    (OPERATION, "snapshot_byte_count"),
    (OPERATION, "snapshot_stage_complete"),
];
const SUFFIXES: [&str; 6] = ["_ai", "_au", "_ad", "_bi_guard", "_bu_guard", "_bd_guard"];

fn names() -> impl Iterator<Item = &'static str> {
    TABLES.iter().chain(std::iter::once(&PUSH_STAGE)).map(|(name, _)| *name)
}

/// Finds out whether the database is another client's, and of which generation. Application tables that are
/// merely named alike are nobody's business; a layout that is recognised but not whole is an error.
pub(in super::super) fn find(connection: &Connection) -> Result<Option<WireGeneration>> {
    let mut known = false;
    let mut missing = Vec::new();
    let mut unknown = Vec::new();
    let mut later = Vec::new();
    let mut staged = false;
    for (table, wanted) in TABLES.iter().chain(std::iter::once(&PUSH_STAGE)) {
        let found = columns(connection, table)?;
        let is_stage = *table == PUSH_STAGE.0;
        if found.is_empty() {
            if !is_stage {
                missing.push(format!("table {table} is missing"));
            }
            continue;
        }
        let lacks: Vec<_> =
            wanted.iter().filter(|column| !found.iter().any(|name| name == *column)).collect();
        known |= lacks.is_empty();
        staged |= is_stage && lacks.is_empty();
        missing.extend(lacks.iter().map(|column| format!("column {table}.{column} is missing")));
        for column in found.iter().filter(|name| !wanted.contains(&name.as_str())) {
            match LATER_COLUMNS.iter().find(|mark| **mark == (*table, column.as_str())) {
                Some(mark) => later.push(mark),
                None => unknown.push(format!("column {table}.{column} is unknown")),
            }
        }
    }
    if !known {
        return Ok(None);
    }
    if missing.is_empty() && unknown.is_empty() {
        match (staged, later.len()) {
            (true, 0) => return Ok(Some(WireGeneration::A)),
            (false, count) if count == LATER_COLUMNS.len() => return Ok(Some(WireGeneration::B)),
            (true, _) => unknown.push(format!("table {} is of another version than the rest", PUSH_STAGE.0)),
            (false, _) => missing.extend(
                LATER_COLUMNS
                    .iter()
                    .filter(|mark| !later.contains(mark))
                    .map(|(table, column)| format!("column {table}.{column} is missing")),
            ),
        }
    }
    missing.append(&mut unknown);
    Err(refusal(format!(
        "the database has tables of another sync client in a form that is not known: {}; open it with the newest \
         version of that client once, or let that client upload what is pending and drop its _sync_ tables and \
         trg_ triggers",
        missing.join(", ")
    )))
}

/// Lowercase column names; none where there is no such table.
fn columns(connection: &Connection, table: &str) -> Result<Vec<String>> {
    let exists: Option<bool> = connection
        .prepare_cached("SELECT true FROM sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE")?
        .query_row([table], |row| row.get(0))
        .optional()?;
    if exists.is_none() {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached("SELECT lower(name) FROM pragma_table_info(?1)")?;
    let names = statement.query_map([table], |row| row.get(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(names)
}

/// Drops the triggers and tables of the other client.
pub(super) fn remove(transaction: &Transaction<'_>) -> Result<()> {
    for (trigger, sql) in objects(transaction, &["trigger"])? {
        let named = trigger.starts_with("trg_") && SUFFIXES.iter().any(|suffix| trigger.ends_with(suffix));
        if named && mentions(&sql, "_sync_apply_state") {
            transaction.execute_batch(&format!("DROP TRIGGER {}", quote(&trigger)))?;
        }
    }
    refuse_dependents(
        transaction,
        |sql| names().any(|name| mentions(sql, name)),
        "the other sync client's tables",
    )?;
    for name in names() {
        transaction.execute_batch(&format!("DROP TABLE IF EXISTS {}", quote(name)))?;
    }
    Ok(())
}

/// Refuses to drop what a trigger or view of the app refers to: the next write to its table would fail.
pub(in super::super) fn refuse_dependents(
    connection: &Connection,
    depends: impl Fn(&str) -> bool,
    on: &str,
) -> Result<()> {
    let found = objects(connection, &["trigger", "view"])?;
    match found.iter().find(|(_, sql)| depends(sql)) {
        None => Ok(()),
        Some((name, _)) => Err(refusal(format!(
            "{name} refers to {on}, which are to be dropped; drop or rewrite {name} first"
        ))),
    }
}

/// Name and definition of all objects of some types.
fn objects(connection: &Connection, types: &[&str]) -> Result<Vec<(String, String)>> {
    let mut statement = connection
        .prepare_cached("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")?;
    let mut found = statement.query([])?;
    let mut objects = Vec::new();
    while let Some(row) = found.next()? {
        if types.contains(&row.get::<_, String>(0)?.as_str()) {
            objects.push((row.get(1)?, row.get(2)?));
        }
    }
    Ok(objects)
}

/// Whether SQL contains an identifier as a word of its own.
fn mentions(sql: &str, identifier: &str) -> bool {
    let sql = sql.to_ascii_lowercase();
    let part_of_word =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    sql.match_indices(identifier).any(|(start, _)| {
        let bytes = sql.as_bytes();
        let before = start.checked_sub(1).and_then(|index| bytes.get(index));
        !part_of_word(before) && !part_of_word(bytes.get(start + identifier.len()))
    })
}
