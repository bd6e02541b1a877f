//! Writing the server's rows: capture off, foreign keys deferred, local intent never lost.
//!
//! Where an incoming row meets a dirty row, an [`Arbiter`] decides; where SQLite on its own would take a
//! dirty row away (a cascade, a parent that is gone), the row goes to the inbox first.

use super::error::{Result, StorageError};
use super::row_state::{self, RowState};
use super::{dirty_rows, quote, refused_rows, rows};
use crate::protocol::ids::RowVersion;
use crate::protocol::value::SqlValue;
use crate::schema::{ManagedSchema, ManagedTable};
use rusqlite::Transaction;

/// What becomes of a dirty row that an incoming row meets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// The server's row replaces it.
    AcceptServer,
    /// It stays and is uploaded on top of the server's version.
    KeepLocal,
    /// It becomes this row, in the table's column order, and is uploaded.
    KeepMerged(Vec<SqlValue>),
}

/// A dirty row that an incoming row meets.
#[derive(Debug)]
pub(crate) struct Meeting<'a> {
    pub(crate) table: &'a ManagedTable,
    pub(crate) wire_key: &'a str,
    pub(crate) local: Option<&'a [SqlValue]>,
    pub(crate) server: Option<&'a [SqlValue]>,
    pub(crate) server_version: RowVersion,
    /// Number of the row's last local change: a decision about an older one does not count.
    pub(crate) last_change: i64,
}

/// Decides conflicts. `None`: a decision has to be asked for outside of the transaction.
pub(crate) trait Arbiter {
    fn decide(&mut self, meeting: &Meeting<'_>) -> Option<Verdict>;
}

/// What an apply did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Applied {
    /// Rows written or deleted.
    pub(crate) rows: i64,
    /// Conflicts decided.
    pub(crate) conflicts: i64,
}

/// One transaction's work of writing the server's rows.
pub(crate) struct Applier<'a> {
    transaction: &'a Transaction<'a>,
    schema: &'a ManagedSchema,
    any_dirty: bool,
    now_ms: i64,
    pub(crate) done: Applied,
}

impl<'a> Applier<'a> {
    /// Turns capture off and defers foreign keys until the transaction ends.
    pub(crate) fn begin(
        transaction: &'a Transaction<'a>,
        schema: &'a ManagedSchema,
        now_ms: i64,
    ) -> Result<Self> {
        dirty_rows::coalesce(transaction)?;
        transaction
            .execute_batch("UPDATE _rowtide_apply SET applying = 1; PRAGMA defer_foreign_keys = ON")?;
        let any_dirty = dirty_rows::any(transaction)?;
        Ok(Self { transaction, schema, any_dirty, now_ms, done: Applied::default() })
    }

    /// Turns capture on again. Rows of local intent whose parent is gone move to the inbox.
    pub(crate) fn finish(self) -> Result<Applied> {
        if self.any_dirty {
            while self.refuse_orphans()? > 0 {}
        }
        self.transaction.execute_batch("UPDATE _rowtide_apply SET applying = 0")?;
        Ok(self.done)
    }

    /// Applies one row of the server; `server` is `None` for a delete. Rows already seen are skipped.
    pub(crate) fn row(
        &mut self,
        table: &ManagedTable,
        wire_key: &str,
        key: &SqlValue,
        version: RowVersion,
        server: Option<Vec<SqlValue>>,
        arbiter: &mut dyn Arbiter,
    ) -> Result<()> {
        let state = row_state::get(self.transaction, table.id, key)?;
        if state.version >= version {
            return Ok(());
        }
        let next = RowState { version, deleted: server.is_none() };
        let dirty =
            if self.any_dirty { dirty_rows::last_change(self.transaction, table.id, key)? } else { None };
        let Some(last_change) = dirty else {
            return self.accept(table, key, next, server.as_deref());
        };
        self.meet(table, wire_key, key, next, last_change, server, arbiter)
    }

