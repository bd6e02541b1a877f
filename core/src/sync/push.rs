//! Push: freeze, session, chunks, commit (`docs/protocol.md` section 4).
//!
//! A lost response of any step is answered by creating the session again: the server then says whether the
//! bundle was committed.

use super::decide::{self, PushRefusal, after_push_refusal};
use super::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::ids::SourceId;
use crate::protocol::message::{CommittedBundle, PushSessionReply, PushSessionRequest, ReplacementReason};
use crate::protocol::problem::{Conflict, Problem, ProblemCode, RefusedTarget};
use crate::protocol::profile::WireGeneration;
use crate::report::{Phase, Report};
use crate::simulation::{mutated, mutation::Mutation};
use crate::storage::operation::{self, OperationKind};
use crate::storage::outbox::{self, Outbox};
use crate::storage::{attachment, bundle, dirty_rows, freeze};
use crate::transport::api::{Answer, Refusal, is_transient, transient_waits};

/// How an upload ended, where it did not fail.
#[derive(Debug)]
pub(super) enum Pushed {
    /// The server has it, and it was replayed.
    Committed,
    /// Another device was faster on a row; everything is dirty again.
    Conflict(Box<Option<Conflict>>),
    /// The source was or has to be replaced; everything is dirty again and what is left to do is recorded.
    SourceReplaced,
    /// The server refuses a row for good; everything is dirty again.
    RowsRefused(Box<RowsRefused>),
}

/// A bundle that holds a row which the server refuses for good.
#[derive(Debug)]
pub(super) struct RowsRefused {
    /// The row, where the server names it.
    pub(super) named: Option<RefusedTarget>,
    /// Whether the server said that it is about the rows, and did not just fail.
    pub(super) definite: bool,
    pub(super) error: Error,
}

/// How often a failing commit is tried before the rows are suspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// As often as any transient failure.
    Full,
    /// Once: the same rows failed before.
    Once,
}

/// How one try of a session ended.
enum Try {
    /// `earlier`: the server had it before this try.
    Committed {
        bundle: CommittedBundle,
        earlier: bool,
    },
    Refused {
        step: PushRefusal,
        code: Option<ProblemCode>,
        problem: Box<Problem>,
        error: Error,
    },
}

impl Engine {
    /// Freezes what is dirty, and says whether more is left for another bundle.
    pub(super) async fn freeze(&self) -> Result<Option<(Outbox, bool)>> {
        let negotiated = self.own_limits().await?;
        let (schema, now_ms) = (self.schema.clone(), self.now_ms());
        Ok(self
            .database
            .transaction(move |transaction| {
                let frozen =
                    freeze::freeze(transaction, &schema, negotiated.generation, negotiated.bundle, now_ms)?;
                frozen.map(|outbox| dirty_rows::any(transaction).map(|more| (outbox, more))).transpose()
            })
            .await?)
    }

    async fn own_limits(&self) -> Result<super::negotiate::Negotiated> {
        let source = self.attached().await?.source_id;
        self.negotiate(&source).await
    }

