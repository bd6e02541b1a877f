//! The app's database: its SQL, with or without sync.

use crate::clock::{Clock, SystemClock};
use crate::error::Result;
use crate::protocol::value::SqlValue;
use crate::storage::host_snapshot::HostSnapshot;
use crate::storage::host_sql::{self, Execution, QueryRows};
use crate::storage::host_transaction::HostTransaction;
use crate::storage::pages::{Pages, Paging, RowPage};
use crate::storage::{Database, app_migration, uninstall};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A database that is owned and written to.
///
/// Apps use it to create or migrate their tables before [`Client::open_in`](crate::Client::open_in) checks them; once a
/// client works on it, what is written here is captured and uploaded, and [`Client::database`](crate::Client::database)
/// is the same database. Clones share it; it is closed when the last of them and the client are dropped.
#[derive(Clone)]
pub struct LocalDatabase {
    database: Arc<Database>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for LocalDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalDatabase").field("path", &self.database.path()).finish_non_exhaustive()
    }
}

impl LocalDatabase {
    /// Opens or creates the file and takes ownership of it until it is closed.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyOwned`](crate::ErrorKind::AlreadyOwned) where another client has it open; SQLite's.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        let database = Arc::new(Database::open(path.as_ref()).await?);
        Ok(Self { database, clock: Arc::new(SystemClock) })
    }

    pub(crate) fn of(database: Arc<Database>, clock: Arc<dyn Clock>) -> Self {
        Self { database, clock }
    }

    pub(crate) fn shared(&self) -> &Arc<Database> {
        &self.database
    }

    /// Runs one statement. Durable on return; captured for upload where a client has opened the database.
    ///
    /// # Errors
    /// SQLite's, with [`ErrorKind::Database`](crate::ErrorKind::Database).
    pub async fn execute(&self, sql: &str, arguments: Vec<SqlValue>) -> Result<Execution> {
        let (sql, feed) = (sql.to_owned(), self.database.feed().clone());
        Ok(self
            .database
            .host_transaction(self.clock.now_ms(), move |transaction| {
                host_sql::execute(transaction, &feed, &sql, &arguments)
            })
            .await?)
    }

    /// Runs several statements separated by semicolons, in one transaction; answers the number of changed rows.
    ///
    /// # Errors
    /// SQLite's; nothing was changed then.
    pub async fn execute_script(&self, sql: &str) -> Result<i64> {
        let (sql, feed) = (sql.to_owned(), self.database.feed().clone());
        Ok(self
            .database
            .host_transaction(self.clock.now_ms(), move |transaction| {
                host_sql::execute_script(transaction, &feed, &sql)
            })
            .await?)
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
        let (sql, feed) = (sql.to_owned(), self.database.feed().clone());
        Ok(self
            .database
            .host_transaction(self.clock.now_ms(), move |transaction| {
                host_sql::execute_rows(transaction, &feed, &sql, rows)
            })
            .await?)
    }

    /// Changes the app's schema: runs statements in one transaction in which foreign keys are not enforced, so that a
    /// table can be rebuilt (created anew, filled, dropped and renamed) without taking along what refers to it.
    /// Foreign keys are checked before it is committed, and the capture triggers of a table that was rebuilt under
    /// its name are put back. Rows that the statements change are captured as any other local change; what changes while
    /// rows are copied into a new table is not, so update them in the old one first.
    ///
    /// # Errors
    /// SQLite's, or rows that refer to nothing afterwards; nothing was changed then.
    pub async fn migrate(&self, sql: &str) -> Result<i64> {
        let (sql, feed) = (sql.to_owned(), self.database.feed().clone());
        Ok(self.database.write(move |connection| app_migration::run(connection, &feed, &sql)).await?)
    }

    /// Runs a query on a reader and answers all of its rows.
    ///
    /// # Errors
    /// SQLite's; a statement that writes is refused here.
    pub async fn query(&self, sql: &str, arguments: Vec<SqlValue>) -> Result<QueryRows> {
        let sql = sql.to_owned();
        Ok(self.database.read(move |connection| host_sql::query(connection, &sql, &arguments)).await?)
    }

    /// Runs a query on a reader and answers its rows a page at a time, all of the state that the first page saw.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub async fn query_pages(
        &self,
        sql: &str,
        arguments: Vec<SqlValue>,
        paging: Paging,
    ) -> Result<QueryPages> {
        let pages = Pages::open(self.database.clone(), sql.to_owned(), arguments, paging).await?;
        Ok(QueryPages { pages })
    }

    /// Begins a write transaction that holds the writer until it is committed, dropped (which rolls back), or
    /// `deadline` has passed (which rolls back too). Sync waits for it meanwhile, so keep it short.
    ///
    /// # Errors
    /// Only of the database.
    pub async fn transaction(&self, deadline: Duration) -> Result<Transaction> {
        let handle = HostTransaction::begin(self.database.clone(), deadline).await?;
        Ok(Transaction { handle, deadline, database: self.clone() })
    }

    /// Begins to read one state of the database, that of the first query, on a reader: it waits for no writer, and none
    /// waits for it. It ends when it is dropped, or when `deadline` has passed; SQLite's log of changes grows until then.
    ///
    /// A database in memory has no reader: there this is a transaction of the writer.
    ///
    /// # Errors
    /// Only of the database.
    pub async fn snapshot(&self, deadline: Duration) -> Result<Snapshot> {
        let handle = match HostSnapshot::begin(self.database.clone(), deadline).await? {
            Some(snapshot) => SnapshotHandle::Reader(snapshot),
            None => SnapshotHandle::Writer(HostTransaction::begin(self.database.clone(), deadline).await?),
        };
        Ok(Snapshot { handle, deadline })
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
    /// Rowtide's tables; [`ErrorKind::AlreadyOwned`](crate::ErrorKind::AlreadyOwned) where a client works on the
    /// database; SQLite's. Nothing was changed then.
    pub async fn uninstall_sync(&self) -> Result<bool> {
        let _place = self.database.take_client_place()?;
        Ok(self.database.transaction(uninstall::uninstall).await?)
    }

    /// Waits until the database is closed: for its client, transactions, queries that are being read, and clones.
    pub async fn close(self) {
        let Self { database, .. } = self;
        database.closed().await;
    }
}

