//! Capture triggers (design D4): each appends table number and key to the change log; of tables that ask for it, the
//! row before its first change is kept too.
//!
//! A guard refuses a key that could never be sent at the write itself, where the app can see it.

use super::error::Result;
use super::{base_images, quote};
use crate::schema::{KeyKind, ManagedTable, TableId};
use rusqlite::{OptionalExtension, Transaction};

/// Installs the triggers of a table, and replaces those that read differently from what is wanted.
pub(crate) fn install(transaction: &Transaction<'_>, table: &ManagedTable) -> Result<()> {
    for (name, sql) in definitions(table) {
        let existing: Option<String> = transaction
            .prepare_cached("SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name = ?1")?
            .query_row([&name], |row| row.get(0))
            .optional()?;
        if existing.as_deref() != Some(&sql) {
            transaction.execute_batch(&format!("DROP TRIGGER IF EXISTS {}; {sql}", quote(&name)))?;
        }
    }
    Ok(())
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
    let mut statement = transaction.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND substr(name, 1, length(?1)) = ?1",
    )?;
    let names = statement
        .query_map([format!("_rowtide_{}_", table.0)], |row| row.get::<_, String>(0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for name in names {
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
    let append =
        |row: &str| format!("INSERT INTO _rowtide_change_log (table_id, key) VALUES ({id}, {row}.{key});");
    let (absent, before) = match table.keeps_base {
        true => (base_images::keep_absence(table), base_images::keep_old(table)),
        false => (String::new(), String::new()),
    };
    let mut triggers = vec![
        trigger("insert", "AFTER INSERT", capturing, &format!("{absent}{}", append("NEW"))),
        trigger("update", "AFTER UPDATE", capturing, &format!("{before}{}", append("NEW"))),
        trigger("delete", "AFTER DELETE", capturing, &format!("{before}{}", append("OLD"))),
        trigger(
            "rekey",
            &format!("AFTER UPDATE OF {key}"),
            &format!("{capturing} AND OLD.{key} IS NOT NEW.{key}"),
            &format!("{absent}{}", append("OLD")),
        ),
    ];
    let (fits, kind) = match table.key_kind {
        KeyKind::Text => (format!("typeof(NEW.{key}) = 'text'"), "a TEXT value"),
        KeyKind::Uuid => {
            (format!("typeof(NEW.{key}) = 'blob' AND length(NEW.{key}) = 16"), "a 16-byte UUID BLOB")
        }
    };
    let text = format!("{}.{} is a sync key and must be {kind}, not NULL", table.name, table.key_column());
    let refuse = format!("SELECT RAISE(ABORT, '{}');", text.replace('\'', "''"));
    let condition = format!("NOT ({fits})");
    triggers.push(trigger("key_insert", "BEFORE INSERT", &condition, &refuse));
    triggers.push(trigger("key_update", &format!("BEFORE UPDATE OF {key}"), &condition, &refuse));
    triggers
}
