//! The inbox: rows that cannot be synchronised as they are, kept with the reason until the host acts.

use super::error::Result;
use super::{outbox, rows};
use crate::protocol::payload;
use crate::protocol::profile::WireGeneration;
use crate::protocol::value::SqlValue;
use crate::schema::{ManagedSchema, ManagedTable, TableId};
use rusqlite::{Connection, Transaction, params};

/// A row of the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRow {
    /// The table.
    pub table: String,
    /// The sync key as it travels: text, or a dashed UUID.
    pub key: String,
    /// Why, in one word: `invalid_value`, `parent_missing`, `unique_collision`.
    pub reason: String,
    /// Why, and what to do.
    pub message: String,
    /// When, in milliseconds since 1970 UTC.
    pub refused_at_ms: i64,
}

/// Puts a row into the inbox, with its content where the row leaves its table.
pub(crate) fn add(
    transaction: &Transaction<'_>,
    table: &ManagedTable,
    key: &SqlValue,
    reason: &str,
    message: &str,
    content: Option<&[SqlValue]>,
    now_ms: i64,
) -> Result<()> {
    // Kept in the wire form that is exact for every value; it never leaves the device in this form.
    let json = content.and_then(|values| {
        let mut json = String::new();
        payload::encode(WireGeneration::B, &table.columns, values, &mut json).ok().map(|()| json)
    });
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO _rowtide_refused_rows (table_id, key, reason, message, payload, refused_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![table.id.0, key, reason, message, json, now_ms])?;
    Ok(())
}

/// Rows in the inbox.
pub(crate) fn count(connection: &Connection) -> Result<i64> {
    Ok(connection.query_row("SELECT count(*) FROM _rowtide_refused_rows", [], |row| row.get(0))?)
}

/// Lists the inbox, oldest first.
pub(crate) fn list(connection: &Connection, schema: &ManagedSchema) -> Result<Vec<RefusedRow>> {
    let mut statement = connection.prepare_cached(
        "SELECT table_id, key, reason, message, refused_at FROM _rowtide_refused_rows ORDER BY refused_at, table_id, key",
    )?;
    let mut found = statement.query([])?;
    let mut refused = Vec::new();
    while let Some(row) = found.next()? {
        let table = outbox::managed(schema, TableId(row.get(0)?))?;
        refused.push(RefusedRow {
            table: table.name.clone(),
            key: table.key_kind.to_wire(&rows::key(row, 1)?).unwrap_or_default(),
            reason: row.get(2)?,
            message: row.get(3)?,
            refused_at_ms: row.get(4)?,
        });
    }
    Ok(refused)
}

/// Makes every refused row local intent again; a row that had left its table is put back.
pub(crate) fn retry_all(transaction: &Transaction<'_>, schema: &ManagedSchema) -> Result<i64> {
    // Rows may refer to each other, and come back in any order.
    transaction.execute_batch("PRAGMA defer_foreign_keys = ON")?;
    let mut taken = Vec::new();
    {
        let mut statement =
            transaction.prepare("SELECT table_id, key, payload FROM _rowtide_refused_rows")?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            taken.push((TableId(row.get(0)?), rows::key(row, 1)?, row.get::<_, Option<String>>(2)?));
        }
    }
    for (table_id, key, content) in &taken {
        let table = outbox::managed(schema, *table_id)?;
        if let Some(json) = content {
            let values = rows::decode_payload(WireGeneration::B, table, json)?;
            rows::write(transaction, table, &values)?;
        }
        transaction.execute(
            "INSERT INTO _rowtide_change_log (table_id, key) VALUES (?1, ?2)",
            params![table_id.0, key],
        )?;
    }
    transaction.execute("DELETE FROM _rowtide_refused_rows", [])?;
    Ok(i64::try_from(taken.len()).unwrap_or(i64::MAX))
}

/// Empties the inbox; what it held is gone.
pub(crate) fn discard_all(transaction: &Transaction<'_>) -> Result<i64> {
    let count = transaction.execute("DELETE FROM _rowtide_refused_rows", [])?;
    Ok(i64::try_from(count).unwrap_or(i64::MAX))
}
