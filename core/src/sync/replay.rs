//! Replay: what the server committed becomes the local row state, and the outbox ends.

use super::engine::Engine;
use super::push::Pushed;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::hash::{BundleHasher, HashedRow};
use crate::protocol::ids::RowVersion;
use crate::protocol::message::{CommittedBundle, CommittedRows, RowOp};
use crate::protocol::problem::ProblemCode;
use crate::protocol::profile::WireGeneration;
use crate::protocol::validate;
use crate::report::{Phase, Report};
use crate::storage::operation::{self, OperationKind};
use crate::storage::outbox::{self, Outbox};
use crate::storage::{attachment, replay, stage};
use crate::transport::api::{Answer, Body, Refusal};
use std::time::Duration;

/// A bundle that was just committed may not be visible at once (`docs/protocol.md` section 4).
const NOT_FOUND_TRIES: u32 = 6;

impl Engine {
    /// Replays a committed bundle. Where the server committed exactly what was sent, its hash says so and
    /// nothing is fetched.
    pub(super) async fn replay(
        &self,
        outbox: &Outbox,
        bundle: CommittedBundle,
        report: &mut Report,
    ) -> Result<Pushed> {
        let generation = self.negotiate(&outbox.source_id).await?.generation;
        if bundle.row_count == outbox.row_count {
            let (schema, version) = (self.schema.clone(), RowVersion::from(bundle.bundle_seq));
            let expected = self
                .database
                .read(move |connection| replay::expected_hash(connection, &schema, generation, version))
                .await?;
            if expected.as_ref() == Some(&bundle.bundle_hash) {
                let schema = self.schema.clone();
                self.database
                    .transaction(move |transaction| {
                        replay::replay_verbatim(transaction, &schema, generation, &bundle)
                    })
                    .await?;
                report.pushed_rows += outbox.row_count;
                return Ok(Pushed::Committed);
            }
        }
        match self.fetch_committed(outbox, &bundle, generation).await {
            Ok(()) => {}
            Err(Refusal::Problem { code: Some(ProblemCode::HistoryPruned), .. }) => {
                self.rebuild_instead(bundle).await?;
                report.pushed_rows += outbox.row_count;
                self.finish_operation(report).await?;
                return Ok(Pushed::Committed);
            }
            Err(refusal) => return Err(refusal.into()),
        }
        if outbox.committed_earlier && !generation.sends_request_hash() {
            // Without a request hash on the wire, the committed rows themselves say whose bundle this is.
            let schema = self.schema.clone();
            let ours = self
                .database
                .read(move |connection| replay::stage_holds_outbox(connection, &schema, generation))
                .await?;
            if !ours {
                return self.rotate_source(outbox).await;
            }
        }
        let (schema, now_ms) = (self.schema.clone(), self.now_ms());
        self.database
            .transaction(move |transaction| {
                replay::replay_staged(transaction, &schema, generation, &bundle, now_ms)
            })
            .await?;
        report.pushed_rows += outbox.row_count;
        Ok(Pushed::Committed)
    }

    /// Fetches the committed rows into the stage, and checks them against what was sent and the hash.
    async fn fetch_committed(
        &self,
        outbox: &Outbox,
        bundle: &CommittedBundle,
        generation: WireGeneration,
    ) -> Answer<()> {
        self.database.transaction(stage::clear).await.map_err(Error::from)?;
        let mut hasher = BundleHasher::new(generation);
        let (mut received, mut bytes) = (0, 0);
        loop {
            self.boundary()?;
            let after = (received > 0).then(|| received - 1);
            let body = self.committed_page(outbox, bundle, after).await?;
            bytes += i64::try_from(body.len()).unwrap_or(i64::MAX);
            let (schema, expected) = (self.schema.clone(), bundle.clone());
            let (page, rows, has_more) = self
                .database
                .transaction(move |transaction| {
                    Ok(stage_page(transaction, &schema, &expected, &body, hasher, received))
                })
                .await
                .map_err(Error::from)??;
            hasher = page;
            received += rows;
            self.show(Phase::Replay, received, Some(bundle.row_count), bytes, None);
            if !has_more {
                break;
            }
        }
        let protocol = |text: String| Refusal::Failure(Error::new(ErrorKind::Protocol, text));
        if received != bundle.row_count {
            return Err(protocol(format!(
                "bundle {} has {received} of {} rows",
                bundle.bundle_seq, bundle.row_count
            )));
        }
        if hasher.finish() != bundle.bundle_hash {
            return Err(protocol(format!(
                "the rows of bundle {} do not have its bundle_hash",
                bundle.bundle_seq
            )));
        }
        Ok(())
    }

