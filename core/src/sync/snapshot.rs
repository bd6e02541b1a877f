//! A downloaded snapshot takes its place: what differs is found without a lock, a progressive download shows slices of it,
//! and the last step makes it true (design D7, `docs/protocol.md` section 7).

use super::engine::Engine;
use crate::config::Hydrate;
use crate::error::Result;
use crate::protocol::message::SnapshotSession;
use crate::protocol::profile::WireGeneration;
use crate::protocol::value::SqlValue;
use crate::report::{Phase, Report};
use crate::schema::TableId;
use crate::storage::differences::{self, Place};
use crate::storage::operation::{self, OperationKind};
use crate::storage::stage::{self, Scope};
use crate::storage::{StorageError, managed_tables, progressive, snapshot};

/// A pass over the rows that wait is worth while if it shows one of this many.
const WORTH_A_PASS: usize = 10;
/// Staged rows that one transaction takes out at most.
const CLEARED: i64 = 1_000;

impl Engine {
    /// Applies the stage, with everything that becomes true by it in one transaction.
    pub(super) async fn apply(
        &self,
        session: &SnapshotSession,
        kind: OperationKind,
        report: &mut Report,
    ) -> Result<()> {
        let source = self.attachment().await?.source_id;
        let generation = self.negotiate(&source).await?.generation;
        self.show(Phase::Apply, 0, Some(session.row_count), 0, None);
        report.conflicts += self.apply_staged(session, &kind, generation).await?;
        report.hydrated_rows += session.row_count;
        self.show(Phase::Apply, session.row_count, Some(session.row_count), 0, None);
        Ok(())
    }

    /// Answers how many conflicts were decided.
    async fn apply_staged(
        &self,
        session: &SnapshotSession,
        kind: &OperationKind,
        generation: WireGeneration,
    ) -> Result<i64> {
        let progressive =
            self.hydrate == Hydrate::Progressive && matches!(kind, OperationKind::RemoteReplace { .. });
        let scope = match progressive {
            true => Scope::Differences,
            false => self.database.read(snapshot::scope).await?,
        };
        if scope == Scope::Differences {
            self.find_differences(session, kind, generation, progressive).await?;
        }
        let mut decisions = self.decisions();
        loop {
            let (schema, now_ms) = (self.schema.clone(), self.now_ms());
            let (session, kind) = (session.clone(), kind.clone());
            let mut asked = decisions;
            let (answered, applied) = self
                .database
                .write(move |connection| {
                    let applied = snapshot::apply_session(
                        connection, &schema, generation, &session, &kind, scope, &mut asked, now_ms,
                    );
                    Ok((asked, applied))
                })
                .await?;
            decisions = answered;
            match applied {
                Ok(applied) => return Ok(applied.conflicts),
                Err(StorageError::Undecided) => self.ask_resolver(&mut decisions).await?,
                Err(error) => return self.reject_stage(error).await,
            }
        }
    }

    /// What was staged cannot be applied, and would not be the next time either: it is downloaded anew then.
    async fn reject_stage<T>(&self, error: StorageError) -> Result<T> {
        self.database.transaction(|transaction| operation::set_session(transaction, None)).await?;
        Err(error.into())
    }

    /// Notes what the last step has to look at; of a progressive download only what cannot be shown before it.
    async fn find_differences(
        &self,
        session: &SnapshotSession,
        kind: &OperationKind,
        generation: WireGeneration,
        progressive: bool,
    ) -> Result<()> {
        self.database.transaction(differences::clear).await?;
        let only = match kind {
            OperationKind::AddTables => Some(self.database.read(managed_tables::to_hydrate).await?),
            _ => None,
        };
        let (mut place, mut rows, mut left) = (Some(Place::first()), 0, 0);
        while let Some(here) = place {
            self.boundary()?;
            let (schema, only) = (self.schema.clone(), only.clone());
            let found = self
                .database
                .read(move |connection| {
                    differences::find(connection, &schema, generation, only.as_deref(), &here)
                })
                .await;
            let slice = match found {
                Ok(slice) => slice,
                Err(error) => return self.reject_stage(error).await,
            };
            (place, rows) = (slice.next, rows + slice.rows);
            if !slice.keys.is_empty() {
                left += self.note(slice.keys, generation, progressive).await?;
            }
            self.show(Phase::Apply, rows.min(session.row_count), Some(session.row_count), 0, None);
        }
        // A row may have waited for one that came after it. A long chain of such rows would take a pass for each.
        while progressive && left > 0 {
            let shown = self.show_what_waited(generation).await?;
            left -= shown;
            if shown == 0 || shown < left / WORTH_A_PASS {
                break;
            }
        }
        Ok(())
    }

    /// Notes keys as differences, without those that could be shown at once; answers how many are left.
    async fn note(
        &self,
        mut keys: Vec<(TableId, SqlValue)>,
        generation: WireGeneration,
        progressive: bool,
    ) -> Result<usize> {
        let schema = self.schema.clone();
        let left = self
            .database
            .transaction(move |transaction| {
                if progressive {
                    let written = progressive::write(transaction, &schema, generation, &keys)?;
                    let mut written = written.iter().peekable();
                    // In the same order, so one pass tells which ones are missing.
                    keys.retain(|key| written.next_if_eq(&key).is_none());
                }
                differences::add(transaction, &keys)?;
                Ok(keys.len())
            })
            .await?;
        Ok(left)
    }

    /// Tries once more to show the noted rows; answers how many could be shown.
    async fn show_what_waited(&self, generation: WireGeneration) -> Result<usize> {
        let mut shown = 0;
        for table in &self.schema.tables {
            let mut after = None;
            loop {
                self.boundary()?;
                let (schema, table, from) = (self.schema.clone(), table.clone(), after.take());
                let keys = self
                    .database
                    .read(move |connection| differences::slice(connection, &table, from.as_ref()))
                    .await?;
                let Some((_, last)) = keys.last() else { break };
                after = Some(last.clone());
                shown += self
                    .database
                    .transaction(move |transaction| {
                        let written = progressive::write(transaction, &schema, generation, &keys)?;
                        differences::remove(transaction, &written)?;
                        Ok(written.len())
                    })
                    .await?;
            }
        }
        Ok(shown)
    }

    /// Takes what an applied snapshot left out of the stage, a little at a time.
    pub(super) async fn clear_stage(&self) -> Result<()> {
        while self.database.read(stage::holds_rows).await? {
            self.boundary()?;
            self.database.transaction(|transaction| stage::clear_slice(transaction, CLEARED)).await?;
        }
        Ok(())
    }
}
