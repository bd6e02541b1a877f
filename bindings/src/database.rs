//! The app's database: its SQL, with or without sync. Every call is there twice: one that suspends, and one that
//! blocks its thread, for database drivers.

use crate::cells::Cells;
use crate::client::Client;
use crate::config::ClientConfig;
use crate::conflict::{HostResolver, Resolver};
use crate::error::RowtideError;
use crate::host::Hosted;
use crate::report::milliseconds;
use crate::runtime;
use crate::snapshot::Snapshot;
use crate::token::{HostTokens, TokenProvider};
use crate::transaction::Transaction;
use crate::values::{RowPage, arguments, batches};
use rowtide::{LocalDatabase, Paging};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// What one statement did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct Execution {
    /// Rows that it changed, without those that triggers or foreign keys changed.
    pub changed_rows: i64,
    /// The rowid of the row that was inserted last, by this statement or an earlier one; 0 before any.
    pub last_insert_rowid: i64,
}

impl From<rowtide::Execution> for Execution {
    fn from(execution: rowtide::Execution) -> Self {
        Self { changed_rows: execution.changed_rows, last_insert_rowid: execution.last_insert_rowid }
    }
}

/// Rows of a query: the first page, and where to get the rest.
#[derive(Debug, uniffi::Record)]
pub struct QueryResult {
    /// Column names.
    pub columns: Vec<String>,
    /// The first page.
    pub first: RowPage,
    /// Where there are more pages.
    pub rest: Option<Arc<QueryPages>>,
}

/// The rest of a query. Dropping it ends the query; one that is not read on for a minute ends by itself.
#[derive(Debug, uniffi::Object)]
pub struct QueryPages {
    pages: tokio::sync::Mutex<rowtide::QueryPages>,
}

impl QueryPages {
    async fn read(self: Arc<Self>) -> Result<RowPage, RowtideError> {
        let page = self.pages.lock().await.next().await?;
        let ended = || RowtideError::Configuration { reason: "the query has no further page".to_owned() };
        page.map(RowPage::from).ok_or_else(ended)
    }
}

#[uniffi::export]
impl QueryPages {
    /// The next page, where the one before said that more follows.
    ///
    /// # Errors
    /// `Database`: SQLite's, or the pause since the page before was longer than a minute.
    pub async fn next(self: Arc<Self>) -> Result<RowPage, RowtideError> {
        self.read().await
    }

    /// As [`next`](Self::next), blocking.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn next_blocking(self: Arc<Self>) -> Result<RowPage, RowtideError> {
        runtime::block_on(self.read())
    }
}

pub(crate) async fn first_page(mut pages: rowtide::QueryPages) -> Result<QueryResult, RowtideError> {
    let first = pages.next().await?.expect("a query has a first page, be it empty");
    let columns = pages.columns().to_vec();
    let rest = first.more.then(|| Arc::new(QueryPages { pages: tokio::sync::Mutex::new(pages) }));
    Ok(QueryResult { columns, first: first.into(), rest })
}

/// A page size as the host gives it; one row is a page at least.
pub(crate) fn paging(page_bytes: i64) -> Paging {
    Paging { bytes: usize::try_from(page_bytes).unwrap_or(0), ..Paging::default() }
}

/// A database that is owned and written to. One owner at a time, in this process and in others.
#[derive(Debug, uniffi::Object)]
pub struct Database {
    path: PathBuf,
    open: Mutex<Option<LocalDatabase>>,
}

impl Database {
    fn local(&self) -> Result<LocalDatabase, RowtideError> {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or_else(|| RowtideError::closed("database"))
    }

    async fn open_file(path: String) -> Result<Arc<Self>, RowtideError> {
        let path = PathBuf::from(path);
        let file = path.clone();
        let database = runtime::run(async move { LocalDatabase::open(file).await }).await?;
        Ok(Arc::new(Self { path, open: Mutex::new(Some(database)) }))
    }

