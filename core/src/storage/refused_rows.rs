//! The inbox: rows that cannot be synchronised as they are, kept with the reason until the host acts.

use super::apply::Applier;
use super::error::{Result, StorageError};
use super::operation::{self, OperationKind};
use super::{dirty_rows, outbox, row_content, row_state, rows};
use crate::protocol::message::RowOp;
use crate::protocol::value::SqlValue;
use crate::schema::{ManagedSchema, ManagedTable, TableId};
use crate::simulation::{mutated, mutation::Mutation};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::collections::BTreeMap;

/// Why a row is in the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedReason {
    /// A value has no wire form: an infinite number, or a storage class that the column does not declare.
    InvalidValue,
    /// The server refused the row for good: a constraint, a forbidden value, its size, or a rule of its own.
    ServerRefused,
    /// The row belongs together with a refused one: it refers to it, or one local transaction wrote both.
    RefusedTogether,
    /// A row that it refers to was deleted on another device.
    ParentMissing,
    /// Another device stored a row with the same unique value first.
    UniqueCollision,
    /// The resolver's answer was not a row of the table; the server's row took its place.
    InvalidResolution,
}

impl RefusedReason {
    const ALL: [Self; 6] = [
        Self::InvalidValue,
        Self::ServerRefused,
        Self::RefusedTogether,
        Self::ParentMissing,
        Self::UniqueCollision,
        Self::InvalidResolution,
    ];

    /// The reason in one word, as the inbox stores it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidValue => "invalid_value",
            Self::ServerRefused => "server_refused",
            Self::RefusedTogether => "refused_together",
            Self::ParentMissing => "parent_missing",
            Self::UniqueCollision => "unique_collision",
            Self::InvalidResolution => "invalid_resolution",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// A row of the inbox.
#[derive(Debug, Clone, PartialEq)]
pub struct RefusedRow {
    /// The table.
    pub table: String,
    /// The sync key as it travels: text, or a dashed UUID.
    pub key: String,
    /// Why.
    pub reason: RefusedReason,
    /// Why, and what to do.
    pub message: String,
    /// What was meant, by column name as the app's schema spells it; `None` where the row was deleted.
    pub content: Option<BTreeMap<String, SqlValue>>,
    /// Whether the row is still in its table; one that constraints forbade to stay is only here.
    pub in_table: bool,
    /// When, in milliseconds since 1970 UTC.
    pub refused_at_ms: i64,
}

/// What the host does with a row of the inbox.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// It is pending again, with some columns changed.
    Retry(BTreeMap<String, SqlValue>),
    /// The local change is given up; the server's row, where it has one, comes back.
    Discard,
}

/// Why a row goes to the inbox.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refusal<'a> {
    pub(crate) reason: RefusedReason,
    pub(crate) message: &'a str,
}

/// Puts a row into the inbox as it is in its table, or as deleted where it is not there. It is no longer dirty.
pub(crate) fn add(
    transaction: &Transaction<'_>,
    table: &ManagedTable,
    key: &SqlValue,
    refusal: Refusal<'_>,
    now_ms: i64,
) -> Result<()> {
    let content = content_in_table(transaction, table, key)?;
    let op = if content.is_some() { RowOp::Update } else { RowOp::Delete };
    if mutated(Mutation::RefusedRowDropped) {
        return dirty_rows::clear(transaction, table.id, key);
    }
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO _rowtide_refused_rows
             (table_id, key, reason, message, payload, refused_at, op, in_table)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            table.id.0,
            key,
            refusal.reason.as_str(),
            refusal.message,
            content,
            now_ms,
            op.as_str(),
            content.is_some()
        ])?;
    dirty_rows::clear(transaction, table.id, key)
}

/// Notes that a refused row is about to leave its table.
pub(crate) fn leaves_table(transaction: &Transaction<'_>, table: TableId, key: &SqlValue) -> Result<()> {
    transaction
        .prepare_cached("UPDATE _rowtide_refused_rows SET in_table = 0 WHERE table_id = ?1 AND key = ?2")?
        .execute(params![table.0, key])?;
    Ok(())
}

fn content_in_table(
    transaction: &Transaction<'_>,
    table: &ManagedTable,
    key: &SqlValue,
) -> Result<Option<String>> {
    let mut statement = transaction.prepare_cached(rows::select_by_key(table))?;
    Ok(statement
        .query_row([key], |row| {
            let cells = (0..table.columns.len())
                .map(|index| row.get_ref(index))
                .collect::<rusqlite::Result<Vec<ValueRef<'_>>>>()?;
            Ok(row_content::encode(table, cells.into_iter()))
        })
        .optional()?)
}