    async fn committed_page(
        &self,
        outbox: &Outbox,
        bundle: &CommittedBundle,
        after: Option<i64>,
    ) -> Answer<Body> {
        let max_rows = self.negotiate(&outbox.source_id).await?.replay_rows;
        let max_bytes = self.limits.response_bytes;
        let mut wait = Duration::from_millis(75);
        let mut tries_left = NOT_FOUND_TRIES;
        loop {
            tries_left -= 1;
            let page = self
                .api
                .committed_rows(&outbox.source_id, bundle.bundle_seq, after, max_rows, max_bytes)
                .await;
            match page {
                Err(Refusal::Problem { code: Some(ProblemCode::CommittedBundleNotFound), .. })
                    if tries_left > 0 =>
                {
                    self.api.pause(wait).await?;
                    wait = (wait * 2).min(Duration::from_millis(600));
                }
                answer => return answer,
            }
        }
    }

    /// The committed rows are pruned: a snapshot holds them, and this source's number is used.
    async fn rebuild_instead(&self, bundle: CommittedBundle) -> Result<()> {
        self.database
            .transaction(move |transaction| {
                outbox::clear(transaction)?;
                attachment::finish_source_bundle(transaction, &bundle.source_id, bundle.source_bundle_id)?;
                operation::start(transaction, &OperationKind::Rebuild, "committed_replay_pruned")
            })
            .await?;
        Ok(())
    }

    /// Whether the checkpoint is below a bundle that this device committed.
    pub(super) async fn behind_own_bundle(&self) -> Result<bool> {
        Ok(self.database.read(replay::checkpoint_is_behind).await?)
    }
}

type StagedPage = (BundleHasher, i64, bool);

fn stage_page(
    transaction: &crate::storage::Transaction<'_>,
    schema: &crate::schema::ManagedSchema,
    expected: &CommittedBundle,
    body: &Body,
    mut hasher: BundleHasher,
    received: i64,
) -> Result<StagedPage> {
    let protocol = |text: String| {
        Error::new(ErrorKind::Protocol, format!("GET /sync/committed-bundles/{{seq}}/rows: {text}"))
    };
    let page: CommittedRows<'_> = body.parse()?;
    validate::committed_bundle(&page.bundle, expected).map_err(|error| protocol(error.to_string()))?;
    let rows = i64::try_from(page.rows.len()).unwrap_or(i64::MAX);
    if rows == 0 || page.next_row_ordinal != received + rows - 1 {
        return Err(protocol(format!(
            "a page of {rows} rows after {received} ends at ordinal {}",
            page.next_row_ordinal
        )));
    }
    for row in &page.rows {
        validate::committed_row(row).map_err(|error| protocol(error.to_string()))?;
        let payload = row.payload.map(|raw| raw.get());
        let hashed = HashedRow::from(row);
        hasher
            .committed_row(&hashed, row.row_version)
            .map_err(|_| protocol("a payload is not JSON".into()))?;
        if schema.ignores(&row.schema, &row.table) {
            continue;
        }
        let (table, key) = stage::locate(schema, &row.schema, &row.table, &row.key)?;
        stage::add(
            transaction,
            table,
            &key,
            row.op,
            row.row_version,
            payload.filter(|_| row.op != RowOp::Delete),
        )?;
    }
    Ok((hasher, rows, page.has_more))
}
