//! Running operations: each on a task of its own, one at a time, recorded when it ends.

use super::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::report::{Activity, Budget, Health, Outcome, Report};
use crate::storage::agenda::Agenda;
use crate::storage::attachment;
use crate::sync::{Engine, Stop};
use crate::transport::api::Traffic;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_util::sync::CancellationToken;

/// What a client can be asked to do with its server, named after the client's methods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// [`Client::attach`](crate::Client::attach).
    Attach {
        /// The user that the tokens belong to.
        user: String,
    },
    /// [`Client::sync`](crate::Client::sync).
    Sync,
    /// [`Client::sync_for`](crate::Client::sync_for).
    SyncFor(Budget),
    /// [`Client::push`](crate::Client::push).
    Push,
    /// [`Client::pull`](crate::Client::pull).
    Pull,
    /// [`Client::rebuild`](crate::Client::rebuild).
    Rebuild,
    /// [`Client::detach`](crate::Client::detach).
    Detach,
    /// [`Client::sync_then_detach`](crate::Client::sync_then_detach).
    SyncThenDetach,
}

impl Operation {
    fn activity(&self) -> Activity {
        match self {
            Self::Attach { .. } => Activity::Attach,
            Self::Sync | Self::SyncFor(_) => Activity::Sync,
            Self::Push => Activity::Push,
            Self::Pull => Activity::Pull,
            Self::Rebuild => Activity::Rebuild,
            Self::Detach | Self::SyncThenDetach => Activity::Detach,
        }
    }

    fn budget(&self) -> Budget {
        match self {
            Self::SyncFor(budget) => *budget,
            _ => Budget::default(),
        }
    }

    /// Answers what is left to do, where that was the last it looked at.
    async fn perform(&self, engine: &Engine, report: &mut Report) -> Result<Option<Agenda>> {
        let left = match self {
            Self::Attach { user } => return engine.attach(user, report).await.map(|()| None),
            Self::Detach => return engine.detach(report).await.map(|()| None),
            Self::SyncThenDetach => return engine.sync_then_detach(report).await.map(|()| None),
            Self::Sync | Self::SyncFor(_) => engine.sync(report).await?,
            Self::Push => engine.push(report).await?,
            Self::Pull => engine.pull(report).await.map(|()| None)?,
            Self::Rebuild => engine.rebuild(report).await.map(|()| None)?,
        };
        if report.moved_rows() {
            report.outcome = Outcome::Done;
        }
        Ok(left)
    }
}

/// An operation that was begun, on a task of its own. Dropping this stops waiting for it, never the step that it is in.
pub struct RunningOperation {
    run: Run,
    left: CancellationToken,
    has_left: AtomicBool,
}

/// One run, which callers of `sync` can share.
#[derive(Clone)]
pub(super) struct Run {
    result: futures_util::future::Shared<BoxFuture<'static, Result<Report>>>,
    stop: Stop,
}

impl std::fmt::Debug for RunningOperation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunningOperation").finish_non_exhaustive()
    }
}

impl RunningOperation {
    fn of(run: Run) -> Self {
        Self { run, left: CancellationToken::new(), has_left: AtomicBool::new(false) }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// As the client's method of its name; [`ErrorKind::Cancelled`] after [`cancel`](Self::cancel).
    pub async fn wait(&self) -> Result<Report> {
        self.left
            .run_until_cancelled(self.run.result.clone())
            .await
            .unwrap_or_else(|| Err(Error::cancelled()))
    }

    /// Stops it between two durable steps, requests and waits at once; the next operation goes on from there. A run
    /// that other callers of `sync` share goes on for them, and only this one is told that it ended.
    pub fn cancel(&self) {
        if self.has_left.swap(true, Ordering::AcqRel) {
            return;
        }
        if !self.run.stop.leave() {
            self.left.cancel();
        }
    }
}

impl Shared {
    /// Begins an operation: one at a time, recorded when it ends. A sync joins the one that waits for its turn: it
    /// begins after this call, so it includes what was written before it.
    pub(crate) fn begin(self: &Arc<Self>, operation: Operation) -> RunningOperation {
        if operation != Operation::Sync {
            return RunningOperation::of(self.queue(operation));
        }
        let mut queued = self.queued();
        let joined = queued.as_ref().filter(|run| run.stop.join()).cloned();
        let run = joined.unwrap_or_else(|| {
            let run = self.queue(Operation::Sync);
            *queued = Some(run.clone());
            run
        });
        RunningOperation::of(run)
    }

