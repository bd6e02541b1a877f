//! The server's version of each row that it has or had.

use super::error::Result;
use crate::protocol::ids::RowVersion;
use crate::protocol::value::SqlValue;
use crate::schema::TableId;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

/// What is known of a row at the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RowState {
    /// 0 where the server never had the row.
    pub(crate) version: RowVersion,
    /// Whether the server has a tombstone.
    pub(crate) deleted: bool,
}

impl RowState {
    /// Whether the server has the row.
    pub(crate) fn is_live(self) -> bool {
        self.version.0 > 0 && !self.deleted
    }
}

/// Reads the state of a row.
pub(crate) fn get(connection: &Connection, table: TableId, key: &SqlValue) -> Result<RowState> {
    let mut statement = connection.prepare_cached(
        "SELECT row_version, deleted FROM _rowtide_row_state WHERE table_id = ?1 AND key = ?2",
    )?;
    let state = statement
        .query_row(params![table.0, key], |row| {
            Ok(RowState { version: RowVersion(row.get(0)?), deleted: row.get(1)? })
        })
        .optional()?;
    Ok(state.unwrap_or_default())
}

/// Whether anything of the server is known here.
pub(crate) fn any(connection: &Connection) -> Result<bool> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM _rowtide_row_state)")?
        .query_row([], |row| row.get(0))?)
}

/// Writes the state of a row.
pub(crate) fn set(
    transaction: &Transaction<'_>,
    table: TableId,
    key: &SqlValue,
    state: RowState,
) -> Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO _rowtide_row_state (table_id, key, row_version, deleted) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (table_id, key) DO UPDATE SET row_version = excluded.row_version, deleted = excluded.deleted",
        )?
        .execute(params![table.0, key, state.version.0, state.deleted])?;
    Ok(())
}

/// Marks a row whose local content is not the server's any more: whatever a snapshot says about it is news.
pub(crate) fn mark_stale(transaction: &Transaction<'_>, table: TableId, key: &SqlValue) -> Result<()> {
    set(transaction, table, key, RowState { version: RowVersion(0), deleted: false })
}

/// Makes local intent of what the server was known to have, deletes included, and does not have in this version in
/// the staged snapshot: it went back to an older backup.
pub(crate) fn recall_unstaged(transaction: &Transaction<'_>) -> Result<()> {
    const LOST: &str = "NOT EXISTS (SELECT 1 FROM _rowtide_stage AS g WHERE g.table_id = s.table_id
                        AND g.key = s.key AND g.row_version = s.row_version)";
    transaction.execute(
        &format!(
            "INSERT INTO _rowtide_change_log (table_id, key)
             SELECT table_id, key FROM _rowtide_row_state AS s WHERE {LOST}"
        ),
        [],
    )?;
    transaction.execute(&format!("DELETE FROM _rowtide_row_state AS s WHERE {LOST}"), [])?;
    Ok(())
}

/// Makes local intent of everything that the server was known to have, because it has nothing any more.
pub(crate) fn recall_all(transaction: &Transaction<'_>) -> Result<()> {
    transaction.execute(
        "INSERT INTO _rowtide_change_log (table_id, key) SELECT table_id, key FROM _rowtide_row_state",
        [],
    )?;
    transaction.execute("DELETE FROM _rowtide_row_state", [])?;
    Ok(())
}

/// Forgets a row that the server does not know.
pub(crate) fn forget(transaction: &Transaction<'_>, table: TableId, key: &SqlValue) -> Result<()> {
    transaction
        .prepare_cached("DELETE FROM _rowtide_row_state WHERE table_id = ?1 AND key = ?2")?
        .execute(params![table.0, key])?;
    Ok(())
}
