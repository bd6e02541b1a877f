//! A client: the database and its way to the server.

use crate::automatic::LoopOptions;
use crate::error::RowtideError;
use crate::host::Hosted;
use crate::inbox::RefusedRow;
use crate::observe::{Observation, ProgressListener, StatusListener, TablesListener, observe};
use crate::operation::RunningOperation;
use crate::report::{Budget, Connectivity, Direction, SourceInfo, Status};
use crate::runtime;
use crate::values::RowValues;
use futures_util::stream::unfold;
use rowtide::Operation;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// A client: the database and its way to the server. Operations run one at a time, each on a task of its own.
#[derive(Debug, uniffi::Object)]
pub struct Client {
    open: Mutex<Option<rowtide::Client>>,
    ended: CancellationToken,
}

impl Client {
    pub(crate) fn of(client: rowtide::Client) -> Self {
        Self { open: Mutex::new(Some(client)), ended: CancellationToken::new() }
    }

    fn core(&self) -> Result<rowtide::Client, RowtideError> {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or_else(|| RowtideError::closed("client"))
    }

    fn begin(&self, operation: Operation) -> Result<Arc<RunningOperation>, RowtideError> {
        let client = self.core()?;
        let _runtime = runtime::enter();
        Ok(Arc::new(RunningOperation::of(client.begin(operation))))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

#[uniffi::export]
impl Client {
    /// Begins to attach the database to the user that the tokens belong to.
    ///
    /// Where the server has data, it is downloaded and applied before the operation ends; rows written before are kept
    /// as local inserts unless the configuration says otherwise. Where the server is empty, the next push or sync seeds
    /// it. Interrupted anywhere, the next call goes on. A failed attach changes nothing.
    ///
    /// # Errors
    /// `Internal` where the client is closed; the operation's: `Attachment` where another user is attached, network,
    /// authentication and protocol errors.
    pub fn attach(&self, user: String) -> Result<Arc<RunningOperation>, RowtideError> {
        self.begin(Operation::Attach { user })
    }

    /// Begins to settle, pull and rebase, then push: afterwards the server has what was written before the call.
    /// Concurrent calls share one run.
    ///
    /// # Errors
    /// `Internal` where the client is closed; the operation's.
    pub fn sync(&self) -> Result<Arc<RunningOperation>, RowtideError> {
        self.begin(Operation::Sync)
    }

    /// Begins to sync for at most a budget, and stops between two durable steps when it is spent: for a background task
    /// that the platform ends. The outcome is `BudgetSpent` then.
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
    pub fn sync_for(&self, budget: Budget) -> Result<Arc<RunningOperation>, RowtideError> {
        self.begin(Operation::SyncFor(budget.into()))
    }

    /// Begins to upload pending rows; pulls only where a conflict makes it necessary.
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
    pub fn push(&self) -> Result<Arc<RunningOperation>, RowtideError> {
        self.begin(Operation::Push)
    }

    /// Begins to download other devices' changes and to rebase pending rows onto them.
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
    pub fn pull(&self) -> Result<Arc<RunningOperation>, RowtideError> {
        self.begin(Operation::Pull)
    }

    /// Begins to download all rows anew and to write what differs; pending rows are rebased.
    ///
    /// # Errors
    /// As [`sync`](Self::sync); an interrupted rebuild is finished by the next operation.
    pub fn rebuild(&self) -> Result<Arc<RunningOperation>, RowtideError> {
        self.begin(Operation::Rebuild)
    }

    /// Begins to detach from the user: the managed tables are emptied and the source is replaced. Rows that are unsynced
    /// or refused block it: the outcome is `BlockedUnsyncedData` and nothing is changed.
    ///
    /// # Errors
    /// `Internal` where the client is closed; the operation's, only of the database.
    pub fn detach(&self) -> Result<Arc<RunningOperation>, RowtideError> {
        self.begin(Operation::Detach)
    }

    /// Begins to sync, at most three rounds, and to detach if nothing is pending then.
    ///
    /// # Errors
    /// As [`sync`](Self::sync); still attached then.
    pub fn sync_then_detach(&self) -> Result<Arc<RunningOperation>, RowtideError> {
        self.begin(Operation::SyncThenDetach)
    }

    /// Where the database stands. Uses no network.
    ///
    /// # Errors
    /// Only of the database.
    pub async fn status(&self) -> Result<Status, RowtideError> {
        Ok(self.core()?.status().await?.into())
    }

    /// This database's identity towards the server.
    ///
    /// # Errors
    /// Only of the database.
    pub async fn source_info(&self) -> Result<SourceInfo, RowtideError> {
        Ok(self.core()?.source_info().await?.into())
    }

    /// Asks the server which generation it speaks, `a` or `b`, and whether its tables match.
    ///
    /// # Errors
    /// `Incompatible` names the tables that differ; network, authentication and protocol errors.
    pub async fn check_server(&self) -> Result<String, RowtideError> {
        let client = self.core()?;
        runtime::run(async move { client.check_server().await.map(str::to_owned) }).await
    }

    /// Explains in plain words what keeps rows from being synchronised, and what would let them go on; nothing where
    /// nothing does.
    ///
    /// # Errors
    /// Only of the database.
    pub async fn why_stuck(&self) -> Result<Option<String>, RowtideError> {
        Ok(self.core()?.why_stuck().await?)
    }

    /// Lists rows that cannot be synchronised as they are, oldest first.
    ///
    /// # Errors
    /// Only of the database.
    pub async fn refused_rows(&self) -> Result<Vec<RefusedRow>, RowtideError> {
        Ok(self.core()?.refused_rows().await?.into_iter().map(RefusedRow::from).collect())
    }

    /// Makes all refused rows pending again; those that had left their table are put back. Answers how many.
    ///
    /// # Errors
    /// `Database` where a row still cannot be put back; nothing was changed then.
    pub async fn retry_refused(&self) -> Result<i64, RowtideError> {
        Ok(self.core()?.retry_refused().await?)
    }

    /// Makes one refused row pending again, with changes to its columns. Answers whether it was in the inbox.
    ///
    /// # Errors
    /// As [`retry_refused`](Self::retry_refused); `Configuration` where there is no such table or column.
    pub async fn retry_refused_row(
        &self,
        table: String,
        key: String,
        changes: RowValues,
    ) -> Result<bool, RowtideError> {
        Ok(self.core()?.retry_refused_row(&table, &key, changes.try_into()?).await?)
    }

    /// Gives up the local changes of all refused rows. What the server has comes back with the next sync. Answers how
    /// many.
    ///
    /// # Errors
    /// Only of the database.
    pub async fn discard_refused(&self) -> Result<i64, RowtideError> {
        Ok(self.core()?.discard_refused().await?)
    }

    /// Gives up the local change of one refused row. Answers whether it was in the inbox.
    ///
    /// # Errors
    /// Of the database; `Configuration` where there is no such table.
    pub async fn discard_refused_row(&self, table: String, key: String) -> Result<bool, RowtideError> {
        Ok(self.core()?.discard_refused_row(&table, &key).await?)
    }

    /// Starts to sync by itself: uploads after local commits, downloads when the server tells of changes or at an
    /// interval. A loop that runs already goes on with these options. Failures are shown by the status and tried again.
    ///
    /// # Errors
    /// `Internal` where the client is closed.
    pub fn start(&self, options: LoopOptions) -> Result<(), RowtideError> {
        let client = self.core()?;
        let _runtime = runtime::enter();
        client.start(options.into());
        Ok(())
    }

    /// Stops to sync by itself. An operation that runs is finished.
    ///
    /// # Errors
    /// `Internal` where the client is closed.
    pub fn stop(&self) -> Result<(), RowtideError> {
        self.core()?.stop();
        Ok(())
    }

    /// Holds the loop's uploads or downloads. Operations that the app calls work all the same.
    ///
    /// # Errors
    /// `Internal` where the client is closed.
    pub fn pause(&self, direction: Direction) -> Result<(), RowtideError> {
        self.core()?.pause(direction.into());
        Ok(())
    }

    /// Lets the loop's uploads or downloads go on, at once.
    ///
    /// # Errors
    /// `Internal` where the client is closed.
    pub fn resume(&self, direction: Direction) -> Result<(), RowtideError> {
        self.core()?.resume(direction.into());
        Ok(())
    }

    /// Tells the loop of the network. When it comes back, the loop tries at once.
    ///
    /// # Errors
    /// `Internal` where the client is closed.
    pub fn set_connectivity(&self, connectivity: Connectivity) -> Result<(), RowtideError> {
        self.core()?.set_connectivity(connectivity.into());
        Ok(())
    }

    /// Tells that the token provider can give a valid token (again): the loop tries at once.
    ///
    /// # Errors
    /// `Internal` where the client is closed.
    pub fn credentials_changed(&self) -> Result<(), RowtideError> {
        self.core()?.credentials_changed();
        Ok(())
    }

    /// Observes the status. Ends with the handle, or with the client.
    ///
    /// # Errors
    /// `Internal` where the client is closed.
    pub fn observe_status(
        &self,
        listener: std::sync::Arc<dyn StatusListener>,
    ) -> Result<Arc<Observation>, RowtideError> {
        let changes = self.core()?.observe_status();
        let values = unfold(changes, async |mut changes| match changes.next().await {
            Ok(status) => Some((Status::from(status), changes)),
            Err(error) => {
                ::log::warn!("the status could not be read, its observation ends: {error}");
                None
            }
        });
        let observation = observe(&self.ended, values, Hosted::new(listener), |listener, status| {
            listener.on_status(status)
        });
        Ok(Arc::new(observation))
    }

    /// Observes progress of long operations. Ends with the handle, or with the client.
    ///
    /// # Errors
    /// `Internal` where the client is closed.
    pub fn observe_progress(
        &self,
        listener: Arc<dyn ProgressListener>,
    ) -> Result<Arc<Observation>, RowtideError> {
        let changes = self.core()?.observe_progress();
        let values = unfold(changes, async |mut changes| {
            let progress = changes.next().await?;
            Some((progress.into(), changes))
        });
        let observation = observe(&self.ended, values, Hosted::new(listener), |listener, progress| {
            listener.on_progress(progress)
        });
        Ok(Arc::new(observation))
    }

    /// Observes tables: the first call names all of them, later ones those that commits changed since. Ends with the
    /// handle, or with the client.
    ///
    /// # Errors
    /// `Internal` where the client is closed.
    pub fn observe_tables(
        &self,
        tables: Vec<String>,
        listener: Arc<dyn TablesListener>,
    ) -> Result<Arc<Observation>, RowtideError> {
        let changes = self.core()?.observe_tables(tables.iter().map(String::as_str));
        let values = unfold(changes, async |mut changes| {
            let tables = changes.next().await?;
            Some((tables.into_iter().collect::<Vec<_>>(), changes))
        });
        let observation = observe(&self.ended, values, Hosted::new(listener), |listener, tables| {
            listener.on_tables_changed(tables)
        });
        Ok(Arc::new(observation))
    }

    /// Stops the loop, ends observations and waits for a running operation. The database stays open. Further calls fail
    /// with `Internal`.
    ///
    /// # Errors
    /// Never, but for a bug inside.
    pub async fn close(&self) -> Result<(), RowtideError> {
        self.ended.cancel();
        let client = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        match client {
            Some(client) => {
                runtime::run(async move {
                    client.close().await;
                    Ok(())
                })
                .await
            }
            None => Ok(()),
        }
    }

    /// As [`close`](Self::close), blocking.
    ///
    /// # Errors
    /// As [`close`](Self::close).
    pub fn close_blocking(self: Arc<Self>) -> Result<(), RowtideError> {
        runtime::block_on(async move { self.close().await })
    }
}
