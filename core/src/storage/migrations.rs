//! Installs Rowtide's tables in a database and binds the configured tables to it, in one transaction.

use super::error::{Result, StorageError};
use super::{attachment, base_images, quote, triggers};
use crate::protocol::ids::SourceId;
use crate::schema::{ManagedSchema, ManagedTable, TableId};
use rusqlite::{Connection, OptionalExtension, Transaction};
use std::sync::Arc;

/// What each layout adds to the one before it.
const LAYOUTS: [&str; 2] = [include_str!("sql/001_init.sql"), include_str!("sql/002_inbox.sql")];
const NEWEST: i64 = LAYOUTS.len() as i64;

/// The layout version of a database; `None` where Rowtide never was.
pub(crate) fn layout(connection: &Connection) -> Result<Option<i64>> {
    let exists: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_rowtide_layout')",
        [],
        |row| row.get(0),
    )?;
    if !exists {
        return Ok(None);
    }
    let version = connection.query_row("SELECT layout_version FROM _rowtide_layout", [], |row| row.get(0))?;
    if version > NEWEST {
        return Err(StorageError::NewerLayout(version, NEWEST));
    }
    Ok(Some(version))
}

/// Creates what is missing, numbers the tables, installs the triggers; a table that is new here has its
/// existing rows captured once, as local inserts.
pub(crate) fn install(transaction: &Transaction<'_>, schema: &ManagedSchema) -> Result<ManagedSchema> {
    upgrade(transaction)?;
    transaction.execute("UPDATE _rowtide_apply SET applying = 0 WHERE applying <> 0", [])?;
    let mut numbered = Vec::with_capacity(schema.tables.len());
    for table in &schema.tables {
        numbered.push(Arc::new(install_table(transaction, table)?));
    }
    Ok(ManagedSchema { name: schema.name.clone(), tables: numbered })
}

/// Brings the layout up to date, from whichever version the database has.
fn upgrade(transaction: &Transaction<'_>) -> Result<()> {
    let found = layout(transaction)?;
    let done = usize::try_from(found.unwrap_or(0)).unwrap_or(0);
    for step in &LAYOUTS[done..] {
        transaction.execute_batch(step)?;
    }
    if done < LAYOUTS.len() {
        transaction.execute("UPDATE _rowtide_layout SET layout_version = ?1", [NEWEST])?;
    }
    if found.is_none() {
        attachment::create(transaction, &SourceId::mint())?;
    }
    Ok(())
}

fn install_table(transaction: &Transaction<'_>, table: &ManagedTable) -> Result<ManagedTable> {
    let known: Option<(i64, String)> = transaction
        .query_row(
            "SELECT table_id, key_column FROM _rowtide_tables WHERE table_name = ?1",
            [&table.name],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let mut table = table.clone();
    match known {
        Some((id, key)) => {
            if !key.eq_ignore_ascii_case(table.key_column()) {
                let text = format!(
                    "the sync key of table {} was {key} and is now {}; a key cannot be renamed once rows \
                     carry it, restore the name",
                    table.name,
                    table.key_column()
                );
                return Err(crate::schema::SchemaError(text).into());
            }
            table.id = TableId(id);
            base_images::install(transaction, &table)?;
            triggers::install(transaction, &table)?;
        }
        None => {
            transaction.execute(
                "INSERT INTO _rowtide_tables (table_name, key_column) VALUES (?1, ?2)",
                [&table.name, table.key_column()],
            )?;
            table.id = TableId(transaction.last_insert_rowid());
            check_existing_keys(transaction, &table)?;
            base_images::install(transaction, &table)?;
            triggers::install(transaction, &table)?;
            let (name, key) = (quote(&table.name), quote(table.key_column()));
            transaction.execute(
                &format!("INSERT INTO _rowtide_change_log (table_id, key) SELECT ?1, {key} FROM {name}"),
                [table.id.0],
            )?;
        }
    }
    Ok(table)
}

fn check_existing_keys(transaction: &Transaction<'_>, table: &ManagedTable) -> Result<()> {
    let (name, key) = (quote(&table.name), quote(table.key_column()));
    let unfit = match table.key_kind {
        crate::schema::KeyKind::Text => format!("typeof({key}) <> 'text'"),
        crate::schema::KeyKind::Uuid => format!("typeof({key}) <> 'blob' OR length({key}) <> 16"),
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
        return Err(crate::schema::SchemaError(text).into());
    }
    Ok(())
}
