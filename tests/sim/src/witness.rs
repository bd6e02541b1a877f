//! Looks into a device's database from outside, on a connection of its own, between any two commits.

use crate::ledger::{Content, RowId};
use crate::schema::{MARKS, Table};
use rowtide::protocol::profile::WireGeneration;
use rowtide::protocol::value::{ColumnKind, SqlValue, encode, encode_text};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use uuid::Uuid;

/// A device's database at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) user: Option<String>,
    pub(crate) source: String,
    pub(crate) checkpoint: i64,
    /// The download that is recorded.
    pub(crate) operation: Option<String>,
    /// The user whose rows it brings, where that is a first download.
    pub(crate) download_for: Option<String>,
    /// Its snapshot session, and how many rows of it are staged.
    pub(crate) session: Option<String>,
    pub(crate) staged: i64,
    /// Rows in the stage, and keys that the snapshot's last step is to look at.
    pub(crate) in_stage: (i64, i64),
    pub(crate) has_outbox: bool,
    /// Whether the server's answer to the outbox is kept.
    pub(crate) committed: bool,
    pub(crate) rows: BTreeMap<RowId, Content>,
    /// Row versions of the server; `None` where it is a tombstone.
    pub(crate) versions: BTreeMap<RowId, (i64, bool)>,
    /// Rows of local intent, frozen ones included.
    pub(crate) intent: BTreeSet<RowId>,
    pub(crate) refused: BTreeSet<RowId>,
    /// Writes of the app that are durable.
    pub(crate) marks: BTreeSet<i64>,
}

/// The connection.
pub(crate) struct Witness {
    connection: Connection,
    tables: Vec<Table>,
    generation: WireGeneration,
    seen: i64,
}