    /// Uploads the outbox and replays it.
    pub(super) async fn push_outbox(
        &self,
        outbox: Outbox,
        patience: Patience,
        report: &mut Report,
    ) -> Result<Pushed> {
        if let Some(bundle) = outbox.committed.clone() {
            return self.replay(&outbox, bundle, report).await;
        }
        let mut lease = self.attachment().await?.initialization_id;
        let mut waits = transient_waits();
        let mut recreations = 0;
        loop {
            let (step, code, mut problem, error) = match self.try_session(&outbox, lease.as_deref()).await? {
                Try::Committed { bundle, earlier } => {
                    return self.finish(outbox, bundle, earlier, report).await;
                }
                Try::Refused { step, code, problem, error } => (step, code, problem, error),
            };
            let step = match step {
                PushRefusal::Transient => {
                    if mutated(Mutation::LostReplyTakenAsDone) {
                        self.database.transaction(outbox::clear).await?;
                        return Ok(Pushed::Committed);
                    }
                    let suspect = decide::after_patience(code);
                    let patient = patience == Patience::Full || suspect != PushRefusal::Rows;
                    match waits.next().filter(|_| patient) {
                        Some(wait) => {
                            self.api.pause(wait).await?;
                            continue;
                        }
                        None => suspect,
                    }
                }
                step => step,
            };
            match step {
                PushRefusal::Conflict => {
                    self.database.transaction(outbox::thaw).await?;
                    return Ok(Pushed::Conflict(Box::new(problem.conflict.take())));
                }
                PushRefusal::ReplaceSource { reason, replacement } => {
                    self.record_source_recovery(reason, replacement).await?;
                    return Ok(Pushed::SourceReplaced);
                }
                PushRefusal::LeaseLost if lease.is_some() => lease = None,
                PushRefusal::LeaseLost => {
                    self.become_anonymous().await?;
                    return Err(error);
                }
                PushRefusal::Recreate if recreations < 3 => recreations += 1,
                PushRefusal::Rows => {
                    let definite = code != Some(ProblemCode::PushSessionCommitFailed);
                    let refused = RowsRefused { named: problem.refused.take(), definite, error };
                    return self.give_up(outbox, lease.as_deref(), GaveUp::Rows(refused), report).await;
                }
                PushRefusal::Recreate | PushRefusal::Surface | PushRefusal::Transient => {
                    return self.give_up(outbox, lease.as_deref(), GaveUp::Bundle(error), report).await;
                }
            }
        }
    }

    /// The server does not take the bundle. Once it says that nothing of it was committed, the rows are dirty
    /// again: pulls go on, and an edit can mend what was refused. A scope that is not initialised (any more)
    /// frees the database for another attach.
    async fn give_up(
        &self,
        outbox: Outbox,
        lease: Option<&str>,
        why: GaveUp,
        report: &mut Report,
    ) -> Result<Pushed> {
        use ProblemCode::{ScopeInitializing, ScopeUninitialized};
        let error = why.error().clone();
        if error.kind() != ErrorKind::Server {
            return Err(error);
        }
        let scope_lost = matches!(error.problem_code(), Some(ScopeUninitialized | ScopeInitializing));
        if scope_lost && lease.is_none() {
            return Err(self.lose_scope(error).await?);
        }
        let request = self.session_request(&outbox, lease).await?;
        match self.api.create_push_session(&outbox.source_id, &request).await {
            Ok(PushSessionReply::Staging { .. }) => {
                self.database.transaction(outbox::thaw).await?;
                match why {
                    GaveUp::Rows(refused) => Ok(Pushed::RowsRefused(Box::new(refused))),
                    GaveUp::Bundle(error) => Err(error),
                }
            }
            Ok(PushSessionReply::AlreadyCommitted(bundle)) => self.finish(outbox, bundle, true, report).await,
            // Nothing is proven, so the bundle stays frozen as it is.
            Err(_) => Err(error),
        }
    }

    /// The server has lost this user's data, or another device is just seeding it anew: everything here is intent
    /// again for the next attach, which the error asks for.
    pub(super) async fn lose_scope(&self, error: Error) -> Result<Error> {
        if self.attachment().await?.checkpoint.0 == 0 {
            // It never had anything of this database.
            self.become_anonymous().await?;
            return Ok(error);
        }
        log::warn!(
            "the server has nothing of this user any more; the database is anonymous until the next attach"
        );
        self.database.transaction(attachment::release_lost_scope).await?;
        Ok(error)
    }

    /// Nothing was committed, and the scope is not ours to push to: the intent waits for the next attach.
    async fn become_anonymous(&self) -> Result<()> {
        self.database
            .transaction(|transaction| {
                outbox::thaw(transaction)?;
                attachment::release(transaction)
            })
            .await?;
        Ok(())
    }