/// Rows in the inbox.
pub(crate) fn count(connection: &Connection) -> Result<i64> {
    let mut statement = connection.prepare_cached("SELECT count(*) FROM _rowtide_refused_rows")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Lists the inbox, oldest first.
pub(crate) fn list(connection: &Connection, schema: &ManagedSchema) -> Result<Vec<RefusedRow>> {
    let mut statement = connection.prepare_cached(
        "SELECT table_id, key, reason, message, payload, in_table, refused_at FROM _rowtide_refused_rows
         ORDER BY refused_at, table_id, key",
    )?;
    let mut found = statement.query([])?;
    let mut refused = Vec::new();
    while let Some(row) = found.next()? {
        let Some(table) = schema.by_id(TableId(row.get(0)?)) else { continue };
        let content: Option<String> = row.get(4)?;
        let content = content.map(|json| row_content::decode(table, &json)).transpose()?;
        refused.push(RefusedRow {
            table: table.name.clone(),
            key: table.key_kind.to_wire(&rows::key(row, 1)?).unwrap_or_default(),
            reason: RefusedReason::parse(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)
                .unwrap_or(RefusedReason::ServerRefused),
            message: row.get(3)?,
            content: content.map(|values| table.column_names.iter().cloned().zip(values).collect()),
            in_table: row.get(5)?,
            refused_at_ms: row.get(6)?,
        });
    }
    Ok(refused)
}

/// Acts on one row of the inbox; `false` where it is not there (any more).
pub(crate) fn act(
    transaction: &Transaction<'_>,
    schema: &ManagedSchema,
    table: &str,
    wire_key: &str,
    action: &Action,
    now_ms: i64,
) -> Result<bool> {
    let table = schema
        .tables
        .iter()
        .find(|candidate| candidate.name.eq_ignore_ascii_case(table))
        .ok_or_else(|| StorageError::Input(format!("table {table} is not configured for sync")))?;
    let key = table
        .key_kind
        .from_wire(wire_key)
        .map_err(|source| StorageError::Input(format!("key of table {}: {source}", table.name)))?;
    // Rows may refer to each other, and come back in any order.
    transaction.execute_batch("PRAGMA defer_foreign_keys = ON")?;
    act_on(transaction, schema, table, &key, action, now_ms)
}

/// Acts on every row of the inbox; answers how many.
pub(crate) fn act_on_all(
    transaction: &Transaction<'_>,
    schema: &ManagedSchema,
    action: &Action,
    now_ms: i64,
) -> Result<i64> {
    transaction.execute_batch("PRAGMA defer_foreign_keys = ON")?;
    let mut statement = transaction.prepare("SELECT table_id, key FROM _rowtide_refused_rows")?;
    let all = statement
        .query_map([], |row| Ok((TableId(row.get(0)?), rows::key(row, 1)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut count = 0;
    for (table, key) in all {
        let table = outbox::managed(schema, table)?;
        count += i64::from(act_on(transaction, schema, table, &key, action, now_ms)?);
    }
    Ok(count)
}

fn act_on(
    transaction: &Transaction<'_>,
    schema: &ManagedSchema,
    table: &ManagedTable,
    key: &SqlValue,
    action: &Action,
    now_ms: i64,
) -> Result<bool> {
    dirty_rows::coalesce(transaction)?;
    let mut statement = transaction
        .prepare_cached("SELECT payload, op FROM _rowtide_refused_rows WHERE table_id = ?1 AND key = ?2")?;
    let found = statement
        .query_row(params![table.id.0, key], |row| {
            Ok((row.get::<_, Option<String>>(0)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    let Some((content, op)) = found else { return Ok(false) };
    match action {
        Action::Retry(changes) => retry(transaction, table, key, content.as_deref(), &op, changes)?,
        Action::Discard => discard(transaction, schema, table, key, now_ms)?,
    }
    transaction.execute(
        "DELETE FROM _rowtide_refused_rows WHERE table_id = ?1 AND key = ?2",
        params![table.id.0, key],
    )?;
    Ok(true)
}

fn retry(
    transaction: &Transaction<'_>,
    table: &ManagedTable,
    key: &SqlValue,
    content: Option<&str>,
    op: &str,
    changes: &BTreeMap<String, SqlValue>,
) -> Result<()> {
    match content {
        Some(json) => {
            let mut values = row_content::decode(table, json)?;
            for (name, value) in changes {
                let index = table.column_names.iter().position(|column| column.eq_ignore_ascii_case(name));
                let index = index.filter(|index| *index != table.key_index).ok_or_else(|| {
                    let text = format!("table {} has no column {name} that can be changed", table.name);
                    StorageError::Input(text)
                })?;
                values[index] = value.clone();
            }
            rows::write(transaction, table, &values)?;
        }
        None if op == RowOp::Delete.as_str() => {
            rows::delete(transaction, table, key)?;
        }
        // An inbox of an earlier layout: the row is still in its table.
        None => {}
    }
    transaction.execute(
        "INSERT INTO _rowtide_change_log (table_id, key) VALUES (?1, ?2)",
        params![table.id.0, key],
    )?;
    Ok(())
}

/// Gives the local change up. What the server has is not here any more, so a rebuild brings it.
fn discard(
    transaction: &Transaction<'_>,
    schema: &ManagedSchema,
    table: &ManagedTable,
    key: &SqlValue,
    now_ms: i64,
) -> Result<()> {
    if row_state::get(transaction, table.id, key)?.is_live() {
        row_state::mark_stale(transaction, table.id, key)?;
        return operation::start(transaction, &OperationKind::Rebuild, "discarded");
    }
    let mut applier = Applier::begin(transaction, schema, now_ms)?;
    applier.delete(table, key)?;
    applier.finish()?;
    Ok(())
}
