//! The app's conflict decisions.

use crate::error::{CallbackError, RowtideError};
use crate::host::Hosted;
use crate::reply::Waiting;
use crate::values::RowValues;
use async_trait::async_trait;
use rowtide::ResolverError;
use std::sync::Arc;

/// A local change and the server's row that it meets.
#[derive(Debug, Clone, uniffi::Record)]
pub struct RowConflict {
    /// The table.
    pub table: String,
    /// The sync key as it travels: text, or a dashed UUID.
    pub key: String,
    /// The row that the local change was made on, where the table keeps it and there was one.
    pub base: Option<RowValues>,
    /// The local row; absent where it was deleted here.
    pub local: Option<RowValues>,
    /// The server's row; absent where it was deleted by another device.
    pub server: Option<RowValues>,
}

/// A decision about one conflict.
#[derive(Debug, Clone, uniffi::Enum)]
pub enum Decision {
    /// The server's row replaces the local change, which is dropped.
    AcceptServer,
    /// The local change is uploaded on top of the server's row.
    KeepLocal,
    /// The row becomes these values, all columns of the table, and is uploaded. Values that are no row of the table send
    /// the local row to the inbox, and the server's row takes its place.
    KeepMerged {
        /// The row.
        row: RowValues,
    },
}

/// The app's own conflict decisions. Called without any lock or transaction held.
#[uniffi::export(foreign)]
pub trait Resolver: Send + Sync + 'static {
    /// Asks for decisions about all conflicts of one round. Returns at once; the answer is given to `reply`, from any
    /// thread.
    ///
    /// # Errors
    /// What is thrown counts as [`ResolverReply::fail`].
    fn resolve(&self, conflicts: Vec<RowConflict>, reply: Arc<ResolverReply>) -> Result<(), CallbackError>;
}

type Answer = Result<Vec<rowtide::Decision>, ResolverError>;

/// Takes the decisions of one round. The first answer counts; a reply that is dropped without counts as failed.
#[derive(Debug, uniffi::Object)]
pub struct ResolverReply {
    waiting: Waiting<Answer>,
}

#[uniffi::export]
impl ResolverReply {
    /// Decides: one decision for each conflict, in their order.
    pub fn decide(&self, decisions: Vec<Decision>) {
        self.waiting.answer(decisions.into_iter().map(core_decision).collect());
    }

    /// No decision can be made now: the operation ends with `Undecided` and the rows stay pending. Say why without row
    /// contents.
    pub fn fail(&self, reason: String) {
        self.waiting.answer(Err(ResolverError(reason)));
    }
}

fn core_decision(decision: Decision) -> Result<rowtide::Decision, ResolverError> {
    Ok(match decision {
        Decision::AcceptServer => rowtide::Decision::AcceptServer,
        Decision::KeepLocal => rowtide::Decision::KeepLocal,
        Decision::KeepMerged { row } => rowtide::Decision::KeepMerged(
            row.try_into().map_err(|error: RowtideError| ResolverError(error.to_string()))?,
        ),
    })
}

pub(crate) struct HostResolver(pub(crate) Hosted<dyn Resolver>);

#[async_trait]
impl rowtide::Resolver for HostResolver {
    async fn resolve(&self, conflicts: &[rowtide::RowConflict]) -> Answer {
        let conflicts = conflicts
            .iter()
            .cloned()
            .map(|conflict| RowConflict {
                table: conflict.table,
                key: conflict.key,
                base: conflict.base.map(RowValues::from),
                local: conflict.local.map(RowValues::from),
                server: conflict.server.map(RowValues::from),
            })
            .collect();
        let (waiting, answer) = Waiting::new();
        let reply = Arc::new(ResolverReply { waiting });
        self.0.post(move |resolver| {
            if let Err(CallbackError::Failed { reason }) = resolver.resolve(conflicts, reply.clone()) {
                reply.waiting.answer(Err(ResolverError(reason)));
            }
        });
        answer.await.unwrap_or_else(|_| Err(ResolverError("the resolver gave no answer".into())))
    }
}
