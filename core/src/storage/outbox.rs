//! The outbox: the single frozen upload bundle. It survives every restart until it is replayed or thawed.

use super::error::{Result, StorageError};
use super::{commits, dirty_rows};
use crate::protocol::ids::{SourceBundleId, SourceId};
use crate::protocol::message::CommittedBundle;
use crate::protocol::value::encode_text;
use crate::schema::{ManagedSchema, ManagedTable, TableId};
use crate::simulation::{mutated, mutation::Mutation};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::fmt::Write;
use std::sync::Arc;

/// The frozen bundle's head.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    pub(crate) source_id: SourceId,
    pub(crate) source_bundle_id: SourceBundleId,
    pub(crate) row_count: i64,
    pub(crate) request_hash: String,
    /// What the server answered at commit, once it did.
    pub(crate) committed: Option<CommittedBundle>,
    /// Whether the server said so before it was asked to commit: the bundle may be another copy's.
    pub(crate) committed_earlier: bool,
}

/// Reads the outbox's head.
pub(crate) fn load(connection: &Connection) -> Result<Option<Outbox>> {
    let mut statement = connection.prepare_cached(
        "SELECT source_id, source_bundle_id, row_count, request_hash, committed, committed_earlier
         FROM _rowtide_outbox",
    )?;
    let outbox = statement.query_row([], |row| {
        let source: String = row.get(0)?;
        let committed: Option<String> = row.get(4)?;
        Ok(Outbox {
            source_id: SourceId::parse(&source).ok_or(rusqlite::Error::InvalidQuery)?,
            source_bundle_id: SourceBundleId(row.get(1)?),
            row_count: row.get(2)?,
            request_hash: row.get(3)?,
            committed: committed.and_then(|json| serde_json::from_str(&json).ok()),
            committed_earlier: row.get(5)?,
        })
    });
    Ok(outbox.optional()?)
}

/// A part of the upload as a request body.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// `{"start_row_ordinal":…,"rows":[…]}`
    pub(crate) body: String,
    /// Rows in it.
    pub(crate) rows: i64,
}

/// Reads the chunk that starts at an ordinal: at most `max_rows` rows, and at most `max_bytes` unless a
/// single row is larger.
pub(crate) fn chunk(
    connection: &Connection,
    schema: &ManagedSchema,
    start: i64,
    max_rows: i64,
    max_bytes: usize,
) -> Result<Chunk> {
    let mut statement = connection.prepare_cached(
        "SELECT table_id, wire_key, op, base_row_version, payload FROM _rowtide_outbox_rows
         WHERE row_ordinal >= ?1 ORDER BY row_ordinal LIMIT ?2",
    )?;
    let mut found = statement.query([start, max_rows])?;
    let mut body = format!("{{\"start_row_ordinal\":{start},\"rows\":[");
    let mut rows = 0;
    while let Some(row) = found.next()? {
        let table = managed(schema, TableId(row.get(0)?))?;
        let payload = row.get_ref(4)?.as_str_or_null().map_err(rusqlite::Error::from)?;
        if rows > 0 {
            if body.len() + payload.map_or(0, str::len) > max_bytes {
                break;
            }
            body.push(',');
        }
        body.push_str("{\"schema\":");
        encode_text(&schema.name, &mut body);
        body.push_str(",\"table\":");
        encode_text(&table.name, &mut body);
        body.push_str(",\"key\":{");
        encode_text(table.wire_key_column(), &mut body);
        body.push(':');
        encode_text(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?, &mut body);
        let (op, base): (String, i64) = (row.get(2)?, row.get(3)?);
        write!(body, "}},\"op\":\"{op}\",\"base_row_version\":{base}").expect("a String takes every write");
        if let Some(payload) = payload {
            body.push_str(",\"payload\":");
            body.push_str(payload);
        }
        body.push('}');
        rows += 1;
    }
    body.push_str("]}");
    Ok(Chunk { body, rows })
}

pub(super) fn managed(schema: &ManagedSchema, id: TableId) -> Result<&Arc<ManagedTable>> {
    schema.by_id(id).ok_or_else(|| {
        StorageError::Violation(format!(
            "stored rows belong to table number {}, which is no longer configured",
            id.0
        ))
    })
}

/// Records the server's answer to the commit.
pub(crate) fn set_committed(
    transaction: &Transaction<'_>,
    bundle: &CommittedBundle,
    earlier: bool,
) -> Result<()> {
    let json = serde_json::to_string(bundle).expect("a committed bundle always serialises");
    transaction.execute(
        "UPDATE _rowtide_outbox SET committed = ?1, committed_earlier = ?2",
        params![json, earlier],
    )?;
    Ok(())
}

/// Turns the outbox back into dirty rows. Only after proof that the server has nothing of it.
pub(crate) fn thaw(transaction: &Transaction<'_>) -> Result<()> {
    dirty_rows::coalesce(transaction)?;
    if mutated(Mutation::ThawForgets) {
        return clear(transaction);
    }
    transaction.execute(
        "INSERT INTO _rowtide_dirty_rows (table_id, key, first_change, last_change)
         SELECT table_id, key, first_change, last_change FROM _rowtide_outbox_rows WHERE true
         ON CONFLICT (table_id, key) DO UPDATE SET first_change = excluded.first_change",
        [],
    )?;
    clear(transaction)
}

/// Empties the outbox.
pub(crate) fn clear(transaction: &Transaction<'_>) -> Result<()> {
    transaction.execute("DELETE FROM _rowtide_outbox_rows", [])?;
    transaction.execute("DELETE FROM _rowtide_outbox", [])?;
    commits::forget_settled(transaction)
}