    /// A dirty row meets the server's: equal rows need no decision, others are decided and resolved.
    #[allow(clippy::too_many_arguments)] // the facts of one meeting
    pub(crate) fn meet(
        &mut self,
        table: &ManagedTable,
        wire_key: &str,
        key: &SqlValue,
        next: RowState,
        last_change: i64,
        server: Option<Vec<SqlValue>>,
        arbiter: &mut dyn Arbiter,
    ) -> Result<()> {
        let local = rows::read(self.transaction, table, key)?;
        if local == server {
            // Both sides did the same; there is nothing left to upload.
            dirty_rows::clear(self.transaction, table.id, key)?;
            return self.set_state(table, key, next);
        }
        let meeting = Meeting {
            table,
            wire_key,
            local: local.as_deref(),
            server: server.as_deref(),
            server_version: next.version,
            last_change,
        };
        let verdict = arbiter.decide(&meeting).ok_or(StorageError::Undecided)?;
        self.done.conflicts += 1;
        self.resolve(table, key, next, server.as_deref(), verdict)
    }

    /// Carries out a decision about a dirty row.
    fn resolve(
        &mut self,
        table: &ManagedTable,
        key: &SqlValue,
        next: RowState,
        server: Option<&[SqlValue]>,
        verdict: Verdict,
    ) -> Result<()> {
        match verdict {
            Verdict::AcceptServer => {
                dirty_rows::clear(self.transaction, table.id, key)?;
                self.accept(table, key, next, server)
            }
            Verdict::KeepLocal => self.set_state(table, key, next),
            Verdict::KeepMerged(merged) => {
                rows::write(self.transaction, table, &merged)?;
                self.set_state(table, key, next)
            }
        }
    }

    /// Writes or deletes a row that no local intent stands against.
    pub(crate) fn accept(
        &mut self,
        table: &ManagedTable,
        key: &SqlValue,
        next: RowState,
        server: Option<&[SqlValue]>,
    ) -> Result<()> {
        match server {
            Some(values) => {
                self.evict_unique_collisions(table, values)?;
                rows::write(self.transaction, table, values)?;
            }
            None => self.delete(table, key)?,
        }
        self.done.rows += 1;
        self.set_state(table, key, next)
    }

    /// Deletes a row; dirty rows that the delete would take along go to the inbox first.
    pub(crate) fn delete(&mut self, table: &ManagedTable, key: &SqlValue) -> Result<()> {
        if self.any_dirty {
            self.refuse_dependants(table, key)?;
        }
        rows::delete(self.transaction, table, key)?;
        Ok(())
    }

    fn set_state(&self, table: &ManagedTable, key: &SqlValue, state: RowState) -> Result<()> {
        if state.version.0 == 0 {
            return row_state::forget(self.transaction, table.id, key);
        }
        row_state::set(self.transaction, table.id, key, state)
    }

    /// Moves dirty rows that depend on a row which is about to go to the inbox.
    fn refuse_dependants(&self, table: &ManagedTable, key: &SqlValue) -> Result<()> {
        let mut doomed = vec![(table.name.clone(), key.clone())];
        let mut seen: Vec<(String, SqlValue)> = Vec::new();
        while let Some((parent_name, parent_key)) = doomed.pop() {
            if seen.contains(&(parent_name.clone(), parent_key.clone())) {
                continue;
            }
            let Some(parent) = self.schema.tables.iter().find(|t| t.name == parent_name) else { continue };
            for child in &self.schema.tables {
                let references =
                    child.references.iter().filter(|r| r.table == parent_name && !r.survives_delete);
                for reference in references {
                    let sql = format!(
                        "SELECT c.{} FROM {} AS c JOIN {} AS p ON p.{} = c.{} WHERE p.{} = ?1",
                        quote(child.key_column()),
                        quote(&child.name),
                        quote(&parent_name),
                        quote(&reference.to),
                        quote(&reference.column),
                        quote(parent.key_column())
                    );
                    let mut statement = self.transaction.prepare_cached(&sql)?;
                    let keys = statement
                        .query_map([&parent_key], |row| rows::key(row, 0))?
                        .collect::<rusqlite::Result<Vec<_>>>()?;
                    doomed.extend(keys.into_iter().map(|key| (child.name.clone(), key)));
                }
            }
            let itself = seen.is_empty();
            if !itself && dirty_rows::last_change(self.transaction, parent.id, &parent_key)?.is_some() {
                self.refuse(
                    parent,
                    &parent_key,
                    "parent_missing",
                    "a row that it refers to was deleted on another device",
                )?;
            }
            seen.push((parent_name, parent_key));
        }
        Ok(())
    }

