//! Writing the server's rows: capture off, foreign keys deferred, local intent never lost.
//!
//! Where an incoming row meets a dirty row, an [`Arbiter`] decides; where constraints stand between them,
//! `integrity` does.

use super::base_images::{self, Base};
use super::error::{Result, StorageError};
use super::operation::{self, OperationKind};
use super::refused_rows::{self, Refusal, RefusedReason};
use super::row_state::{self, RowState};
use super::rows::{self, ServerRow};
use super::{commits, dirty_rows, kept_columns, triggers};
use crate::protocol::ids::RowVersion;
use crate::protocol::payload::ExtraMembers;
use crate::protocol::value::SqlValue;
use crate::schema::{DeleteAction, ManagedSchema, ManagedTable, Reference, TableId};
use crate::simulation::{mutated, mutation::Mutation};
use rusqlite::{ErrorCode, Transaction};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// What becomes of a dirty row that an incoming row meets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// The server's row replaces it.
    AcceptServer,
    /// It stays and is uploaded on top of the server's version.
    KeepLocal,
    /// It becomes this row, in the table's column order, and is uploaded.
    KeepMerged(Vec<SqlValue>),
    /// The resolver's answer is no row of the table: the local row goes to the inbox and the server's takes its place.
    Refuse(String),
}

/// A dirty row that an incoming row meets.
#[derive(Debug)]
pub(crate) struct Meeting<'a> {
    pub(crate) table: &'a ManagedTable,
    pub(crate) wire_key: &'a str,
    pub(crate) base: &'a Base,
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

/// Passes every conflict on, keeps the local row where no decision is there yet, and remembers that: one pass
/// meets all conflicts instead of the first.
pub(crate) struct Rehearsal<'a> {
    arbiter: &'a mut dyn Arbiter,
    pub(crate) undecided: bool,
}

impl<'a> Rehearsal<'a> {
    pub(crate) fn of(arbiter: &'a mut dyn Arbiter) -> Self {
        Self { arbiter, undecided: false }
    }
}

impl Arbiter for Rehearsal<'_> {
    fn decide(&mut self, meeting: &Meeting<'_>) -> Option<Verdict> {
        self.arbiter.decide(meeting).or_else(|| {
            self.undecided = true;
            Some(Verdict::KeepLocal)
        })
    }
}

/// What an apply did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Applied {
    /// Rows written or deleted.
    pub(crate) rows: i64,
    /// Conflicts decided.
    pub(crate) conflicts: i64,
    /// Whether rows that the server has left their tables and a rebuild has to bring them back.
    pub(crate) needs_rebuild: bool,
}

/// One transaction's work of writing the server's rows.
pub(crate) struct Applier<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) schema: &'a ManagedSchema,
    pub(super) any_dirty: bool,
    pub(super) now_ms: i64,
    pub(super) unique_columns: HashMap<TableId, Rc<[Vec<usize>]>>,
    /// Rows that gave up a unique value and wait for their new one.
    pub(super) parked: Vec<(TableId, SqlValue)>,
    /// Rows that SQLite changed on its own while the server's rows were written (cascades), by table and wire key,
    /// unless the server's rows say the same later in the bundle. In order, so that the same rows are uploaded alike.
    pub(super) side_effects: BTreeMap<(TableId, String), SqlValue>,
    /// Whether a table has triggers of the app, which may write to other managed rows.
    pub(super) app_triggers: HashMap<TableId, bool>,
    /// Rows of the server that left their tables together with a refused one.
    pub(super) stale: Vec<(TableId, SqlValue)>,
    /// Whether rows of a version that is here already are compared, and written where they differ.
    pub(super) compare_equal: bool,
    pub(crate) done: Applied,
}

/// Finds a row among those that are being applied, to write it again; `None` where it is not among them.
pub(crate) type Lookup<'l> = &'l dyn Fn(&ManagedTable, &SqlValue) -> Result<Option<ServerRow>>;

impl<'a> Applier<'a> {
    /// Turns capture off and defers foreign keys until the transaction ends.
    pub(crate) fn begin(
        transaction: &'a Transaction<'a>,
        schema: &'a ManagedSchema,
        now_ms: i64,
    ) -> Result<Self> {
        if dirty_rows::coalesce(transaction)? {
            // A row that came and went here is no intent that another device's row could meet.
            dirty_rows::prune(transaction, schema)?;
        }
        transaction
            .execute_batch("UPDATE _rowtide_apply SET applying = 1; PRAGMA defer_foreign_keys = ON")?;
        let any_dirty = dirty_rows::any(transaction)?;
        Ok(Self {
            transaction,
            schema,
            any_dirty,
            now_ms,
            unique_columns: HashMap::new(),
            parked: Vec::new(),
            side_effects: BTreeMap::new(),
            app_triggers: HashMap::new(),
            stale: Vec::new(),
            compare_equal: false,
            done: Applied::default(),
        })
    }

