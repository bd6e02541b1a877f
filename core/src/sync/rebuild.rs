//! Snapshot downloads: staged durably, resumed after a kill while the session lives, applied in one step
//! (design D7, `docs/protocol.md` section 7).

use super::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::ids::SourceId;
use crate::protocol::message::{
    ReplacementReason, SnapshotChunk, SnapshotRow, SnapshotSession, SnapshotSessionRequest, SourceReplacement,
};
use crate::protocol::problem::ProblemCode;
use crate::protocol::profile::WireGeneration;
use crate::protocol::validate;
use crate::report::{Phase, Report};
use crate::schema::{ManagedSchema, TableId};
use crate::simulation::{mutated, mutation::Mutation};
use crate::storage::operation::{self, Operation, OperationKind};
use crate::storage::{attachment, managed_tables, stage};
use crate::transport::api::{Answer, Body, Refusal};

/// Sessions that may end under a download before it gives up.
const SESSION_TRIES: usize = 3;

impl Engine {
    /// Finishes the recorded download, if there is one.
    pub(super) async fn finish_operation(&self, report: &mut Report) -> Result<()> {
        for _ in 0..SESSION_TRIES {
            let Some(operation) = self.database.read(operation::load).await? else {
                return self.clear_stage().await;
            };
            // An adopted database may have both; the frozen rows are settled first, the snapshot has them then.
            if operation.kind == OperationKind::Rebuild && self.has_outbox().await? {
                return Ok(());
            }
            let source = self.attachment().await?.source_id;
            let session = match operation.session.clone() {
                Some(session) => session,
                None => match self.create_session(&source, &operation).await? {
                    Some(session) => session,
                    None => continue,
                },
            };
            match self.download(&source, &session).await {
                Ok(()) => {}
                Err(Refusal::Problem {
                    code: Some(ProblemCode::SnapshotSessionNotFound | ProblemCode::SnapshotSessionExpired),
                    ..
                }) => {
                    self.database
                        .transaction(|transaction| operation::set_session(transaction, None))
                        .await?;
                    continue;
                }
                Err(refusal) => return Err(refusal.into()),
            }
            self.apply(&session, operation.kind, report).await?;
            self.api.delete_snapshot(&source, &session.snapshot_id).await;
            if self.pending_operation().await?.is_none() {
                return self.clear_stage().await;
            }
            // Rows of the server left their tables with refused ones, and come back with another snapshot.
        }
        Err(Error::new(
            ErrorKind::Network,
            "snapshot sessions kept ending before they were read; try again later",
        ))
    }

    /// Creates a session; `None` where the server has retired the source, and the download goes on under another.
    async fn create_session(
        &self,
        source: &SourceId,
        operation: &Operation,
    ) -> Result<Option<SnapshotSession>> {
        let source_replacement = match &operation.kind {
            OperationKind::SourceRecovery { .. } if mutated(Mutation::SourceNotReplaced) => None,
            OperationKind::SourceRecovery { reason, replacement } => Some(SourceReplacement {
                previous_source_id: source.clone(),
                new_source_id: replacement.clone(),
                reason: *reason,
            }),
            _ => None,
        };
        let replaces = source_replacement.is_some();
        let tables = self.tables_to_ask_for(&operation.kind, source).await?;
        let request = SnapshotSessionRequest { source_replacement, tables };
        let session = match self.api.create_snapshot(source, &request).await {
            Ok(session) => session,
            Err(Refusal::Problem { code: Some(ProblemCode::SourceRetired), problem, error, .. }) => {
                let named =
                    problem.replaced_by_source_id.filter(|_| problem.source_id.as_ref() == Some(source));
                let replacement = match named {
                    Some(named) => named,
                    None if replaces => return Err(error),
                    None => SourceId::mint(),
                };
                self.go_on_under(replacement, &operation.kind).await?;
                return Ok(None);
            }
            Err(Refusal::Problem {
                code: Some(ProblemCode::ScopeUninitialized | ProblemCode::ScopeInitializing),
                error,
                ..
            }) => {
                // There is nothing to be downloaded any more; the next attach asks who seeds.
                self.database.transaction(operation::finish).await?;
                let attached = self.attachment().await?.user.is_some();
                return Err(if attached { self.lose_scope(error).await? } else { error });
            }
            Err(refusal) => return Err(refusal.into()),
        };
        let generation = self.negotiate(source).await?.generation;
        validate::snapshot_session(generation, &session).map_err(|error| {
            Error::new(ErrorKind::Protocol, format!("POST /sync/snapshot-sessions: {error}"))
        })?;
        if operation.kind == OperationKind::AddTables
            && self.attachment().await?.checkpoint != session.snapshot_bundle_seq
        {
            // Rows of an added table must not be newer or older than those they belong to: pull first, then again.
            self.api.delete_snapshot(source, &session.snapshot_id).await;
            self.database.transaction(operation::finish).await?;
            return Ok(None);
        }
        let stored = session.clone();
        self.database
            .transaction(move |transaction| operation::set_session(transaction, Some(&stored)))
            .await?;
        Ok(Some(session))
    }

