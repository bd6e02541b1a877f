//! The outbox: the single frozen upload bundle. It survives every restart until it is replayed or thawed.

use super::error::{Result, StorageError};
use super::{attachment, dirty_rows, quote, refused_rows, rows};
use crate::protocol::hash::{BundleHasher, HashedRow};
use crate::protocol::ids::{RowVersion, SourceBundleId, SourceId};
use crate::protocol::message::{CommittedBundle, RowOp};
use crate::protocol::payload;
use crate::protocol::profile::WireGeneration;
use crate::protocol::value::{SqlValue, encode_text};
use crate::schema::{ManagedSchema, ManagedTable, TableId};
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
}

/// How large a bundle may become; 0 is no limit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BundleBudget {
    pub(crate) rows: i64,
    pub(crate) bytes: i64,
}

/// Reads the outbox's head.
pub(crate) fn load(connection: &Connection) -> Result<Option<Outbox>> {
    let mut statement = connection.prepare_cached(
        "SELECT source_id, source_bundle_id, row_count, request_hash, committed FROM _rowtide_outbox",
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
        })
    });
    Ok(outbox.optional()?)
}

/// Freezes dirty rows into the outbox, in one transaction with their removal: upserts parents first, deletes
/// children first, each in the order of the first change. `None` where there is nothing to upload.
///
/// A row whose values have no wire form moves to the refused rows, so that it does not hold up the rest.
pub(crate) fn freeze(
    transaction: &Transaction<'_>,
    schema: &ManagedSchema,
    generation: WireGeneration,
    budget: BundleBudget,
    now_ms: i64,
) -> Result<Option<Outbox>> {
    dirty_rows::coalesce(transaction)?;
    dirty_rows::prune(transaction, schema)?;
    let mut bundle = Freezing {
        transaction,
        schema,
        generation,
        budget,
        now_ms,
        hasher: BundleHasher::new(generation),
        rows: 0,
        bytes: 0,
        refused: Vec::new(),
        full: false,
    };
    for table in &schema.tables {
        bundle.upserts(table)?;
    }
    for table in schema.tables.iter().rev() {
        bundle.deletes(table)?;
    }
    let Freezing { hasher, rows, refused, full, .. } = bundle;
    for (table, key) in refused {
        dirty_rows::clear(transaction, table, &key)?;
    }
    if full {
        transaction.execute(
            "DELETE FROM _rowtide_dirty_rows WHERE (table_id, key) IN (SELECT table_id, key FROM _rowtide_outbox_rows)",
            [],
        )?;
    } else {
        transaction.execute("DELETE FROM _rowtide_dirty_rows", [])?;
    }
    if rows == 0 {
        return Ok(None);
    }
    let attachment = attachment::load(transaction)?;
    let outbox = Outbox {
        source_id: attachment.source_id,
        source_bundle_id: attachment.next_source_bundle_id,
        row_count: rows,
        request_hash: hasher.finish(),
        committed: None,
    };
    transaction.execute(
        "INSERT INTO _rowtide_outbox (singleton, source_id, source_bundle_id, row_count, request_hash)
         VALUES (1, ?1, ?2, ?3, ?4)",
        params![outbox.source_id.as_str(), outbox.source_bundle_id.0, rows, outbox.request_hash],
    )?;
    Ok(Some(outbox))
}

struct Freezing<'a> {
    transaction: &'a Transaction<'a>,
    schema: &'a ManagedSchema,
    generation: WireGeneration,
    budget: BundleBudget,
    now_ms: i64,
    hasher: BundleHasher,
    rows: i64,
    bytes: i64,
    refused: Vec<(TableId, SqlValue)>,
    full: bool,
}

