//! Replay of a committed upload: the outbox becomes row state, edits made meanwhile stay intent.

use super::apply::{Applied, Applier};
use super::error::{Result, StorageError};
use super::refused_rows::{self, Refusal, RefusedReason};
use super::row_state::{self, RowState};
use super::{attachment, base_images, dirty_rows, kept_columns, outbox, rows, stage};
use crate::protocol::hash::{BundleHasher, HashedRow};
use crate::protocol::ids::RowVersion;
use crate::protocol::message::{CommittedBundle, RowOp};
use crate::protocol::profile::WireGeneration;
use crate::protocol::value::SqlValue;
use crate::schema::{ManagedSchema, TableId};
use crate::simulation::{mutated, mutation::Mutation};
use rusqlite::{Connection, Transaction};

/// The hash that the server must report if it committed exactly the outbox, row for row: equality proves
/// that nothing has to be fetched back. `None` where it would prove nothing.
pub(crate) fn expected_hash(
    connection: &Connection,
    schema: &ManagedSchema,
    generation: WireGeneration,
    version: RowVersion,
) -> Result<Option<String>> {
    let mut hasher = BundleHasher::new(generation);
    let mut statement = connection.prepare_cached(
        "SELECT table_id, wire_key, op, payload FROM _rowtide_outbox_rows ORDER BY row_ordinal",
    )?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let table = outbox::managed(schema, TableId(row.get(0)?))?;
        let op = row.get_ref(2)?.as_str().ok().and_then(RowOp::parse).ok_or(rusqlite::Error::InvalidQuery)?;
        let payload = row.get_ref(3)?.as_str_or_null().map_err(rusqlite::Error::from)?;
        if generation == WireGeneration::A && payload.is_some_and(may_be_rounded) {
            return Ok(None);
        }
        let hashed = HashedRow {
            schema: &schema.name,
            table: &table.name,
            key_column: table.wire_key_column(),
            key: row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?,
            op,
            payload,
        };
        hasher
            .committed_row(&hashed, version)
            .map_err(|_| StorageError::Violation("a frozen payload is not JSON".into()))?;
    }
    Ok(Some(hasher.finish()))
}

/// Whether a payload may hold an integer beyond 2^53: the hashes of GEN-A round it, so that they prove nothing.
/// Numbers of 16 digits and more that begin right after a member's name, so digits behind a point are none; text
/// that looks alike only costs the fetch.
fn may_be_rounded(payload: &str) -> bool {
    payload.split(':').skip(1).any(|value| {
        let value = value.strip_prefix('-').unwrap_or(value);
        value.bytes().take_while(u8::is_ascii_digit).count() >= 16
    })
}

/// Finishes a bundle that the server committed exactly as it was sent.
pub(crate) fn replay_verbatim(
    transaction: &Transaction<'_>,
    schema: &ManagedSchema,
    generation: WireGeneration,
    bundle: &CommittedBundle,
) -> Result<()> {
    dirty_rows::coalesce(transaction)?;
    rebase_edited(transaction, schema, generation)?;
    if mutated(Mutation::EditDuringUploadForgotten) {
        transaction.execute("DELETE FROM _rowtide_dirty_rows", [])?;
    }
    if mutated(Mutation::VersionsNotReplayed) {
        return finish(transaction, schema, bundle);
    }
    transaction.execute(
        "INSERT INTO _rowtide_row_state (table_id, key, row_version, deleted)
         SELECT table_id, key, ?1, op = 'DELETE' FROM _rowtide_outbox_rows WHERE true
         ON CONFLICT (table_id, key) DO UPDATE SET row_version = excluded.row_version, deleted = excluded.deleted",
        [bundle.bundle_seq.0],
    )?;
    finish(transaction, schema, bundle)
}

/// Rows that were edited after the freeze are edits of what was committed now.
fn rebase_edited(
    transaction: &Transaction<'_>,
    schema: &ManagedSchema,
    generation: WireGeneration,
) -> Result<()> {
    for table in schema.tables.iter().filter(|table| table.keeps_base) {
        let mut statement = transaction.prepare_cached(
            "SELECT o.key, o.payload FROM _rowtide_outbox_rows AS o JOIN _rowtide_dirty_rows USING (table_id, key)
             WHERE table_id = ?1",
        )?;
        let mut found = statement.query([table.id.0])?;
        while let Some(row) = found.next()? {
            let payload = row.get_ref(1)?.as_str_or_null().map_err(rusqlite::Error::from)?;
            let server = rows::decode_row(generation, schema, table, payload)?;
            let values = server.as_ref().map(|server| &*server.values);
            base_images::set(transaction, table, &rows::key(row, 0)?, values)?;
        }
    }
    Ok(())
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
    dirty_rows::coalesce(transaction)?;
    refuse_dropped(transaction, schema, now_ms)?;
    let mut applier = Applier::begin(transaction, schema, now_ms)?;
    for table in &schema.tables {
        stage::for_each(transaction, table, stage::Scope::All, |row| {
            let state = RowState { version: row.version, deleted: row.op == RowOp::Delete };
            if row_state::get(transaction, table.id, &row.key)?.version >= row.version {
                return Ok(());
            }
            let server = rows::decode_row(generation, schema, table, row.payload)?;
            let values = applier.keep_extra(table, &row.key, server)?;
            if dirty_rows::last_change(transaction, table.id, &row.key)?.is_some() {
                base_images::set(transaction, table, &row.key, values.as_deref())?;
                return row_state::set(transaction, table.id, &row.key, state);
            }
            applier.accept(table, &row.key, state, values.as_deref())
        })?;
    }
    let applied =
        applier.finish_with(&|table, key| stage::staged(transaction, schema, generation, table, key))?;
    finish(transaction, schema, bundle)?;
    stage::clear(transaction)?;
    Ok(applied)
}

