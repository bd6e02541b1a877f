//! The other client's rows: what the server has, what was frozen, what is meant.

use super::super::error::Result;
use super::super::row_state::{self, RowState};
use super::super::{outbox, rows};
use super::refusal;
use super::state::FormerOutbox;
use crate::protocol::ids::RowVersion;
use crate::protocol::message::RowOp;
use crate::protocol::profile::WireGeneration;
use crate::protocol::value::SqlValue;
use crate::schema::{KeyKind, ManagedSchema, ManagedTable, TableId};
use rusqlite::{Transaction, params};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

const INSERT_DIRTY: &str = "INSERT INTO _rowtide_dirty_rows (table_id, key, first_change, last_change)
                            VALUES (?1, ?2, ?3, ?3) ON CONFLICT DO NOTHING";

/// Carries over the server's versions; answers the newest. What belongs to tables that are not configured is not
/// carried: should they be configured again, their rows meet the server's as local ones.
pub(super) fn carry_row_states(transaction: &Transaction<'_>, schema: &ManagedSchema) -> Result<i64> {
    let mut statement = transaction.prepare(
        "SELECT schema_name, table_name, key_json, row_version, deleted <> 0 FROM _sync_row_state
         WHERE row_version > 0",
    )?;
    let mut found = statement.query([])?;
    let mut newest = 0;
    while let Some(row) = found.next()? {
        let (schema_name, table_name): (String, String) = (row.get(0)?, row.get(1)?);
        let Some(table) = managed(schema, &schema_name, &table_name) else { continue };
        let key = local_key(table, &row.get::<_, String>(2)?)?;
        let state = RowState { version: RowVersion(row.get(3)?), deleted: row.get(4)? };
        newest = newest.max(state.version.0);
        row_state::set(transaction, table.id, &key, state)?;
    }
    Ok(newest)
}

/// Carries over the rows of the frozen bundle, as they were sent or are to be sent; answers how many.
pub(super) fn carry_outbox(
    transaction: &Transaction<'_>,
    schema: &ManagedSchema,
    frozen: Option<&FormerOutbox>,
) -> Result<i64> {
    let Some(frozen) = frozen else { return Ok(0) };
    let mut statement = transaction.prepare(
        "SELECT row_ordinal, schema_name, table_name, key_json, wire_key_json, op, base_row_version, wire_payload,
                source_bundle_id
         FROM _sync_outbox_rows ORDER BY source_bundle_id, row_ordinal",
    )?;
    let mut insert = transaction.prepare(
        "INSERT INTO _rowtide_outbox_rows
         (row_ordinal, table_id, key, wire_key, op, base_row_version, payload, first_change, last_change)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)",
    )?;
    let mut found = statement.query([])?;
    let mut rows = 0;
    while let Some(row) = found.next()? {
        let table = waiting(schema, row.get(1)?, row.get(2)?, "frozen for upload")?;
        let (ordinal, number): (i64, i64) = (row.get(0)?, row.get(8)?);
        if ordinal != rows || number != frozen.source_bundle_id {
            return Err(unfit(table, "are not those of the frozen bundle, in order"));
        }
        let key = local_key(table, &row.get::<_, String>(3)?)?;
        let wire_key = named_key(table, &row.get::<_, String>(4)?)?;
        if table.key_kind.to_wire(&key).ok().as_ref() != Some(&wire_key) {
            return Err(unfit(table, "have another key on the wire than here"));
        }
        let op: String = row.get(5)?;
        let payload: Option<String> = row.get(7)?;
        let fits = match RowOp::parse(&op) {
            Some(RowOp::Delete) => payload.is_none(),
            Some(_) => payload.as_deref().is_some_and(is_object),
            None => false,
        };
        if !fits {
            return Err(unfit(table, "have no payload that goes with their operation"));
        }
        rows += 1;
        let base: i64 = row.get(6)?;
        insert.execute(params![ordinal, table.id.0, key, wire_key, op, base, payload, rows])?;
    }
    if rows == 0 || (frozen.remote.is_none() && rows != frozen.row_count) {
        return Err(refusal(format!(
            "the other sync client froze {} rows for upload, of which {rows} are there; open the database with that \
             client once and let it synchronise",
            frozen.row_count
        )));
    }
    Ok(rows)
}

/// Writes the head of the carried bundle; answers its number of rows.
pub(super) fn write_head(transaction: &Transaction<'_>, frozen: &FormerOutbox) -> Result<i64> {
    let rows = transaction.query_row("SELECT count(*) FROM _rowtide_outbox_rows", [], |row| row.get(0))?;
    transaction.execute(
        "INSERT INTO _rowtide_outbox (singleton, source_id, source_bundle_id, row_count, request_hash)
         VALUES (1, ?1, ?2, ?3, ?4)",
        params![frozen.source.as_str(), frozen.source_bundle_id, rows, frozen.request_hash],
    )?;
    Ok(rows)
}

