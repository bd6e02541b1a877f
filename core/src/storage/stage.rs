//! Downloaded rows that wait to be applied: a snapshot, or the rows of a committed bundle.

use super::error::{Result, StorageError};
use super::rows::{self, ServerRow};
use crate::protocol::ids::RowVersion;
use crate::protocol::message::{RowOp, WireKey};
use crate::protocol::profile::WireGeneration;
use crate::protocol::value::SqlValue;
use crate::schema::{ManagedSchema, ManagedTable};
use crate::simulation::{mutated, mutation::Mutation};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use std::sync::Arc;

/// A staged row.
#[derive(Debug)]
pub(crate) struct StagedRow<'a> {
    pub(crate) key: SqlValue,
    pub(crate) op: RowOp,
    pub(crate) version: RowVersion,
    pub(crate) payload: Option<&'a str>,
}

/// Finds the managed table and the local key that a row of the server names.
pub(crate) fn locate<'s>(
    schema: &'s ManagedSchema,
    schema_name: &str,
    table_name: &str,
    key: &WireKey<'_>,
) -> Result<(&'s Arc<ManagedTable>, SqlValue)> {
    let table = schema
        .by_wire_name(schema_name, table_name)
        .ok_or_else(|| StorageError::UnknownTable(format!("{schema_name}.{table_name}")))?;
    if key.column != table.wire_key_column() {
        let text =
            format!("the server's key of table {table_name} is not column {}", table.wire_key_column());
        return Err(StorageError::Violation(text));
    }
    let local = table.key_kind.from_wire(&key.value).map_err(|source| {
        StorageError::Violation(format!("the server's key of table {table_name}: {source}"))
    })?;
    Ok((table, local))
}

/// Adds a row; one key comes once.
pub(crate) fn add(
    transaction: &Transaction<'_>,
    table: &ManagedTable,
    key: &SqlValue,
    op: RowOp,
    version: RowVersion,
    payload: Option<&str>,
) -> Result<()> {
    let added = transaction
        .prepare_cached(
            "INSERT INTO _rowtide_stage (table_id, key, op, row_version, payload) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![table.id.0, key, op.as_str(), version.0, payload])?;
    if added == 0 {
        return Err(StorageError::Violation(format!("the server sent a row of table {} twice", table.name)));
    }
    Ok(())
}

/// Empties the stage.
pub(crate) fn clear(transaction: &Transaction<'_>) -> Result<()> {
    if !mutated(Mutation::StageKept) {
        transaction.execute("DELETE FROM _rowtide_stage", [])?;
    }
    Ok(())
}

/// Whether anything is staged.
pub(crate) fn holds_rows(connection: &Connection) -> Result<bool> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM _rowtide_stage)")?
        .query_row([], |row| row.get(0))?)
}

/// Takes some rows out of the stage; answers whether there were any.
pub(crate) fn clear_slice(transaction: &Transaction<'_>, rows: i64) -> Result<bool> {
    let removed = transaction
        .prepare_cached(
            "DELETE FROM _rowtide_stage
             WHERE (table_id, key) IN (SELECT table_id, key FROM _rowtide_stage LIMIT ?1)",
        )?
        .execute([rows])?;
    Ok(removed > 0)
}

/// Which staged rows of a table are visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All.
    All,
    /// Those whose keys were noted as differences.
    Differences,
}

/// Visits staged rows of a table.
pub(crate) fn for_each(
    connection: &Connection,
    table: &ManagedTable,
    scope: Scope,
    mut visit: impl FnMut(StagedRow<'_>) -> Result<()>,
) -> Result<()> {
    let mut statement = connection.prepare_cached(match scope {
        Scope::All => "SELECT key, op, row_version, payload FROM _rowtide_stage WHERE table_id = ?1",
        Scope::Differences => {
            "SELECT g.key, g.op, g.row_version, g.payload FROM _rowtide_differences AS d
             CROSS JOIN _rowtide_stage AS g ON g.table_id = d.table_id AND g.key = d.key WHERE d.table_id = ?1"
        }
    })?;
    let mut found = statement.query([table.id.0])?;
    while let Some(row) = found.next()? {
        visit(staged_row(row)?)?;
    }
    Ok(())
}

/// Visits the staged row of a key, where there is one.
pub(crate) fn visit(
    connection: &Connection,
    table: &ManagedTable,
    key: &SqlValue,
    visit: impl FnOnce(StagedRow<'_>) -> Result<()>,
) -> Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT key, op, row_version, payload FROM _rowtide_stage WHERE table_id = ?1 AND key = ?2",
    )?;
    let mut found = statement.query(params![table.id.0, key])?;
    found.next()?.map_or(Ok(()), |row| visit(staged_row(row)?))
}

fn staged_row<'a>(row: &'a Row<'_>) -> Result<StagedRow<'a>> {
    Ok(StagedRow {
        key: rows::key(row, 0)?,
        op: row.get_ref(1)?.as_str().ok().and_then(RowOp::parse).ok_or(rusqlite::Error::InvalidQuery)?,
        version: RowVersion(row.get(2)?),
        payload: row.get_ref(3)?.as_str_or_null().map_err(rusqlite::Error::from)?,
    })
}

/// Reads the payload of a snapshot's row.
pub(crate) fn decode(
    generation: WireGeneration,
    schema: &ManagedSchema,
    table: &ManagedTable,
    key: &SqlValue,
    payload: Option<&str>,
) -> Result<ServerRow> {
    let json = payload.ok_or(rusqlite::Error::InvalidQuery)?;
    let server = rows::decode_payload(generation, schema, table, json)?;
    if server.values[table.key_index] != *key {
        let text = format!("the server sent a row of table {} whose payload has another key", table.name);
        return Err(StorageError::Violation(text));
    }
    Ok(server)
}

/// The staged row of a key, where there is one that is not a delete.
pub(crate) fn staged(
    connection: &Connection,
    schema: &ManagedSchema,
    generation: WireGeneration,
    table: &ManagedTable,
    key: &SqlValue,
) -> Result<Option<ServerRow>> {
    let mut statement =
        connection.prepare_cached("SELECT payload FROM _rowtide_stage WHERE table_id = ?1 AND key = ?2")?;
    let payload: Option<Option<String>> =
        statement.query_row(params![table.id.0, key], |row| row.get(0)).optional()?;
    rows::decode_row(generation, schema, table, payload.flatten().as_deref())
}
