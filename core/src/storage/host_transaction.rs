//! A transaction that the host holds by a handle: it occupies the writer until it is committed, rolled
//! back, dropped, or past its deadline.

use super::commits;
use super::connection::Database;
use super::error::{Result, StorageError};
use rusqlite::{Connection, TransactionBehavior};
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

enum Step {
    Run(Box<dyn FnOnce(&Connection) + Send>),
    Commit(i64, oneshot::Sender<Result<()>>),
}

/// The handle.
#[derive(Debug)]
pub(crate) struct HostTransaction {
    steps: mpsc::Sender<Step>,
}

impl HostTransaction {
    /// Begins a write transaction on the writer; returns once it holds the write lock.
    pub(crate) async fn begin(database: std::sync::Arc<Database>, deadline: Duration) -> Result<Self> {
        let (steps, queue) = mpsc::channel::<Step>();
        let (started, begun) = oneshot::channel();
        let (open, managed) = (database.host_transactions().clone(), database.managed());
        tokio::spawn(async move {
            open.fetch_add(1, Ordering::Relaxed);
            let served = database
                .write(move |connection| {
                    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                    let before = commits::begin(&transaction, managed)?;
                    let _ = started.send(());
                    let end = Instant::now() + deadline;
                    // Leaving this loop without a commit rolls back.
                    loop {
                        let left = end.saturating_duration_since(Instant::now());
                        let step = queue.recv_timeout(left);
                        // A step that was sent in time and is read too late is too late.
                        if Instant::now() >= end {
                            return Ok(());
                        }
                        match step {
                            Ok(Step::Run(work)) => work(&transaction),
                            Ok(Step::Commit(now_ms, reply)) => {
                                let done = commits::record(&transaction, before, now_ms)
                                    .and_then(|()| transaction.commit().map_err(StorageError::from));
                                let _ = reply.send(done);
                                return Ok(());
                            }
                            Err(_) => return Ok(()),
                        }
                    }
                })
                .await;
            open.fetch_sub(1, Ordering::Relaxed);
            if let Err(error) = served {
                log::warn!("a host transaction ended with an error: {error}");
            }
        });
        begun.await.map_err(|_| StorageError::Closed)?;
        Ok(Self { steps })
    }

    /// Runs work inside the transaction.
    pub(crate) async fn run<T, F>(&self, deadline: Duration, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let step = Step::Run(Box::new(move |connection| {
            let _ = reply.send(work(connection));
        }));
        let expired = || StorageError::TransactionExpired(deadline.as_millis());
        self.steps.send(step).map_err(|_| expired())?;
        answer.await.map_err(|_| expired())?
    }

    /// Commits; the work is durable when this returns `Ok`.
    pub(crate) async fn commit(self, deadline: Duration, now_ms: i64) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        let expired = || StorageError::TransactionExpired(deadline.as_millis());
        self.steps.send(Step::Commit(now_ms, reply)).map_err(|_| expired())?;
        answer.await.map_err(|_| expired())?
    }
}
