//! The host's own SQL.

use super::Client;
use crate::error::Result;
use crate::protocol::value::SqlValue;
use crate::storage::host_sql::{self, QueryRows};
use crate::storage::host_transaction::HostTransaction;
use crate::sync::Engine;
use std::sync::Arc;
use std::time::Duration;

impl Client {
    /// Runs one statement and answers the number of rows that it changed. Durable on return; captured for upload.
    ///
    /// # Errors
    /// SQLite's, with [`ErrorKind::Database`](crate::ErrorKind::Database).
    pub async fn execute(&self, sql: &str, arguments: Vec<SqlValue>) -> Result<i64> {
        let sql = sql.to_owned();
        let feed = self.database().feed().clone();
        let work = move |transaction: &_| host_sql::execute(transaction, &feed, &sql, &arguments);
        Ok(self.database().host_transaction(self.now_ms(), move |transaction| work(transaction)).await?)
    }

    /// Runs several statements separated by semicolons, in one transaction.
    ///
    /// # Errors
    /// SQLite's; nothing was changed then.
    pub async fn execute_script(&self, sql: &str) -> Result<i64> {
        let (sql, feed) = (sql.to_owned(), self.database().feed().clone());
        Ok(self
            .database()
            .host_transaction(self.now_ms(), move |transaction| {
                host_sql::execute_script(transaction, &feed, &sql)
            })
            .await?)
    }

    /// Runs one statement for each list of arguments, in one transaction.
    ///
    /// # Errors
    /// SQLite's; nothing was changed then.
    pub async fn execute_batch(&self, sql: &str, arguments: Vec<Vec<SqlValue>>) -> Result<i64> {
        let (sql, feed) = (sql.to_owned(), self.database().feed().clone());
        Ok(self
            .database()
            .host_transaction(self.now_ms(), move |transaction| {
                host_sql::execute_batch(transaction, &feed, &sql, &arguments)
            })
            .await?)
    }

    /// Runs a query on a reader and answers all of its rows.
    ///
    /// # Errors
    /// SQLite's; a statement that writes is refused here.
    pub async fn query(&self, sql: &str, arguments: Vec<SqlValue>) -> Result<QueryRows> {
        let sql = sql.to_owned();
        Ok(self.database().read(move |connection| host_sql::query(connection, &sql, &arguments)).await?)
    }

    /// Begins a write transaction that holds the writer until it is committed, dropped (which rolls back), or
    /// `deadline` has passed (which rolls back too). Sync waits for it meanwhile, so keep it short.
    ///
    /// # Errors
    /// Only of the database.
    pub async fn transaction(&self, deadline: Duration) -> Result<Transaction> {
        let handle = HostTransaction::begin(self.shared.engine.database.clone(), deadline).await?;
        Ok(Transaction { handle, deadline, engine: self.shared.engine.clone() })
    }
}

/// A write transaction held by the host. Dropping it rolls back.
pub struct Transaction {
    handle: HostTransaction,
    deadline: Duration,
    engine: Arc<Engine>,
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl Transaction {
    /// Runs one statement and answers the number of rows that it changed.
    ///
    /// # Errors
    /// SQLite's; the transaction goes on. [`ErrorKind::Database`](crate::ErrorKind::Database) once the deadline has passed.
    pub async fn execute(&self, sql: &str, arguments: Vec<SqlValue>) -> Result<i64> {
        let (sql, feed) = (sql.to_owned(), self.engine.database.feed().clone());
        Ok(self
            .handle
            .run(self.deadline, move |connection| host_sql::execute(connection, &feed, &sql, &arguments))
            .await?)
    }

    /// Runs a query that sees the transaction's own writes.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn query(&self, sql: &str, arguments: Vec<SqlValue>) -> Result<QueryRows> {
        let sql = sql.to_owned();
        Ok(self
            .handle
            .run(self.deadline, move |connection| host_sql::query(connection, &sql, &arguments))
            .await?)
    }

    /// Commits; everything is durable when this returns `Ok`.
    ///
    /// # Errors
    /// SQLite's, or the deadline has passed; nothing was changed then.
    pub async fn commit(self) -> Result<()> {
        let now_ms = self.engine.clock.now_ms();
        Ok(self.handle.commit(self.deadline, now_ms).await?)
    }
}
