//! What a device's schema says of its tables, as SQL for PostgreSQL.

use rowtide_server::Registration;
use rusqlite::Connection;
use std::collections::BTreeMap;

/// Column and type of every registered table that a SQLite schema has.
pub(crate) type Columns = BTreeMap<String, BTreeMap<String, String>>;

/// Reads a schema by running it.
pub(crate) fn columns(schema: &str, tables: &[Registration]) -> rusqlite::Result<Columns> {
    let database = Connection::open_in_memory()?;
    database.execute_batch(schema)?;
    let mut found = Columns::new();
    for Registration { table, key_column } in tables {
        let mut statement = database.prepare(
            "SELECT lower(c.name), c.type, c.dflt_value, EXISTS (
                 SELECT 1 FROM pragma_foreign_key_list(?1) AS f WHERE f.\"from\" = c.name COLLATE NOCASE)
             FROM pragma_table_info(?1) AS c",
        )?;
        let rows = statement.query_map([table], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, Option<String>>(2)?,
                row.get::<_, bool>(3)?,
            ))
        })?;
        for row in rows {
            let (column, declared, default, refers) = row?;
            let is_key = column == *key_column || refers;
            let mut kind = type_of(&declared, is_key).to_owned();
            // What SQLite computes is the device's own business.
            let literal = |text: &String| {
                text.starts_with('\'') || text.starts_with(|first: char| first.is_ascii_digit())
            };
            if let Some(default) = default.filter(literal) {
                kind.push_str(&format!(" DEFAULT {default}"));
            }
            found.entry(table.clone()).or_default().insert(column, kind);
        }
    }
    Ok(found)
}

/// The type that takes what the protocol makes of a declared type.
fn type_of(declared: &str, is_key: bool) -> &'static str {
    let declared = declared.to_lowercase();
    let has = |part: &str| declared.contains(part);
    match () {
        () if has("blob") && is_key => "uuid",
        () if has("blob") => "bytea",
        () if has("real") || has("float") || has("double") => "double precision",
        () if has("int") => "bigint",
        () => "text",
    }
}

/// The statements that give PostgreSQL these tables, and those of the configuration that no device has yet.
pub(crate) fn statements(columns: &Columns, schema: &str, tables: &[Registration]) -> String {
    let mut sql = format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\";");
    for Registration { table, key_column } in tables {
        let of_table = columns.get(table);
        let key_type = of_table.and_then(|columns| columns.get(key_column)).map_or("text", String::as_str);
        let name = format!("\"{schema}\".\"{table}\"");
        sql.push_str(&format!(
            "CREATE TABLE IF NOT EXISTS {name} (_sync_scope_id text NOT NULL, \"{key_column}\" {key_type} NOT NULL,
                 PRIMARY KEY (_sync_scope_id, \"{key_column}\"));"
        ));
        for (column, kind) in of_table.into_iter().flatten().filter(|(column, _)| *column != key_column) {
            sql.push_str(&format!("ALTER TABLE {name} ADD COLUMN IF NOT EXISTS \"{column}\" {kind};"));
        }
    }
    sql
}
