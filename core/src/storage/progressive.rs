//! Rows of a first download that become visible before its last step, a slice a transaction, parents before children
//! (design D7). The last step decides about everything that a slice had to leave.

use super::error::{Result, StorageError};
use super::stage;
use super::{detach, dirty_rows, kept_columns, quote, row_state, rows, triggers};
use crate::protocol::profile::WireGeneration;
use crate::protocol::value::SqlValue;
use crate::schema::{ManagedSchema, ManagedTable, TableId};
use crate::simulation::{mutated, mutation::Mutation};
use rusqlite::Transaction;

/// Writes the staged rows of these keys that nothing stands against: no local intent, no row that is in the way, no
/// parent that is not there yet, no trigger of the app. Answers the keys of the written ones.
pub(crate) fn write(
    transaction: &Transaction<'_>,
    schema: &ManagedSchema,
    generation: WireGeneration,
    keys: &[(TableId, SqlValue)],
) -> Result<Vec<(TableId, SqlValue)>> {
    dirty_rows::coalesce(transaction)?;
    if !mutated(Mutation::EarlyRowsCaptured) {
        transaction.execute_batch("UPDATE _rowtide_apply SET applying = 1")?;
    }
    let mut written = Vec::with_capacity(keys.len());
    for of_table in keys.chunk_by(|one, other| one.0 == other.0) {
        let Some(table) = of_table.first().and_then(|(id, _)| schema.by_id(*id)) else { continue };
        // They would change other rows, which only the last step can tell from local changes.
        if triggers::has_others(transaction, table)? {
            continue;
        }
        for (id, key) in of_table {
            if write_row(transaction, schema, generation, table, key)? {
                written.push((*id, key.clone()));
            }
        }
    }
    transaction.execute_batch("UPDATE _rowtide_apply SET applying = 0")?;
    Ok(written)
}

fn write_row(
    transaction: &Transaction<'_>,
    schema: &ManagedSchema,
    generation: WireGeneration,
    table: &ManagedTable,
    key: &SqlValue,
) -> Result<bool> {
    if row_state::get(transaction, table.id, key)?.version.0 > 0
        || dirty_rows::last_change(transaction, table.id, key)?.is_some()
    {
        return Ok(false);
    }
    let mut done = false;
    stage::visit(transaction, table, key, |row| {
        let server = stage::decode(generation, schema, table, key, row.payload)?;
        if !parents_are_here(transaction, table, &server.values)?
            || !rows::insert(transaction, table, &server.values)?
        {
            return Ok(());
        }
        kept_columns::set(transaction, schema, table.id, key, &server.extra)?;
        let state = row_state::RowState { version: row.version, deleted: false };
        row_state::set(transaction, table.id, key, state)?;
        done = true;
        Ok(())
    })?;
    Ok(done)
}

/// Whether every row that this one refers to is there. SQLite would tell too, but of a deferred reference only at
/// the end.
fn parents_are_here(
    transaction: &Transaction<'_>,
    table: &ManagedTable,
    values: &[SqlValue],
) -> Result<bool> {
    for reference in &table.references {
        let named = |name: &String| name.eq_ignore_ascii_case(&reference.column);
        let Some(index) = table.column_names.iter().position(named) else { continue };
        let value = &values[index];
        let itself = reference.table == table.name
            && reference.to.eq_ignore_ascii_case(table.key_column())
            && *value == values[table.key_index];
        if *value == SqlValue::Null || itself {
            continue;
        }
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM {} WHERE {} = ?1)",
            quote(&reference.table),
            quote(&reference.to)
        );
        if !transaction.prepare_cached(&sql)?.query_row([value], |row| row.get(0))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes away what became visible of a download for a user that is given up.
///
/// # Errors
/// [`StorageError::Input`] where rows are unsynced: they may build on that user's.
pub(crate) fn withdraw(transaction: &Transaction<'_>, schema: &ManagedSchema) -> Result<()> {
    if !row_state::any(transaction)? {
        return Ok(());
    }
    if dirty_rows::pending(transaction, schema)? > 0 {
        let text = "rows of another user are here from a download that was not finished, and rows were written since; \
                    attach that user again and sync first";
        return Err(StorageError::Input(text.into()));
    }
    detach::wipe(transaction, schema)
}
