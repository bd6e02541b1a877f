//! Changes of the app's own schema, with capture consistent on both sides of the step.

use super::changes::ChangeFeed;
use super::error::{Result, StorageError};
use super::host_sql;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

/// Runs the statements in one transaction without enforcing foreign keys, and checks them before the commit.
pub(crate) fn run(connection: &mut Connection, feed: &ChangeFeed, sql: &str) -> Result<i64> {
    // Has no effect inside a transaction, so it is set around it.
    connection.pragma_update(None, "foreign_keys", false)?;
    let result = in_transaction(connection, feed, sql);
    connection.pragma_update(None, "foreign_keys", true)?;
    result
}

fn in_transaction(connection: &mut Connection, feed: &ChangeFeed, sql: &str) -> Result<i64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let triggers = own_triggers(&transaction)?;
    let changed = host_sql::execute_script(&transaction, feed, sql)?;
    restore(&transaction, triggers)?;
    let broken: Option<(String, String)> = transaction
        .query_row("SELECT \"table\", parent FROM pragma_foreign_key_check LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    if let Some((table, parent)) = broken {
        let text =
            format!("after the migration rows of table {table} refer to rows of {parent} that do not exist");
        return Err(StorageError::Input(text));
    }
    transaction.commit()?;
    Ok(changed)
}

struct OwnTrigger {
    name: String,
    table: String,
    sql: String,
}

fn own_triggers(transaction: &Transaction<'_>) -> Result<Vec<OwnTrigger>> {
    let mut statement = transaction.prepare(
        "SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger'
         AND name LIKE '\\_rowtide\\_%' ESCAPE '\\'",
    )?;
    let found = statement
        .query_map([], |row| Ok(OwnTrigger { name: row.get(0)?, table: row.get(1)?, sql: row.get(2)? }))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Puts back the triggers of tables that were dropped and are there again.
fn restore(transaction: &Transaction<'_>, triggers: Vec<OwnTrigger>) -> Result<()> {
    for OwnTrigger { name, table, sql } in triggers {
        let missing: bool = transaction.query_row(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?2)
                AND NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND name = ?1)",
            [&name, &table],
            |row| row.get(0),
        )?;
        if missing {
            transaction.execute_batch(&sql)?;
        }
    }
    Ok(())
}
