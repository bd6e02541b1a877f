//! Reads the app's schema into plain data.

use super::error::Result;
use crate::schema::{Catalog, CatalogColumn, CatalogForeignKey, CatalogTable};
use rusqlite::Connection;

/// Describes every table of the main database.
pub(crate) fn read(connection: &Connection) -> Result<Catalog> {
    let mut list = connection.prepare(
        "SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )?;
    let names = list
        .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut catalog = Catalog::default();
    for (name, kind) in names {
        catalog.tables.push(CatalogTable {
            columns: columns(connection, &name)?,
            foreign_keys: foreign_keys(connection, &name)?,
            is_view_or_virtual: kind != "table",
            name,
        });
    }
    Ok(catalog)
}

fn columns(connection: &Connection, table: &str) -> Result<Vec<CatalogColumn>> {
    let mut statement = connection.prepare_cached(
        "SELECT name, type, \"notnull\", pk, hidden, dflt_value FROM pragma_table_xinfo(?1) ORDER BY cid",
    )?;
    let columns = statement.query_map([table], |row| {
        Ok(CatalogColumn {
            name: row.get(0)?,
            declared_type: row.get(1)?,
            not_null: row.get(2)?,
            primary_key_position: row.get(3)?,
            generated: row.get::<_, i64>(4)? != 0,
            default_sql: row.get(5)?,
        })
    })?;
    Ok(columns.collect::<rusqlite::Result<_>>()?)
}

fn foreign_keys(connection: &Connection, table: &str) -> Result<Vec<CatalogForeignKey>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, \"table\", \"from\", \"to\", on_delete FROM pragma_foreign_key_list(?1) ORDER BY id, seq",
    )?;
    let mut rows = statement.query([table])?;
    let mut keys: Vec<(i64, CatalogForeignKey)> = Vec::new();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        if keys.last().is_none_or(|(last, _)| *last != id) {
            let key = CatalogForeignKey {
                table: row.get(1)?,
                on_delete: row.get(4)?,
                ..CatalogForeignKey::default()
            };
            keys.push((id, key));
        }
        if let Some((_, key)) = keys.last_mut() {
            key.from.push(row.get(2)?);
            key.to.extend(row.get::<_, Option<String>>(3)?);
        }
    }
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}
