//! Constraints between the server's rows and local intent: what SQLite on its own would take away goes to the
//! inbox, and a local delete reaches what other devices added below it meanwhile.

use super::apply::Applier;
use super::error::{Result, StorageError};
use super::refused_rows::{self, Refusal, RefusedReason};
use super::{dirty_rows, quote, row_state, rows};
use crate::protocol::value::SqlValue;
use crate::schema::{DeleteAction, ManagedSchema, ManagedTable, Reference, TableId};
use crate::simulation::{mutated, mutation::Mutation};
use rusqlite::Transaction;
use rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY;
use std::collections::HashSet;
use std::sync::Arc;

/// How far local deletes reach into the server's rows.
#[derive(Default)]
struct Reach {
    /// Deleted rows that clean rows refer to, where the reference forbids that.
    forbidden: Vec<(TableId, SqlValue)>,
    /// Local deletes that took rows along.
    roots: Vec<(TableId, SqlValue)>,
    taken_along: Vec<(TableId, SqlValue)>,
    /// Whether another look is needed.
    again: bool,
}

impl Reach {
    /// The local deletes to undo. One that was only taken along was not deleted by anybody: the deletes that took
    /// rows along are undone instead.
    fn deletes_to_undo(self) -> Vec<(TableId, SqlValue)> {
        let (taken, mut undo): (Vec<_>, Vec<_>) =
            self.forbidden.into_iter().partition(|row| self.taken_along.contains(row));
        if !taken.is_empty() {
            undo.extend(self.roots);
        }
        undo
    }
}

