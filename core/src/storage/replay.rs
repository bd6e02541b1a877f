//! Replay of a committed upload: the outbox becomes row state, edits made meanwhile stay intent.

use super::apply::{Applied, Applier};
use super::error::{Result, StorageError};
use super::row_state::{self, RowState};
use super::{attachment, dirty_rows, outbox, rows, stage};
use crate::protocol::hash::{BundleHasher, HashedRow};
use crate::protocol::ids::{RowVersion, SourceBundleId};
use crate::protocol::message::{CommittedBundle, RowOp};
use crate::protocol::profile::WireGeneration;
use crate::schema::{ManagedSchema, TableId};
use rusqlite::{Connection, Transaction};

/// The hash that the server must report if it committed exactly the outbox, row for row: equality proves
/// that nothing has to be fetched back.
pub(crate) fn expected_hash(
    connection: &Connection,
    schema: &ManagedSchema,
    generation: WireGeneration,
    version: RowVersion,
) -> Result<String> {
    let mut hasher = BundleHasher::new(generation);
    let mut statement = connection.prepare_cached(
        "SELECT table_id, wire_key, op, payload FROM _rowtide_outbox_rows ORDER BY row_ordinal",
    )?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let table = outbox::managed(schema, TableId(row.get(0)?))?;
        let op = row.get_ref(2)?.as_str().ok().and_then(RowOp::parse).ok_or(rusqlite::Error::InvalidQuery)?;
        let hashed = HashedRow {
            schema: &schema.name,
            table: &table.name,
            key_column: table.wire_key_column(),
            key: row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?,
            op,
            payload: row.get_ref(3)?.as_str_or_null().map_err(rusqlite::Error::from)?,
        };
        hasher
            .committed_row(&hashed, version)
            .map_err(|_| StorageError::Violation("a frozen payload is not JSON".into()))?;
    }
    Ok(hasher.finish())
}

/// Finishes a bundle that the server committed exactly as it was sent.
pub(crate) fn replay_verbatim(transaction: &Transaction<'_>, bundle: &CommittedBundle) -> Result<()> {
    transaction.execute(
        "INSERT INTO _rowtide_row_state (table_id, key, row_version, deleted)
         SELECT table_id, key, ?1, op = 'DELETE' FROM _rowtide_outbox_rows WHERE true
         ON CONFLICT (table_id, key) DO UPDATE SET row_version = excluded.row_version, deleted = excluded.deleted",
        [bundle.bundle_seq.0],
    )?;
    finish(transaction, bundle)
}

/// Finishes a bundle from its staged committed rows: what the server changed is written, unless the row was
/// edited after the freeze; such an edit stays intent on top of the committed version.
pub(crate) fn replay_staged(
    transaction: &Transaction<'_>,
    schema: &ManagedSchema,
    generation: WireGeneration,
    bundle: &CommittedBundle,
    now_ms: i64,
) -> Result<Applied> {
    let mut applier = Applier::begin(transaction, schema, now_ms)?;
    for table in &schema.tables {
        stage::for_each(transaction, table, |row| {
            let state = RowState { version: row.version, deleted: row.op == RowOp::Delete };
            if row_state::get(transaction, table.id, &row.key)?.version >= row.version {
                return Ok(());
            }
            if dirty_rows::last_change(transaction, table.id, &row.key)?.is_some() {
                return row_state::set(transaction, table.id, &row.key, state);
            }
            let values = row.payload.map(|json| rows::decode_payload(generation, table, json)).transpose()?;
            applier.accept(table, &row.key, state, values.as_deref())
        })?;
    }
    let applied = applier.finish()?;
    finish(transaction, bundle)?;
    stage::clear(transaction)?;
    Ok(applied)
}

fn finish(transaction: &Transaction<'_>, bundle: &CommittedBundle) -> Result<()> {
    outbox::clear(transaction)?;
    attachment::finish_source_bundle(transaction, SourceBundleId(bundle.source_bundle_id.0))?;
    attachment::set_committed_seq(transaction, bundle.bundle_seq)?;
    // Only the very next bundle moves the checkpoint; otherwise a pull fills the gap.
    if attachment::load(transaction)?.checkpoint.next() == bundle.bundle_seq {
        attachment::set_checkpoint(transaction, bundle.bundle_seq)?;
    }
    Ok(())
}

/// Whether this device has row versions above its checkpoint: its own bundles, with others' in between.
pub(crate) fn checkpoint_is_behind(connection: &Connection) -> Result<bool> {
    Ok(connection
        .query_row("SELECT committed_seq > checkpoint FROM _rowtide_attachment", [], |row| row.get(0))?)
}
