//! The host's own SQL, as [`LocalDatabase`] has it.

use super::Client;
use crate::error::Result;
use crate::local_database::{LocalDatabase, Transaction};
use crate::protocol::value::SqlValue;
use crate::storage::host_sql::QueryRows;
use std::time::Duration;

impl Client {
    /// The database that this client works on, for SQL that needs more than the methods here.
    pub fn database(&self) -> LocalDatabase {
        let engine = &self.shared.engine;
        LocalDatabase::of(engine.database.clone(), engine.clock.clone())
    }

    /// Runs one statement and answers the number of rows that it changed. Durable on return; captured for upload.
    ///
    /// # Errors
    /// SQLite's, with [`ErrorKind::Database`](crate::ErrorKind::Database).
    pub async fn execute(&self, sql: &str, arguments: Vec<SqlValue>) -> Result<i64> {
        Ok(self.database().execute(sql, arguments).await?.changed_rows)
    }

    /// Runs several statements separated by semicolons, in one transaction.
    ///
    /// # Errors
    /// SQLite's; nothing was changed then.
    pub async fn execute_script(&self, sql: &str) -> Result<i64> {
        self.database().execute_script(sql).await
    }

    /// Runs one statement for each list of arguments, in one transaction.
    ///
    /// # Errors
    /// SQLite's; nothing was changed then.
    pub async fn execute_batch(&self, sql: &str, arguments: Vec<Vec<SqlValue>>) -> Result<i64> {
        self.database().execute_rows(sql, arguments.into_iter().map(Ok)).await
    }

    /// Runs a query on a reader and answers all of its rows.
    ///
    /// # Errors
    /// SQLite's; a statement that writes is refused here.
    pub async fn query(&self, sql: &str, arguments: Vec<SqlValue>) -> Result<QueryRows> {
        self.database().query(sql, arguments).await
    }

    /// As [`LocalDatabase::transaction`].
    ///
    /// # Errors
    /// Only of the database.
    pub async fn transaction(&self, deadline: Duration) -> Result<Transaction> {
        self.database().transaction(deadline).await
    }
}
