//! Downloaded rows that wait to be applied in one step: a snapshot, or the rows of a committed bundle.

use super::apply::{Applied, Applier, Arbiter, Rehearsal};
use super::error::{Result, StorageError};
use super::operation::{self, CHECKPOINT_AHEAD, OperationKind};
use super::row_state;
use super::rows::{self, ServerRow};
use super::{attachment, dirty_rows, integrity, managed_tables};
use crate::protocol::ids::RowVersion;
use crate::protocol::message::{RowOp, SnapshotSession, WireKey};
use crate::protocol::profile::WireGeneration;
use crate::protocol::value::SqlValue;
use crate::schema::{ManagedSchema, ManagedTable, TableId};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::sync::Arc;

/// A staged row.
#[derive(Debug)]
pub(crate) struct StagedRow<'a> {
    pub(crate) key: SqlValue,
    pub(crate) op: RowOp,
    pub(crate) version: RowVersion,
    pub(crate) payload: Option<&'a str>,
}

/// Finds the managed table and the local key that a row of the server names.
pub(crate) fn locate<'s>(
    schema: &'s ManagedSchema,
    schema_name: &str,
    table_name: &str,
    key: &WireKey<'_>,
) -> Result<(&'s Arc<ManagedTable>, SqlValue)> {
    let table = schema
        .by_wire_name(schema_name, table_name)
        .ok_or_else(|| StorageError::UnknownTable(format!("{schema_name}.{table_name}")))?;
    if key.column != table.wire_key_column() {
        let text =
            format!("the server's key of table {table_name} is not column {}", table.wire_key_column());
        return Err(StorageError::Violation(text));
    }
    let local = table.key_kind.from_wire(&key.value).map_err(|source| {
        StorageError::Violation(format!("the server's key of table {table_name}: {source}"))
    })?;
    Ok((table, local))
}

