//! Freezing: dirty rows become the outbox, in the wire form that is sent, hashed and replayed.

use super::error::{Result, StorageError};
use super::outbox::Outbox;
use super::refused_rows::{Refusal, RefusedReason};
use super::{attachment, closure, commits, dirty_rows, kept_columns, quote, rows};
use crate::protocol::hash::{BundleHasher, HashedRow};
use crate::protocol::ids::RowVersion;
use crate::protocol::message::RowOp;
use crate::protocol::payload;
use crate::protocol::profile::WireGeneration;
use crate::protocol::value::SqlValue;
use crate::schema::{ManagedSchema, ManagedTable, TableId};
use crate::simulation::{mutated, mutation::Mutation};
use rusqlite::{Transaction, params};
use std::sync::Arc;

/// How large a bundle may become; 0 is no limit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BundleBudget {
    pub(crate) rows: i64,
    pub(crate) bytes: i64,
}

/// Freezes dirty rows into the outbox, in one transaction with their removal: upserts parents first, deletes
/// children first, each in the order of the first change. `None` where there is nothing to upload.
///
/// A row whose values have no wire form moves to the inbox, with what belongs to it, so that it does not hold up
/// the rest.
pub(crate) fn freeze(
    transaction: &Transaction<'_>,
    schema: &ManagedSchema,
    generation: WireGeneration,
    budget: BundleBudget,
    now_ms: i64,
) -> Result<Option<Outbox>> {
    dirty_rows::coalesce(transaction)?;
    dirty_rows::prune(transaction, schema)?;
    let selective: bool =
        transaction
            .query_row("SELECT EXISTS (SELECT 1 FROM _rowtide_selected_rows)", [], |row| row.get(0))?;
    loop {
        let mut bundle = Freezing {
            transaction,
            schema,
            generation,
            budget,
            selective,
            hasher: BundleHasher::new(generation),
            rows: 0,
            bytes: 0,
            invalid: Vec::new(),
            full: false,
        };
        for table in &schema.tables {
            bundle.upserts(table)?;
        }
        for table in schema.tables.iter().rev() {
            bundle.deletes(table)?;
        }
        if bundle.invalid.is_empty() {
            return bundle.finish();
        }
        // What belongs to an invalid row may be frozen already: begin anew without it.
        let invalid = std::mem::take(&mut bundle.invalid);
        transaction.execute("DELETE FROM _rowtide_outbox_rows", [])?;
        for (table, key, message) in invalid {
            let refusal = Refusal { reason: RefusedReason::InvalidValue, message: &message };
            closure::refuse(transaction, schema, &[(table, key)], refusal, now_ms)?;
        }
    }
}

/// Numbers of a row's first and last local change.
#[derive(Debug, Clone, Copy)]
struct Changes {
    first: i64,
    last: i64,
}

struct Freezing<'a> {
    transaction: &'a Transaction<'a>,
    schema: &'a ManagedSchema,
    generation: WireGeneration,
    budget: BundleBudget,
    selective: bool,
    hasher: BundleHasher,
    rows: i64,
    bytes: i64,
    invalid: Vec<(TableId, SqlValue, String)>,
    full: bool,
}