    /// Keeps the server's answer, then replays.
    async fn finish(
        &self,
        mut outbox: Outbox,
        bundle: CommittedBundle,
        earlier: bool,
        report: &mut Report,
    ) -> Result<Pushed> {
        let generation = self.negotiate(&outbox.source_id).await?.generation;
        match check_committed(&outbox, &bundle, generation)? {
            SameBundle::Yes => {}
            SameBundle::No if earlier => return self.rotate_source(&outbox).await,
            SameBundle::No => {
                let text = "POST /sync/push-sessions/{id}/commit: the server answers another request hash than the \
                            one of the rows that it was sent";
                return Err(Error::new(ErrorKind::Protocol, text));
            }
        }
        let stored = bundle.clone();
        self.database
            .transaction(move |transaction| outbox::set_committed(transaction, &stored, earlier))
            .await?;
        outbox.committed_earlier = earlier;
        self.replay(&outbox, bundle, report).await
    }

    /// The number of this bundle was used for other rows: another copy of this database has the same source. This
    /// one goes on under a source of its own; its intent is dirty again, and meets the other's rows in a pull.
    pub(super) async fn rotate_source(&self, outbox: &Outbox) -> Result<Pushed> {
        log::warn!(
            "bundle {} of source {} was committed with other rows: another copy of this database is in use; \
             going on under a new source",
            outbox.source_bundle_id,
            outbox.source_id
        );
        self.database
            .transaction(|transaction| {
                outbox::thaw(transaction)?;
                attachment::replace_source(transaction, &SourceId::mint())
            })
            .await?;
        Ok(Pushed::SourceReplaced)
    }

    async fn session_request(&self, outbox: &Outbox, lease: Option<&str>) -> Result<PushSessionRequest> {
        let generation = self.negotiate(&outbox.source_id).await?.generation;
        Ok(PushSessionRequest {
            source_bundle_id: outbox.source_bundle_id,
            planned_row_count: outbox.row_count,
            initialization_id: lease.map(str::to_owned).filter(|_| !mutated(Mutation::LeaseNotSent)),
            canonical_request_hash: generation.sends_request_hash().then(|| outbox.request_hash.clone()),
        })
    }

    async fn try_session(&self, outbox: &Outbox, lease: Option<&str>) -> Result<Try> {
        let refused = |refusal: Refusal| {
            let transient = is_transient(&refusal);
            let (code, problem, error) = match refusal {
                Refusal::Problem { code, problem, error, .. } => (code, problem, error),
                Refusal::Failure(error) if transient => (None, Box::default(), error),
                Refusal::Failure(error) => return Err(error),
            };
            let step = after_push_refusal(code, &problem, transient, lease.is_some());
            Ok(Try::Refused { step, code, problem, error })
        };
        let negotiated = self.negotiate(&outbox.source_id).await?;
        let request = self.session_request(outbox, lease).await?;
        let push_id = match self.api.create_push_session(&outbox.source_id, &request).await {
            Ok(PushSessionReply::AlreadyCommitted(bundle)) => {
                return Ok(Try::Committed { bundle, earlier: true });
            }
            Ok(PushSessionReply::Staging { push_id, next_expected_row_ordinal: 0, .. }) => push_id,
            Ok(PushSessionReply::Staging { .. }) => {
                let text = "POST /sync/push-sessions: a new session does not start at row ordinal 0";
                return Err(Error::new(ErrorKind::Protocol, text));
            }
            Err(refusal) => return refused(refusal),
        };
        if let Err(refusal) = self.upload(outbox, &push_id, negotiated.upload_rows).await {
            return refused(refusal);
        }
        match self.api.commit(&outbox.source_id, &push_id).await {
            Ok(bundle) => Ok(Try::Committed { bundle, earlier: false }),
            Err(refusal) => refused(refusal),
        }
    }

