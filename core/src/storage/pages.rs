//! Rows of a query a page at a time: memory does not grow with their number.

use super::connection::Database;
use super::error::{Result, StorageError};
use super::host_sql::column_names;
use super::readers::Reader;
use crate::packed::{Cell, PackedRows};
use crate::protocol::value::{SqlValue, ValueError};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Rows, params_from_iter};
use std::collections::VecDeque;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::sync::oneshot;

/// How a query is read page by page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    /// A page ends with the row that reaches this many bytes.
    pub bytes: usize,
    /// A query whose next page is not asked for in this time ends, and its connection is free again.
    pub idle: Duration,
}

impl Default for Paging {
    fn default() -> Self {
        Self { bytes: 1 << 20, idle: Duration::from_secs(60) }
    }
}

/// Rows of one page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPage {
    /// How many.
    pub rows: i64,
    /// The rows.
    pub packed: PackedRows,
    /// Whether another page follows.
    pub more: bool,
}

type Reply = oneshot::Sender<Result<RowPage>>;

/// A query that is being read. It sees one state of the database, that of its first page.
#[derive(Debug)]
pub(crate) struct Pages {
    pub(crate) columns: Vec<String>,
    ready: VecDeque<RowPage>,
    rest: Option<Rest>,
}

/// The connection that goes on reading when it is asked to.
#[derive(Debug)]
struct Rest {
    requests: mpsc::Sender<Reply>,
    idle: Duration,
    _reader: Reader<Arc<Database>>,
}

impl Pages {
    /// Runs a query on a reader up to the end of its first page.
    pub(crate) async fn open(
        database: Arc<Database>,
        sql: String,
        arguments: Vec<SqlValue>,
        paging: Paging,
    ) -> Result<Self> {
        let Some(reader) = Reader::take(database.clone()).await? else {
            return database
                .write(move |connection| Self::read_all(connection, &sql, &arguments, paging))
                .await;
        };
        let (requests, asked) = mpsc::channel();
        let (begun, first) = oneshot::channel();
        reader.worker().post(move |connection| {
            serve(connection, &sql, &arguments, paging, begun, &asked);
        })?;
        let (columns, page) = first.await.map_err(|_| StorageError::Panicked)??;
        let rest = page.more.then_some(Rest { requests, idle: paging.idle, _reader: reader });
        Ok(Self { columns, ready: VecDeque::from([page]), rest })
    }

    /// Runs a query to its end: where the connection is needed for other statements meanwhile.
    pub(crate) fn read_all(
        connection: &Connection,
        sql: &str,
        arguments: &[SqlValue],
        paging: Paging,
    ) -> Result<Self> {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params_from_iter(arguments))?;
        let (mut columns, mut ready) = (Vec::new(), VecDeque::new());
        while ready.back().is_none_or(|page: &RowPage| page.more) {
            ready.push_back(fill(&mut rows, &mut columns, paging.bytes)?);
        }
        drop(rows);
        if columns.is_empty() {
            columns = column_names(&statement);
        }
        Ok(Self { columns, ready, rest: None })
    }

    /// The next page; `None` after the last one.
    pub(crate) async fn next(&mut self) -> Result<Option<RowPage>> {
        if let Some(page) = self.ready.pop_front() {
            return Ok(Some(page));
        }
        let Some(rest) = &self.rest else { return Ok(None) };
        let (reply, answer) = oneshot::channel();
        let expired = || StorageError::QueryExpired(rest.idle.as_millis());
        rest.requests.send(reply).map_err(|_| expired())?;
        let page = answer.await.map_err(|_| expired())?;
        if !page.as_ref().is_ok_and(|page| page.more) {
            self.rest = None;
        }
        page.map(Some)
    }
}

/// Reads a page ahead of what is asked for, so that reading and the host's work on the page before overlap.
fn serve(
    connection: &mut Connection,
    sql: &str,
    arguments: &[SqlValue],
    paging: Paging,
    begun: oneshot::Sender<Result<(Vec<String>, RowPage)>>,
    asked: &mpsc::Receiver<Reply>,
) {
    let mut statement = match connection.prepare_cached(sql) {
        Ok(statement) => statement,
        Err(error) => return drop(begun.send(Err(error.into()))),
    };
    let mut rows = match statement.query(params_from_iter(arguments)) {
        Ok(rows) => rows,
        Err(error) => return drop(begun.send(Err(error.into()))),
    };
    let mut columns = Vec::new();
    let first = match fill(&mut rows, &mut columns, paging.bytes) {
        Ok(page) if page.rows > 0 => page,
        Ok(page) => {
            drop(rows);
            return drop(begun.send(Ok((column_names(&statement), page))));
        }
        Err(error) => return drop(begun.send(Err(error))),
    };
    let mut more = first.more;
    if begun.send(Ok((columns.clone(), first))).is_err() {
        return;
    }
    while more {
        let page = fill(&mut rows, &mut columns, paging.bytes);
        let Ok(reply) = asked.recv_timeout(paging.idle) else { return };
        more = page.as_ref().is_ok_and(|page| page.more);
        if reply.send(page).is_err() {
            return;
        }
    }
}

