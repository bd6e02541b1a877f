//! What every step of the flow works with, and the order of the steps.

use super::conflict::{Decisions, Resolver};
use super::negotiate::Negotiated;
use super::push::{Patience, Pushed};
use super::stop::Bounds;
use crate::clock::{Clock, Rng};
use crate::config::{AnonymousRows, Hydrate, ProgressListener, TransferLimits};
use crate::error::{Error, ErrorKind, Result};
use crate::report::{Outcome, Phase, Progress, Report};
use crate::schema::ManagedSchema;
use crate::simulation::{mutated, mutation::Mutation};
use crate::storage::Database;
use crate::storage::agenda::{self, Agenda};
use crate::storage::attachment::{self, Attachment};
use crate::storage::{closure, detach, dirty_rows, operation, outbox, refused_rows};
use crate::transport::api::Api;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::{Mutex, watch};

/// Rounds of pull-and-rebase that one push may cost before it gives the word back to the host.
pub(super) const CONFLICT_ROUNDS: usize = 8;
/// Sources that one push may use up.
pub(super) const SOURCE_ROUNDS: usize = 3;
/// Rounds of `sync_then_detach`.
const DETACH_ROUNDS: usize = 3;

/// The parts.
pub(crate) struct Engine {
    pub(crate) database: Arc<Database>,
    pub(crate) schema: Arc<ManagedSchema>,
    pub(crate) api: Api,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) resolver: Option<Arc<dyn Resolver>>,
    pub(crate) anonymous_rows: AnonymousRows,
    pub(crate) hydrate: Hydrate,
    pub(crate) limits: TransferLimits,
    pub(crate) progress: Option<ProgressListener>,
    pub(crate) latest_progress: watch::Sender<Option<Progress>>,
    pub(super) negotiated: Mutex<Option<Negotiated>>,
    pub(super) bounds: Bounds,
}

/// Where the database stands at one moment.
pub(crate) struct Overview {
    pub(crate) attachment: Attachment,
    pub(crate) operation: Option<operation::OperationKind>,
    pub(crate) has_outbox: bool,
    pub(crate) pending_rows: i64,
    pub(crate) refused_rows: i64,
}

impl Engine {
    pub(crate) fn new(
        database: Arc<Database>,
        schema: Arc<ManagedSchema>,
        api: Api,
        config: &crate::Config,
    ) -> Self {
        Self {
            database,
            schema,
            api,
            clock: config.clock.clone(),
            rng: config.rng.clone(),
            resolver: config.resolver.clone(),
            anonymous_rows: config.anonymous_rows,
            hydrate: config.hydrate,
            limits: config.limits,
            progress: config.progress.clone(),
            latest_progress: watch::channel(None).0,
            negotiated: Mutex::new(None),
            bounds: Bounds::default(),
        }
    }

    /// Settles, pulls and rebases, pushes. Answers what is left to do, where that was the last it looked at.
    pub(crate) async fn sync(&self, report: &mut Report) -> Result<Option<Agenda>> {
        let agenda = match mutated(Mutation::NotSettled) {
            true => self.agenda().await?,
            false => self.settle(report).await?,
        };
        if agenda.attachment.initialization_id.is_none() {
            self.pull_and_rebase(agenda, report).await?;
        }
        self.push_rounds(report).await
    }

    /// Settles, then pushes; pulls only where a conflict asks for it.
    pub(crate) async fn push(&self, report: &mut Report) -> Result<Option<Agenda>> {
        self.settle(report).await?;
        self.push_rounds(report).await
    }

    /// Settles, then pulls and rebases.
    pub(crate) async fn pull(&self, report: &mut Report) -> Result<()> {
        let agenda = self.settle(report).await?;
        self.pull_and_rebase(agenda, report).await
    }

    /// Downloads everything anew and writes what differs; local intent is rebased.
    pub(crate) async fn rebuild(&self, report: &mut Report) -> Result<()> {
        let recorded = self.pending_operation().await?.is_some();
        self.settle(report).await?;
        if recorded {
            // The download that was recorded is a rebuild itself, and is done.
            return Ok(());
        }
        self.database
            .transaction(|transaction| {
                operation::start(transaction, &operation::OperationKind::Rebuild, "requested")
            })
            .await?;
        self.finish_operation(report).await
    }

    /// Detaches, unless rows are unsynced.
    pub(crate) async fn detach(&self, report: &mut Report) -> Result<()> {
        let attachment = self.attachment().await?;
        if attachment.user.is_none() {
            report.outcome = Outcome::NoChange;
            return Ok(());
        }
        let schema = self.schema.clone();
        let unsynced =
            self.database.transaction(move |transaction| detach::detach(transaction, &schema)).await?;
        report.outcome = match unsynced {
            0 => Outcome::Detached,
            rows => Outcome::BlockedUnsyncedData { rows },
        };
        if unsynced == 0 {
            self.forget_negotiated().await;
            self.api.forget_token();
        }
        Ok(())
    }

    /// Syncs until nothing is pending or pending stops shrinking, then detaches.
    pub(crate) async fn sync_then_detach(&self, report: &mut Report) -> Result<()> {
        let mut before = i64::MAX;
        for _ in 0..DETACH_ROUNDS {
            self.sync(report).await?;
            let pending = self.pending_rows().await?;
            if pending == 0 || pending >= before {
                break;
            }
            before = pending;
        }
        self.detach(report).await
    }

