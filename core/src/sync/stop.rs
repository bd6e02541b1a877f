//! When a running operation has to stop: its budget is spent, or the host cancelled it. Asked between durable steps.

use super::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::report::{Activity, Budget};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// Shared by the callers of one run: it stops once all of them want it to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    callers: Arc<AtomicUsize>,
    token: CancellationToken,
}

impl Stop {
    /// One more caller; `false` where the run was stopped already and cannot be joined.
    pub(crate) fn join(&self) -> bool {
        self.callers.fetch_add(1, Ordering::AcqRel);
        !self.token.is_cancelled()
    }

    /// One caller less; the last one stops the run. Answers whether it was the last.
    pub(crate) fn leave(&self) -> bool {
        let last = self.callers.fetch_sub(1, Ordering::AcqRel) == 1;
        if last {
            self.token.cancel();
        }
        last
    }

    /// Waits until the run is to stop.
    pub(crate) async fn wanted(&self) {
        self.token.cancelled().await;
    }
}

/// The bounds of the operation that runs.
#[derive(Debug, Default)]
pub(super) struct Bounds(Mutex<Running>);

#[derive(Debug, Default)]
struct Running {
    token: CancellationToken,
    until_ms: Option<i64>,
    until_bytes: Option<i64>,
    spent: bool,
    activity: Activity,
}

impl Bounds {
    fn lock(&self) -> std::sync::MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Begins an operation with a budget, that stops when its callers want it to.
    pub(crate) fn begin(&self, activity: Activity, budget: Budget, stop: &Stop) {
        let time = budget.time.map(|time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        *self.bounds.lock() = Running {
            token: stop.token.clone(),
            until_ms: time.map(|time| self.now_ms().saturating_add(time)),
            until_bytes: budget.bytes.map(|bytes| self.bytes_so_far().saturating_add(bytes)),
            spent: false,
            activity,
        };
        self.api.stop_with(stop.token.clone());
    }

    /// The operation that runs.
    pub(super) fn activity(&self) -> Activity {
        self.bounds.lock().activity
    }

    /// Makes the running operation stop at its next boundary.
    pub(crate) fn cancel(&self) {
        self.bounds.lock().token.cancel();
    }

    /// Whether the operation that ended was stopped by its budget.
    pub(crate) fn spent_budget(&self) -> bool {
        self.bounds.lock().spent
    }

    /// To be called where everything so far is durable and another run can go on.
    pub(super) fn boundary(&self) -> Result<()> {
        let (now_ms, bytes) = (self.now_ms(), self.bytes_so_far());
        let mut running = self.bounds.lock();
        if running.token.is_cancelled() {
            return Err(Error::cancelled());
        }
        running.spent |= running.until_ms.is_some_and(|until| now_ms >= until);
        running.spent |= running.until_bytes.is_some_and(|until| bytes >= until);
        if running.spent {
            return Err(Error::new(ErrorKind::Cancelled, "the budget is spent; what was done is durable"));
        }
        Ok(())
    }

    fn bytes_so_far(&self) -> i64 {
        let traffic = self.api.traffic();
        traffic.bytes_up + traffic.bytes_down
    }
}
