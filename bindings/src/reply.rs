//! The answer to a question that the app's code is asked.

use std::sync::{Mutex, PoisonError};
use tokio::sync::oneshot;

/// Whoever waits for an answer. The first one counts; dropping this without one tells that none comes.
#[derive(Debug)]
pub(crate) struct Waiting<T>(Mutex<Option<oneshot::Sender<T>>>);

impl<T> Waiting<T> {
    pub(crate) fn new() -> (Self, oneshot::Receiver<T>) {
        let (waiting, answer) = oneshot::channel();
        (Self(Mutex::new(Some(waiting))), answer)
    }

    pub(crate) fn answer(&self, answer: T) {
        if let Some(waiting) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // An operation that was cancelled waits no more.
            let _ = waiting.send(answer);
        }
    }
}