    /// The server has retired the source: the download goes on under another one, which replaces it.
    async fn go_on_under(&self, replacement: SourceId, kind: &OperationKind) -> Result<()> {
        let attaching = matches!(kind, OperationKind::RemoteReplace { .. });
        let recovery = OperationKind::SourceRecovery {
            reason: ReplacementReason::SourceRetired,
            replacement: replacement.clone(),
        };
        self.database
            .transaction(move |transaction| {
                if attaching {
                    // Nothing was sent under it since the last user was detached.
                    return attachment::replace_source(transaction, &replacement);
                }
                operation::finish(transaction)?;
                operation::start(transaction, &recovery, "")
            })
            .await?;
        Ok(())
    }

    /// The tables that a snapshot may be limited to, where the server can do that.
    async fn tables_to_ask_for(
        &self,
        kind: &OperationKind,
        source: &SourceId,
    ) -> Result<Option<Vec<String>>> {
        if *kind != OperationKind::AddTables || !self.negotiate(source).await?.snapshot_tables {
            return Ok(None);
        }
        let added = self.database.read(managed_tables::to_hydrate).await?;
        let name =
            |id: &TableId| self.schema.by_id(*id).map(|table| format!("{}.{}", self.schema.name, table.name));
        Ok(Some(added.iter().filter_map(name).collect()))
    }

    /// Downloads the server's rows of tables that were configured since the last download: only theirs, unless other
    /// rows refer to them.
    pub(super) async fn hydrate_added_tables(&self, report: &mut Report) -> Result<()> {
        let added = self.database.read(managed_tables::to_hydrate).await?;
        if added.is_empty() {
            return Ok(());
        }
        let is_added = |name: &str| {
            self.schema.tables.iter().any(|table| table.name == name && added.contains(&table.id))
        };
        let referred =
            self.schema.tables.iter().flat_map(|table| &table.references).any(|to| is_added(&to.table));
        for _ in 0..SESSION_TRIES {
            let kind = if referred { OperationKind::Rebuild } else { OperationKind::AddTables };
            if !referred {
                self.pull_bundles(self.agenda().await?, report).await?;
            }
            self.database
                .transaction(move |transaction| operation::start(transaction, &kind, "table_added"))
                .await?;
            self.finish_operation(report).await?;
            if self.database.read(managed_tables::to_hydrate).await?.is_empty() {
                return Ok(());
            }
        }
        let text =
            "other devices kept writing while the rows of an added table were asked for; try again later";
        Err(Error::new(ErrorKind::Network, text))
    }