    /// Moves dirty rows whose parent does not exist to the inbox; answers how many.
    fn refuse_orphans(&self) -> Result<usize> {
        let mut count = 0;
        for table in &self.schema.tables {
            for reference in &table.references {
                let sql = format!(
                    "SELECT d.key FROM _rowtide_dirty_rows AS d JOIN {} AS c ON c.{} = d.key
                     WHERE d.table_id = ?1 AND c.{} IS NOT NULL
                       AND NOT EXISTS (SELECT 1 FROM {} AS p WHERE p.{} = c.{})",
                    quote(&table.name),
                    quote(table.key_column()),
                    quote(&reference.column),
                    quote(&reference.table),
                    quote(&reference.to),
                    quote(&reference.column)
                );
                let mut statement = self.transaction.prepare_cached(&sql)?;
                let keys = statement
                    .query_map([table.id.0], |row| rows::key(row, 0))?
                    .collect::<rusqlite::Result<Vec<_>>>()?;
                for key in keys {
                    let message = format!(
                        "the row of table {} that it refers to was deleted on another device",
                        reference.table
                    );
                    self.refuse(table, &key, "parent_missing", &message)?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    /// Takes a dirty row out of its table and into the inbox, content and all.
    fn refuse(&self, table: &ManagedTable, key: &SqlValue, reason: &str, message: &str) -> Result<()> {
        let content = rows::read(self.transaction, table, key)?;
        refused_rows::add(self.transaction, table, key, reason, message, content.as_deref(), self.now_ms)?;
        dirty_rows::clear(self.transaction, table.id, key)?;
        rows::delete(self.transaction, table, key)?;
        Ok(())
    }

    /// A dirty row that holds a unique value which the server gave to another row goes to the inbox.
    fn evict_unique_collisions(&self, table: &ManagedTable, values: &[SqlValue]) -> Result<()> {
        if !self.any_dirty {
            return Ok(());
        }
        for columns in unique_columns(self.transaction, table)? {
            let places: Vec<_> = columns
                .iter()
                .enumerate()
                .map(|(place, index)| format!("t.{} = ?{}", quote(&table.column_names[*index]), place + 2))
                .collect();
            let sql = format!(
                "SELECT t.{0} FROM {1} AS t JOIN _rowtide_dirty_rows AS d ON d.table_id = {2} AND d.key = t.{0}
                 WHERE t.{0} IS NOT ?1 AND {3}",
                quote(table.key_column()),
                quote(&table.name),
                table.id.0,
                places.join(" AND ")
            );
            let mut parameters = vec![&values[table.key_index]];
            parameters.extend(columns.iter().map(|index| &values[*index]));
            let mut statement = self.transaction.prepare_cached(&sql)?;
            let keys = statement
                .query_map(rusqlite::params_from_iter(parameters), |row| rows::key(row, 0))?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            for key in keys {
                self.refuse_dependants(table, &key)?;
                let message = "another device stored a row with the same unique value first";
                self.refuse(table, &key, "unique_collision", message)?;
            }
        }
        Ok(())
    }
}

/// Column positions of each UNIQUE constraint or index of a table, the sync key's own left out.
fn unique_columns(transaction: &Transaction<'_>, table: &ManagedTable) -> Result<Vec<Vec<usize>>> {
    let mut statement = transaction.prepare_cached(
        "SELECT l.name, group_concat(i.name, char(31)) FROM pragma_index_list(?1) AS l, pragma_index_info(l.name) AS i
         WHERE l.\"unique\" = 1 AND l.origin <> 'pk' AND l.partial = 0 GROUP BY l.name",
    )?;
    let names = statement
        .query_map([&table.name], |row| row.get::<_, Option<String>>(1))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let position = |name: &str| table.column_names.iter().position(|column| column == name);
    // An index over an expression has no column names and is left to SQLite's own check.
    Ok(names
        .into_iter()
        .flatten()
        .filter_map(|list| list.split('\u{1f}').map(position).collect::<Option<Vec<_>>>())
        .collect())
}
