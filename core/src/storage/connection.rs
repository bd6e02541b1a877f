//! The connections of a database; the single-owner lock.

use super::changes::ChangeFeed;
use super::commits;
use super::error::{Result, StorageError};
use super::readers::{Reader, Readers};
use super::worker::Worker;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::watch;

const WAL_BYTES_KEPT: i64 = 4 << 20;
/// KiB of pages that the writer keeps while it works. With SQLite's own 2,000, a large transaction with keys in random
/// order writes and reads its pages again and again; twice that is enough, more changes little (docs/performance.md).
const WRITER_CACHE_KIB: i64 = 8_000;
pub(super) const BUSY: std::time::Duration = std::time::Duration::from_secs(5);
/// Prepared statements that a connection keeps.
pub(super) const STATEMENTS: usize = 128;

/// The app's database: one writer, a few readers, one owner.
#[derive(Debug)]
pub(crate) struct Database {
    // Closed before the writer: the last connection to close moves the WAL into the database and removes it,
    // which a reader cannot do.
    readers: Option<Readers>,
    writer: Worker,
    path: PathBuf,
    feed: Arc<ChangeFeed>,
    host_transactions: Arc<AtomicUsize>,
    /// Whether the database has Rowtide's own tables, so that the bounds of transactions are recorded.
    managed: AtomicBool,
    /// Whether a client works on it.
    has_client: AtomicBool,
    /// Dropped with this: who waits for the database to be closed sees it.
    open: watch::Sender<()>,
    // Held, never read: the operating system drops the lock with the process, whatever kills it.
    _owner: Option<File>,
}

/// The place of the one client that works on a database.
#[derive(Debug)]
pub(crate) struct ClientPlace(Arc<Database>);

impl Drop for ClientPlace {
    fn drop(&mut self) {
        self.0.has_client.store(false, Ordering::Release);
    }
}

impl Database {
    /// Opens a database file, taking ownership of it; `:memory:` has no file and no other owner.
    pub(crate) async fn open(path: &Path) -> Result<Self> {
        let in_memory = path == Path::new(":memory:");
        let owner = if in_memory { None } else { Some(take_ownership(path)?) };
        let mut writer = configure(Connection::open(path)?)?;
        writer.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
        let feed = ChangeFeed::watch(&mut writer)?;
        Ok(Self {
            readers: (!in_memory).then(|| Readers::new(path.to_owned())),
            writer: Worker::spawn("rowtide-write", writer)?,
            path: path.to_owned(),
            feed,
            host_transactions: Arc::default(),
            managed: AtomicBool::new(false),
            has_client: AtomicBool::new(false),
            open: watch::Sender::new(()),
            _owner: owner,
        })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn readers(&self) -> Option<&Readers> {
        self.readers.as_ref()
    }

    /// From now on the bounds of the host's transactions are recorded.
    pub(crate) fn set_managed(&self) {
        self.managed.store(true, Ordering::Release);
    }

    pub(super) fn managed(&self) -> bool {
        self.managed.load(Ordering::Acquire)
    }

    /// Takes the place of the one client that works on the database, until the answer is dropped.
    pub(crate) fn take_client_place(self: &Arc<Self>) -> Result<ClientPlace> {
        match self.has_client.swap(true, Ordering::AcqRel) {
            true => Err(StorageError::AlreadyOwned),
            false => Ok(ClientPlace(self.clone())),
        }
    }

    /// Waits until the database is closed: until everything that uses it has ended.
    pub(crate) async fn closed(self: Arc<Self>) {
        let mut open = self.open.subscribe();
        drop(self);
        while open.changed().await.is_ok() {}
    }

    /// How many transactions the host holds open or waits for.
    pub(crate) fn host_transactions(&self) -> &Arc<AtomicUsize> {
        &self.host_transactions
    }

    /// What tells the changes of commits.
    pub(crate) fn feed(&self) -> &Arc<ChangeFeed> {
        &self.feed
    }

    /// Runs `work` in one write transaction; it is durable when this returns `Ok`, undone otherwise.
    pub(crate) async fn transaction<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    {
        self.write(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        })
        .await
    }

    /// Runs the host's `work` in one write transaction, and records where it began and ended.
    pub(crate) async fn host_transaction<T, F>(&self, now_ms: i64, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    {
        let managed = self.managed();
        self.transaction(move |transaction| {
            let before = commits::begin(transaction, managed)?;
            let result = work(transaction)?;
            commits::record(transaction, before, now_ms)?;
            Ok(result)
        })
        .await
    }

    /// Runs `work` on the writer connection, outside of a transaction.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    {
        let feed = self.feed.clone();
        self.writer
            .run(move |connection| {
                let result = work(connection);
                feed.tell();
                result
            })
            .await
    }

    /// Runs `work` on a reader connection.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        match Reader::take(self).await? {
            Some(reader) => reader.worker().run(move |connection| work(connection)).await,
            None => self.writer.run(move |connection| work(connection)).await,
        }
    }
}

fn configure(connection: Connection) -> Result<Connection> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    // What was acknowledged outlives a power cut too (docs/adr/0010).
    connection.pragma_update(None, "synchronous", "full")?;
    // After a large apply the WAL gives its space back, instead of keeping its largest size for ever.
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // REPLACE evicts rows silently unless delete triggers fire for it.
    connection.pragma_update(None, "recursive_triggers", true)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

fn take_ownership(path: &Path) -> Result<File> {
    let mut lock_path = PathBuf::from(path).into_os_string();
    lock_path.push("-rowtide-owner");
    let lock_path = PathBuf::from(lock_path);
    let failed = |source| StorageError::File { path: lock_path.display().to_string(), source };
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StorageError::AlreadyOwned),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}
