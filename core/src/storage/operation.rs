//! The download that is to replace or rebuild the managed tables. Durable: it is finished by the next
//! operation after whatever interrupted it.

use super::error::Result;
use crate::protocol::ids::{BundleSeq, SourceId};
use crate::protocol::message::{ReplacementReason, SnapshotSession};
use crate::simulation::{mutated, mutation::Mutation};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

/// Why a snapshot is being downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OperationKind {
    /// The server's data replaces what is here, for a user that is being attached.
    RemoteReplace { user: String },
    /// The checkpoint is of no use any more; the source stays.
    Rebuild,
    /// Tables were configured since the last download; only their rows are taken.
    AddTables,
    /// The source is of no use any more and is replaced by a reserved one.
    SourceRecovery { reason: ReplacementReason, replacement: SourceId },
}

/// A stored operation and how far its download got.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) kind: OperationKind,
    pub(crate) session: Option<SnapshotSession>,
    pub(crate) staged_rows: i64,
    pub(crate) staged_bytes: i64,
}

fn reason_name(reason: ReplacementReason) -> &'static str {
    match reason {
        ReplacementReason::HistoryPruned => "history_pruned",
        ReplacementReason::SourceSequenceOutOfOrder => "source_sequence_out_of_order",
        ReplacementReason::SourceSequenceChanged => "source_sequence_changed",
        ReplacementReason::SourceRetired => "source_retired",
    }
}

/// The reason of a name, where it is one.
pub(crate) fn known_reason(name: &str) -> Option<ReplacementReason> {
    use ReplacementReason::{HistoryPruned, SourceRetired, SourceSequenceChanged, SourceSequenceOutOfOrder};
    [HistoryPruned, SourceSequenceOutOfOrder, SourceSequenceChanged, SourceRetired]
        .into_iter()
        .find(|reason| reason_name(*reason) == name)
}

/// Reason of a rebuild from a server that is behind what was read from it.
pub(crate) const CHECKPOINT_AHEAD: &str = "checkpoint_ahead";

/// Why the operation was started.
pub(crate) fn reason(connection: &Connection) -> Result<Option<String>> {
    Ok(connection.query_row("SELECT reason FROM _rowtide_operation", [], |row| row.get(0)).optional()?)
}

/// Starts an operation, unless the same kind is there already.
pub(crate) fn start(transaction: &Transaction<'_>, kind: &OperationKind, reason: &str) -> Result<()> {
    if load(transaction)?
        .is_some_and(|found| std::mem::discriminant(&found.kind) == std::mem::discriminant(kind))
    {
        return Ok(());
    }
    let (name, user, replacement, reason) = match kind {
        OperationKind::RemoteReplace { user } => ("remote_replace", Some(user.as_str()), None, reason),
        OperationKind::Rebuild => ("rebuild", None, None, reason),
        OperationKind::AddTables => ("add_tables", None, None, reason),
        OperationKind::SourceRecovery { reason, replacement } => {
            ("source_recovery", None, Some(replacement.as_str()), reason_name(*reason))
        }
    };
    super::stage::clear(transaction)?;
    transaction.execute(
        "INSERT OR REPLACE INTO _rowtide_operation (singleton, kind, reason, target_user, replacement_source_id)
         VALUES (1, ?1, ?2, ?3, ?4)",
        params![name, reason, user, replacement],
    )?;
    Ok(())
}

/// Reads the operation.
pub(crate) fn load(connection: &Connection) -> Result<Option<Operation>> {
    let mut statement = connection.prepare_cached(
        "SELECT kind, reason, target_user, replacement_source_id, snapshot_id, snapshot_bundle_seq, row_count,
                byte_count, expires_at, staged_rows, staged_bytes FROM _rowtide_operation",
    )?;
    let operation = statement
        .query_row([], |row| {
            let (kind, reason): (String, String) = (row.get(0)?, row.get(1)?);
            let kind = match kind.as_str() {
                "remote_replace" => OperationKind::RemoteReplace { user: row.get(2)? },
                "source_recovery" => OperationKind::SourceRecovery {
                    reason: known_reason(&reason).unwrap_or(ReplacementReason::HistoryPruned),
                    replacement: SourceId::parse(&row.get::<_, String>(3)?)
                        .ok_or(rusqlite::Error::InvalidQuery)?,
                },
                "add_tables" => OperationKind::AddTables,
                _ => OperationKind::Rebuild,
            };
            let snapshot_id: Option<String> = row.get(4)?;
            let (seq, row_count, byte_count) = (BundleSeq(row.get(5)?), row.get(6)?, row.get(7)?);
            let expires_at: String = row.get(8)?;
            let session = snapshot_id.map(|snapshot_id| SnapshotSession {
                snapshot_id,
                snapshot_bundle_seq: seq,
                row_count,
                byte_count,
                expires_at,
            });
            Ok(Operation { kind, session, staged_rows: row.get(9)?, staged_bytes: row.get(10)? })
        })
        .optional()?;
    Ok(operation)
}

/// Records a new snapshot session; what an older one staged is dropped.
pub(crate) fn set_session(transaction: &Transaction<'_>, session: Option<&SnapshotSession>) -> Result<()> {
    super::stage::clear(transaction)?;
    transaction.execute(
        "UPDATE _rowtide_operation SET snapshot_id = ?1, snapshot_bundle_seq = ?2, row_count = ?3,
         byte_count = ?4, expires_at = ?5, staged_rows = 0, staged_bytes = 0",
        params![
            session.map(|s| &s.snapshot_id),
            session.map_or(0, |s| s.snapshot_bundle_seq.0),
            session.map_or(0, |s| s.row_count),
            session.map_or(0, |s| s.byte_count),
            session.map_or("", |s| &s.expires_at),
        ],
    )?;
    Ok(())
}

/// Records the staged part of a session.
pub(crate) fn set_progress(transaction: &Transaction<'_>, rows: i64, bytes: i64) -> Result<()> {
    transaction
        .prepare_cached("UPDATE _rowtide_operation SET staged_rows = ?1, staged_bytes = ?2")?
        .execute([if mutated(Mutation::ProgressNotKept) { 0 } else { rows }, bytes])?;
    Ok(())
}

/// Ends the operation, and drops what it staged.
pub(crate) fn finish(transaction: &Transaction<'_>) -> Result<()> {
    super::stage::clear(transaction)?;
    end(transaction)
}

/// Ends the operation; what it staged stays until it is cleared.
pub(crate) fn end(transaction: &Transaction<'_>) -> Result<()> {
    transaction.execute("DELETE FROM _rowtide_operation", [])?;
    Ok(())
}