impl Freezing<'_> {
    /// Writes the head, and takes the frozen rows out of the dirty ones.
    fn finish(self) -> Result<Option<Outbox>> {
        let Self { transaction, hasher, rows, full, selective, .. } = self;
        if mutated(Mutation::DirtyKeptAtFreeze) {
            // Nothing leaves the dirty rows.
        } else if full || selective {
            transaction.execute(
                "DELETE FROM _rowtide_dirty_rows WHERE (table_id, key) IN (SELECT table_id, key FROM _rowtide_outbox_rows)",
                [],
            )?;
        } else {
            transaction.execute("DELETE FROM _rowtide_dirty_rows", [])?;
        }
        if rows == 0 {
            // What there was came and went, or is in the inbox now.
            commits::forget_settled(transaction)?;
            return Ok(None);
        }
        let attachment = attachment::load(transaction)?;
        let outbox = Outbox {
            source_id: attachment.source_id,
            source_bundle_id: attachment.next_source_bundle_id,
            row_count: rows,
            request_hash: hasher.finish(),
            committed: None,
            committed_earlier: false,
        };
        transaction.execute(
            "INSERT INTO _rowtide_outbox (singleton, source_id, source_bundle_id, row_count, request_hash)
             VALUES (1, ?1, ?2, ?3, ?4)",
            params![outbox.source_id.as_str(), outbox.source_bundle_id.0, rows, outbox.request_hash],
        )?;
        Ok(Some(outbox))
    }

    /// Dirty rows of a table in the order of their first change. The subquery is evaluated first (LIMIT keeps
    /// SQLite from flattening it), so the sorter holds keys and not rows.
    fn dirty(&self) -> &'static str {
        if self.selective {
            "(SELECT key, first_change, last_change FROM _rowtide_dirty_rows JOIN _rowtide_selected_rows
              USING (table_id, key) WHERE table_id = ?1 ORDER BY first_change LIMIT -1)"
        } else {
            "(SELECT key, first_change, last_change FROM _rowtide_dirty_rows WHERE table_id = ?1
              ORDER BY first_change LIMIT -1)"
        }
    }

    fn upserts(&mut self, table: &Arc<ManagedTable>) -> Result<()> {
        let sql = format!(
            "SELECT d.first_change, d.last_change, ifnull(s.row_version, 0), ifnull(s.deleted, 0), {}
             FROM {} AS d
             CROSS JOIN {} AS t ON t.{} = d.key
             LEFT JOIN _rowtide_row_state AS s ON s.table_id = ?1 AND s.key = d.key",
            rows::column_list(table, "t."),
            self.dirty(),
            quote(&table.name),
            quote(table.key_column())
        );
        let mut statement = self.transaction.prepare_cached(&sql)?;
        let mut found = statement.query([table.id.0])?;
        while let Some(row) = found.next()? {
            let changes = Changes { first: row.get(0)?, last: row.get(1)? };
            let (version, deleted): (i64, bool) = (row.get(2)?, row.get(3)?);
            let op = if version > 0 && !deleted && !mutated(Mutation::AlwaysInsert) {
                RowOp::Update
            } else {
                RowOp::Insert
            };
            let values = rows::values(table, row, 4)?;
            let mut json = String::new();
            let encoded = match values {
                Ok(values) => {
                    let extra =
                        kept_columns::get(self.transaction, self.schema, table.id, &values[table.key_index])?;
                    payload::encode(self.generation, &table.columns, &values, &extra, &mut json)
                        .map(|()| values)
                }
                Err(error) => Err(error),
            };
            match encoded {
                Ok(values) => {
                    let key = &values[table.key_index];
                    if !self.add(table, key, op, RowVersion(version), Some(&json), changes)? {
                        return Ok(());
                    }
                }
                Err(reason) => {
                    let key = rows::cell(row.get_ref(4 + table.key_index)?).map_err(|source| {
                        StorageError::Violation(format!("key of table {}: {source}", table.name))
                    })?;
                    self.invalid.push((table.id, key, reason.to_string()));
                }
            }
        }
        Ok(())
    }

    fn deletes(&mut self, table: &Arc<ManagedTable>) -> Result<()> {
        if mutated(Mutation::DeletesNotSent) {
            return Ok(());
        }
        let sql = format!(
            "SELECT d.key, d.first_change, d.last_change, s.row_version
             FROM {} AS d
             JOIN _rowtide_row_state AS s ON s.table_id = ?1 AND s.key = d.key AND s.deleted = 0
             WHERE NOT EXISTS (SELECT 1 FROM {} AS t WHERE t.{} = d.key)",
            self.dirty(),
            quote(&table.name),
            quote(table.key_column())
        );
        let mut statement = self.transaction.prepare_cached(&sql)?;
        let mut found = statement.query([table.id.0])?;
        while let Some(row) = found.next()? {
            let key = rows::key(row, 0)?;
            let changes = Changes { first: row.get(1)?, last: row.get(2)? };
            if !self.add(table, &key, RowOp::Delete, RowVersion(row.get(3)?), None, changes)? {
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
        changes: Changes,
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
                 (row_ordinal, table_id, key, wire_key, op, base_row_version, payload, first_change, last_change)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                self.rows,
                table.id.0,
                key,
                wire_key,
                op.as_str(),
                base.0,
                payload,
                changes.first,
                changes.last
            ])?;
        self.rows += 1;
        self.bytes += size;
        Ok(true)
    }
}
