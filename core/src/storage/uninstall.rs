//! Leaving: everything of Rowtide goes out of the database, the app's own tables stay.

use super::error::Result;
use super::{adoption, quote};
use rusqlite::Transaction;

/// Drops Rowtide's triggers, views and tables; answers whether there were any.
pub(crate) fn uninstall(transaction: &Transaction<'_>) -> Result<bool> {
    let mut found = false;
    for kind in ["trigger", "view", "table"] {
        if kind == "table" {
            // Rowtide's own are gone by now.
            let depends = |sql: &str| sql.to_ascii_lowercase().contains("_rowtide_");
            adoption::refuse_dependents(transaction, depends, "Rowtide's tables")?;
        }
        let names = {
            let mut statement = transaction.prepare(
                "SELECT name FROM sqlite_schema WHERE type = ?1 AND name LIKE '\\_rowtide\\_%' ESCAPE '\\'",
            )?;
            statement
                .query_map([kind], |row| row.get::<_, String>(0))?
                .collect::<rusqlite::Result<Vec<_>>>()?
        };
        for name in names {
            transaction.execute_batch(&format!("DROP {kind} {}", quote(&name)))?;
            found = true;
        }
    }
    Ok(found)
}
