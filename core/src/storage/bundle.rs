//! Applying bundles of a pull, and the conflict that a refused commit names.

use super::apply::{Applied, Applier, Arbiter, Rehearsal};
use super::error::{Result, StorageError};
use super::operation::{self, OperationKind};
use super::row_state::{self, RowState};
use super::{attachment, dirty_rows, integrity, rows, stage};
use crate::protocol::hash::{BundleHasher, HashedRow};
use crate::protocol::ids::BundleSeq;
use crate::protocol::message::Bundle;
use crate::protocol::problem::Conflict;
use crate::protocol::profile::WireGeneration;
use crate::protocol::value::SqlValue;
use crate::schema::{ManagedSchema, TableId};
use crate::simulation::{mutated, mutation::Mutation};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use serde_json::value::RawValue;

/// How far a page was applied.
#[derive(Debug)]
pub(crate) struct PageProgress {
    /// The newest bundle that is durable.
    pub(crate) last: BundleSeq,
    /// Bundles applied.
    pub(crate) bundles: i64,
    /// Rows and conflicts.
    pub(crate) applied: Applied,
    /// Whether a decision is needed before the next bundle; the arbiter has met every conflict of the page then.
    pub(crate) undecided: bool,
    /// Whether rows that were deleted here have to come back with a snapshot.
    pub(crate) needs_rebuild: bool,
}

/// Undoes local deletes that the server's rows forbid, and records the download that brings the rows back.
fn restore_parents(connection: &mut Connection, parents: &[(TableId, SqlValue)]) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    integrity::undo_deletes(&transaction, parents)?;
    operation::start(&transaction, &OperationKind::Rebuild, "delete_undone")?;
    Ok(transaction.commit()?)
}

