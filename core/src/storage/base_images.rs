//! Base images (design D6): rows as the server had them when their first unsynchronised change was made, for
//! three-way merges. Native columns in a table of its own for each managed table that asks for it.

use super::error::Result;
use super::{quote, rows};
use crate::protocol::value::SqlValue;
use crate::schema::{ManagedSchema, ManagedTable, TableId};
use rusqlite::{Connection, OptionalExtension, Transaction, params_from_iter};

/// What is known of the row that a local change was made on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Base {
    /// Nothing was kept.
    Unknown,
    /// There was no such row.
    Absent,
    /// The row, in the table's column order.
    Row(Vec<SqlValue>),
}

impl Base {
    /// The row, where there was one.
    pub(crate) fn row(&self) -> Option<&[SqlValue]> {
        match self {
            Self::Row(values) => Some(values),
            Self::Unknown | Self::Absent => None,
        }
    }
}

fn name(table: &ManagedTable) -> String {
    quote(&format!("_rowtide_base_{}", table.id.0))
}

/// Creates a table's base images, or drops them where they are not asked for (any more).
pub(crate) fn install(transaction: &Transaction<'_>, table: &ManagedTable) -> Result<()> {
    let name = name(table);
    if !table.keeps_base {
        transaction.execute_batch(&format!("DROP TABLE IF EXISTS {name}"))?;
        return Ok(());
    }
    transaction.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {name} (_rowtide_key NOT NULL PRIMARY KEY, _rowtide_existed INTEGER NOT NULL)
         WITHOUT ROWID"
    ))?;
    let plain = format!("_rowtide_base_{}", table.id.0);
    let mut statement = transaction.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let present = statement
        .query_map([&plain], |row| row.get::<_, String>(0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for column in &table.column_names {
        if !present.iter().any(|found| found.eq_ignore_ascii_case(column)) {
            transaction.execute_batch(&format!("ALTER TABLE {name} ADD COLUMN {}", quote(column)))?;
        }
    }
    Ok(())
}

/// Drops the base images of a table that is no longer configured.
pub(crate) fn remove(transaction: &Transaction<'_>, table: TableId) -> Result<()> {
    let name = quote(&format!("_rowtide_base_{}", table.0));
    Ok(transaction.execute_batch(&format!("DROP TABLE IF EXISTS {name}"))?)
}

/// Statement of a trigger: there was no row `NEW` before. Not `OR IGNORE`: the host's own `OR REPLACE` would
/// override it inside the trigger.
pub(crate) fn keep_absence(table: &ManagedTable) -> String {
    let (name, key) = (name(table), quote(table.key_column()));
    format!(
        "INSERT INTO {name} (_rowtide_key, _rowtide_existed) SELECT NEW.{key}, 0
         WHERE NOT EXISTS (SELECT 1 FROM {name} WHERE _rowtide_key = NEW.{key}); "
    )
}

/// Statement of a trigger: the row was `OLD` before.
pub(crate) fn keep_old(table: &ManagedTable) -> String {
    let (name, key) = (name(table), quote(table.key_column()));
    format!(
        "INSERT INTO {name} (_rowtide_key, _rowtide_existed, {}) SELECT OLD.{key}, 1, {}
         WHERE NOT EXISTS (SELECT 1 FROM {name} WHERE _rowtide_key = OLD.{key}); ",
        rows::column_list(table, ""),
        rows::column_list(table, "OLD.")
    )
}

/// Reads the base of a row.
pub(crate) fn get(connection: &Connection, table: &ManagedTable, key: &SqlValue) -> Result<Base> {
    if !table.keeps_base {
        return Ok(Base::Unknown);
    }
    let sql = format!(
        "SELECT _rowtide_existed, {} FROM {} WHERE _rowtide_key = ?1",
        rows::column_list(table, ""),
        name(table)
    );
    let found = connection
        .prepare_cached(&sql)?
        .query_row([key], |row| Ok((row.get::<_, bool>(0)?, rows::values(table, row, 1)?)))
        .optional()?;
    Ok(match found {
        None | Some((true, Err(_))) => Base::Unknown,
        Some((false, _)) => Base::Absent,
        Some((true, Ok(values))) => Base::Row(values),
    })
}

/// Replaces the base of a row that stays dirty, by what the server has now.
pub(crate) fn set(
    transaction: &Transaction<'_>,
    table: &ManagedTable,
    key: &SqlValue,
    server: Option<&[SqlValue]>,
) -> Result<()> {
    if !table.keeps_base {
        return Ok(());
    }
    let name = name(table);
    let Some(values) = server else {
        transaction
            .prepare_cached(&format!(
                "INSERT OR REPLACE INTO {name} (_rowtide_key, _rowtide_existed) VALUES (?1, 0)"
            ))?
            .execute([key])?;
        return Ok(());
    };
    let places: Vec<_> = (2..values.len() + 2).map(|place| format!("?{place}")).collect();
    let sql = format!(
        "INSERT OR REPLACE INTO {name} (_rowtide_key, _rowtide_existed, {}) VALUES (?1, 1, {})",
        rows::column_list(table, ""),
        places.join(", ")
    );
    transaction.prepare_cached(&sql)?.execute(params_from_iter(std::iter::once(key).chain(values)))?;
    Ok(())
}

/// Forgets the bases of rows that are not dirty (any more).
pub(crate) fn sweep(transaction: &Transaction<'_>, schema: &ManagedSchema) -> Result<()> {
    for table in schema.tables.iter().filter(|table| table.keeps_base) {
        let sql = format!(
            "DELETE FROM {} AS b WHERE
               NOT EXISTS (SELECT 1 FROM _rowtide_dirty_rows AS d WHERE d.table_id = ?1 AND d.key = b._rowtide_key)
               AND _rowtide_key NOT IN (SELECT key FROM _rowtide_outbox_rows WHERE table_id = ?1)
               AND _rowtide_key NOT IN (SELECT key FROM _rowtide_change_log WHERE table_id = ?1)",
            name(table)
        );
        transaction.prepare_cached(&sql)?.execute([table.id.0])?;
    }
    Ok(())
}

/// Forgets every base.
pub(crate) fn clear(transaction: &Transaction<'_>, schema: &ManagedSchema) -> Result<()> {
    for table in schema.tables.iter().filter(|table| table.keeps_base) {
        transaction.execute(&format!("DELETE FROM {}", name(table)), [])?;
    }
    Ok(())
}