    /// Stages what is missing of a session, chunk by chunk, each durable with its ordinals.
    async fn download(&self, source: &SourceId, session: &SnapshotSession) -> Answer<()> {
        let negotiated = self.negotiate(source).await?;
        let generation = negotiated.generation;
        let found = self.database.read(operation::load).await.map_err(Error::from)?;
        let (mut rows, mut bytes) = found.map_or((0, 0), |found| (found.staged_rows, found.staged_bytes));
        let mut max_bytes = negotiated.snapshot_bytes;
        // Where the server cannot be asked for bytes, the average row decides how many rows are asked for.
        let average = if session.row_count > 0 { session.byte_count / session.row_count } else { 0 };
        let by_bytes = if average > 0 { (self.limits.download_bytes / average).max(1) } else { i64::MAX };
        let max_rows = negotiated.snapshot_rows.min(by_bytes);
        while rows < session.row_count {
            self.boundary()?;
            let answer = self
                .api
                .snapshot_chunk(
                    source,
                    &session.snapshot_id,
                    rows,
                    max_rows,
                    max_bytes,
                    self.limits.response_bytes,
                )
                .await;
            let body = match answer {
                Ok(body) => body,
                Err(Refusal::Problem {
                    code: Some(ProblemCode::SnapshotChunkTooSmall),
                    problem,
                    error,
                    ..
                }) => match problem.required_byte_count.filter(|needed| Some(*needed) > max_bytes) {
                    Some(needed) => {
                        max_bytes = Some(needed);
                        continue;
                    }
                    None => return Err(error.into()),
                },
                Err(refusal) => return Err(refusal),
            };
            let (schema, expected) = (self.schema.clone(), session.clone());
            (rows, bytes) = self
                .database
                .transaction(move |transaction| {
                    Ok(stage_chunk(transaction, &schema, generation, &expected, &body, rows, bytes))
                })
                .await
                .map_err(Error::from)??;
            let total = (session.byte_count > 0).then_some(session.byte_count);
            self.show(Phase::Download, rows, Some(session.row_count), bytes, total);
        }
        Ok(())
    }
}

fn stage_chunk(
    transaction: &crate::storage::Transaction<'_>,
    schema: &ManagedSchema,
    generation: WireGeneration,
    session: &SnapshotSession,
    body: &Body,
    rows_before: i64,
    bytes_before: i64,
) -> Result<(i64, i64)> {
    let protocol =
        |text: String| Error::new(ErrorKind::Protocol, format!("GET /sync/snapshot-sessions/{{id}}: {text}"));
    let chunk: SnapshotChunk<'_> = body.parse()?;
    validate::snapshot_chunk(generation, &chunk, session, rows_before, bytes_before)
        .map_err(|error| protocol(error.to_string()))?;
    let mut bytes = bytes_before;
    let only = match operation::load(transaction)?.map(|operation| operation.kind) {
        Some(OperationKind::AddTables) => Some(managed_tables::to_hydrate(transaction)?),
        _ => None,
    };
    for raw in &chunk.rows {
        let row: SnapshotRow<'_> = serde_json::from_str(raw.get())
            .map_err(|_| protocol("a row does not have exactly the members of a snapshot row".into()))?;
        if row.row_version.0 < 1 || row.row_version.0 > session.snapshot_bundle_seq.0 {
            return Err(protocol(format!("a row_version is {}, outside of the snapshot", row.row_version)));
        }
        let payload = row.payload.get();
        let counted = if generation.accounts_snapshot_bytes() { raw.get() } else { payload };
        bytes += i64::try_from(counted.len()).unwrap_or(i64::MAX);
        if schema.ignores(&row.schema, &row.table) {
            continue;
        }
        let (table, key) = stage::locate(schema, &row.schema, &row.table, &row.key)?;
        if only.as_ref().is_some_and(|only| !only.contains(&table.id)) {
            continue;
        }
        stage::add(
            transaction,
            table,
            &key,
            crate::protocol::message::RowOp::Insert,
            row.row_version,
            Some(payload),
        )?;
    }
    let rows = chunk.next_row_ordinal;
    operation::set_progress(transaction, rows, bytes)?;
    Ok((rows, bytes))
}

impl Engine {
    /// Whether a download waits to be finished.
    pub(crate) async fn pending_operation(&self) -> Result<Option<OperationKind>> {
        let found = self.database.read(operation::load).await?;
        Ok(found.map(|operation| operation.kind))
    }

    /// Whether an upload waits to be settled.
    pub(crate) async fn has_outbox(&self) -> Result<bool> {
        Ok(self.database.read(crate::storage::outbox::load).await?.is_some())
    }
}