/// A query that is read a page at a time. Dropping it ends the query.
#[derive(Debug)]
pub struct QueryPages {
    pages: Pages,
}

impl QueryPages {
    /// Column names.
    pub fn columns(&self) -> &[String] {
        &self.pages.columns
    }

    /// The next page; `None` after the last one.
    ///
    /// # Errors
    /// SQLite's; [`ErrorKind::Database`](crate::ErrorKind::Database) where the time between two pages was longer than
    /// [`Paging::idle`].
    pub async fn next(&mut self) -> Result<Option<RowPage>> {
        Ok(self.pages.next().await?)
    }
}

/// One state of the database, that the host reads. Dropping it ends it.
#[derive(Debug)]
pub struct Snapshot {
    handle: SnapshotHandle,
    deadline: Duration,
}

#[derive(Debug)]
enum SnapshotHandle {
    Reader(HostSnapshot),
    Writer(HostTransaction),
}

impl Snapshot {
    /// Runs a query, and answers its rows a page at a time. All rows are read at once, so that the next query can follow;
    /// memory grows with their number.
    ///
    /// # Errors
    /// SQLite's, which refuses to write; the snapshot goes on. [`ErrorKind::Database`](crate::ErrorKind::Database) once the
    /// deadline has passed.
    pub async fn query_pages(
        &self,
        sql: &str,
        arguments: Vec<SqlValue>,
        paging: Paging,
    ) -> Result<QueryPages> {
        let sql = sql.to_owned();
        let read = move |connection: &crate::storage::Connection| {
            Pages::read_all(connection, &sql, &arguments, paging)
        };
        let pages = match &self.handle {
            SnapshotHandle::Reader(snapshot) => snapshot.run(self.deadline, read).await?,
            SnapshotHandle::Writer(transaction) => transaction.run(self.deadline, read).await?,
        };
        Ok(QueryPages { pages })
    }
}

/// A write transaction that the host holds. Dropping it rolls back.
pub struct Transaction {
    handle: HostTransaction,
    deadline: Duration,
    database: LocalDatabase,
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl Transaction {
    /// Runs one statement.
    ///
    /// # Errors
    /// SQLite's; the transaction goes on. [`ErrorKind::Database`](crate::ErrorKind::Database) once the deadline has
    /// passed.
    pub async fn execute(&self, sql: &str, arguments: Vec<SqlValue>) -> Result<Execution> {
        let (sql, feed) = (sql.to_owned(), self.database.database.feed().clone());
        Ok(self
            .handle
            .run(self.deadline, move |connection| host_sql::execute(connection, &feed, &sql, &arguments))
            .await?)
    }

    /// Runs one statement for each list of arguments that `rows` yields; answers the number of changed rows.
    ///
    /// # Errors
    /// As [`execute`](Self::execute); the rows before the one that failed stay changed in the transaction.
    pub async fn execute_rows<R>(&self, sql: &str, rows: R) -> Result<i64>
    where
        R: Iterator<Item = std::result::Result<Vec<SqlValue>, String>> + Send + 'static,
    {
        let (sql, feed) = (sql.to_owned(), self.database.database.feed().clone());
        Ok(self
            .handle
            .run(self.deadline, move |connection| host_sql::execute_rows(connection, &feed, &sql, rows))
            .await?)
    }

    /// Runs a query that sees the transaction's own writes; it may write itself (`RETURNING`).
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn query(&self, sql: &str, arguments: Vec<SqlValue>) -> Result<QueryRows> {
        let text = sql.to_owned();
        self.read(sql, move |connection| host_sql::query(connection, &text, &arguments)).await
    }

    /// As [`query`](Self::query), a page at a time. All rows are read at once, so that the transaction can go on;
    /// memory grows with their number.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn query_pages(
        &self,
        sql: &str,
        arguments: Vec<SqlValue>,
        paging: Paging,
    ) -> Result<QueryPages> {
        let text = sql.to_owned();
        let pages =
            self.read(sql, move |connection| Pages::read_all(connection, &text, &arguments, paging)).await?;
        Ok(QueryPages { pages })
    }

    async fn read<T: Send + 'static>(
        &self,
        sql: &str,
        read: impl FnOnce(&crate::storage::Connection) -> crate::storage::error::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sql, feed) = (sql.to_owned(), self.database.database.feed().clone());
        Ok(self
            .handle
            .run(self.deadline, move |connection| host_sql::query_writing(connection, &feed, &sql, read))
            .await?)
    }

    /// Commits; everything is durable when this returns `Ok`.
    ///
    /// # Errors
    /// SQLite's, or the deadline has passed; nothing was changed then.
    pub async fn commit(self) -> Result<()> {
        let now_ms = self.database.clock.now_ms();
        Ok(self.handle.commit(self.deadline, now_ms).await?)
    }
}