    /// Finishes what an earlier run left: a download, then the outbox. Answers what is left after that.
    async fn settle(&self, report: &mut Report) -> Result<Agenda> {
        let agenda = self.agenda().await?;
        if !agenda.unsettled {
            return Ok(agenda);
        }
        self.finish_operation(report).await?;
        let outbox = self.database.read(outbox::load).await?;
        if let Some(outbox) = outbox {
            match self.push_outbox(outbox, Patience::Full, report).await? {
                // What a row is refused for shows again when it is pushed with what was written since.
                Pushed::Committed | Pushed::RowsRefused(_) => {}
                Pushed::Conflict(conflict) => self.rebase(*conflict, report).await?,
                Pushed::SourceReplaced => {}
            }
            self.finish_operation(report).await?;
        }
        self.agenda().await
    }

    /// Asks the server anew what it can do before the next operation: an error may mean that this has changed.
    pub(crate) async fn forget_negotiated(&self) {
        *self.negotiated.lock().await = None;
    }

    async fn push_rounds(&self, report: &mut Report) -> Result<Option<Agenda>> {
        let agenda = self.agenda().await?;
        if !agenda.intent {
            return Ok(Some(agenda));
        }
        // A search that was interrupted begins anew.
        self.database.transaction(|transaction| closure::select(transaction, &[])).await?;
        let mut conflict_rounds = 0;
        let mut tombstones = HashSet::new();
        let mut sources = 0;
        loop {
            self.boundary()?;
            let Some((outbox, more)) = self.freeze().await? else { break };
            let rows = outbox.row_count;
            match self.push_outbox(outbox, Patience::Full, report).await? {
                Pushed::RowsRefused(refused) => self.isolate(*refused, report).await?,
                Pushed::Committed if more => continue,
                Pushed::Committed => break,
                Pushed::SourceReplaced => {
                    sources += 1;
                    if sources > SOURCE_ROUNDS {
                        return Err(sources_remain());
                    }
                    self.finish_operation(report).await?;
                }
                Pushed::Conflict(conflict) => {
                    // A tombstone that no download brings is met once for each row, and is no race with anybody.
                    let tombstone = conflict.as_ref().as_ref().filter(|conflict| conflict.server_row_deleted);
                    let first_met = tombstone.is_some_and(|met| {
                        i64::try_from(tombstones.len()).is_ok_and(|known| known < rows)
                            && tombstones.insert((met.table.clone(), met.key.value.to_string()))
                    });
                    conflict_rounds += usize::from(!first_met);
                    if conflict_rounds > CONFLICT_ROUNDS {
                        return Err(conflicts_remain());
                    }
                    self.rebase(*conflict, report).await?;
                }
            }
        }
        // A bundle of another device came in between: the gap is read now, not at the next sync.
        if report.pushed_rows > 0 && self.behind_own_bundle().await? {
            self.pull_and_rebase(self.agenda().await?, report).await?;
        }
        Ok(None)
    }

    pub(super) fn decisions(&self) -> Decisions {
        Decisions::default()
    }

    pub(super) async fn ask_resolver(&self, decisions: &mut Decisions) -> Result<()> {
        decisions.ask(self.resolver.as_deref(), &self.schema).await
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    pub(super) fn show(
        &self,
        phase: Phase,
        rows: i64,
        total_rows: Option<i64>,
        bytes: i64,
        total_bytes: Option<i64>,
    ) {
        let progress = Progress { activity: self.activity(), phase, rows, total_rows, bytes, total_bytes };
        self.latest_progress.send_replace(Some(progress));
        if let Some(listener) = &self.progress {
            listener(progress);
        }
    }

    pub(crate) async fn attachment(&self) -> Result<Attachment> {
        Ok(self.database.read(attachment::load).await?)
    }

    /// Where the database stands, all of one moment, without waiting for the writer.
    pub(crate) async fn overview(&self) -> Result<Overview> {
        let schema = self.schema.clone();
        Ok(self
            .database
            .read(move |connection| {
                let moment = connection.unchecked_transaction()?;
                Ok(Overview {
                    attachment: attachment::load(&moment)?,
                    operation: operation::load(&moment)?.map(|operation| operation.kind),
                    has_outbox: outbox::load(&moment)?.is_some(),
                    pending_rows: dirty_rows::count_pending(&moment, &schema)?,
                    refused_rows: refused_rows::count(&moment)?,
                })
            })
            .await?)
    }

    /// The attachment, if there is a user.
    pub(super) async fn attached(&self) -> Result<Attachment> {
        self.attachment().await.and_then(with_user)
    }

    /// What is left to do.
    pub(crate) async fn left_to_do(&self) -> Result<Agenda> {
        Ok(self.database.read(agenda::load).await?)
    }

    /// What is left to do, if there is a user.
    pub(super) async fn agenda(&self) -> Result<Agenda> {
        let agenda = self.left_to_do().await?;
        Ok(Agenda { attachment: with_user(agenda.attachment)?, ..agenda })
    }

    /// Rows of local intent that the server does not have.
    pub(crate) async fn pending_rows(&self) -> Result<i64> {
        let schema = self.schema.clone();
        Ok(self.database.transaction(move |transaction| dirty_rows::pending(transaction, &schema)).await?)
    }
}

fn with_user(attachment: Attachment) -> Result<Attachment> {
    match attachment.user {
        Some(_) => Ok(attachment),
        None => Err(Error::new(
            ErrorKind::NotAttached,
            "the database is not attached to a user; call attach first",
        )),
    }
}

pub(super) fn conflicts_remain() -> Error {
    let text = format!(
        "other devices kept changing the same rows for {CONFLICT_ROUNDS} rounds; the local rows are still pending, \
         call sync again"
    );
    Error::new(ErrorKind::ConflictsRemain, text)
}

pub(super) fn sources_remain() -> Error {
    let text = "the server refuses every source that this database takes on; nothing was dropped, the rows are still \
                pending. Update the server, or call sync again";
    Error::new(ErrorKind::SourceMismatch, text)
}
