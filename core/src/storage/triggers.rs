//! Capture triggers (design D4): each appends table number and key to the change log; of tables that ask for it, the
//! row before its first change is kept too.
//!
//! A key that could never be sent is refused at the write itself, where the app can see it.

use super::error::Result;
use super::{base_images, quote};
use crate::schema::{KeyKind, ManagedTable, TableId};
use rusqlite::Transaction;

/// Installs the triggers of a table, and replaces those that read differently from what is wanted.
pub(crate) fn install(transaction: &Transaction<'_>, table: &ManagedTable) -> Result<()> {
    let wanted = definitions(table);
    let found = existing(transaction, table.id)?;
    for (name, _) in found.iter().filter(|trigger| !wanted.contains(trigger)) {
        transaction.execute_batch(&format!("DROP TRIGGER {}", quote(name)))?;
    }
    for (_, sql) in wanted.iter().filter(|trigger| !found.contains(trigger)) {
        transaction.execute_batch(sql)?;
    }
    Ok(())
}

/// Names and texts of the triggers of a table by its number.
fn existing(transaction: &Transaction<'_>, table: TableId) -> Result<Vec<(String, String)>> {
    let mut statement = transaction.prepare_cached(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND substr(name, 1, length(?1)) = ?1",
    )?;
    let found = statement
        .query_map([format!("_rowtide_{}_", table.0)], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(found)
}

/// Whether the app has triggers of its own on a table.
pub(crate) fn has_others(transaction: &Transaction<'_>, table: &ManagedTable) -> Result<bool> {
    Ok(transaction
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE
             AND name NOT LIKE '\\_rowtide\\_%' ESCAPE '\\')",
        )?
        .query_row([&table.name], |row| row.get(0))?)
}

/// Removes the triggers of a table by its number.
pub(crate) fn remove(transaction: &Transaction<'_>, table: TableId) -> Result<()> {
    for (name, _) in existing(transaction, table)? {
        transaction.execute_batch(&format!("DROP TRIGGER {}", quote(&name)))?;
    }
    Ok(())
}

fn definitions(table: &ManagedTable) -> Vec<(String, String)> {
    let id = table.id.0;
    let on = quote(&table.name);
    let key = quote(table.key_column());
    let trigger = |suffix: &str, event: &str, condition: &str, body: &str| {
        let name = format!("_rowtide_{id}_{suffix}");
        let sql =
            format!("CREATE TRIGGER {} {event} ON {on} WHEN {condition} BEGIN {body} END", quote(&name));
        (name, sql)
    };
    let capturing = "(SELECT applying FROM _rowtide_apply) = 0";
    let (fits, kind) = match table.key_kind {
        KeyKind::Text => (format!("typeof(NEW.{key}) = 'text'"), "a TEXT value"),
        KeyKind::Uuid => {
            (format!("typeof(NEW.{key}) = 'blob' AND length(NEW.{key}) = 16"), "a 16-byte UUID BLOB")
        }
    };
    let text = format!("{}.{} is a sync key and must be {kind}, not NULL", table.name, table.key_column());
    let refuse = format!("RAISE(ABORT, '{}')", text.replace('\'', "''"));
    // Not a trigger of its own: one more costs an insert as much as the capture itself.
    let fitting = format!("CASE WHEN {fits} THEN NEW.{key} ELSE {refuse} END");
    let append =
        |value: &str| format!("INSERT INTO _rowtide_change_log (table_id, key) VALUES ({id}, {value});");
    let (new, old) = (append(&format!("NEW.{key}")), append(&format!("OLD.{key}")));
    let (absent, before) = match table.keeps_base {
        true => (base_images::keep_absence(table), base_images::keep_old(table)),
        false => (String::new(), String::new()),
    };
    vec![
        trigger(
            "insert",
            "AFTER INSERT",
            &format!("{capturing} OR NOT ({fits})"),
            &format!("{}{absent}", append(&fitting)),
        ),
        trigger("update", "AFTER UPDATE", capturing, &format!("{before}{new}")),
        trigger("delete", "AFTER DELETE", capturing, &format!("{before}{old}")),
        trigger(
            "rekey",
            &format!("AFTER UPDATE OF {key}"),
            &format!("{capturing} AND OLD.{key} IS NOT NEW.{key}"),
            &format!("{absent}{old}"),
        ),
        trigger(
            "key",
            &format!("BEFORE UPDATE OF {key}"),
            &format!("NOT ({fits})"),
            &format!("SELECT {refuse};"),
        ),
    ]
}
