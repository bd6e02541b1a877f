//! A write transaction that the app holds.

use crate::cells::Cells;
use crate::database::{Execution, QueryResult, first_page, paging};
use crate::error::RowtideError;
use crate::runtime;
use crate::values::{arguments, batches};
use std::sync::Arc;
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

/// A write transaction that the app holds: one statement at a time. Dropping it rolls back.
#[derive(Debug, uniffi::Object)]
pub struct Transaction {
    open: Mutex<Option<rowtide::Transaction>>,
}

impl Transaction {
    pub(crate) fn of(transaction: rowtide::Transaction) -> Self {
        Self { open: Mutex::new(Some(transaction)) }
    }

    async fn held(&self) -> Result<MappedMutexGuard<'_, rowtide::Transaction>, RowtideError> {
        MutexGuard::try_map(self.open.lock().await, Option::as_mut).map_err(|_| ended())
    }
}

fn ended() -> RowtideError {
    RowtideError::Configuration { reason: "the transaction was committed or rolled back before".to_owned() }
}

#[uniffi::export]
impl Transaction {
    /// Runs a query that sees the transaction's own writes; it may write itself (`RETURNING`). All rows are read at once,
    /// so that the transaction can go on.
    ///
    /// # Errors
    /// `Database`: SQLite's, and the transaction goes on; or its deadline has passed.
    pub async fn query(
        &self,
        sql: String,
        cells: Cells,
        page_bytes: i64,
    ) -> Result<QueryResult, RowtideError> {
        let cells = arguments(cells)?;
        first_page(self.held().await?.query_pages(&sql, cells, paging(page_bytes)).await?).await
    }

    /// As [`query`](Self::query), blocking.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub fn query_blocking(
        self: Arc<Self>,
        sql: String,
        cells: Cells,
        page_bytes: i64,
    ) -> Result<QueryResult, RowtideError> {
        runtime::block_on(async move { self.query(sql, cells, page_bytes).await })
    }

    /// Runs one statement.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub async fn execute(&self, sql: String, cells: Cells) -> Result<Execution, RowtideError> {
        let cells = arguments(cells)?;
        Ok(self.held().await?.execute(&sql, cells).await?.into())
    }

    /// As [`execute`](Self::execute), blocking.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub fn execute_blocking(self: Arc<Self>, sql: String, cells: Cells) -> Result<Execution, RowtideError> {
        runtime::block_on(async move { self.execute(sql, cells).await })
    }

    /// Runs one statement for each `width` cells; answers the number of changed rows.
    ///
    /// # Errors
    /// As [`query`](Self::query); the rows before the one that failed stay changed in the transaction.
    pub async fn execute_batch(&self, sql: String, cells: Cells, width: i64) -> Result<i64, RowtideError> {
        let rows = batches(cells, width)?;
        Ok(self.held().await?.execute_rows(&sql, rows).await?)
    }

    /// As [`execute_batch`](Self::execute_batch), blocking.
    ///
    /// # Errors
    /// As [`execute_batch`](Self::execute_batch).
    pub fn execute_batch_blocking(
        self: Arc<Self>,
        sql: String,
        cells: Cells,
        width: i64,
    ) -> Result<i64, RowtideError> {
        runtime::block_on(async move { self.execute_batch(sql, cells, width).await })
    }

    /// Commits; everything is durable when this returns.
    ///
    /// # Errors
    /// `Database`: SQLite's, or the deadline has passed; nothing was changed then.
    pub async fn commit(&self) -> Result<(), RowtideError> {
        let transaction = self.open.lock().await.take().ok_or_else(ended)?;
        runtime::run(async move { transaction.commit().await }).await
    }

    /// As [`commit`](Self::commit), blocking.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn commit_blocking(self: Arc<Self>) -> Result<(), RowtideError> {
        runtime::block_on(async move { self.commit().await })
    }

    /// Rolls back, after the statement that runs. One that has ended already stays as it is.
    pub fn rollback(self: Arc<Self>) {
        runtime::start(async move { drop(self.open.lock().await.take()) });
    }
}
