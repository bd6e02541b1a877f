//! One state of the database, for the reading transactions of database drivers.

use crate::cells::Cells;
use crate::database::{QueryResult, first_page, paging};
use crate::error::RowtideError;
use crate::runtime;
use crate::values::arguments;
use std::sync::Arc;

/// One state of the database, read by one query after another; it waits for no writer. Dropping it ends it.
#[derive(Debug, uniffi::Object)]
pub struct Snapshot {
    core: rowtide::Snapshot,
}

impl Snapshot {
    pub(crate) fn of(core: rowtide::Snapshot) -> Self {
        Self { core }
    }
}

#[uniffi::export]
impl Snapshot {
    /// Runs a query, blocking. All rows are read at once.
    ///
    /// # Errors
    /// `Database`: SQLite's, which refuses to write, and the snapshot goes on; or its deadline has passed.
    pub fn query_blocking(
        self: Arc<Self>,
        sql: String,
        cells: Cells,
        page_bytes: i64,
    ) -> Result<QueryResult, RowtideError> {
        let cells = arguments(cells)?;
        runtime::block_on(async move {
            first_page(self.core.query_pages(&sql, cells, paging(page_bytes)).await?).await
        })
    }
}
