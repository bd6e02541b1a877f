//! Values of columns that the server has and this version of the app lacks: kept by row, sent back unchanged, and moved
//! into the column once the app has it.

use super::error::Result;
use super::{quote, rows};
use crate::protocol::payload::ExtraMembers;
use crate::protocol::profile::WireGeneration;
use crate::protocol::value::{self, SqlValue};
use crate::schema::{ManagedSchema, ManagedTable, TableId, UnknownColumns};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde_json::value::RawValue;

/// Keeps what the server's row has beyond the table's columns; replaces what was kept of the row before.
pub(crate) fn set(
    transaction: &Transaction<'_>,
    schema: &ManagedSchema,
    table: TableId,
    key: &SqlValue,
    extra: &ExtraMembers,
) -> Result<()> {
    if schema.unknown_columns == UnknownColumns::Refuse {
        return Ok(());
    }
    if extra.is_empty() {
        transaction
            .prepare_cached("DELETE FROM _rowtide_kept_columns WHERE table_id = ?1 AND key = ?2")?
            .execute(params![table.0, key])?;
        return Ok(());
    }
    transaction
        .prepare_cached(
            "INSERT INTO _rowtide_kept_columns (table_id, key, members) VALUES (?1, ?2, ?3)
             ON CONFLICT (table_id, key) DO UPDATE SET members = excluded.members",
        )?
        .execute(params![table.0, key, write(extra)])?;
    Ok(())
}

/// What is to be sent with a row, in the form of a generation.
pub(crate) fn get(
    connection: &Connection,
    schema: &ManagedSchema,
    table: TableId,
    key: &SqlValue,
) -> Result<ExtraMembers> {
    if schema.unknown_columns == UnknownColumns::Refuse {
        return Ok(ExtraMembers::new());
    }
    let mut statement = connection
        .prepare_cached("SELECT members FROM _rowtide_kept_columns WHERE table_id = ?1 AND key = ?2")?;
    let json: Option<String> = statement.query_row(params![table.0, key], |row| row.get(0)).optional()?;
    Ok(json.map(|json| read(&json)).unwrap_or_default())
}

fn write(extra: &ExtraMembers) -> String {
    let mut out = String::new();
    for (name, json) in extra {
        out.push(if out.is_empty() { '{' } else { ',' });
        value::encode_text(name, &mut out);
        out.push(':');
        // Text in the escapes that hashes are made of; anything else is canonical or a server's own JSON.
        match serde_json::from_str::<String>(json) {
            Ok(text) => value::encode_text(&text, &mut out),
            Err(_) => out.push_str(json),
        }
    }
    out.push('}');
    out
}

fn read(json: &str) -> ExtraMembers {
    let members: std::collections::BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(json).unwrap_or_default();
    members.into_iter().map(|(name, raw)| (name, raw.get().to_owned())).collect()
}

/// Moves kept values into columns that the table has by now, where the row still holds the column's default.
pub(crate) fn move_into_columns(
    transaction: &Transaction<'_>,
    table: &ManagedTable,
    generation: WireGeneration,
) -> Result<()> {
    let mut statement =
        transaction.prepare("SELECT key, members FROM _rowtide_kept_columns WHERE table_id = ?1")?;
    let kept = statement
        .query_map([table.id.0], |row| Ok((rows::key(row, 0)?, row.get::<_, String>(1)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for (key, json) in kept {
        let (known, unknown): (ExtraMembers, ExtraMembers) = read(&json)
            .into_iter()
            .partition(|(name, _)| table.columns.iter().any(|column| column.name == *name));
        for (name, json) in &known {
            let Some(index) = table.columns.iter().position(|column| column.name == *name) else { continue };
            let decoded = RawValue::from_string(json.clone())
                .ok()
                .and_then(|raw| value::decode(generation, table.columns[index].kind, &raw).ok());
            // A value that does not fit the new column comes again with the row's next change.
            let Some(decoded) = decoded else { continue };
            let column = quote(&table.column_names[index]);
            let sql = format!(
                "UPDATE {} SET {column} = ?2 WHERE {} = ?1 AND ({column} IS NULL OR {column} IS ?3)",
                quote(&table.name),
                quote(table.key_column())
            );
            let default = table.absent.get(index).cloned().flatten().unwrap_or_default();
            transaction.prepare_cached(&sql)?.execute(params![key, decoded, default])?;
        }
        if !known.is_empty() {
            let left = (!unknown.is_empty()).then(|| write(&unknown));
            match left {
                Some(members) => transaction.execute(
                    "UPDATE _rowtide_kept_columns SET members = ?3 WHERE table_id = ?1 AND key = ?2",
                    params![table.id.0, key, members],
                )?,
                None => transaction.execute(
                    "DELETE FROM _rowtide_kept_columns WHERE table_id = ?1 AND key = ?2",
                    params![table.id.0, key],
                )?,
            };
        }
    }
    Ok(())
}

/// Forgets what was kept of rows that were committed as deleted.
pub(crate) fn forget_deleted(transaction: &Transaction<'_>) -> Result<()> {
    transaction.execute(
        "DELETE FROM _rowtide_kept_columns WHERE (table_id, key) IN
             (SELECT table_id, key FROM _rowtide_outbox_rows WHERE op = 'DELETE')
         AND (table_id, key) NOT IN (SELECT table_id, key FROM _rowtide_dirty_rows)",
        [],
    )?;
    Ok(())
}