/// Rows that were sent and that the server's own rules left out of the bundle: the server does not have them.
fn refuse_dropped(transaction: &Transaction<'_>, schema: &ManagedSchema, now_ms: i64) -> Result<()> {
    let mut statement = transaction.prepare(
        "SELECT table_id, key FROM _rowtide_outbox_rows EXCEPT SELECT table_id, key FROM _rowtide_stage",
    )?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let (table, key) = (outbox::managed(schema, TableId(row.get(0)?))?, rows::key(row, 1)?);
        if dirty_rows::last_change(transaction, table.id, &key)?.is_none() {
            let message = "the server committed the bundle without this row; a rule of its own dropped it";
            let refusal = Refusal { reason: RefusedReason::ServerRefused, message };
            refused_rows::add(transaction, table, &key, refusal, now_ms)?;
        }
    }
    Ok(())
}

/// Whether the staged committed rows hold what was frozen, value by value. A server may write values in a form of
/// its own; what differs is met again as another device's row.
pub(crate) fn stage_holds_outbox(
    connection: &Connection,
    schema: &ManagedSchema,
    generation: WireGeneration,
) -> Result<bool> {
    let mut statement = connection.prepare_cached(
        "SELECT o.table_id, o.op, s.op, o.payload, s.payload FROM _rowtide_outbox_rows AS o
         LEFT JOIN _rowtide_stage AS s ON s.table_id = o.table_id AND s.key = o.key",
    )?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let table = outbox::managed(schema, TableId(row.get(0)?))?;
        let (sent, committed): (String, Option<String>) = (row.get(1)?, row.get(2)?);
        let deletes = |op: &str| op == RowOp::Delete.as_str();
        if committed.is_none_or(|committed| deletes(&committed) != deletes(&sent)) {
            return Ok(false);
        }
        let values = |index: usize| -> Result<Option<Vec<SqlValue>>> {
            let payload = row.get_ref(index)?.as_str_or_null().map_err(rusqlite::Error::from)?;
            let server = rows::decode_row(generation, schema, table, payload)?;
            Ok(server.map(|server| server.values))
        };
        if values(3)? != values(4)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn finish(transaction: &Transaction<'_>, schema: &ManagedSchema, bundle: &CommittedBundle) -> Result<()> {
    kept_columns::forget_deleted(transaction)?;
    if !mutated(Mutation::OutboxKeptAfterReplay) {
        outbox::clear(transaction)?;
    }
    base_images::sweep(transaction, schema)?;
    attachment::finish_source_bundle(transaction, &bundle.source_id, bundle.source_bundle_id)?;
    attachment::set_committed_seq(transaction, bundle.bundle_seq)?;
    // Only the very next bundle moves the checkpoint; otherwise a pull fills the gap.
    if attachment::load(transaction)?.checkpoint.next() == bundle.bundle_seq || mutated(Mutation::GapJumped) {
        attachment::set_checkpoint(transaction, bundle.bundle_seq)?;
    }
    Ok(())
}

/// Whether this device has row versions above its checkpoint: its own bundles, with others' in between.
pub(crate) fn checkpoint_is_behind(connection: &Connection) -> Result<bool> {
    Ok(connection
        .query_row("SELECT committed_seq > checkpoint FROM _rowtide_attachment", [], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::may_be_rounded;

    #[test]
    fn only_integers_that_a_float_may_round_keep_a_hash_from_being_proof() {
        for payload in [r#"{"n":9007199254740993}"#, r#"{"a":1,"n":-9007199254740993,"z":"x"}"#] {
            assert!(may_be_rounded(payload), "{payload}");
        }
        for payload in
            [r#"{"n":0.14285714285714285,"m":123456789012345}"#, r#"{"t":"9007199254740993"}"#, "{}"]
        {
            assert!(!may_be_rounded(payload), "{payload}");
        }
    }
}
