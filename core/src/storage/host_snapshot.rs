//! A state of the database that the host reads by a handle, on a reader: it waits for nobody, and nobody waits for it.

use super::connection::Database;
use super::error::{Result, StorageError};
use super::readers::Reader;
use rusqlite::{Connection, TransactionBehavior};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

type Step = Box<dyn FnOnce(&Connection) + Send>;

/// The handle. Dropping it ends the snapshot.
#[derive(Debug)]
pub(crate) struct HostSnapshot {
    // Before the reader, which is given back once it waits for no step any more.
    steps: mpsc::Sender<Step>,
    _reader: Reader<Arc<Database>>,
}

impl HostSnapshot {
    /// Takes a reader for it; `None` for a database in memory, which has only its writer.
    pub(crate) async fn begin(database: Arc<Database>, deadline: Duration) -> Result<Option<Self>> {
        let Some(reader) = Reader::take(database).await? else { return Ok(None) };
        let (steps, queue) = mpsc::channel::<Step>();
        let (started, begun) = oneshot::channel();
        reader.worker().post(move |connection| {
            // The first step that reads decides which state all of them see.
            let transaction = match connection.transaction_with_behavior(TransactionBehavior::Deferred) {
                Ok(transaction) => transaction,
                Err(error) => return drop(started.send(Err(StorageError::from(error)))),
            };
            drop(started.send(Ok(())));
            let end = Instant::now() + deadline;
            while let Ok(step) = queue.recv_timeout(end.saturating_duration_since(Instant::now())) {
                if Instant::now() >= end {
                    return;
                }
                step(&transaction);
            }
        })?;
        begun.await.map_err(|_| StorageError::Panicked)??;
        Ok(Some(Self { steps, _reader: reader }))
    }

    /// Runs work that reads.
    pub(crate) async fn run<T, F>(&self, deadline: Duration, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let expired = || StorageError::TransactionExpired(deadline.as_millis());
        let step: Step = Box::new(move |connection| {
            let _ = reply.send(work(connection));
        });
        self.steps.send(step).map_err(|_| expired())?;
        answer.await.map_err(|_| expired())?
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    async fn database(folder: &std::path::Path) -> Arc<Database> {
        let database = Arc::new(Database::open(&folder.join("app.db")).await.unwrap());
        let sql = "CREATE TABLE notes (id TEXT); INSERT INTO notes VALUES ('n1')";
        database.write(move |connection| Ok(connection.execute_batch(sql)?)).await.unwrap();
        database
    }

    async fn count(snapshot: &HostSnapshot, deadline: Duration) -> Result<i64> {
        let count = |connection: &Connection| {
            Ok(connection.query_row("SELECT count(*) FROM notes", [], |row| row.get(0))?)
        };
        snapshot.run(deadline, count).await
    }

    #[tokio::test]
    async fn a_snapshot_sees_one_state_while_others_write() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(folder.path()).await;
        let snapshot = HostSnapshot::begin(database.clone(), LONG).await.unwrap().unwrap();
        assert_eq!(count(&snapshot, LONG).await.unwrap(), 1);
        let insert = "INSERT INTO notes VALUES ('n2')";
        database.write(move |connection| Ok(connection.execute_batch(insert)?)).await.unwrap();
        assert_eq!(count(&snapshot, LONG).await.unwrap(), 1);
        let refused = snapshot.run(LONG, move |connection| Ok(connection.execute_batch(insert)?)).await;
        assert!(refused.unwrap_err().to_string().contains("readonly"));
        drop(snapshot);
        // The same reader, once it is free.
        let next = HostSnapshot::begin(database, LONG).await.unwrap().unwrap();
        assert_eq!(count(&next, LONG).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_snapshot_that_is_past_its_deadline_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot =
            HostSnapshot::begin(database(folder.path()).await, Duration::ZERO).await.unwrap().unwrap();
        let error = count(&snapshot, Duration::ZERO).await.unwrap_err();
        assert!(matches!(error, StorageError::TransactionExpired(0)), "{error}");
    }
}