    /// Turns capture on again, after local intent and the server's rows were made to fit each other.
    pub(crate) fn finish(self) -> Result<Applied> {
        self.finish_with(&|_, _| Ok(None))
    }

    /// Rows that SQLite changed beside the ones that were written.
    pub(crate) fn changed_beside(&self) -> Vec<(TableId, SqlValue)> {
        self.side_effects.iter().map(|((table, _), key)| (*table, key.clone())).collect()
    }

    /// As [`finish`](Self::finish), where triggers of the app may have overwritten rows that are being applied.
    pub(crate) fn finish_with(mut self, lookup: Lookup<'_>) -> Result<Applied> {
        self.restore_applied(lookup)?;
        self.check_parked()?;
        if self.any_dirty {
            self.extend_local_deletes()?;
            while self.refuse_orphans()? > 0 {}
        }
        self.keep_side_effects()?;
        self.restore_stale()?;
        if self.any_dirty && !dirty_rows::any(self.transaction)? {
            // Intent that gave way to the server's rows goes up with no bundle that would settle it. What is left of it does,
            // and looking through it with each bundle would cost its number.
            commits::forget_settled(self.transaction)?;
        }
        base_images::sweep(self.transaction, self.schema)?;
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
        server: Option<ServerRow>,
        arbiter: &mut dyn Arbiter,
    ) -> Result<()> {
        let state = row_state::get(self.transaction, table.id, key)?;
        if state.version > version
            || (state.version == version && !self.differs(table, key, server.as_ref())?)
        {
            return Ok(());
        }
        let server = self.keep_extra(table, key, server)?;
        self.side_effects.remove(&(table.id, wire_key.to_owned()));
        let next = RowState { version, deleted: server.is_none() };
        let dirty = match self.any_dirty && !mutated(Mutation::DirtyRowOverwritten) {
            true => dirty_rows::last_change(self.transaction, table.id, key)?,
            false => None,
        };
        let Some(last_change) = dirty else {
            return self.accept(table, key, next, server.as_deref());
        };
        self.meet(table, wire_key, key, next, last_change, server, arbiter)
    }

    /// Whether a clean row of the server's own version holds something else here, where that is asked for.
    fn differs(&self, table: &ManagedTable, key: &SqlValue, server: Option<&ServerRow>) -> Result<bool> {
        if !self.compare_equal
            || (self.any_dirty && dirty_rows::last_change(self.transaction, table.id, key)?.is_some())
        {
            return Ok(false);
        }
        Ok(rows::read(self.transaction, table, key)?.as_ref() != server.map(|server| &server.values))
    }

    /// Keeps what the server's row has beyond the table's columns; whoever wins, it is the server's.
    pub(crate) fn keep_extra(
        &self,
        table: &ManagedTable,
        key: &SqlValue,
        server: Option<ServerRow>,
    ) -> Result<Option<Vec<SqlValue>>> {
        let none = ExtraMembers::new();
        let extra = server.as_ref().map_or(&none, |server| &server.extra);
        kept_columns::set(self.transaction, self.schema, table.id, key, extra)?;
        Ok(server.map(|server| server.values))
    }

