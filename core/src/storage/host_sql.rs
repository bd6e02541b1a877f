//! The host's own SQL on the core's connections.

use super::changes::ChangeFeed;
use super::error::{Result, StorageError};
use super::rows;
use crate::protocol::value::SqlValue;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Connection, Statement, params_from_iter};

/// Rows of a query.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct QueryRows {
    /// Column names.
    pub columns: Vec<String>,
    /// Rows, each as long as `columns`.
    pub rows: Vec<Vec<SqlValue>>,
}

/// What one statement did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execution {
    /// Rows that it changed, without those that triggers or foreign keys changed.
    pub changed_rows: i64,
    /// The rowid of the row that was inserted last on this database, by this statement or an earlier one; 0 before
    /// any.
    pub last_insert_rowid: i64,
}

/// Runs one statement.
pub(crate) fn execute(
    connection: &Connection,
    feed: &ChangeFeed,
    sql: &str,
    arguments: &[SqlValue],
) -> Result<Execution> {
    feed.before_statement();
    let changed_rows = run(connection, sql, arguments)?;
    if changed_rows > 0 {
        feed.statement_changed(sql);
    }
    Ok(Execution { changed_rows, last_insert_rowid: connection.last_insert_rowid() })
}

/// Runs a query inside a transaction, which may write (`RETURNING`).
pub(crate) fn query_writing<T>(
    connection: &Connection,
    feed: &ChangeFeed,
    sql: &str,
    read: impl FnOnce(&Connection) -> Result<T>,
) -> Result<T> {
    feed.before_statement();
    let before = connection.total_changes();
    let result = read(connection)?;
    if connection.total_changes() > before {
        feed.statement_changed(sql);
    }
    Ok(result)
}

fn run(connection: &Connection, sql: &str, arguments: &[SqlValue]) -> Result<i64> {
    let mut statement = connection.prepare_cached(sql)?;
    if statement.column_count() > 0 {
        // A RETURNING clause or a SELECT: run it to its end, the rows are not asked for.
        let reads_only = statement.readonly();
        let mut found = statement.query(params_from_iter(arguments))?;
        while found.next()?.is_some() {}
        return Ok(if reads_only { 0 } else { changes(connection.changes()) });
    }
    let changed = statement.execute(params_from_iter(arguments))?;
    Ok(i64::try_from(changed).unwrap_or(i64::MAX))
}

fn changes(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Runs several statements separated by semicolons, without arguments.
pub(crate) fn execute_script(connection: &Connection, feed: &ChangeFeed, sql: &str) -> Result<i64> {
    let mut changed = 0;
    let mut batch = rusqlite::Batch::new(connection, sql);
    loop {
        feed.before_statement();
        let Some(mut statement) = batch.next()? else { return Ok(changed) };
        let reads_only = statement.readonly();
        let mut found = statement.query([])?;
        while found.next()?.is_some() {}
        drop(found);
        if !reads_only {
            // What triggers change does not count, as in SQLite's own sense.
            let count = changes(connection.changes());
            changed += count;
            if count > 0 {
                feed.statement_changed("");
            }
        }
    }
}

/// Runs one statement for each list of arguments as it comes.
pub(crate) fn execute_rows(
    connection: &Connection,
    feed: &ChangeFeed,
    sql: &str,
    rows: impl Iterator<Item = std::result::Result<Vec<SqlValue>, String>>,
) -> Result<i64> {
    feed.before_statement();
    let mut statement = connection.prepare_cached(sql)?;
    let mut changed = 0;
    for row in rows {
        let row = row.map_err(StorageError::Input)?;
        changed += i64::try_from(statement.execute(params_from_iter(row))?).unwrap_or(i64::MAX);
    }
    if changed > 0 {
        feed.statement_changed(sql);
    }
    Ok(changed)
}

/// Runs a query to its end.
pub(crate) fn query(connection: &Connection, sql: &str, arguments: &[SqlValue]) -> Result<QueryRows> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query(params_from_iter(arguments))?;
    let mut result = QueryRows::default();
    while let Some(row) = found.next()? {
        if result.rows.is_empty() {
            result.columns = column_names(row.as_ref());
        }
        let cells = (0..result.columns.len())
            .map(|index| {
                rows::cell(row.get_ref(index)?)
                    .map_err(|error| rusqlite::Error::UserFunctionError(Box::new(error)))
            })
            .collect::<rusqlite::Result<Vec<_>>>()?;
        result.rows.push(cells);
    }
    drop(found);
    if result.rows.is_empty() {
        result.columns = column_names(&statement);
    }
    Ok(result)
}

/// The names of a statement's columns, to be asked for once it has run: only then has one of the cache, which was prepared
/// before the schema changed, the columns that its rows have.
pub(super) fn column_names(statement: &Statement<'_>) -> Vec<String> {
    statement.column_names().map(str::to_owned).collect()
}