    async fn end(&self) -> Result<(), RowtideError> {
        let database = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        match database {
            Some(database) => {
                runtime::run(async move {
                    database.close().await;
                    Ok(())
                })
                .await
            }
            None => Ok(()),
        }
    }
}

#[uniffi::export]
impl Database {
    /// Opens or creates the file and takes ownership of it until it is closed. No network is used.
    ///
    /// # Errors
    /// `AlreadyOwned` at once where it is open elsewhere; `Database`.
    #[uniffi::constructor]
    pub async fn open(path: String) -> Result<Arc<Self>, RowtideError> {
        Self::open_file(path).await
    }

    /// As [`open`](Self::open), blocking.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    #[uniffi::constructor]
    pub fn open_blocking(path: String) -> Result<Arc<Self>, RowtideError> {
        runtime::block_on(Self::open_file(path))
    }

    /// Opens a client: checks the configuration against the database and starts capturing writes. Nothing is written
    /// before every check has passed; no network is used. Without a token provider every remote operation fails with
    /// `Authentication`.
    ///
    /// # Errors
    /// `Configuration` where a table cannot be synchronised, naming table, column and mend; `AlreadyOwned` where a client
    /// works on this database already.
    pub async fn connect(
        &self,
        config: ClientConfig,
        tokens: Option<Arc<dyn TokenProvider>>,
        resolver: Option<Arc<dyn Resolver>>,
    ) -> Result<Arc<Client>, RowtideError> {
        let mut config = config.into_core(&self.path)?;
        if let Some(tokens) = tokens {
            config = config.tokens(HostTokens(Hosted::new(tokens)));
        }
        if let Some(resolver) = resolver {
            config = config.resolver(HostResolver(Hosted::new(resolver)));
        }
        let database = self.local()?;
        let client = runtime::run(async move { rowtide::Client::open_in(&database, config).await }).await?;
        Ok(Arc::new(Client::of(client)))
    }

    /// Runs a query on a connection for reading. A page ends with the row that reaches `page_bytes`; all pages are of
    /// the state that the first one saw.
    ///
    /// # Errors
    /// `Database`: SQLite's; a statement that writes is refused.
    pub async fn query(
        &self,
        sql: String,
        cells: Cells,
        page_bytes: i64,
    ) -> Result<QueryResult, RowtideError> {
        first_page(self.local()?.query_pages(&sql, arguments(cells)?, paging(page_bytes)).await?).await
    }