    async fn upload(&self, outbox: &Outbox, push_id: &str, max_rows: i64) -> Answer<()> {
        let (mut sent, mut bytes) = (0, 0);
        while sent < outbox.row_count {
            self.boundary()?;
            let (schema, max_bytes) = (self.schema.clone(), self.limits.upload_bytes);
            let chunk = self
                .database
                .read(move |connection| outbox::chunk(connection, &schema, sent, max_rows, max_bytes))
                .await
                .map_err(Error::from)?;
            let size = i64::try_from(chunk.body.len()).unwrap_or(i64::MAX);
            let answer = self.api.push_chunk(&outbox.source_id, push_id, chunk.body).await?;
            sent += chunk.rows;
            bytes += size;
            if answer.next_expected_row_ordinal != sent {
                let text = format!(
                    "POST /sync/push-sessions/{{id}}/chunks: the server expects row {} after {sent} rows",
                    answer.next_expected_row_ordinal
                );
                return Err(Error::new(ErrorKind::Protocol, text).into());
            }
            self.show(Phase::Upload, sent, Some(outbox.row_count), bytes, None);
        }
        Ok(())
    }

    /// Records that the source is to be replaced; the frozen intent is dirty again for the new source.
    async fn record_source_recovery(
        &self,
        reason: ReplacementReason,
        replacement: Option<SourceId>,
    ) -> Result<()> {
        let kind =
            OperationKind::SourceRecovery { reason, replacement: replacement.unwrap_or_else(SourceId::mint) };
        self.database
            .transaction(move |transaction| {
                outbox::thaw(transaction)?;
                operation::start(transaction, &kind, "")
            })
            .await?;
        Ok(())
    }

    /// Pulls and rebases everything that moved, then meets the conflict itself, where a pull cannot bring it
    /// (a tombstone older than the checkpoint).
    pub(super) async fn rebase(&self, conflict: Option<Conflict>, report: &mut Report) -> Result<()> {
        self.pull_and_rebase(self.agenda().await?, report).await?;
        let Some(conflict) = conflict else { return Ok(()) };
        let generation = self.own_limits().await?.generation;
        let conflict = std::sync::Arc::new(conflict);
        let mut decisions = self.decisions();
        loop {
            let (schema, now_ms, conflict) = (self.schema.clone(), self.now_ms(), conflict.clone());
            let mut asked = decisions;
            let (answered, met) = self
                .database
                .write(move |connection| {
                    let met =
                        bundle::meet_conflict(connection, &schema, generation, &conflict, &mut asked, now_ms);
                    Ok((asked, met))
                })
                .await?;
            decisions = answered;
            match met {
                Ok(applied) => {
                    report.conflicts += applied.conflicts;
                    return Ok(());
                }
                Err(crate::storage::StorageError::Undecided) => self.ask_resolver(&mut decisions).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Why a bundle was given up.
enum GaveUp {
    /// Something about the whole of it.
    Bundle(Error),
    /// A row in it.
    Rows(RowsRefused),
}

impl GaveUp {
    fn error(&self) -> &Error {
        match self {
            Self::Bundle(error) => error,
            Self::Rows(refused) => &refused.error,
        }
    }
}

/// Whether the bundle that the server names holds the rows that were frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SameBundle {
    Yes,
    No,
}

/// The bundle that the server names must be this one; a differing request hash proves other rows.
fn check_committed(
    outbox: &Outbox,
    bundle: &CommittedBundle,
    generation: WireGeneration,
) -> Result<SameBundle> {
    let same = bundle.source_id == outbox.source_id && bundle.source_bundle_id == outbox.source_bundle_id;
    if !same || bundle.bundle_seq.0 < 1 {
        let text = "the server's answer to the commit describes another bundle";
        return Err(Error::new(ErrorKind::Protocol, text));
    }
    let differs = generation.sends_request_hash()
        && bundle.canonical_request_hash.as_ref() != Some(&outbox.request_hash);
    Ok(if differs { SameBundle::No } else { SameBundle::Yes })
}
