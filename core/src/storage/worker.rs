//! A connection and what runs its work: a thread of its own, or the task that asks, where that is simulated.

use super::error::{Result, StorageError};
use crate::simulation;
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Mutex, oneshot};

/// How long a connection keeps its pages without work.
const RESTS_AFTER: Duration = Duration::from_secs(2);

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A connection that runs one job after the other. Dropping it waits for running work, then closes the connection.
#[derive(Debug)]
pub(super) enum Worker {
    /// On a thread of its own.
    Thread(WorkerThread),
    /// On the task that asks.
    Inline(Inline),
}

impl Worker {
    pub(super) fn spawn(name: &str, connection: Connection) -> Result<Self> {
        if simulation::is_on() {
            return Ok(Self::Inline(Inline::new(connection)));
        }
        WorkerThread::spawn(name, connection).map(Self::Thread)
    }

    pub(super) async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    {
        match self {
            Self::Thread(thread) => thread.run(work).await,
            Self::Inline(inline) => inline.run(work).await,
        }
    }

    /// Leaves work to the connection; it answers by itself.
    pub(super) fn post(&self, work: impl FnOnce(&mut Connection) + Send + 'static) -> Result<()> {
        match self {
            Self::Thread(thread) => thread.post(work),
            Self::Inline(_) => Err(StorageError::Input("queries read by page are not simulated".into())),
        }
    }
}

#[derive(Debug)]
pub(super) struct WorkerThread {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for WorkerThread {
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

impl WorkerThread {
    fn spawn(name: &str, mut connection: Connection) -> Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                while let Some(job) = next_job(&queue, &connection) {
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
        self.send(job)?;
        answer.await.map_err(|_| StorageError::Closed)?
    }

    fn post(&self, work: impl FnOnce(&mut Connection) + Send + 'static) -> Result<()> {
        self.send(Box::new(move |connection| {
            // Whoever waits for an answer sees that none came.
            let _ = catch_unwind(AssertUnwindSafe(|| work(connection)));
        }))
    }

    fn send(&self, job: Job) -> Result<()> {
        let jobs = self.jobs.as_ref().ok_or(StorageError::Closed)?;
        jobs.send(job).map_err(|_| StorageError::Closed)
    }
}

/// Waits for a job; a connection that rests for a while gives its pages back.
fn next_job(queue: &mpsc::Receiver<Job>, connection: &Connection) -> Option<Job> {
    match queue.recv_timeout(RESTS_AFTER) {
        Ok(job) => Some(job),
        Err(mpsc::RecvTimeoutError::Disconnected) => None,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            // Memory only: a connection that cannot shrink keeps it.
            let _ = connection.execute_batch("PRAGMA shrink_memory");
            queue.recv().ok()
        }
    }
}

/// The connection of a simulated process.
#[derive(Debug)]
pub(super) struct Inline {
    file: PathBuf,
    connection: Mutex<Connection>,
}

impl Inline {
    fn new(connection: Connection) -> Self {
        let file = PathBuf::from(connection.path().unwrap_or_default());
        simulation::opened(&file, &connection);
        Self { file, connection: Mutex::new(connection) }
    }

    async fn run<T>(&self, work: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        let mut connection = self.connection.lock().await;
        let delay = simulation::delay(&self.file);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if !simulation::before_job(&self.file, &connection) {
            return Err(StorageError::Closed);
        }
        let result = catch_unwind(AssertUnwindSafe(|| work(&mut connection)));
        simulation::after_job(&self.file, &connection);
        result.unwrap_or(Err(StorageError::Panicked))
    }
}