    /// As [`query`](Self::query), blocking.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub fn query_blocking(
        &self,
        sql: String,
        cells: Cells,
        page_bytes: i64,
    ) -> Result<QueryResult, RowtideError> {
        let (database, cells) = (self.local()?, arguments(cells)?);
        runtime::block_on(async move {
            first_page(database.query_pages(&sql, cells, paging(page_bytes)).await?).await
        })
    }

    /// Runs one statement. Durable on return; captured for upload where a client has opened the database.
    ///
    /// # Errors
    /// `Database`: SQLite's.
    pub async fn execute(&self, sql: String, cells: Cells) -> Result<Execution, RowtideError> {
        Ok(self.local()?.execute(&sql, arguments(cells)?).await?.into())
    }

    /// As [`execute`](Self::execute), blocking.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub fn execute_blocking(&self, sql: String, cells: Cells) -> Result<Execution, RowtideError> {
        let (database, cells) = (self.local()?, arguments(cells)?);
        runtime::block_on(async move { Ok(database.execute(&sql, cells).await?.into()) })
    }

    /// Runs one statement for each `width` cells, in one transaction; answers the number of changed rows.
    ///
    /// # Errors
    /// `Database`: SQLite's; `Configuration` where the cells are no whole number of statements. Nothing was changed then.
    pub async fn execute_batch(&self, sql: String, cells: Cells, width: i64) -> Result<i64, RowtideError> {
        Ok(self.local()?.execute_rows(&sql, batches(cells, width)?).await?)
    }

    /// As [`execute_batch`](Self::execute_batch), blocking.
    ///
    /// # Errors
    /// As [`execute_batch`](Self::execute_batch).
    pub fn execute_batch_blocking(&self, sql: String, cells: Cells, width: i64) -> Result<i64, RowtideError> {
        let (database, rows) = (self.local()?, batches(cells, width)?);
        runtime::block_on(async move { Ok(database.execute_rows(&sql, rows).await?) })
    }

    /// Runs several statements separated by semicolons, in one transaction; answers the number of changed rows.
    ///
    /// # Errors
    /// `Database`: SQLite's; nothing was changed then.
    pub async fn execute_script(&self, sql: String) -> Result<i64, RowtideError> {
        Ok(self.local()?.execute_script(&sql).await?)
    }

    /// Changes the app's schema: runs statements in one transaction in which foreign keys are not enforced, so that a
    /// table can be rebuilt. Foreign keys are checked before it is committed, and capture goes on.
    ///
    /// # Errors
    /// `Database`: SQLite's, or rows that refer to nothing afterwards; nothing was changed then.
    pub async fn migrate(&self, sql: String) -> Result<i64, RowtideError> {
        let database = self.local()?;
        runtime::run(async move { database.migrate(&sql).await }).await
    }

    /// Begins a write transaction that holds the writer until it is committed, rolled back, dropped, or
    /// `deadline_ms` milliseconds have passed, which rolls back too. Sync waits for it meanwhile, so keep it short.
    ///
    /// # Errors
    /// Only `Database`.
    pub async fn transaction(&self, deadline_ms: i64) -> Result<Arc<Transaction>, RowtideError> {
        let database = self.local()?;
        let begun = runtime::run(async move { database.transaction(milliseconds(deadline_ms)).await });
        Ok(Arc::new(Transaction::of(begun.await?)))
    }

    /// As [`transaction`](Self::transaction), blocking.
    ///
    /// # Errors
    /// As [`transaction`](Self::transaction).
    pub fn transaction_blocking(&self, deadline_ms: i64) -> Result<Arc<Transaction>, RowtideError> {
        let database = self.local()?;
        runtime::block_on(async move {
            Ok(Arc::new(Transaction::of(database.transaction(milliseconds(deadline_ms)).await?)))
        })
    }

    /// Begins to read one state of the database, blocking: that of the first query. It ends when it is dropped, or after
    /// `deadline_ms` milliseconds.
    ///
    /// # Errors
    /// Only `Database`.
    pub fn snapshot_blocking(&self, deadline_ms: i64) -> Result<Arc<Snapshot>, RowtideError> {
        let database = self.local()?;
        runtime::block_on(async move {
            Ok(Arc::new(Snapshot::of(database.snapshot(milliseconds(deadline_ms)).await?)))
        })
    }

    /// Takes Rowtide out of the database: its tables, views and triggers are dropped, the app's stay as they are. What
    /// the server does not have yet is never uploaded. Answers whether there was anything to drop.
    ///
    /// # Errors
    /// `AlreadyOwned` while a client works on it; `Configuration` where a trigger or view of the app refers to Rowtide's
    /// tables. Nothing was changed then.
    pub async fn uninstall_sync(&self) -> Result<bool, RowtideError> {
        let database = self.local()?;
        runtime::run(async move { database.uninstall_sync().await }).await
    }

    /// Closes the database and waits until it is closed: for its client (close that first), transactions, and queries
    /// that are being read. Further calls fail with `Internal`.
    ///
    /// # Errors
    /// Never, but for a bug inside.
    pub async fn close(&self) -> Result<(), RowtideError> {
        self.end().await
    }

    /// As [`close`](Self::close), blocking.
    ///
    /// # Errors
    /// As [`close`](Self::close).
    pub fn close_blocking(self: Arc<Self>) -> Result<(), RowtideError> {
        runtime::block_on(async move { self.end().await })
    }
}
