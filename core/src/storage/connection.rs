//! Connections and the threads that own them; the single-owner lock.

use super::changes::ChangeFeed;
use super::commits;
use super::error::{Result, StorageError};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use std::fs::{File, OpenOptions};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

const READERS: usize = 2;
const WAL_BYTES_KEPT: i64 = 4 << 20;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A connection on a thread of its own. Dropping it waits for running work, then closes the connection.
#[derive(Debug)]
struct Worker {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) =
            self.thread.take().filter(|thread| thread.thread().id() != std::thread::current().id())
        {
            // Jobs never panic past their own guard, so there is nothing to report.
            let _ = thread.join();
        }
    }
}

impl Worker {
    fn spawn(name: &str, mut connection: Connection) -> Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                while let Ok(job) = queue.recv() {
                    job(&mut connection);
                }
            })
            .map_err(|source| StorageError::File { path: "database thread".into(), source })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let result = catch_unwind(AssertUnwindSafe(|| work(connection)));
            // Nobody waits any more: the work is done and durable all the same.
            let _ = reply.send(result.unwrap_or(Err(StorageError::Panicked)));
        });
        let jobs = self.jobs.as_ref().ok_or(StorageError::Closed)?;
        jobs.send(job).map_err(|_| StorageError::Closed)?;
        answer.await.map_err(|_| StorageError::Closed)?
    }
}

/// The app's database: one writer, a few readers, one owner.
#[derive(Debug)]
pub(crate) struct Database {
    // Closed before the writer: the last connection to close moves the WAL into the database and removes it,
    // which a reader cannot do.
    readers: Vec<Worker>,
    writer: Worker,
    feed: Arc<ChangeFeed>,
    host_transactions: Arc<AtomicUsize>,
    next_reader: AtomicUsize,
    // Held, never read: the operating system drops the lock with the process, whatever kills it.
    _owner: Option<File>,
}

impl Database {
    /// Opens a database file, taking ownership of it; `:memory:` has no file and no other owner.
    pub(crate) async fn open(path: &Path) -> Result<Self> {
        let in_memory = path == Path::new(":memory:");
        let owner = if in_memory { None } else { Some(take_ownership(path)?) };
        let mut writer = configure(Connection::open(path)?)?;
        let feed = ChangeFeed::watch(&mut writer)?;
        let mut readers = Vec::new();
        if !in_memory {
            for index in 0..READERS {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let reader = Connection::open_with_flags(path, flags)?;
                reader.pragma_update(None, "query_only", true)?;
                readers.push(Worker::spawn(&format!("rowtide-read-{index}"), reader)?);
            }
        }
        let writer = Worker::spawn("rowtide-write", writer)?;
        Ok(Self {
            writer,
            readers,
            feed,
            host_transactions: Arc::default(),
            next_reader: AtomicUsize::new(0),
            _owner: owner,
        })
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
        self.transaction(move |transaction| {
            let before = commits::newest_change(transaction)?;
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
        let index = self.next_reader.fetch_add(1, Ordering::Relaxed);
        let worker = match self.readers.len() {
            0 => &self.writer,
            count => &self.readers[index % count],
        };
        worker.run(move |connection| work(connection)).await
    }
}

fn configure(connection: Connection) -> Result<Connection> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    // After a large apply the WAL gives its space back, instead of keeping its largest size for ever.
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // REPLACE evicts rows silently unless delete triggers fire for it.
    connection.pragma_update(None, "recursive_triggers", true)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(128);
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
