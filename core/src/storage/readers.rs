//! Connections for reading, taken one at a time; more are opened while all are taken.

use super::connection::Database;
use super::error::{Result, StorageError};
use super::worker::Worker;
use rusqlite::{Connection, OpenFlags};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// As many are open at most; whoever needs one more waits.
const MOST: usize = 16;

/// The connections that nobody has taken.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Worker>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default(), turns: Arc::new(Semaphore::new(MOST)) }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<Worker> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(super::connection::BUSY)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.set_prepared_statement_cache_capacity(super::connection::STATEMENTS);
        Worker::spawn("rowtide-read", connection)
    }
}

/// A reader that is taken; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Reader<D: Deref<Target = Database>> {
    worker: Option<Worker>,
    database: D,
    _turn: OwnedSemaphorePermit,
}

impl<D: Deref<Target = Database>> Reader<D> {
    /// Takes a reader; `None` for a database in memory, which has only its writer.
    pub(super) async fn take(database: D) -> Result<Option<Self>> {
        let Some(readers) = database.readers() else { return Ok(None) };
        let turn = readers.turns.clone().acquire_owned().await.map_err(|_| StorageError::Closed)?;
        let idle = readers.idle().pop();
        let worker = match idle {
            Some(worker) => worker,
            None => readers.open()?,
        };
        Ok(Some(Self { worker: Some(worker), database, _turn: turn }))
    }

    pub(super) fn worker(&self) -> &Worker {
        self.worker.as_ref().expect("taken only when dropped")
    }
}

impl<D: Deref<Target = Database>> Drop for Reader<D> {
    fn drop(&mut self) {
        if let (Some(worker), Some(readers)) = (self.worker.take(), self.database.readers()) {
            readers.idle().push(worker);
        }
    }
}