/// Adds a row; one key comes once.
pub(crate) fn add(
    transaction: &Transaction<'_>,
    table: &ManagedTable,
    key: &SqlValue,
    op: RowOp,
    version: RowVersion,
    payload: Option<&str>,
) -> Result<()> {
    let added = transaction
        .prepare_cached(
            "INSERT INTO _rowtide_stage (table_id, key, op, row_version, payload) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![table.id.0, key, op.as_str(), version.0, payload])?;
    if added == 0 {
        return Err(StorageError::Violation(format!("the server sent a row of table {} twice", table.name)));
    }
    Ok(())
}

/// Empties the stage.
pub(crate) fn clear(transaction: &Transaction<'_>) -> Result<()> {
    transaction.execute("DELETE FROM _rowtide_stage", [])?;
    Ok(())
}

/// Visits the staged rows of a table.
pub(crate) fn for_each(
    connection: &Connection,
    table: &ManagedTable,
    mut visit: impl FnMut(StagedRow<'_>) -> Result<()>,
) -> Result<()> {
    let mut statement = connection
        .prepare_cached("SELECT key, op, row_version, payload FROM _rowtide_stage WHERE table_id = ?1")?;
    let mut found = statement.query([table.id.0])?;
    while let Some(row) = found.next()? {
        visit(StagedRow {
            key: rows::key(row, 0)?,
            op: row.get_ref(1)?.as_str().ok().and_then(RowOp::parse).ok_or(rusqlite::Error::InvalidQuery)?,
            version: RowVersion(row.get(2)?),
            payload: row.get_ref(3)?.as_str_or_null().map_err(rusqlite::Error::from)?,
        })?;
    }
    Ok(())
}

/// Times that local deletes are undone for one snapshot before it is given up.
const UNDO_ROUNDS: usize = 16;

/// Applies a fully staged session in one transaction, with everything that becomes true by it: checkpoint,
/// user, source, the end of the operation. The final gate: the session must still be the one that was staged.
pub(crate) fn apply_session(
    connection: &mut Connection,
    schema: &ManagedSchema,
    generation: WireGeneration,
    session: &SnapshotSession,
    kind: &OperationKind,
    arbiter: &mut dyn Arbiter,
    now_ms: i64,
) -> Result<Applied> {
    for _ in 0..UNDO_ROUNDS {
        match try_session(connection, schema, generation, session, kind, arbiter, now_ms) {
            Err(StorageError::ParentsDeletedHere(parents)) => {
                let undo = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                integrity::undo_deletes(&undo, &parents)?;
                undo.commit()?;
            }
            done => return done,
        }
    }
    let text = "rows of the server refer to rows that were deleted here, and undoing that does not help";
    Err(StorageError::Violation(text.into()))
}

fn try_session(
    connection: &mut Connection,
    schema: &ManagedSchema,
    generation: WireGeneration,
    session: &SnapshotSession,
    kind: &OperationKind,
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
    let outcome = apply_snapshot(&transaction, schema, generation, only.as_deref(), &mut rehearsal, now_ms);
    if rehearsal.undecided {
        return Err(StorageError::Undecided);
    }
    let applied = outcome?;
    if *kind != OperationKind::AddTables {
        attachment::set_checkpoint(&transaction, session.snapshot_bundle_seq)?;
    }
    managed_tables::set_hydrated(&transaction)?;
    match kind {
        OperationKind::RemoteReplace { user } => attachment::attach(&transaction, user, &schema.name, None)?,
        OperationKind::SourceRecovery { replacement, .. } => {
            attachment::replace_source(&transaction, replacement)?
        }
        OperationKind::Rebuild | OperationKind::AddTables => {}
    }
    operation::finish(&transaction)?;
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
    arbiter: &mut dyn Arbiter,
    now_ms: i64,
) -> Result<Applied> {
    let covered = |table: &&Arc<ManagedTable>| only.is_none_or(|only| only.contains(&table.id));
    let mut applier = Applier::begin(transaction, schema, now_ms)?;
    applier.compare_equal = true;
    for table in schema.tables.iter().rev().filter(covered) {
        remove_missing(transaction, table, &mut applier, arbiter)?;
    }
    for table in schema.tables.iter().filter(covered) {
        for_each(transaction, table, |row| {
            let json = row.payload.ok_or(rusqlite::Error::InvalidQuery)?;
            let server = rows::decode_payload(generation, schema, table, json)?;
            if server.values[table.key_index] != row.key {
                let text =
                    format!("the server sent a row of table {} whose payload has another key", table.name);
                return Err(StorageError::Violation(text));
            }
            let wire_key = table.key_kind.to_wire(&row.key).unwrap_or_default();
            applier.row(table, &wire_key, &row.key, row.version, Some(server), arbiter)
        })?;
    }
    let applied = applier.finish_with(&|table, key| staged(transaction, schema, generation, table, key))?;
    clear(transaction)?;
    Ok(applied)
}

/// The staged row of a key, where there is one that is not a delete.
pub(crate) fn staged(
    connection: &Connection,
    schema: &ManagedSchema,
    generation: WireGeneration,
    table: &ManagedTable,
    key: &SqlValue,
) -> Result<Option<ServerRow>> {
    let mut statement =
        connection.prepare_cached("SELECT payload FROM _rowtide_stage WHERE table_id = ?1 AND key = ?2")?;
    let payload: Option<Option<String>> =
        statement.query_row(params![table.id.0, key], |row| row.get(0)).optional()?;
    rows::decode_row(generation, schema, table, payload.flatten().as_deref())
}

/// Rows that the server once had and the snapshot lacks.
fn remove_missing(
    transaction: &Transaction<'_>,
    table: &ManagedTable,
    applier: &mut Applier<'_>,
    arbiter: &mut dyn Arbiter,
) -> Result<()> {
    let missing = {
        let mut statement = transaction.prepare_cached(
            "SELECT key FROM _rowtide_row_state WHERE table_id = ?1
             EXCEPT SELECT key FROM _rowtide_stage WHERE table_id = ?1",
        )?;
        statement.query_map([table.id.0], |row| rows::key(row, 0))?.collect::<rusqlite::Result<Vec<_>>>()?
    };
    for key in missing {
        let state = row_state::get(transaction, table.id, &key)?;
        if dirty_rows::last_change(transaction, table.id, &key)?.is_some() && state.is_live() {
            let wire_key = table.key_kind.to_wire(&key).unwrap_or_default();
            // The snapshot has no tombstones, so the version of the delete is unknown; the row is met as
            // deleted one version later, and the state is forgotten with the decision.
            applier.row(table, &wire_key, &key, state.version.next(), None, arbiter)?;
        } else if !state.deleted {
            applier.delete(table, &key)?;
        }
        row_state::forget(transaction, table.id, &key)?;
    }
    Ok(())
}
