//! Binding the configured tables to a database: numbering, triggers, tables that are added or removed later.

use super::error::Result;
use super::{attachment, base_images, kept_columns, outbox, quote, rows, triggers};
use crate::protocol::value::SqlValue;
use crate::schema::{KeyKind, ManagedSchema, ManagedTable, SchemaError, TableId};
use rusqlite::{OptionalExtension, Transaction, params};

/// Numbers a table and installs its triggers. Rows of one that is new here are captured once, as local inserts; where
/// a user is attached already, the server's rows of it are still to be downloaded.
pub(crate) fn install(transaction: &Transaction<'_>, table: &ManagedTable) -> Result<ManagedTable> {
    let known: Option<(i64, String, bool)> = transaction
        .query_row(
            "SELECT table_id, key_column, managed FROM _rowtide_tables WHERE table_name = ?1",
            [&table.name],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let mut table = table.clone();
    table.absent = absent_values(transaction, &table)?;
    let attachment = attachment::load(transaction)?;
    match known {
        Some((id, key, managed)) => {
            if !key.eq_ignore_ascii_case(table.key_column()) {
                let text = format!(
                    "the sync key of table {} was {key} and is now {}; a key cannot be renamed once rows \
                     carry it, restore the name",
                    table.name,
                    table.key_column()
                );
                return Err(SchemaError(text).into());
            }
            table.id = TableId(id);
            if !managed {
                begin(transaction, &table, attachment.user.is_some())?;
            }
        }
        None => {
            transaction.execute(
                "INSERT INTO _rowtide_tables (table_name, key_column) VALUES (?1, ?2)",
                [&table.name, table.key_column()],
            )?;
            table.id = TableId(transaction.last_insert_rowid());
            begin(transaction, &table, attachment.user.is_some())?;
        }
    }
    base_images::install(transaction, &table)?;
    triggers::install(transaction, &table)?;
    if let Some(generation) = attachment.generation {
        transaction.execute_batch("UPDATE _rowtide_apply SET applying = 1")?;
        kept_columns::move_into_columns(transaction, &table, generation)?;
        transaction.execute_batch("UPDATE _rowtide_apply SET applying = 0")?;
    }
    Ok(table)
}

fn begin(transaction: &Transaction<'_>, table: &ManagedTable, attached: bool) -> Result<()> {
    check_existing_keys(transaction, table)?;
    transaction.execute(
        "UPDATE _rowtide_tables SET managed = 1, hydrated = ?2 WHERE table_id = ?1",
        params![table.id.0, !attached],
    )?;
    let (name, key) = (quote(&table.name), quote(table.key_column()));
    transaction.execute(
        &format!("INSERT INTO _rowtide_change_log (table_id, key) SELECT ?1, {key} FROM {name}"),
        [table.id.0],
    )?;
    Ok(())
}

/// What a column holds that a row of the server lacks.
fn absent_values(transaction: &Transaction<'_>, table: &ManagedTable) -> Result<Vec<Option<SqlValue>>> {
    let mut statement = transaction
        .prepare_cached("SELECT \"notnull\", dflt_value FROM pragma_table_xinfo(?1) WHERE name = ?2")?;
    let mut absent = Vec::with_capacity(table.columns.len());
    for column in &table.column_names {
        let (not_null, default): (bool, Option<String>) =
            statement.query_row([&table.name, column], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let value = match default {
            Some(sql) => transaction.query_row(&format!("SELECT {sql}"), [], |row| rows::key(row, 0)).ok(),
            None => None,
        };
        absent.push(value.or_else(|| (!not_null).then_some(SqlValue::Null)));
    }
    Ok(absent)
}

/// Tables that are no longer configured stop being captured and keep their rows; what was intended or known about
/// them is forgotten. An upload that holds rows of them is pending again without them.
pub(crate) fn retire_removed(transaction: &Transaction<'_>, schema: &ManagedSchema) -> Result<()> {
    let mut statement =
        transaction.prepare("SELECT table_id, table_name FROM _rowtide_tables WHERE managed = 1")?;
    let removed = statement
        .query_map([], |row| Ok((TableId(row.get(0)?), row.get::<_, String>(1)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?
        .into_iter()
        .filter(|(_, name)| !schema.tables.iter().any(|table| table.name == *name));
    for (id, name) in removed {
        log::info!("table {name} is no longer configured for sync; its rows stay");
        release_outbox(transaction, id)?;
        triggers::remove(transaction, id)?;
        for kept in [
            "_rowtide_change_log",
            "_rowtide_dirty_rows",
            "_rowtide_row_state",
            "_rowtide_refused_rows",
            "_rowtide_kept_columns",
            "_rowtide_stage",
        ] {
            transaction.execute(&format!("DELETE FROM {kept} WHERE table_id = ?1"), [id.0])?;
        }
        base_images::remove(transaction, id)?;
        transaction.execute("UPDATE _rowtide_tables SET managed = 0 WHERE table_id = ?1", [id.0])?;
    }
    Ok(())
}

/// Other rows of an upload must not be lost with those of a removed table. Whether the server has it or not: the rows
/// meet themselves in a pull, or go up again.
fn release_outbox(transaction: &Transaction<'_>, table: TableId) -> Result<()> {
    let holds: bool = transaction.query_row(
        "SELECT EXISTS (SELECT 1 FROM _rowtide_outbox_rows WHERE table_id = ?1)",
        [table.0],
        |row| row.get(0),
    )?;
    if !holds {
        return Ok(());
    }
    if let Some(bundle) = outbox::load(transaction)?.and_then(|outbox| outbox.committed) {
        attachment::finish_source_bundle(transaction, &bundle.source_id, bundle.source_bundle_id)?;
    }
    outbox::thaw(transaction)
}

/// Tables whose rows at the server are still to be downloaded.
pub(crate) fn to_hydrate(transaction: &rusqlite::Connection) -> Result<Vec<TableId>> {
    let mut statement = transaction
        .prepare_cached("SELECT table_id FROM _rowtide_tables WHERE managed = 1 AND hydrated = 0")?;
    Ok(statement.query_map([], |row| Ok(TableId(row.get(0)?)))?.collect::<rusqlite::Result<_>>()?)
}

/// Notes that the server's rows of all tables are here.
pub(crate) fn set_hydrated(transaction: &Transaction<'_>) -> Result<()> {
    transaction.execute("UPDATE _rowtide_tables SET hydrated = 1 WHERE hydrated = 0", [])?;
    Ok(())
}

/// Tables that were configured once.
pub(crate) fn former(connection: &rusqlite::Connection) -> Result<Vec<String>> {
    let mut statement =
        connection.prepare_cached("SELECT table_name FROM _rowtide_tables WHERE managed = 0")?;
    Ok(statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

fn check_existing_keys(transaction: &Transaction<'_>, table: &ManagedTable) -> Result<()> {
    let (name, key) = (quote(&table.name), quote(table.key_column()));
    let unfit = match table.key_kind {
        KeyKind::Text => format!("typeof({key}) <> 'text'"),
        KeyKind::Uuid => format!("typeof({key}) <> 'blob' OR length({key}) <> 16"),
    };
    let count: i64 =
        transaction.query_row(&format!("SELECT count(*) FROM {name} WHERE {unfit}"), [], |row| row.get(0))?;
    if count > 0 {
        let text = format!(
            "table {} has {count} rows whose key {} is NULL or not of its declared type; give them keys \
             before opening the database for sync",
            table.name,
            table.key_column()
        );
        return Err(SchemaError(text).into());
    }
    Ok(())
}