impl Freezing<'_> {
    fn upserts(&mut self, table: &Arc<ManagedTable>) -> Result<()> {
        // The ordered subquery is evaluated first (LIMIT keeps SQLite from flattening it), so the sorter holds
        // keys and not rows.
        let sql = format!(
            "SELECT d.first_change, ifnull(s.row_version, 0), ifnull(s.deleted, 0), {}
             FROM (SELECT key, first_change FROM _rowtide_dirty_rows WHERE table_id = ?1
                   ORDER BY first_change LIMIT -1) AS d
             CROSS JOIN {} AS t ON t.{} = d.key
             LEFT JOIN _rowtide_row_state AS s ON s.table_id = ?1 AND s.key = d.key",
            rows::column_list(table, "t."),
            quote(&table.name),
            quote(table.key_column())
        );
        let mut statement = self.transaction.prepare_cached(&sql)?;
        let mut found = statement.query([table.id.0])?;
        while let Some(row) = found.next()? {
            let (change, version, deleted): (i64, i64, bool) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let op = if version > 0 && !deleted { RowOp::Update } else { RowOp::Insert };
            let values = rows::values(table, row, 3)?;
            let mut json = String::new();
            let encoded = values.and_then(|values| {
                payload::encode(self.generation, &table.columns, &values, &mut json).map(|()| values)
            });
            match encoded {
                Ok(values) => {
                    let key = &values[table.key_index];
                    if !self.add(table, key, op, RowVersion(version), Some(&json), change)? {
                        return Ok(());
                    }
                }
                Err(reason) => {
                    let key = rows::cell(row.get_ref(3 + table.key_index)?).map_err(|source| {
                        StorageError::Violation(format!("key of table {}: {source}", table.name))
                    })?;
                    refused_rows::add(
                        self.transaction,
                        table,
                        &key,
                        "invalid_value",
                        &reason.to_string(),
                        None,
                        self.now_ms,
                    )?;
                    self.refused.push((table.id, key));
                }
            }
        }
        Ok(())
    }

    fn deletes(&mut self, table: &Arc<ManagedTable>) -> Result<()> {
        let sql = format!(
            "SELECT d.key, d.first_change, s.row_version
             FROM (SELECT key, first_change FROM _rowtide_dirty_rows WHERE table_id = ?1
                   ORDER BY first_change LIMIT -1) AS d
             JOIN _rowtide_row_state AS s ON s.table_id = ?1 AND s.key = d.key AND s.deleted = 0
             WHERE NOT EXISTS (SELECT 1 FROM {} AS t WHERE t.{} = d.key)",
            quote(&table.name),
            quote(table.key_column())
        );
        let mut statement = self.transaction.prepare_cached(&sql)?;
        let mut found = statement.query([table.id.0])?;
        while let Some(row) = found.next()? {
            let key = rows::key(row, 0)?;
            if !self.add(table, &key, RowOp::Delete, RowVersion(row.get(2)?), None, row.get(1)?)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Adds a row; `false` where the bundle is full.
    fn add(
        &mut self,
        table: &ManagedTable,
        key: &SqlValue,
        op: RowOp,
        base: RowVersion,
        payload: Option<&str>,
        first_change: i64,
    ) -> Result<bool> {
        let size = i64::try_from(payload.map_or(0, str::len)).unwrap_or(i64::MAX);
        let over = |limit: i64, amount: i64| limit > 0 && amount > limit;
        self.full = self.full
            || over(self.budget.rows, self.rows + 1)
            || (self.rows > 0 && over(self.budget.bytes, self.bytes + size));
        if self.full {
            return Ok(false);
        }
        let invalid = |source| StorageError::Violation(format!("key of table {}: {source}", table.name));
        let wire_key = table.key_kind.to_wire(key).map_err(invalid)?;
        let hashed = HashedRow {
            schema: &self.schema.name,
            table: &table.name,
            key_column: table.wire_key_column(),
            key: &wire_key,
            op,
            payload,
        };
        self.hasher
            .request_row(&hashed, base)
            .map_err(|_| StorageError::Violation(format!("a payload of table {} is not JSON", table.name)))?;
        self.transaction
            .prepare_cached(
                "INSERT INTO _rowtide_outbox_rows
                 (row_ordinal, table_id, key, wire_key, op, base_row_version, payload, first_change)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                self.rows,
                table.id.0,
                key,
                wire_key,
                op.as_str(),
                base.0,
                payload,
                first_change
            ])?;
        self.rows += 1;
        self.bytes += size;
        Ok(true)
    }
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
pub(crate) fn set_committed(transaction: &Transaction<'_>, bundle: &CommittedBundle) -> Result<()> {
    let json = serde_json::to_string(bundle).expect("a committed bundle always serialises");
    transaction.execute("UPDATE _rowtide_outbox SET committed = ?1", [json])?;
    Ok(())
}

/// Turns the outbox back into dirty rows. Only after proof that the server has nothing of it.
pub(crate) fn thaw(transaction: &Transaction<'_>) -> Result<()> {
    dirty_rows::coalesce(transaction)?;
    transaction.execute(
        "INSERT INTO _rowtide_dirty_rows (table_id, key, first_change, last_change)
         SELECT table_id, key, first_change, first_change FROM _rowtide_outbox_rows WHERE true
         ON CONFLICT (table_id, key) DO UPDATE SET first_change = excluded.first_change",
        [],
    )?;
    clear(transaction)
}

/// Empties the outbox.
pub(crate) fn clear(transaction: &Transaction<'_>) -> Result<()> {
    transaction.execute("DELETE FROM _rowtide_outbox_rows", [])?;
    transaction.execute("DELETE FROM _rowtide_outbox", [])?;
    Ok(())
}

/// Whether every frozen row is among the staged committed rows.
pub(crate) fn is_covered_by_stage(connection: &Connection) -> Result<bool> {
    Ok(connection.query_row(
        "SELECT NOT EXISTS (SELECT table_id, key FROM _rowtide_outbox_rows
                            EXCEPT SELECT table_id, key FROM _rowtide_stage)",
        [],
        |row| row.get(0),
    )?)
}