/// Applies the bundles of a page after `from`, each in one transaction that also moves the checkpoint.
pub(crate) fn apply_page(
    connection: &mut Connection,
    schema: &ManagedSchema,
    generation: WireGeneration,
    bundles: &[Bundle<'_>],
    from: BundleSeq,
    arbiter: &mut dyn Arbiter,
    now_ms: i64,
) -> Result<PageProgress> {
    let mut progress = PageProgress {
        last: from,
        bundles: 0,
        applied: Applied::default(),
        undecided: false,
        needs_rebuild: false,
    };
    for (index, bundle) in bundles.iter().enumerate() {
        if bundle.bundle_seq <= from {
            continue;
        }
        check_hash(generation, bundle)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        match apply_bundle(&transaction, schema, generation, bundle, arbiter, now_ms) {
            Ok(applied) => {
                let seq = match (mutated(Mutation::CheckpointEarly), bundles.last()) {
                    (true, Some(last)) => last.bundle_seq,
                    _ => bundle.bundle_seq,
                };
                if !mutated(Mutation::CheckpointStays) {
                    attachment::set_checkpoint(&transaction, seq)?;
                }
                integrity::commit(transaction, schema, now_ms)?;
                progress.last = bundle.bundle_seq;
                progress.bundles += 1;
                progress.applied.rows += applied.rows;
                progress.applied.conflicts += applied.conflicts;
                if applied.needs_rebuild {
                    progress.needs_rebuild = true;
                    return Ok(progress);
                }
            }
            Err(StorageError::Undecided) => {
                transaction.rollback()?;
                rehearse(connection, schema, generation, &bundles[index..], arbiter, now_ms)?;
                progress.undecided = true;
                return Ok(progress);
            }
            Err(StorageError::ParentsDeletedHere(parents)) => {
                transaction.rollback()?;
                restore_parents(connection, &parents)?;
                progress.needs_rebuild = true;
                return Ok(progress);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(progress)
}

/// Applies the rest of a page to nothing, so that the arbiter meets all of its conflicts at once. What fails here
/// fails again, and is told, when it is applied for good.
fn rehearse(
    connection: &mut Connection,
    schema: &ManagedSchema,
    generation: WireGeneration,
    bundles: &[Bundle<'_>],
    arbiter: &mut dyn Arbiter,
    now_ms: i64,
) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut rehearsal = Rehearsal::of(arbiter);
    for bundle in bundles {
        if apply_bundle(&transaction, schema, generation, bundle, &mut rehearsal, now_ms).is_err() {
            break;
        }
    }
    Ok(transaction.rollback()?)
}

fn apply_bundle(
    transaction: &Transaction<'_>,
    schema: &ManagedSchema,
    generation: WireGeneration,
    bundle: &Bundle<'_>,
    arbiter: &mut dyn Arbiter,
    now_ms: i64,
) -> Result<Applied> {
    let mut applier = Applier::begin(transaction, schema, now_ms)?;
    for (index, row) in bundle.rows.iter().enumerate() {
        if schema.ignores(&row.schema, &row.table)
            || (mutated(Mutation::LastRowSkipped) && index > 0 && index + 1 == bundle.rows.len())
        {
            continue;
        }
        let (table, key) = stage::locate(schema, &row.schema, &row.table, &row.key)?;
        let server = rows::decode_row(generation, schema, table, row.payload.map(RawValue::get))?;
        if server.as_ref().is_some_and(|server| server.values[table.key_index] != key) {
            let text = format!("the server sent a row of table {} whose payload has another key", table.name);
            return Err(StorageError::Violation(text));
        }
        applier.row(table, &row.key.value, &key, row.row_version, server, arbiter)?;
    }
    applier.finish_with(&|table, key| {
        let wire_key = table.key_kind.to_wire(key).unwrap_or_default();
        let row = bundle.rows.iter().find(|row| row.table == table.name && row.key.value == wire_key);
        let payload = row.and_then(|row| row.payload);
        rows::decode_row(generation, schema, table, payload.map(RawValue::get))
    })
}

/// The rows of a bundle must have its hash, where it carries one.
fn check_hash(generation: WireGeneration, bundle: &Bundle<'_>) -> Result<()> {
    let Some(expected) = &bundle.bundle_hash else { return Ok(()) };
    let mut hasher = BundleHasher::new(generation);
    for row in &bundle.rows {
        let hashed = HashedRow::from(row);
        hasher
            .committed_row(&hashed, row.row_version)
            .map_err(|_| StorageError::Violation("a payload is not JSON".into()))?;
    }
    if hasher.finish() != *expected {
        let text = format!("the rows of bundle {} do not have its bundle_hash", bundle.bundle_seq);
        return Err(StorageError::Violation(text));
    }
    Ok(())
}

/// Meets the row that a refused commit names, unless a pull has brought it already.
pub(crate) fn meet_conflict(
    connection: &mut Connection,
    schema: &ManagedSchema,
    generation: WireGeneration,
    conflict: &Conflict,
    arbiter: &mut dyn Arbiter,
    now_ms: i64,
) -> Result<Applied> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (table, key) = stage::locate(schema, &conflict.schema, &conflict.table, &conflict.key)?;
    let next = RowState { version: conflict.server_row_version, deleted: conflict.server_row_deleted };
    let mut applier = Applier::begin(&transaction, schema, now_ms)?;
    let state = row_state::get(&transaction, table.id, &key)?;
    if state.version < next.version || (next.version.0 == 0 && state.version.0 > 0) {
        let server = conflict.server_row.as_ref().filter(|_| !next.deleted);
        let server = rows::decode_row(generation, schema, table, server.map(|raw| raw.get()))?;
        let server = applier.keep_extra(table, &key, server)?;
        match dirty_rows::last_change(&transaction, table.id, &key)? {
            Some(last_change) => {
                applier.meet(table, &conflict.key.value, &key, next, last_change, server, arbiter)?;
            }
            None => applier.accept(table, &key, next, server.as_deref())?,
        }
    }
    let applied = applier.finish()?;
    integrity::commit(transaction, schema, now_ms)?;
    Ok(applied)
}
