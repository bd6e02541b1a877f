//! Local intent: the change log coalesced to one row a key.

use super::error::Result;
use super::{commits, quote};
use crate::protocol::value::SqlValue;
use crate::schema::{ManagedSchema, TableId};
use crate::simulation::{mutated, mutation::Mutation};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

/// Moves the change log into dirty rows. Orders never run backwards: the log's numbers start again after
/// it was emptied, so they are offset by what was coalesced before. Answers whether the log held anything.
pub(crate) fn coalesce(transaction: &Transaction<'_>) -> Result<bool> {
    let last: Option<i64> = transaction
        .prepare_cached("SELECT max(seq) FROM _rowtide_change_log")?
        .query_row([], |row| row.get(0))?;
    let Some(last) = last else { return Ok(false) };
    let offset: i64 = transaction
        .prepare_cached("SELECT changes_coalesced FROM _rowtide_attachment")?
        .query_row([], |row| row.get(0))?;
    transaction
        .prepare_cached(
            "INSERT INTO _rowtide_dirty_rows (table_id, key, first_change, last_change)
             SELECT table_id, key, min(seq) + ?1, max(seq) + ?1 FROM _rowtide_change_log GROUP BY table_id, key
             ON CONFLICT (table_id, key) DO UPDATE SET last_change = excluded.last_change",
        )?
        .execute([offset])?;
    // A row that was refused and then edited is intent again.
    transaction
        .prepare_cached(
            "DELETE FROM _rowtide_refused_rows WHERE (table_id, key) IN (SELECT table_id, key FROM _rowtide_change_log)",
        )?
        .execute([])?;
    if !mutated(Mutation::ChangeLogKept) {
        transaction.prepare_cached("DELETE FROM _rowtide_change_log")?.execute([])?;
    }
    transaction
        .prepare_cached("UPDATE _rowtide_attachment SET changes_coalesced = ?1")?
        .execute([offset + last])?;
    Ok(true)
}

/// Drops intent that has no effect: the row is neither here nor at the server. Not while an outbox exists,
/// because the server may be about to get the row from it.
pub(crate) fn prune(transaction: &Transaction<'_>, schema: &ManagedSchema) -> Result<()> {
    for table in &schema.tables {
        let sql = format!(
            "DELETE FROM _rowtide_dirty_rows AS d WHERE table_id = ?1
               AND NOT EXISTS (SELECT 1 FROM {} AS t WHERE t.{} = d.key)
               AND NOT EXISTS (SELECT 1 FROM _rowtide_row_state AS s
                               WHERE s.table_id = ?1 AND s.key = d.key AND s.deleted = 0)
               AND NOT EXISTS (SELECT 1 FROM _rowtide_outbox)",
            quote(&table.name),
            quote(table.key_column())
        );
        transaction.prepare_cached(&sql)?.execute([table.id.0])?;
    }
    commits::forget_settled(transaction)
}

/// Rows of local intent that the server does not have yet, those in the outbox included.
pub(crate) fn pending(transaction: &Transaction<'_>, schema: &ManagedSchema) -> Result<i64> {
    coalesce(transaction)?;
    prune(transaction, schema)?;
    Ok(transaction.query_row(
        "SELECT count(*) FROM (SELECT table_id, key FROM _rowtide_dirty_rows
                               UNION SELECT table_id, key FROM _rowtide_outbox_rows)",
        [],
        |row| row.get(0),
    )?)
}

/// What [`pending`] answers, without writing: a status must not wait for the writer.
pub(crate) fn count_pending(connection: &Connection, schema: &ManagedSchema) -> Result<i64> {
    let mut count =
        connection.query_row("SELECT count(*) FROM _rowtide_outbox_rows", [], |row| row.get(0))?;
    for table in &schema.tables {
        let sql = format!(
            "SELECT count(*) FROM (SELECT key FROM _rowtide_dirty_rows WHERE table_id = ?1
                                   UNION SELECT key FROM _rowtide_change_log WHERE table_id = ?1) AS d
             WHERE NOT EXISTS (SELECT 1 FROM _rowtide_outbox_rows AS o WHERE o.table_id = ?1 AND o.key = d.key)
               AND (EXISTS (SELECT 1 FROM {} AS t WHERE t.{} = d.key)
                    OR EXISTS (SELECT 1 FROM _rowtide_row_state AS s
                               WHERE s.table_id = ?1 AND s.key = d.key AND s.deleted = 0)
                    OR EXISTS (SELECT 1 FROM _rowtide_outbox))",
            quote(&table.name),
            quote(table.key_column())
        );
        let here: i64 = connection.prepare_cached(&sql)?.query_row([table.id.0], |row| row.get(0))?;
        count += here;
    }
    Ok(count)
}

/// Number of the last change of a dirty row; `None` where the row is clean. The log must be coalesced.
pub(crate) fn last_change(connection: &Connection, table: TableId, key: &SqlValue) -> Result<Option<i64>> {
    let mut statement = connection
        .prepare_cached("SELECT last_change FROM _rowtide_dirty_rows WHERE table_id = ?1 AND key = ?2")?;
    Ok(statement.query_row(params![table.0, key], |row| row.get(0)).optional()?)
}

/// Whether there is any dirty row. The log must be coalesced.
pub(crate) fn any(connection: &Connection) -> Result<bool> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM _rowtide_dirty_rows)")?
        .query_row([], |row| row.get(0))?)
}

/// Forgets the intent for one row, because the server's row was accepted.
pub(crate) fn clear(transaction: &Transaction<'_>, table: TableId, key: &SqlValue) -> Result<()> {
    transaction
        .prepare_cached("DELETE FROM _rowtide_dirty_rows WHERE table_id = ?1 AND key = ?2")?
        .execute(params![table.0, key])?;
    Ok(())
}