    /// A dirty row meets the server's: equal rows need no decision unless they count, nor do new ones where the server
    /// has none; others are decided and resolved.
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
        let live_here = row_state::get(self.transaction, table.id, key)?.is_live();
        if local.is_some() && server.is_none() && !live_here {
            // A new row on a tombstone: it was not there for the one who wrote it, nor is it at the server.
            base_images::set(self.transaction, table, key, None)?;
            return self.set_state(table, key, next);
        }
        let base = base_images::get(self.transaction, table, key)?;
        if local == server && !table.counts(base.row(), local.as_deref()) {
            // Both sides did the same; there is nothing left to upload.
            dirty_rows::clear(self.transaction, table.id, key)?;
            return self.set_state(table, key, next);
        }
        let meeting = Meeting {
            table,
            wire_key,
            base: &base,
            local: local.as_deref(),
            server: server.as_deref(),
            server_version: next.version,
            last_change,
        };
        let verdict = arbiter.decide(&meeting).ok_or(StorageError::Undecided)?;
        let verdict = if mutated(Mutation::ServerAlwaysWins) { Verdict::AcceptServer } else { verdict };
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
            Verdict::KeepLocal if mutated(Mutation::BaseNotRebased) => Ok(()),
            Verdict::KeepLocal => {
                base_images::set(self.transaction, table, key, server)?;
                self.set_state(table, key, next)
            }
            Verdict::KeepMerged(merged) => match rows::write(self.transaction, table, &merged) {
                Ok(()) => {
                    base_images::set(self.transaction, table, key, server)?;
                    self.set_state(table, key, next)
                }
                Err(StorageError::Sqlite(error))
                    if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) =>
                {
                    let message =
                        format!("the merged row of table {} breaks a constraint: {error}", table.name);
                    self.resolve(table, key, next, server, Verdict::Refuse(message))
                }
                Err(error) => Err(error),
            },
            Verdict::Refuse(message) => {
                let refusal = Refusal { reason: RefusedReason::InvalidResolution, message: &message };
                refused_rows::add(self.transaction, table, key, refusal, self.now_ms)?;
                refused_rows::leaves_table(self.transaction, table.id, key)?;
                self.accept(table, key, next, server)
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
                self.free_unique_values(table, values)?;
                self.write(table, key, values)?;
            }
            None if mutated(Mutation::DeleteNotApplied) => {}
            None => {
                self.delete(table, key)?;
                self.parked.retain(|(parked, parked_key)| *parked != table.id || parked_key != key);
            }
        }
        self.done.rows += 1;
        self.stale.retain(|(stale, stale_key)| *stale != table.id || stale_key != key);
        self.set_state(table, key, next)
    }

    /// Deletes a row; dirty rows that the delete would take along go to the inbox first. What it takes along or
    /// unlinks beyond that is a local change, unless the server's rows say the same.
    pub(crate) fn delete(&mut self, table: &ManagedTable, key: &SqlValue) -> Result<()> {
        if self.any_dirty {
            self.refuse_dependants(table, key)?;
        }
        let acts = |reference: &Reference| {
            reference.table == table.name && reference.on_delete != DeleteAction::Refuse
        };
        let acted_on = self.schema.tables.iter().flat_map(|child| &child.references).any(acts);
        if !acted_on && !self.has_app_triggers(table)? {
            rows::delete(self.transaction, table, key)?;
            return Ok(());
        }
        self.note_other_rows(table, key, |transaction| rows::delete(transaction, table, key).map(drop))
    }

    /// Writes a row of the server. What the app's triggers change in other managed rows is a local change.
    fn write(&mut self, table: &ManagedTable, key: &SqlValue, values: &[SqlValue]) -> Result<()> {
        if !self.has_app_triggers(table)? {
            return rows::write(self.transaction, table, values);
        }
        self.note_other_rows(table, key, |transaction| rows::write(transaction, table, values))
    }

    /// Works on one row of the server, and notes what SQLite changed beside it.
    fn note_other_rows(
        &mut self,
        table: &ManagedTable,
        key: &SqlValue,
        work: impl FnOnce(&Transaction<'_>) -> Result<()>,
    ) -> Result<()> {
        self.note_side_effects(work)?;
        if let Ok(itself) = table.key_kind.to_wire(key) {
            self.side_effects.remove(&(table.id, itself));
        }
        Ok(())
    }

    fn has_app_triggers(&mut self, table: &ManagedTable) -> Result<bool> {
        if let Some(known) = self.app_triggers.get(&table.id) {
            return Ok(*known);
        }
        let found = triggers::has_others(self.transaction, table)?;
        self.app_triggers.insert(table.id, found);
        Ok(found)
    }

    /// Marks rows of the server that left their tables, and records the rebuild that brings them back.
    fn restore_stale(&mut self) -> Result<()> {
        for (table, key) in std::mem::take(&mut self.stale) {
            if !row_state::get(self.transaction, table, &key)?.is_live() {
                continue;
            }
            row_state::mark_stale(self.transaction, table, &key)?;
            self.done.needs_rebuild = true;
        }
        if self.done.needs_rebuild && operation::load(self.transaction)?.is_none() {
            operation::start(self.transaction, &OperationKind::Rebuild, "refused_row")?;
        }
        Ok(())
    }

    /// Rows that are being applied and that a trigger of the app overwrote after their turn are the server's again.
    fn restore_applied(&mut self, lookup: Lookup<'_>) -> Result<()> {
        if !self.app_triggers.values().any(|has| *has) {
            return Ok(());
        }
        let touched: Vec<(TableId, String, SqlValue)> = self
            .side_effects
            .iter()
            .map(|((table, name), key)| (*table, name.clone(), key.clone()))
            .collect();
        for (id, name, key) in touched {
            let Some(table) = self.schema.by_id(id) else { continue };
            if let Some(server) = lookup(table, &key)? {
                rows::write(self.transaction, table, &server.values)?;
                self.side_effects.remove(&(id, name));
            }
        }
        Ok(())
    }

    fn set_state(&self, table: &ManagedTable, key: &SqlValue, state: RowState) -> Result<()> {
        if state.version.0 == 0 {
            return row_state::forget(self.transaction, table.id, key);
        }
        row_state::set(self.transaction, table.id, key, state)
    }
}
