//! The app's database without sync: to create its tables, and for tools.

use crate::error::Result;
use crate::protocol::value::SqlValue;
use crate::storage::host_sql::{self, QueryRows};
use crate::storage::{Database, app_migration, uninstall};
use std::path::Path;

/// A database that is owned and written to, but not synchronised.
///
/// Apps use it to create or migrate their tables before [`Client::open`](crate::Client::open) checks them. In a
/// database that was opened for sync before, the capture triggers go on working.
#[derive(Debug)]
pub struct LocalDatabase {
    database: Database,
}

impl LocalDatabase {
    /// Opens or creates the file and takes ownership of it until this is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyOwned`](crate::ErrorKind::AlreadyOwned) where another client has it open; SQLite's.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self { database: Database::open(path.as_ref()).await? })
    }

    /// Runs several statements separated by semicolons, in one transaction; answers the number of changed rows.
    ///
    /// # Errors
    /// SQLite's; nothing was changed then.
    pub async fn execute_script(&self, sql: &str) -> Result<i64> {
        let sql = sql.to_owned();
        let feed = self.database.feed().clone();
        Ok(self
            .database
            .transaction(move |transaction| host_sql::execute_script(transaction, &feed, &sql))
            .await?)
    }

    /// Changes the app's schema: runs statements in one transaction in which foreign keys are not enforced, so that a
    /// table can be rebuilt (created anew, filled, dropped and renamed) without taking along what refers to it.
    /// Foreign keys are checked before it is committed, and the capture triggers of a table that was rebuilt under
    /// its name are put back. Rows that the statements change are captured as any other local change.
    ///
    /// # Errors
    /// SQLite's, or rows that refer to nothing afterwards; nothing was changed then.
    pub async fn migrate(&self, sql: &str) -> Result<i64> {
        let (sql, feed) = (sql.to_owned(), self.database.feed().clone());
        Ok(self.database.write(move |connection| app_migration::run(connection, &feed, &sql)).await?)
    }

    /// Runs one statement for each list of arguments that `rows` yields, in one transaction; answers the number
    /// of changed rows. Memory does not grow with their number.
    ///
    /// # Errors
    /// SQLite's, or what `rows` yields; nothing was changed then.
    pub async fn execute_rows<R>(&self, sql: &str, rows: R) -> Result<i64>
    where
        R: Iterator<Item = std::result::Result<Vec<SqlValue>, String>> + Send + 'static,
    {
        let sql = sql.to_owned();
        let feed = self.database.feed().clone();
        Ok(self
            .database
            .transaction(move |transaction| host_sql::execute_rows(transaction, &feed, &sql, rows))
            .await?)
    }

    /// Runs a query and answers all of its rows.
    ///
    /// # Errors
    /// SQLite's; a statement that writes is refused here.
    pub async fn query(&self, sql: &str, arguments: Vec<SqlValue>) -> Result<QueryRows> {
        let sql = sql.to_owned();
        Ok(self.database.read(move |connection| host_sql::query(connection, &sql, &arguments)).await?)
    }

    /// Takes Rowtide out of the database, in one transaction: every table, view and trigger whose name begins with
    /// `_rowtide_` is dropped. The app's tables, their rows and triggers stay as they are. Answers whether there was
    /// anything to drop.
    ///
    /// What the server does not have yet is never uploaded: pending rows stay in their tables as plain rows, a frozen
    /// upload, the inbox and the source identity are gone. Sync first, or
    /// [`sync_then_detach`](crate::Client::sync_then_detach) to leave without the rows.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) where a trigger or view of the app refers to
    /// Rowtide's tables; SQLite's. Nothing was changed then.
    pub async fn uninstall_sync(&self) -> Result<bool> {
        Ok(self.database.transaction(uninstall::uninstall).await?)
    }
}
