//! Observation: a listener in, a handle out. What was missed is coalesced, and nothing is buffered.

use crate::error::CallbackError;
use crate::host::Hosted;
use crate::report::{Progress, Status};
use crate::runtime;
use futures_util::{Stream, StreamExt};
use std::pin::pin;
use tokio_util::sync::CancellationToken;

/// Hears of the status. Called again only after it has returned, with what is newest then.
#[uniffi::export(foreign)]
pub trait StatusListener: Send + Sync + 'static {
    /// The status: at once the first time, then after every change.
    ///
    /// # Errors
    /// What is thrown is logged; the observation goes on.
    fn on_status(&self, status: Status) -> Result<(), CallbackError>;
}

/// Hears of the progress of long operations. Called again only after it has returned, with what is newest then.
#[uniffi::export(foreign)]
pub trait ProgressListener: Send + Sync + 'static {
    /// The newest progress.
    ///
    /// # Errors
    /// What is thrown is logged; the observation goes on.
    fn on_progress(&self, progress: Progress) -> Result<(), CallbackError>;
}

/// Hears of tables whose rows changed. Called again only after it has returned, with all that changed since.
#[uniffi::export(foreign)]
pub trait TablesListener: Send + Sync + 'static {
    /// Tables that commits changed, whoever wrote: the app, a download, a rebuild, a detach. The first call names all
    /// that are observed.
    ///
    /// # Errors
    /// What is thrown is logged; the observation goes on.
    fn on_tables_changed(&self, tables: Vec<String>) -> Result<(), CallbackError>;
}

/// An observation. It ends when it is cancelled or dropped, or with its client.
#[derive(Debug, uniffi::Object)]
pub struct Observation {
    ended: CancellationToken,
}

#[uniffi::export]
impl Observation {
    /// Ends it. A call of the listener that runs is finished; none begins afterwards.
    pub fn cancel(&self) {
        self.ended.cancel();
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

/// Gives a listener what a stream yields, one at a time, until the stream, the observation or the client ends.
pub(crate) fn observe<T, L>(
    client_ended: &CancellationToken,
    values: impl Stream<Item = T> + Send + 'static,
    listener: Hosted<L>,
    tell: fn(&L, T) -> Result<(), CallbackError>,
) -> Observation
where
    T: Send + 'static,
    L: ?Sized + Send + Sync + 'static,
{
    let ended = client_ended.child_token();
    let token = ended.clone();
    runtime::start(async move {
        let telling = async {
            let mut values = pin!(values);
            while let Some(value) = values.next().await {
                let token = token.clone();
                let told = listener.call(move |listener| match token.is_cancelled() {
                    true => Ok(()),
                    false => tell(listener, value),
                });
                if let Some(Err(CallbackError::Failed { reason })) = told.await {
                    log::warn!("a listener of the app failed: {reason}");
                }
            }
        };
        // Nothing is left of an observation that ended: its listener is given back.
        let _ = token.run_until_cancelled(telling).await;
    });
    Observation { ended }
}
