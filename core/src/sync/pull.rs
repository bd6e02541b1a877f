//! Pull and rebase: other devices' bundles in order, each in one transaction (`docs/protocol.md` section 6).

use super::conflict::Decisions;
use super::decide::pull_needs_rebuild;
use super::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::ids::BundleSeq;
use crate::protocol::message::PullResponse;
use crate::protocol::problem::ProblemCode;
use crate::protocol::profile::WireGeneration;
use crate::protocol::validate;
use crate::report::{Phase, Report};
use crate::schema::ManagedSchema;
use crate::storage::agenda::Agenda;
use crate::storage::apply::Applied;
use crate::storage::bundle::{self, PageProgress};
use crate::storage::dirty_rows;
use crate::storage::operation::{self, CHECKPOINT_AHEAD, OperationKind};
use crate::transport::api::{Body, Refusal};
use std::sync::Arc;

/// A page without bundles is smaller, and needs no look into the database.
const EMPTY_PAGE_BYTES: usize = 512;

enum Page {
    Applied { last: BundleSeq, stable: BundleSeq, has_more: bool },
    NeedsRebuild(&'static str),
}

impl Engine {
    /// Reads bundles up to the stable sequence of the first page. A checkpoint that is of no use any more is
    /// answered by a rebuild, durably decided before it begins.
    pub(super) async fn pull_and_rebase(&self, agenda: Agenda, report: &mut Report) -> Result<()> {
        let agenda = match agenda.added_tables {
            true => {
                self.hydrate_added_tables(report).await?;
                self.agenda().await?
            }
            false => agenda,
        };
        self.pull_bundles(agenda, report).await
    }

