//! Which tables a commit changed, told after it, whoever wrote.

use super::error::Result;
use crate::simulation;
use rusqlite::Connection;
use rusqlite::hooks::{Action, AuthAction, AuthContext, Authorization};
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Tables that one or more commits changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    /// Their names.
    pub(crate) tables: BTreeSet<String>,
    /// Whether managed rows were changed by the host, so that there may be something to upload.
    pub(crate) captured: bool,
}

type Listener = Box<dyn Fn(&Changed) + Send + Sync>;

/// Collects what the writer connection changes, and tells it after the commit.
#[derive(Default)]
pub(crate) struct ChangeFeed {
    state: Mutex<Collected>,
    listener: Mutex<Option<Listener>>,
}

#[derive(Default)]
struct Collected {
    /// Of the transaction that is open.
    open: Changed,
    /// Of commits that were not told yet.
    committed: Changed,
    /// Managed tables that SQLite's update hook is silent about.
    without_rowid: Vec<String>,
    /// Tables that the statement being prepared writes to by itself.
    prepared: BTreeSet<String>,
    /// The same of statements that may be cached, by their text.
    by_statement: HashMap<String, BTreeSet<String>>,
}

impl std::fmt::Debug for ChangeFeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangeFeed").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is collected stays usable whatever panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Collected {
    fn updated(&mut self, action: Action, table: &str) {
        if !table.starts_with("_rowtide_") {
            if !self.open.tables.contains(table) {
                self.open.tables.insert(table.to_owned());
            }
            return;
        }
        // The log is emptied by its coalescing, which is no new change.
        let captured = table == "_rowtide_change_log" && action == Action::SQLITE_INSERT;
        self.open.captured |= captured;
        // Rows without a rowid are changed with one of these, or not at all.
        if captured || table == "_rowtide_attachment" {
            self.open.tables.extend(self.without_rowid.iter().cloned());
        }
    }
}

impl ChangeFeed {
    /// Watches the writer connection.
    pub(crate) fn watch(connection: &mut Connection) -> Result<Arc<Self>> {
        let feed = Arc::new(Self::default());
        let hook = feed.clone();
        connection.update_hook(Some(move |action, _: &str, table: &str, _| {
            lock(&hook.state).updated(action, table);
        }))?;
        let hook = feed.clone();
        let file = PathBuf::from(connection.path().unwrap_or_default());
        connection.commit_hook(Some(move || {
            let mut state = lock(&hook.state);
            let open = std::mem::take(&mut state.open);
            state.committed.tables.extend(open.tables);
            state.committed.captured |= open.captured;
            // An answer of true would roll back.
            !simulation::may_commit(&file)
        }))?;
        let hook = feed.clone();
        connection.rollback_hook(Some(move || lock(&hook.state).open = Changed::default()))?;
        let hook = feed.clone();
        connection.authorizer(Some(move |context: AuthContext<'_>| {
            let table = match context.action {
                AuthAction::Delete { table_name }
                | AuthAction::Insert { table_name }
                | AuthAction::Update { table_name, .. } => Some(table_name),
                _ => None,
            };
            let own = |table: &&str| !table.starts_with("_rowtide_") && !table.starts_with("sqlite_");
            if let Some(table) = table.filter(own).filter(|_| context.accessor.is_none()) {
                lock(&hook.state).prepared.insert(table.to_owned());
            }
            Authorization::Allow
        }))?;
        Ok(feed)
    }

    /// Learns which managed tables the update hook is silent about.
    pub(crate) fn learn(&self, connection: &Connection) -> Result<()> {
        let mut statement = connection.prepare(
            "SELECT name FROM pragma_table_list JOIN _rowtide_tables ON table_name = name COLLATE NOCASE
             WHERE schema = 'main' AND wr = 1",
        )?;
        let names = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        lock(&self.state).without_rowid = names;
        Ok(())
    }

    /// Names who is told. Called on the database thread, after the commit, without any lock held.
    pub(crate) fn listen(&self, listener: Listener) {
        *lock(&self.listener) = Some(listener);
    }

    /// Tells what was committed since the last time.
    pub(crate) fn tell(&self) {
        let changed = std::mem::take(&mut lock(&self.state).committed);
        if changed == Changed::default() {
            return;
        }
        if let Some(listener) = &*lock(&self.listener) {
            listener(&changed);
        }
    }

    /// To be called before a statement of the host is prepared.
    pub(super) fn before_statement(&self) {
        lock(&self.state).prepared.clear();
    }

    /// To be called after a statement of the host changed rows: a `DELETE` of all rows of a table without triggers
    /// is silent too.
    pub(super) fn statement_changed(&self, sql: &str) {
        /// Texts that are remembered; the statement cache is smaller.
        const REMEMBERED: usize = 512;
        let mut state = lock(&self.state);
        let mut tables = std::mem::take(&mut state.prepared);
        if tables.is_empty() {
            tables = state.by_statement.get(sql).cloned().unwrap_or_default();
        } else {
            if state.by_statement.len() >= REMEMBERED {
                state.by_statement.clear();
            }
            state.by_statement.insert(sql.to_owned(), tables.clone());
        }
        state.open.tables.extend(tables);
    }
}
