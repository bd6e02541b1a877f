//! Attach: binds the database to a user as the server resolves it (`docs/protocol.md` sections 3 and 13).

use super::engine::Engine;
use crate::config::AnonymousRows;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::message::Resolution;
use crate::protocol::validate;
use crate::report::{Outcome, Report};
use crate::simulation::{mutated, mutation::Mutation};
use crate::storage::operation::{self, OperationKind};
use crate::storage::{attachment, detach, progressive};

impl Engine {
    /// Attaches to a user; a first download is finished before this returns.
    pub(crate) async fn attach(&self, user: &str, report: &mut Report) -> Result<()> {
        if user.trim().is_empty() {
            return Err(Error::new(ErrorKind::Configuration, "the user id is empty"));
        }
        let current = self.attachment().await?;
        match current.user.as_deref() {
            Some(attached) if attached == user => {
                self.finish_operation(report).await?;
                report.outcome = Outcome::AlreadyAttached;
                return Ok(());
            }
            Some(_) => {
                let text = "the database is attached to another user; detach first";
                return Err(Error::new(ErrorKind::AttachedToAnother, text));
            }
            // Somebody else may have signed in since the last token.
            None => self.api.forget_token(),
        }
        self.negotiate(&current.source_id).await?;
        if self.resume_download(user, report).await? {
            return Ok(());
        }
        let pending = self.pending_rows().await?;
        let answer = self.api.connect(&current.source_id, pending > 0).await?;
        validate::connect(&answer)
            .map_err(|error| Error::new(ErrorKind::Protocol, format!("POST /sync/connect: {error}")))?;
        match answer.resolution {
            Resolution::RetryLater => {
                let seconds = answer.retry_after_seconds.unwrap_or(1).max(1);
                report.outcome = Outcome::RetryLater { seconds };
            }
            Resolution::InitializeEmpty | Resolution::InitializeLocal => {
                let (user, schema) = (user.to_owned(), self.schema.name.clone());
                self.database
                    .transaction(move |transaction| {
                        attachment::attach(transaction, &user, &schema, answer.initialization_id.as_deref())
                    })
                    .await?;
                report.outcome = Outcome::Attached;
            }
            Resolution::RemoteAuthoritative => {
                if pending > 0 && self.anonymous_rows == AnonymousRows::Refuse {
                    report.outcome = Outcome::BlockedUnsyncedData { rows: pending };
                    return Ok(());
                }
                self.start_download(user).await?;
                self.finish_operation(report).await?;
                report.outcome = Outcome::Attached;
            }
        }
        Ok(())
    }

    /// A download for this user that an earlier run began is finished; one for another user is dropped.
    async fn resume_download(&self, user: &str, report: &mut Report) -> Result<bool> {
        let pending = self.database.read(operation::load).await?;
        match pending.map(|found| found.kind) {
            Some(OperationKind::RemoteReplace { user: target }) if target == user => {
                self.finish_operation(report).await?;
                report.outcome = Outcome::Attached;
                Ok(true)
            }
            Some(kind) => {
                let schema = self.schema.clone();
                self.database
                    .transaction(move |transaction| {
                        if let OperationKind::RemoteReplace { .. } = kind {
                            progressive::withdraw(transaction, &schema)?;
                        }
                        operation::finish(transaction)
                    })
                    .await?;
                Ok(false)
            }
            None => Ok(false),
        }
    }

    async fn start_download(&self, user: &str) -> Result<()> {
        let kind = OperationKind::RemoteReplace { user: user.to_owned() };
        let discard =
            self.anonymous_rows == AnonymousRows::Discard || mutated(Mutation::AnonymousRowsDropped);
        let schema = self.schema.clone();
        self.database
            .transaction(move |transaction| {
                if discard {
                    detach::wipe(transaction, &schema)?;
                }
                operation::start(transaction, &kind, "remote_authoritative")
            })
            .await?;
        Ok(())
    }
}