/// Packs rows until a page is full or there are no more. The first row of all tells the columns.
fn fill(rows: &mut Rows<'_>, columns: &mut Vec<String>, bytes: usize) -> Result<RowPage> {
    let mut page = RowPage { rows: 0, packed: PackedRows::default(), more: false };
    while let Some(row) = rows.next()? {
        if columns.is_empty() {
            *columns = column_names(row.as_ref());
        }
        for index in 0..columns.len() {
            page.packed.push(cell(row.get_ref(index)?)?);
        }
        page.rows += 1;
        if page.packed.len() >= bytes {
            page.more = true;
            break;
        }
    }
    Ok(page)
}

fn cell(value: ValueRef<'_>) -> Result<Cell<'_>> {
    Ok(match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Real(number) => Cell::Real(number),
        ValueRef::Text(bytes) => Cell::Text(
            std::str::from_utf8(bytes)
                .map_err(|_| rusqlite::Error::UserFunctionError(Box::new(ValueError::NotUtf8)))?,
        ),
        ValueRef::Blob(bytes) => Cell::Blob(bytes),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_query_that_ran_before_has_the_columns_of_the_changed_table() {
        let folder = tempfile::tempdir().unwrap();
        let database = Arc::new(Database::open(&folder.path().join("app.db")).await.unwrap());
        let change = async |sql: &'static str| {
            database.write(move |connection| Ok(connection.execute_batch(sql)?)).await.unwrap();
        };
        let read = async || {
            let sql = "SELECT * FROM notes".to_owned();
            let mut pages =
                Pages::open(database.clone(), sql.clone(), vec![], Paging::default()).await.unwrap();
            let page = pages.next().await.unwrap().unwrap();
            let cells = page.packed.into_cells().collect::<std::result::Result<Vec<_>, _>>().unwrap();
            let rows =
                database.read(move |connection| crate::storage::host_sql::query(connection, &sql, &[]));
            let rows = rows.await.unwrap();
            assert_eq!((&rows.columns, rows.rows.concat()), (&pages.columns, cells.clone()));
            (pages.columns, cells)
        };
        change("CREATE TABLE notes (id INTEGER, title TEXT)").await;
        assert_eq!(read().await, (vec!["id".to_owned(), "title".to_owned()], vec![]));
        change("ALTER TABLE notes DROP COLUMN title").await;
        assert_eq!(read().await, (vec!["id".to_owned()], vec![]));
        change("ALTER TABLE notes ADD COLUMN stars; INSERT INTO notes VALUES (1, 5)").await;
        let both = vec![SqlValue::Integer(1), SqlValue::Integer(5)];
        assert_eq!(read().await, (vec!["id".to_owned(), "stars".to_owned()], both));
        change("ALTER TABLE notes DROP COLUMN stars").await;
        assert_eq!(read().await, (vec!["id".to_owned()], vec![SqlValue::Integer(1)]));
    }

    #[tokio::test]
    async fn a_query_that_is_not_read_on_ends_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let database = Arc::new(Database::open(&folder.path().join("app.db")).await.unwrap());
        let sql =
            "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 100) SELECT i FROM n";
        let paging = Paging { bytes: 200, idle: Duration::ZERO };
        let mut pages = Pages::open(database, sql.to_owned(), vec![], paging).await.unwrap();
        assert!(pages.next().await.unwrap().is_some(), "the first page is there already");

        // A reader does one thing after another: once it has come to this, it waits for no request any more.
        let (ended, has_ended) = oneshot::channel();
        let reader = &pages.rest.as_ref().unwrap()._reader;
        reader.worker().post(move |_| ended.send(()).unwrap()).unwrap();
        has_ended.await.unwrap();
        let error = pages.next().await.unwrap_err();
        assert!(matches!(error, StorageError::QueryExpired(0)), "{error}");
    }
}