/// Carries over local intent in its order, behind the `frozen` rows; answers the number of the last change. Operation,
/// payload and base are read from the live row and its state when it is frozen.
pub(super) fn carry_dirty_rows(
    transaction: &Transaction<'_>,
    schema: &ManagedSchema,
    frozen: i64,
) -> Result<i64> {
    let mut statement = transaction.prepare(
        "SELECT schema_name, table_name, key_json FROM _sync_dirty_rows ORDER BY dirty_ordinal, rowid",
    )?;
    let mut insert = transaction.prepare(INSERT_DIRTY)?;
    let mut found = statement.query([])?;
    let mut change = frozen;
    while let Some(row) = found.next()? {
        let table = waiting(schema, row.get(0)?, row.get(1)?, "pending")?;
        let key = local_key(table, &row.get::<_, String>(2)?)?;
        change += 1;
        insert.execute(params![table.id.0, key, change])?;
    }
    Ok(change)
}

/// Makes frozen rows dirty whose payload is not what their table holds: those clients round large integers on the way
/// out. The exact row follows the frozen one. Answers the number of the last change.
pub(super) fn repair_frozen(
    transaction: &Transaction<'_>,
    schema: &ManagedSchema,
    generation: WireGeneration,
    changes: i64,
) -> Result<i64> {
    let mut statement = transaction
        .prepare("SELECT table_id, key, payload FROM _rowtide_outbox_rows WHERE payload IS NOT NULL")?;
    let mut insert = transaction.prepare(INSERT_DIRTY)?;
    let mut found = statement.query([])?;
    let mut change = changes;
    while let Some(row) = found.next()? {
        let (table, key) = (outbox::managed(schema, TableId(row.get(0)?))?, rows::key(row, 1)?);
        let sent = rows::decode_payload(generation, schema, table, &row.get::<_, String>(2)?).ok();
        let sent = sent.map(|sent| sent.values);
        // A row that is gone is dirty already.
        let Some(held) = rows::read(transaction, table, &key).transpose() else { continue };
        if sent.is_none() || sent != held.ok() {
            change += 1;
            insert.execute(params![table.id.0, key, change])?;
        }
    }
    Ok(change)
}

/// Takes out of the log what the installation captured although it is known or carried over. Rows that the other
/// client knew nothing of stay, as local inserts.
pub(super) fn forget_captured(transaction: &Transaction<'_>) -> Result<()> {
    transaction.execute_batch(
        "DELETE FROM _rowtide_change_log WHERE
           EXISTS (SELECT 1 FROM _rowtide_row_state AS s
                   WHERE s.table_id = _rowtide_change_log.table_id AND s.key = _rowtide_change_log.key
                     AND s.deleted = 0)
           OR EXISTS (SELECT 1 FROM _rowtide_dirty_rows AS d
                      WHERE d.table_id = _rowtide_change_log.table_id AND d.key = _rowtide_change_log.key);
         DELETE FROM _rowtide_change_log
         WHERE (table_id, key) IN (SELECT table_id, key FROM _rowtide_outbox_rows);",
    )?;
    Ok(())
}

/// That client wrote table names in lowercase.
fn managed<'s>(schema: &'s ManagedSchema, schema_name: &str, table: &str) -> Option<&'s Arc<ManagedTable>> {
    let mut tables = schema.tables.iter().filter(|_| schema.name == schema_name);
    tables.find(|candidate| candidate.name.eq_ignore_ascii_case(table))
}

/// The table of a row that the server does not have: it must not get lost.
fn waiting<'s>(
    schema: &'s ManagedSchema,
    schema_name: String,
    table: String,
    how: &str,
) -> Result<&'s Arc<ManagedTable>> {
    managed(schema, &schema_name, &table).ok_or_else(|| {
        refusal(format!(
            "rows of table {schema_name}.{table} are {how} in the tables of another sync client, and it is not \
             configured; configure it, or let that client upload them first"
        ))
    })
}

/// The value under the table's key column.
fn named_key(table: &ManagedTable, json: &str) -> Result<String> {
    let mut members: BTreeMap<String, Option<String>> =
        serde_json::from_str(json).map_err(|_| unfit(table, "have a key that is no JSON object of text"))?;
    match (members.len(), members.pop_first()) {
        (1, Some((column, Some(value)))) if column.eq_ignore_ascii_case(table.key_column()) => Ok(value),
        (1, Some((column, Some(_)))) => Err(refusal(format!(
            "the sync key of table {} was {column} and is now {}; a key cannot be renamed once rows carry it, \
             restore the name",
            table.name,
            table.key_column()
        ))),
        _ => Err(unfit(table, "have a key that is NULL or not of one column")),
    }
}

/// The key as SQLite holds it: text, or 16 bytes written as 32 hexadecimal digits.
fn local_key(table: &ManagedTable, json: &str) -> Result<SqlValue> {
    let text = named_key(table, json)?;
    match table.key_kind {
        KeyKind::Text => Ok(SqlValue::Text(text)),
        KeyKind::Uuid => match Uuid::try_parse(&text) {
            Ok(uuid) if text.len() == 32 => Ok(SqlValue::Blob(uuid.as_bytes().to_vec())),
            _ => Err(unfit(table, "have a key that is not 16 bytes in hexadecimal digits")),
        },
    }
}

fn is_object(json: &str) -> bool {
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json).is_ok()
}

fn unfit(table: &ManagedTable, what: &str) -> super::StorageError {
    refusal(format!(
        "rows of table {} in the tables of another sync client {what}; open the database with that client once and \
         let it synchronise",
        table.name
    ))
}