    fn queue(self: &Arc<Self>, operation: Operation) -> Run {
        let (shared, stop) = (self.clone(), Stop::default());
        stop.join();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let turn = shared.operation.clone().lock_owned();
            let turn = tokio::select! {
                biased;
                turn = turn => Some(turn),
                () = stopped.wanted() => None,
            };
            if operation == Operation::Sync {
                // The next caller wants what is written from now on, too.
                *shared.queued() = None;
            }
            let Some(_turn) = turn else { return Err(Error::cancelled()) };
            shared.run(&operation, &stopped).await
        });
        Run { result: async move { task.await.map_err(|_| ended_abnormally())? }.boxed().shared(), stop }
    }

    fn queued(&self) -> std::sync::MutexGuard<'_, Option<Run>> {
        self.queued.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn run(&self, operation: &Operation, stop: &Stop) -> Result<Report> {
        let engine = &self.engine;
        engine.begin(operation.activity(), operation.budget(), stop);
        let before = engine.api.traffic();
        let mut report = Report::default();
        let result = operation.perform(engine, &mut report).await;
        let left = match &result {
            Ok(Some(left)) => Ok(left.clone()),
            _ => engine.left_to_do().await,
        };
        self.record(&result, left.as_ref().ok()).await;
        match result {
            Err(error) if error.kind() == ErrorKind::Cancelled && engine.spent_budget() => {
                let pending_rows = engine.pending_rows().await?;
                let download_left = engine.pending_operation().await?.is_some() || pending_rows == 0;
                report = Report {
                    outcome: Outcome::BudgetSpent { pending_rows, download_left },
                    ..Report::default()
                };
            }
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        let Traffic { requests, bytes_up, bytes_down } = engine.api.traffic();
        report.requests = requests - before.requests;
        report.bytes_up = bytes_up - before.bytes_up;
        report.bytes_down = bytes_down - before.bytes_down;
        report.refused_rows = left?.refused_rows;
        report.paused = self.signals.inputs().paused();
        Ok(report)
    }

    /// Keeps the error's text for the status; a database that cannot keep it has said so already.
    async fn record<T>(&self, result: &Result<T>, left: Option<&Agenda>) {
        let engine = &self.engine;
        if result.is_err() {
            engine.forget_negotiated().await;
        }
        let text = result.as_ref().err().map(ToString::to_string);
        if left.is_none_or(|left| left.attachment.last_error != text) {
            let stored = engine
                .database
                .transaction(move |transaction| attachment::set_last_error(transaction, text.as_deref()))
                .await;
            if let Err(error) = stored {
                log::warn!("the last error could not be stored: {error}");
            }
        }
        let now_ms = engine.clock.now_ms();
        self.signals.change(|inputs| {
            if let Some(left) = left {
                inputs.attached = left.attachment.user.is_some();
            }
            match result {
                Ok(_) => {
                    inputs.last_success_ms = Some(now_ms);
                    inputs.health = Health::Well;
                    inputs.credentials_rejected = false;
                    inputs.not_before_ms = None;
                }
                Err(error) => {
                    inputs.health = Health::after(error.kind()).unwrap_or(inputs.health);
                    inputs.credentials_rejected |= error.is_auth();
                }
            }
        });
    }
}

fn ended_abnormally() -> Error {
    Error::new(ErrorKind::Internal, "the operation ended abnormally; what was durable stays")
}