impl Witness {
    pub(crate) fn open(file: &Path, tables: &[Table], generation: WireGeneration) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags)?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(Self { connection, tables: tables.to_vec(), generation, seen: -1 })
    }

    /// What is durable now; `None` where nothing was committed since the last look, or there are no tables yet.
    pub(crate) fn look(&mut self) -> rusqlite::Result<Option<View>> {
        let version = self.connection.query_row("PRAGMA data_version", [], |row| row.get(0))?;
        if std::mem::replace(&mut self.seen, version) == version {
            return Ok(None);
        }
        let managed: bool = self.connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_rowtide_refused_rows')",
            [],
            |row| row.get(0),
        )?;
        if managed { self.read().map(Some) } else { Ok(None) }
    }

    fn read(&self) -> rusqlite::Result<View> {
        // One transaction, so that all of it is of one moment.
        let moment = self.connection.unchecked_transaction()?;
        let mut view = moment.query_row(
            "SELECT user_id, source_id, checkpoint, (SELECT kind FROM _rowtide_operation),
                    EXISTS (SELECT 1 FROM _rowtide_outbox), (SELECT snapshot_id FROM _rowtide_operation),
                    ifnull((SELECT staged_rows FROM _rowtide_operation), 0),
                    EXISTS (SELECT 1 FROM _rowtide_outbox WHERE committed IS NOT NULL),
                    (SELECT count(*) FROM _rowtide_stage), (SELECT count(*) FROM _rowtide_differences),
                    (SELECT target_user FROM _rowtide_operation)
             FROM _rowtide_attachment",
            [],
            |row| {
                Ok(View {
                    user: row.get(0)?,
                    source: row.get(1)?,
                    checkpoint: row.get(2)?,
                    operation: row.get(3)?,
                    has_outbox: row.get(4)?,
                    session: row.get(5)?,
                    staged: row.get(6)?,
                    committed: row.get(7)?,
                    in_stage: (row.get(8)?, row.get(9)?),
                    download_for: row.get(10)?,
                    ..View::default()
                })
            },
        )?;
        let numbers = self.numbers()?;
        let states = "SELECT table_id, key, row_version, deleted FROM _rowtide_row_state";
        for_each_row(&moment, &numbers, states, |id, row| {
            view.versions.insert(id, (row.get(2)?, row.get(3)?));
            Ok(())
        })?;
        let intent = "SELECT table_id, key FROM _rowtide_change_log UNION SELECT table_id, key FROM _rowtide_dirty_rows
                      UNION SELECT table_id, key FROM _rowtide_outbox_rows";
        for_each_row(&moment, &numbers, intent, |id, _| {
            view.intent.insert(id);
            Ok(())
        })?;
        let refused = "SELECT table_id, key FROM _rowtide_refused_rows";
        for_each_row(&moment, &numbers, refused, |id, _| {
            view.refused.insert(id);
            Ok(())
        })?;
        for table in &self.tables {
            self.read_table(table, &mut view)?;
        }
        let mut marks = moment.prepare_cached(&format!("SELECT mark FROM {MARKS}"))?;
        view.marks = marks.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        Ok(view)
    }

    fn numbers(&self) -> rusqlite::Result<BTreeMap<i64, String>> {
        let mut statement =
            self.connection.prepare_cached("SELECT table_id, table_name FROM _rowtide_tables")?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    fn read_table(&self, table: &Table, view: &mut View) -> rusqlite::Result<()> {
        let columns = table.columns(&self.tables);
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let sql = format!("SELECT {} FROM {}", names.join(", "), table.name);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            let mut json = String::from("{");
            for (index, (name, kind)) in columns.iter().enumerate() {
                if index > 0 {
                    json.push(',');
                }
                encode_text(name, &mut json);
                json.push(':');
                self.encode(*kind, row.get_ref(index)?, &mut json);
            }
            json.push('}');
            let content = serde_json::from_str(&json).expect("it was just written");
            view.rows.insert(RowId { table: table.name.clone(), key: wire_key(row.get_ref(0)?) }, content);
        }
        Ok(())
    }

    /// As the value travels. One that cannot travel is marked as such: it never equals the server's.
    fn encode(&self, kind: ColumnKind, value: ValueRef<'_>, json: &mut String) {
        let value = match value {
            ValueRef::Null => SqlValue::Null,
            ValueRef::Integer(number) => SqlValue::Integer(number),
            ValueRef::Real(number) => SqlValue::Real(number),
            ValueRef::Text(text) => SqlValue::Text(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Blob(bytes) => SqlValue::Blob(bytes.to_vec()),
        };
        let before = json.len();
        if encode(self.generation, kind, &value, json).is_err() {
            json.truncate(before);
            json.push_str("\"has no wire form\"");
        }
    }

    /// Pages of the file that hold something, and how many trees they belong to.
    pub(crate) fn pages(&self) -> rusqlite::Result<(i64, i64)> {
        let number = |sql: &str| self.connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let used = number("PRAGMA page_count")? - number("PRAGMA freelist_count")?;
        Ok((used, number("SELECT 1 + count(*) FROM sqlite_schema WHERE rootpage > 0")?))
    }

    /// References to rows that are not there.
    pub(crate) fn broken_references(&self) -> rusqlite::Result<i64> {
        self.connection.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
    }

    /// Rows in Rowtide's own tables that only work in progress needs, by table.
    pub(crate) fn left_over(&self) -> rusqlite::Result<Vec<(String, i64)>> {
        let working = [
            "_rowtide_change_log",
            "_rowtide_dirty_rows",
            "_rowtide_operation",
            "_rowtide_stage",
            "_rowtide_differences",
            "_rowtide_outbox",
            "_rowtide_outbox_rows",
            "_rowtide_selected_rows",
            "_rowtide_commits",
        ];
        let count = |table: &str| {
            let sql = format!("SELECT count(*) FROM {table}");
            Ok((table.to_owned(), self.connection.query_row(&sql, [], |row| row.get(0))?))
        };
        working.into_iter().map(count).filter(|found| !matches!(found, Ok((_, 0)))).collect()
    }
}

/// Visits rows of one of Rowtide's tables, which begin with table number and key.
fn for_each_row(
    connection: &Connection,
    tables: &BTreeMap<i64, String>,
    sql: &str,
    mut visit: impl FnMut(RowId, &rusqlite::Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let Some(table) = tables.get(&row.get(0)?) else { continue };
        visit(RowId { table: table.clone(), key: wire_key(row.get_ref(1)?) }, row)?;
    }
    Ok(())
}

fn wire_key(key: ValueRef<'_>) -> String {
    match key {
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => {
            Uuid::from_slice(bytes).map_or_else(|_| format!("{bytes:?}"), |uuid| uuid.to_string())
        }
        other => format!("{other:?}"),
    }
}
