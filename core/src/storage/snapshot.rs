//! The last step of a snapshot: one transaction that makes the managed tables what the server has, local intent aside,
//! with everything that becomes true by it (design D7, `docs/protocol.md` section 7).

use super::apply::{Applied, Applier, Arbiter, Rehearsal};
use super::error::{Result, StorageError};
use super::operation::{self, CHECKPOINT_AHEAD, OperationKind};
use super::stage::{self, Scope, StagedRow};
use super::{attachment, differences, dirty_rows, integrity, managed_tables, row_state};
use crate::protocol::message::SnapshotSession;
use crate::protocol::profile::WireGeneration;
use crate::schema::{ManagedSchema, ManagedTable, TableId};
use crate::simulation::{mutated, mutation::Mutation};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::sync::Arc;

/// Times that local deletes are undone for one snapshot before it is given up.
const UNDO_ROUNDS: usize = 16;

/// Whether the last step may leave out what is not noted as a difference: not before the first download, when all of it
/// is one.
pub(crate) fn scope(connection: &Connection) -> Result<Scope> {
    Ok(if row_state::any(connection)? { Scope::Differences } else { Scope::All })
}

/// Applies a fully staged session in one transaction, with everything that becomes true by it: checkpoint,
/// user, source, the end of the operation. The final gate: the session must still be the one that was staged.
///
/// The staged rows stay: they are of no use any more, and taking many away would hold the lock.
#[allow(clippy::too_many_arguments)] // the facts of one snapshot
pub(crate) fn apply_session(
    connection: &mut Connection,
    schema: &ManagedSchema,
    generation: WireGeneration,
    session: &SnapshotSession,
    kind: &OperationKind,
    scope: Scope,
    arbiter: &mut dyn Arbiter,
    now_ms: i64,
) -> Result<Applied> {
    for _ in 0..UNDO_ROUNDS {
        match try_session(connection, schema, generation, session, kind, scope, arbiter, now_ms) {
            Err(StorageError::ParentsDeletedHere(parents)) => {
                let undo = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                integrity::undo_deletes(&undo, &parents)?;
                differences::add(&undo, &parents)?;
                undo.commit()?;
            }
            done => return done,
        }
    }
    let text = "rows of the server refer to rows that were deleted here, and undoing that does not help";
    Err(StorageError::Violation(text.into()))
}

#[allow(clippy::too_many_arguments)]
fn try_session(
    connection: &mut Connection,
    schema: &ManagedSchema,
    generation: WireGeneration,
    session: &SnapshotSession,
    kind: &OperationKind,
    scope: Scope,
    arbiter: &mut dyn Arbiter,
    now_ms: i64,
) -> Result<Applied> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let staged = operation::load(&transaction)?
        .filter(|found| found.kind == *kind && found.session.as_ref() == Some(session))
        .filter(|found| found.staged_rows == session.row_count);
    if staged.is_none() {
        return Err(StorageError::Violation("the staged snapshot is not the one that was downloaded".into()));
    }
    let only = match kind {
        OperationKind::AddTables => Some(managed_tables::to_hydrate(&transaction)?),
        _ => None,
    };
    let behind = session.snapshot_bundle_seq < attachment::load(&transaction)?.checkpoint;
    if behind && operation::reason(&transaction)?.as_deref() == Some(CHECKPOINT_AHEAD) {
        row_state::recall_unstaged(&transaction)?;
    }
    let mut rehearsal = Rehearsal::of(arbiter);
    let outcome =
        apply_snapshot(&transaction, schema, generation, only.as_deref(), scope, &mut rehearsal, now_ms);
    if rehearsal.undecided {
        return Err(StorageError::Undecided);
    }
    let applied = outcome?;
    if *kind != OperationKind::AddTables {
        attachment::set_checkpoint(&transaction, session.snapshot_bundle_seq)?;
    }
    managed_tables::set_hydrated(&transaction)?;
    if mutated(Mutation::LocalIntentLostInRebuild) {
        transaction.execute("DELETE FROM _rowtide_dirty_rows", [])?;
    }
    match kind {
        OperationKind::RemoteReplace { user } => attachment::attach(&transaction, user, &schema.name, None)?,
        OperationKind::SourceRecovery { replacement, .. } => {
            attachment::replace_source(&transaction, replacement)?
        }
        OperationKind::Rebuild | OperationKind::AddTables => {}
    }
    operation::end(&transaction)?;
    differences::clear(&transaction)?;
    if applied.needs_rebuild {
        operation::start(&transaction, &OperationKind::Rebuild, "refused_row")?;
    }
    integrity::commit(transaction, schema, now_ms)?;
    Ok(applied)
}

/// Makes the managed tables, or only some, equal to the staged snapshot, local intent aside: rows that are gone at the
/// server go, rows that differ are written, dirty rows meet the arbiter.
fn apply_snapshot(
    transaction: &Transaction<'_>,
    schema: &ManagedSchema,
    generation: WireGeneration,
    only: Option<&[TableId]>,
    scope: Scope,
    arbiter: &mut dyn Arbiter,
    now_ms: i64,
) -> Result<Applied> {
    let covered = |table: &&Arc<ManagedTable>| only.is_none_or(|only| only.contains(&table.id));
    let mut applier = Applier::begin(transaction, schema, now_ms)?;
    applier.compare_equal = true;
    for table in schema.tables.iter().rev().filter(covered) {
        if !mutated(Mutation::MissingRowsKept) {
            remove_missing(transaction, table, scope, &mut applier, arbiter)?;
        }
    }
    let mut write = |table: &ManagedTable, row: &StagedRow<'_>, applier: &mut Applier<'_>| {
        let server = stage::decode(generation, schema, table, &row.key, row.payload)?;
        let wire_key = table.key_kind.to_wire(&row.key).unwrap_or_default();
        applier.row(table, &wire_key, &row.key, row.version, Some(server), arbiter)
    };
    for table in schema.tables.iter().filter(covered) {
        stage::for_each(transaction, table, scope, |row| write(table, &row, &mut applier))?;
    }
    if scope == Scope::Differences {
        // Rows that were equal before, and that SQLite changed beside those that were not.
        for (table, key) in applier.changed_beside() {
            let Some(table) = schema.by_id(table).filter(covered) else { continue };
            stage::visit(transaction, table, &key, |row| write(table, &row, &mut applier))?;
        }
    }
    applier.finish_with(&|table, key| stage::staged(transaction, schema, generation, table, key))
}

/// Rows that the server once had and the snapshot lacks.
fn remove_missing(
    transaction: &Transaction<'_>,
    table: &ManagedTable,
    scope: Scope,
    applier: &mut Applier<'_>,
    arbiter: &mut dyn Arbiter,
) -> Result<()> {
    if scope == Scope::All {
        // Nothing of the server was here.
        return Ok(());
    }
    for key in differences::missing(transaction, table)? {
        let state = row_state::get(transaction, table.id, &key)?;
        if state.deleted {
            // Nothing new; a row that is written there again needs the tombstone's version.
            continue;
        }
        let dirty = dirty_rows::last_change(transaction, table.id, &key)?.is_some();
        if dirty && state.is_live() {
            let wire_key = table.key_kind.to_wire(&key).unwrap_or_default();
            // The snapshot has no tombstones, so the version of the delete is unknown; the row is met as
            // deleted one version later, and the state is forgotten with the decision.
            applier.row(table, &wire_key, &key, state.version.next(), None, arbiter)?;
        } else if !dirty {
            applier.delete(table, &key)?;
        }
        row_state::forget(transaction, table.id, &key)?;
    }
    Ok(())
}