    /// Pulls, without a look at tables that were added.
    pub(super) async fn pull_bundles(&self, agenda: Agenda, report: &mut Report) -> Result<()> {
        let attachment = agenda.attachment;
        let negotiated = self.negotiate(&attachment.source_id).await?;
        if agenda.intent {
            // Rows that came and went here while an upload was under way meet nothing.
            let schema = self.schema.clone();
            self.database.transaction(move |transaction| dirty_rows::prune(transaction, &schema)).await?;
        }
        let mut after = attachment.checkpoint;
        let mut target = None;
        let mut bytes = 0;
        loop {
            self.boundary()?;
            let answer = self
                .api
                .pull(
                    &attachment.source_id,
                    after,
                    negotiated.pull_bundles,
                    target,
                    self.limits.response_bytes,
                )
                .await;
            let body = match answer {
                Ok(body) => Arc::new(body),
                Err(Refusal::Problem {
                    code: Some(ProblemCode::ScopeUninitialized | ProblemCode::ScopeInitializing),
                    error,
                    ..
                }) if attachment.initialization_id.is_none() => {
                    return Err(self.lose_scope(error).await?);
                }
                Err(Refusal::Problem { code, error, .. }) => match pull_needs_rebuild(code) {
                    Some(reason) => return self.rebuild_for(reason, report).await,
                    None => return Err(error),
                },
                Err(refusal) => return Err(refusal.into()),
            };
            bytes += i64::try_from(body.len()).unwrap_or(i64::MAX);
            match self.apply_page(body, after, target, negotiated.generation, report).await? {
                Page::NeedsRebuild(reason) => return self.rebuild_for(reason, report).await,
                Page::Applied { last, stable, has_more } => {
                    after = last;
                    target = Some(stable);
                    self.show(Phase::Pull, report.pulled_rows, None, bytes, None);
                    if !has_more {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn rebuild_for(&self, reason: &'static str, report: &mut Report) -> Result<()> {
        log::info!("the checkpoint is of no use any more ({reason}); rebuilding");
        self.database
            .transaction(move |transaction| operation::start(transaction, &OperationKind::Rebuild, reason))
            .await?;
        self.finish_operation(report).await
    }

    /// Applies a page; stops where the resolver is needed, asks it about all conflicts of the page at once, and
    /// goes on with its decisions.
    async fn apply_page(
        &self,
        body: Arc<Body>,
        after: BundleSeq,
        target: Option<BundleSeq>,
        generation: WireGeneration,
        report: &mut Report,
    ) -> Result<Page> {
        if body.len() <= EMPTY_PAGE_BYTES
            && let Read::Page(page) = read_page(&body, after, target)?
            && page.bundles.is_empty()
        {
            return Ok(Page::Applied {
                last: after,
                stable: page.stable_bundle_seq,
                has_more: page.has_more,
            });
        }
        let mut decisions = self.decisions();
        let mut from = after;
        loop {
            let (schema, now_ms, page_body) = (self.schema.clone(), self.now_ms(), body.clone());
            let mut asked = decisions;
            let (answered, step) = self
                .database
                .write(move |connection| {
                    let step = apply_body(
                        connection, &schema, generation, &page_body, after, target, from, &mut asked, now_ms,
                    );
                    Ok((asked, step))
                })
                .await?;
            decisions = answered;
            let (progress, stable, has_more) = match step? {
                Step::Applied(progress, stable, has_more) => (progress, stable, has_more),
                Step::NeedsRebuild(reason) => return Ok(Page::NeedsRebuild(reason)),
            };
            count(report, &progress);
            from = progress.last;
            if progress.needs_rebuild {
                return Ok(Page::NeedsRebuild("delete_undone"));
            }
            if progress.undecided {
                self.ask_resolver(&mut decisions).await?;
                continue;
            }
            return Ok(Page::Applied { last: from.max(after), stable, has_more });
        }
    }
}

/// What a body of a pull says.
enum Read<'a> {
    Page(PullResponse<'a>),
    NeedsRebuild(&'static str),
}

enum Step {
    Applied(PageProgress, BundleSeq, bool),
    NeedsRebuild(&'static str),
}

/// Parses, checks and applies a page on the database thread, so that its rows are read only once.
#[allow(clippy::too_many_arguments)] // one page, where it begins, and who decides
fn apply_body(
    connection: &mut crate::storage::Connection,
    schema: &ManagedSchema,
    generation: WireGeneration,
    body: &Body,
    after: BundleSeq,
    target: Option<BundleSeq>,
    from: BundleSeq,
    decisions: &mut Decisions,
    now_ms: i64,
) -> Result<Step> {
    let page = match read_page(body, after, target)? {
        Read::Page(page) => page,
        Read::NeedsRebuild(reason) => return Ok(Step::NeedsRebuild(reason)),
    };
    let progress =
        bundle::apply_page(connection, schema, generation, &page.bundles, from, decisions, now_ms)?;
    Ok(Step::Applied(progress, page.stable_bundle_seq, page.has_more))
}

fn read_page(body: &Body, after: BundleSeq, target: Option<BundleSeq>) -> Result<Read<'_>> {
    let page: PullResponse<'_> = body.parse()?;
    if let Some(reason) = gap(&page, after) {
        return Ok(Read::NeedsRebuild(reason));
    }
    validate::pull(&page, after, target)
        .map_err(|error| Error::new(ErrorKind::Protocol, format!("GET /sync/pull: {error}")))?;
    Ok(Read::Page(page))
}

fn count(report: &mut Report, progress: &PageProgress) {
    let Applied { rows, conflicts, .. } = progress.applied;
    report.pulled_rows += rows;
    report.conflicts += conflicts;
    report.pulled_bundles += progress.bundles;
}

/// Sequences have no gaps, so a hole right after the checkpoint is pruned history, and a server that is behind
/// the checkpoint has lost some: the reference server says neither.
fn gap(page: &PullResponse<'_>, after: BundleSeq) -> Option<&'static str> {
    if page.stable_bundle_seq < after {
        return Some(CHECKPOINT_AHEAD);
    }
    let first = page.bundles.first().map(|bundle| bundle.bundle_seq);
    if first.is_some_and(|seq| seq > after.next()) {
        return Some("history_pruned");
    }
    None
}
