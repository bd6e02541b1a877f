//! Running operations: each on a task of its own, one at a time, recorded when it ends.

use super::{Shared, SharedRun, finished};
use crate::error::{Error, ErrorKind, Result};
use crate::report::{Activity, Budget, Health, Report};
use crate::storage::attachment;
use crate::sync::Engine;
use crate::transport::api::Traffic;
use futures_util::FutureExt;
use std::future::Future;
use std::sync::Arc;

impl Shared {
    /// Runs an operation on a task of its own, one at a time, and fills in what is counted for all of them.
    pub(super) async fn operate<F, W>(
        self: Arc<Self>,
        activity: Activity,
        budget: Budget,
        work: F,
    ) -> Result<Report>
    where
        F: FnOnce(Arc<Engine>, Report) -> W + Send + 'static,
        W: Future<Output = Result<Report>> + Send + 'static,
    {
        let task = tokio::spawn(async move {
            let _one_at_a_time = self.operation.clone().lock_owned().await;
            self.run(activity, budget, work).await
        });
        task.await.map_err(|_| ended_abnormally())?
    }

    /// As [`Client::push`](super::Client::push), for the host and the loop.
    pub(crate) async fn push(self: Arc<Self>) -> Result<Report> {
        self.operate(Activity::Push, Budget::default(), |engine, mut report| async move {
            engine.push(&mut report).await?;
            Ok(finished(report))
        })
        .await
    }

    /// As [`Client::pull`](super::Client::pull), for the host and the loop.
    pub(crate) async fn pull(self: Arc<Self>) -> Result<Report> {
        self.operate(Activity::Pull, Budget::default(), |engine, mut report| async move {
            engine.pull(&mut report).await?;
            Ok(finished(report))
        })
        .await
    }

    /// Joins a sync that waits for its turn, or queues one: it begins after this call, so it includes what was
    /// written before it. For the host and the loop.
    pub(crate) async fn sync(self: Arc<Self>) -> Result<Report> {
        let run = {
            let mut queued = self.queued();
            match &*queued {
                Some(run) => run.clone(),
                None => {
                    let shared = self.clone();
                    let task = tokio::spawn(async move {
                        let _one_at_a_time = shared.operation.clone().lock_owned().await;
                        *shared.queued() = None;
                        shared
                            .run(Activity::Sync, Budget::default(), |engine, mut report| async move {
                                engine.sync(&mut report).await?;
                                Ok(finished(report))
                            })
                            .await
                    });
                    let run = async move { task.await.map_err(|_| ended_abnormally())? }.boxed().shared();
                    *queued = Some(run.clone());
                    run
                }
            }
        };
        run.await
    }

    fn queued(&self) -> std::sync::MutexGuard<'_, Option<SharedRun>> {
        self.queued.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn run<F, W>(&self, activity: Activity, budget: Budget, work: F) -> Result<Report>
    where
        F: FnOnce(Arc<Engine>, Report) -> W,
        W: Future<Output = Result<Report>>,
    {
        let engine = &self.engine;
        engine.begin(activity, budget);
        let before = engine.api.traffic();
        let result = work(engine.clone(), Report::default()).await;
        self.record(&result).await;
        let mut report = result?;
        let Traffic { requests, bytes_up, bytes_down } = engine.api.traffic();
        report.requests = requests - before.requests;
        report.bytes_up = bytes_up - before.bytes_up;
        report.bytes_down = bytes_down - before.bytes_down;
        report.refused_rows = engine.refused_rows().await?;
        report.paused = self.signals.inputs().paused();
        Ok(report)
    }

    /// Keeps the error's text for the status; a database that cannot keep it has said so already.
    async fn record(&self, result: &Result<Report>) {
        let engine = &self.engine;
        if result.is_err() {
            engine.forget_negotiated().await;
        }
        let text = result.as_ref().err().map(ToString::to_string);
        let stored = engine
            .database
            .transaction(move |transaction| attachment::set_last_error(transaction, text.as_deref()))
            .await;
        if let Err(error) = stored {
            log::warn!("the last error could not be stored: {error}");
        }
        let attached = engine.attachment().await.map(|attachment| attachment.user.is_some());
        let now_ms = engine.clock.now_ms();
        self.signals.change(|inputs| {
            inputs.attached = attached.unwrap_or(inputs.attached);
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
