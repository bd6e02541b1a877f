//! An operation that was begun, and how to stop it.

use crate::error::RowtideError;
use crate::report::Report;

/// An operation that was begun, on a task of its own. Dropping this stops waiting for it, never the step that it is in.
#[derive(Debug, uniffi::Object)]
pub struct RunningOperation {
    running: rowtide::RunningOperation,
}

impl RunningOperation {
    pub(crate) fn of(running: rowtide::RunningOperation) -> Self {
        Self { running }
    }
}

#[uniffi::export]
impl RunningOperation {
    /// Waits for its end.
    ///
    /// # Errors
    /// Whatever fails; rows that the server does not have stay pending, and the next operation goes on from there.
    /// `Cancelled` after [`cancel`](Self::cancel).
    pub async fn wait(&self) -> Result<Report, RowtideError> {
        Ok(self.running.wait().await?.into())
    }

    /// Stops it between two durable steps, requests and waits at once; the next operation goes on from there. A sync that
    /// other callers share goes on for them, and only this one is told that it ended. Returns at once; wait for the end.
    pub fn cancel(&self) {
        self.running.cancel();
    }
}