impl Applier<'_> {
    /// A row that was deleted here may have got referencing rows from another device since. The local delete acts
    /// on them as it would have, had they been there: captured, so it goes up with the rest. Where the reference
    /// forbids the delete, the delete has to be undone.
    pub(super) fn extend_local_deletes(&self) -> Result<()> {
        let mut reach = Reach::default();
        // What one delete takes along may itself be referred to.
        loop {
            reach.again = false;
            for child in &self.schema.tables {
                for reference in &child.references {
                    let parent = self.schema.tables.iter().find(|table| table.name == reference.table);
                    let by_key =
                        |parent: &&Arc<ManagedTable>| reference.to.eq_ignore_ascii_case(parent.key_column());
                    if let Some(parent) = parent.filter(by_key) {
                        self.extend_deletes_of(parent, child, reference, &mut reach)?;
                    }
                }
            }
            if !reach.forbidden.is_empty() {
                return Err(StorageError::ParentsDeletedHere(reach.deletes_to_undo()));
            }
            if !reach.again {
                return Ok(());
            }
        }
    }

    fn extend_deletes_of(
        &self,
        parent: &ManagedTable,
        child: &ManagedTable,
        reference: &Reference,
        reach: &mut Reach,
    ) -> Result<()> {
        let (name, column) = (quote(&child.name), quote(&reference.column));
        let sql = format!(
            "SELECT d.key FROM _rowtide_dirty_rows AS d
             WHERE d.table_id = ?1
               AND NOT EXISTS (SELECT 1 FROM {} AS p WHERE p.{} = d.key)
               AND EXISTS (SELECT 1 FROM {name} AS c WHERE c.{column} = d.key)",
            quote(&parent.name),
            quote(parent.key_column())
        );
        let keys = self
            .transaction
            .prepare_cached(&sql)?
            .query_map([parent.id.0], |row| rows::key(row, 0))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        for key in keys {
            let sql = match reference.on_delete {
                DeleteAction::Cascade => format!("DELETE FROM {name} WHERE {column} = ?1"),
                DeleteAction::Unlink => format!("UPDATE {name} SET {column} = NULL WHERE {column} = ?1"),
                DeleteAction::Refuse => {
                    // A dirty child is local intent itself, and is dealt with as an orphan.
                    if self.has_clean_child(child, reference, &key)? {
                        reach.forbidden.push((parent.id, key));
                    }
                    continue;
                }
            };
            self.transaction.execute_batch("UPDATE _rowtide_apply SET applying = 0")?;
            let reached = self.transaction.prepare_cached(&sql)?.execute([&key])?;
            self.transaction.execute_batch("UPDATE _rowtide_apply SET applying = 1")?;
            reach.again |= reached > 0;
            reach.roots.push((parent.id, key));
            self.note_reached(reach)?;
            dirty_rows::coalesce(self.transaction)?;
        }
        Ok(())
    }

    /// Remembers what a delete took along, before it is intent like any other.
    fn note_reached(&self, reach: &mut Reach) -> Result<()> {
        let mut statement =
            self.transaction.prepare_cached("SELECT table_id, key FROM _rowtide_change_log")?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            reach.taken_along.push((TableId(row.get(0)?), rows::key(row, 1)?));
        }
        Ok(())
    }

    fn has_clean_child(&self, child: &ManagedTable, reference: &Reference, key: &SqlValue) -> Result<bool> {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM {} AS c WHERE c.{} = ?1 AND NOT EXISTS
                 (SELECT 1 FROM _rowtide_dirty_rows AS d WHERE d.table_id = {} AND d.key = c.{}))",
            quote(&child.name),
            quote(&reference.column),
            child.id.0,
            quote(child.key_column())
        );
        Ok(self.transaction.prepare_cached(&sql)?.query_row([key], |row| row.get(0))?)
    }

    /// Moves dirty rows that depend on a row which is about to go to the inbox.
    pub(super) fn refuse_dependants(&mut self, table: &ManagedTable, key: &SqlValue) -> Result<()> {
        let mut doomed = vec![(table, key.clone())];
        let mut seen = HashSet::new();
        let mut dirty = Vec::new();
        while let Some((parent, parent_key)) = doomed.pop() {
            let Ok(wire_key) = parent.key_kind.to_wire(&parent_key) else { continue };
            if !seen.insert((parent.id, wire_key)) {
                continue;
            }
            for child in &self.schema.tables {
                let falls_with = |reference: &&Reference| {
                    reference.table == parent.name && reference.on_delete != DeleteAction::Unlink
                };
                for reference in child.references.iter().filter(falls_with) {
                    let keys = self.referencing(child, reference, parent, &parent_key)?;
                    doomed.extend(keys.into_iter().map(|key| (&**child, key)));
                }
            }
            let itself = parent.id == table.id && parent_key == *key;
            if !itself && dirty_rows::last_change(self.transaction, parent.id, &parent_key)?.is_some() {
                dirty.push((parent, parent_key));
            }
        }
        // The deepest first: taking a row out of its table takes along what refers to it.
        for (table, key) in dirty.iter().rev() {
            let message = "a row that it refers to was deleted on another device";
            self.refuse(table, key, RefusedReason::ParentMissing, message)?;
        }
        Ok(())
    }

    /// Keys of the rows that refer to one row.
    fn referencing(
        &self,
        child: &ManagedTable,
        reference: &Reference,
        parent: &ManagedTable,
        parent_key: &SqlValue,
    ) -> Result<Vec<SqlValue>> {
        let sql = format!(
            "SELECT c.{} FROM {} AS c JOIN {} AS p ON p.{} = c.{} WHERE p.{} = ?1",
            quote(child.key_column()),
            quote(&child.name),
            quote(&parent.name),
            quote(&reference.to),
            quote(&reference.column),
            quote(parent.key_column())
        );
        let mut statement = self.transaction.prepare_cached(&sql)?;
        let keys = statement.query_map([parent_key], |row| rows::key(row, 0))?;
        Ok(keys.collect::<rusqlite::Result<_>>()?)
    }

    /// Moves dirty rows whose parent does not exist to the inbox; answers how many.
    pub(super) fn refuse_orphans(&mut self) -> Result<usize> {
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
                    self.refuse_dependants(table, &key)?;
                    self.refuse(table, &key, RefusedReason::ParentMissing, &message)?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    /// Takes a dirty row out of its table and into the inbox, content and all. Where the server has the row, or rows
    /// that its leaving takes along, their server versions come back with a rebuild.
    pub(super) fn refuse(
        &mut self,
        table: &ManagedTable,
        key: &SqlValue,
        reason: RefusedReason,
        message: &str,
    ) -> Result<()> {
        // It may have gone with a row that was refused before it, content and all.
        if rows::read(self.transaction, table, key)?.is_none() {
            return Ok(());
        }
        refused_rows::add(self.transaction, table, key, Refusal { reason, message }, self.now_ms)?;
        refused_rows::leaves_table(self.transaction, table.id, key)?;
        let before = std::mem::take(&mut self.side_effects);
        self.note_side_effects(|transaction| rows::delete(transaction, table, key).map(drop))?;
        let touched = std::mem::replace(&mut self.side_effects, before);
        for ((id, _), key) in touched {
            if row_state::get(self.transaction, id, &key)?.is_live() {
                self.stale.push((id, key));
            }
        }
        Ok(())
    }

    /// Runs work with capture on, and takes what it captured out of the log again.
    pub(super) fn note_side_effects(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<()>,
    ) -> Result<()> {
        self.transaction.execute_batch("UPDATE _rowtide_apply SET applying = 0")?;
        work(self.transaction)?;
        self.transaction.execute_batch("UPDATE _rowtide_apply SET applying = 1")?;
        let mut statement =
            self.transaction.prepare_cached("SELECT table_id, key FROM _rowtide_change_log")?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            let (id, key) = (TableId(row.get(0)?), rows::key(row, 1)?);
            let wire_key = self.schema.by_id(id).and_then(|table| table.key_kind.to_wire(&key).ok());
            if let Some(wire_key) = wire_key {
                self.side_effects.insert((id, wire_key), key);
            }
        }
        drop(found);
        self.transaction.prepare_cached("DELETE FROM _rowtide_change_log")?.execute([])?;
        Ok(())
    }

    /// Makes local intent of the side effects that the server's rows did not confirm.
    pub(super) fn keep_side_effects(&self) -> Result<()> {
        if self.side_effects.is_empty() || mutated(Mutation::SideEffectsForgotten) {
            return Ok(());
        }
        let mut insert = self
            .transaction
            .prepare_cached("INSERT INTO _rowtide_change_log (table_id, key) VALUES (?1, ?2)")?;
        for ((table, _), key) in &self.side_effects {
            insert.execute(rusqlite::params![table.0, key])?;
        }
        dirty_rows::coalesce(self.transaction)?;
        Ok(())
    }

    /// Rows of the server whose parent nobody has, because the server does not enforce the reference: the reference
    /// acts as if the parent had been deleted here, captured, so that the server gets it; where it forbids
    /// that, the row goes to the inbox.
    fn mend_orphans(&mut self) -> Result<()> {
        loop {
            let mut mended = false;
            for child in &self.schema.tables {
                for reference in &child.references {
                    for key in self.orphans(child, reference)? {
                        mended = true;
                        match reference.on_delete {
                            DeleteAction::Cascade => {
                                self.note_side_effects(|transaction| {
                                    rows::delete(transaction, child, &key).map(drop)
                                })?;
                            }
                            DeleteAction::Unlink => self.note_side_effects(|transaction| {
                                let sql = format!(
                                    "UPDATE {} SET {} = NULL WHERE {} = ?1",
                                    quote(&child.name),
                                    quote(&reference.column),
                                    quote(child.key_column())
                                );
                                transaction.prepare_cached(&sql)?.execute([&key])?;
                                Ok(())
                            })?,
                            DeleteAction::Refuse => {
                                let message = format!(
                                    "the row of table {} that it refers to does not exist",
                                    reference.table
                                );
                                self.refuse_dependants(child, &key)?;
                                self.refuse(child, &key, RefusedReason::ParentMissing, &message)?;
                                // The server's own row is the orphan: it would come back as one.
                                self.stale.clear();
                            }
                        }
                    }
                }
            }
            if !mended {
                return Ok(());
            }
        }
    }

    fn orphans(&self, child: &ManagedTable, reference: &Reference) -> Result<Vec<SqlValue>> {
        let sql = format!(
            "SELECT c.{} FROM {} AS c WHERE c.{} IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM {} AS p WHERE p.{} = c.{})",
            quote(child.key_column()),
            quote(&child.name),
            quote(&reference.column),
            quote(&reference.table),
            quote(&reference.to),
            quote(&reference.column)
        );
        let mut statement = self.transaction.prepare_cached(&sql)?;
        let keys = statement.query_map([], |row| rows::key(row, 0))?;
        Ok(keys.collect::<rusqlite::Result<_>>()?)
    }
}

/// Commits a transaction that applied the server's rows. Looking for orphans costs a scan, so it is done only
/// where SQLite refuses the commit for one.
pub(crate) fn commit(transaction: Transaction<'_>, schema: &ManagedSchema, now_ms: i64) -> Result<()> {
    match transaction.execute_batch("COMMIT") {
        Err(error)
            if error.sqlite_error().is_some_and(|e| e.extended_code == SQLITE_CONSTRAINT_FOREIGNKEY) => {}
        done => return Ok(done?),
    }
    let mut applier = Applier::begin(&transaction, schema, now_ms)?;
    applier.mend_orphans()?;
    applier.finish()?;
    Ok(transaction.execute_batch("COMMIT")?)
}

/// Undoes local deletes: the rows are the server's again, and unknown here until a snapshot brings them.
pub(crate) fn undo_deletes(transaction: &Transaction<'_>, parents: &[(TableId, SqlValue)]) -> Result<()> {
    dirty_rows::coalesce(transaction)?;
    for (table, key) in parents {
        dirty_rows::clear(transaction, *table, key)?;
        row_state::forget(transaction, *table, key)?;
    }
    Ok(())
}
