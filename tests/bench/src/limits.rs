//! The least that the same work can cost: the same bytes over the same HTTP stack, parsed or written by serde_json, and the
//! same rows into SQLite, with nothing remembered, checked or resumable.

use crate::case::Case;
use crate::measure::{Meter, Usage};
use rowtide::protocol::message::{CommittedRow, PullResponse, SnapshotChunk, SnapshotRow, SnapshotSession};
use rowtide::{HttpTransport, Method, Request, Transport};
use rusqlite::{Connection, ToSql, params};
use serde_json::value::RawValue;
use std::collections::HashMap;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
/// Rows of a request, as the client has them.
const CHUNK: usize = 5_000;
const PAGE: usize = 2_000;
const GETS: u32 = 200;

fn connection(case: &Case) -> Outcome<Connection> {
    let connection = Connection::open(case.file())?;
    // As the client's own writer.
    connection.execute_batch(
        "PRAGMA journal_mode = wal; PRAGMA synchronous = full; PRAGMA foreign_keys = on; PRAGMA cache_size = -8000",
    )?;
    Ok(connection)
}

async fn send(
    http: &HttpTransport,
    case: &Case,
    method: Method,
    path: &str,
    body: Option<String>,
) -> Outcome<Vec<u8>> {
    let request = Request {
        method,
        url: format!("{}{path}", case.url),
        headers: vec![
            ("authorization", format!("Bearer {}", case.token)),
            ("oversync-source-id", "limit-of-the-benchmark".to_owned()),
        ],
        body,
        max_response_bytes: 1 << 30,
    };
    let response = http.send(request).await?;
    match response.status {
        200..300 => Ok(response.body),
        status => {
            Err(format!("{path} answered {status}: {}", String::from_utf8_lossy(&response.body)).into())
        }
    }
}

/// Serialises and sends the same rows to somebody who throws them away (`url`), and writes a row for each of them in one
/// transaction.
pub(crate) async fn push(case: &Case) -> Outcome<Usage> {
    let mut connection = connection(case)?;
    connection.execute_batch("CREATE TABLE sent (id TEXT PRIMARY KEY, version INTEGER) WITHOUT ROWID")?;
    let http = HttpTransport::new()?;
    let meter = Meter::begin();
    let mut requests = 0;
    for (table, columns) in [
        ("users", ["id", "name", "email", "age", "updated_at"]),
        ("posts", ["id", "title", "content", "author_id", "updated_at"]),
    ] {
        let mut statement = connection.prepare(&format!("SELECT {} FROM {table}", columns.join(", ")))?;
        let mut rows = statement.query([])?;
        let mut chunk = Vec::with_capacity(CHUNK);
        while let Some(row) = rows.next()? {
            let mut payload = serde_json::Map::new();
            for (index, column) in columns.iter().enumerate() {
                let value = match row.get_ref(index)? {
                    rusqlite::types::ValueRef::Integer(number) => number.into(),
                    value => value.as_str()?.into(),
                };
                payload.insert((*column).to_owned(), value);
            }
            chunk.push(serde_json::json!({
                "schema": "business", "table": table, "key": { "id": payload["id"] }, "op": "INSERT",
                "base_row_version": 0, "payload": payload,
            }));
            if chunk.len() == CHUNK {
                requests += send_rows(&http, case, std::mem::take(&mut chunk)).await?;
            }
        }
        requests += send_rows(&http, case, chunk).await?;
    }
    let transaction = connection.transaction()?;
    transaction.execute("INSERT INTO sent SELECT id, 1 FROM users UNION ALL SELECT id, 1 FROM posts", [])?;
    transaction.commit()?;
    Ok(Usage { requests, ..meter.end() })
}

async fn send_rows(http: &HttpTransport, case: &Case, rows: Vec<serde_json::Value>) -> Outcome<i64> {
    if rows.is_empty() {
        return Ok(0);
    }
    let body = serde_json::to_string(&serde_json::json!({ "rows": rows }))?;
    send(http, case, Method::Post, "/sink", Some(body)).await?;
    Ok(1)
}

/// Reads the same bundles and upserts their rows, a transaction a bundle.
pub(crate) async fn pull(case: &Case) -> Outcome<Usage> {
    let mut connection = connection(case)?;
    let http = HttpTransport::new()?;
    let meter = Meter::begin();
    let body = send(&http, case, Method::Get, "/sync/pull?after_bundle_seq=1&max_bundles=1000", None).await?;
    let pulled: PullResponse<'_> = serde_json::from_slice(&body)?;
    for bundle in &pulled.bundles {
        let transaction = connection.transaction()?;
        for row in &bundle.rows {
            let row: &CommittedRow<'_> = row;
            if let Some(payload) = row.payload {
                upsert(&transaction, &row.table, payload)?;
            }
        }
        transaction.commit()?;
    }
    Ok(Usage { requests: 1, own: pulled.bundles.len() as f64, ..meter.end() })
}

/// Reads the same snapshot and inserts its rows in one transaction.
pub(crate) async fn hydrate(case: &Case) -> Outcome<Usage> {
    crate::data::database(case).await?.close().await;
    let mut connection = connection(case)?;
    connection.execute_batch("PRAGMA defer_foreign_keys = on")?;
    let http = HttpTransport::new()?;
    let meter = Meter::begin();
    let session = send(&http, case, Method::Post, "/sync/snapshot-sessions", Some(String::new())).await?;
    let session: SnapshotSession = serde_json::from_slice(&session)?;
    let transaction = connection.transaction()?;
    transaction.execute_batch("PRAGMA defer_foreign_keys = on")?;
    let (mut ordinal, mut requests) = (0, 1);
    while ordinal < session.row_count {
        let path = format!(
            "/sync/snapshot-sessions/{}?after_row_ordinal={ordinal}&max_rows={PAGE}",
            session.snapshot_id
        );
        let body = send(&http, case, Method::Get, &path, None).await?;
        let chunk: SnapshotChunk<'_> = serde_json::from_slice(&body)?;
        for row in &chunk.rows {
            let row: SnapshotRow<'_> = serde_json::from_str(row.get())?;
            upsert(&transaction, &row.table, row.payload)?;
        }
        (ordinal, requests) = (chunk.next_row_ordinal, requests + 1);
    }
    transaction.commit()?;
    Ok(Usage { requests, ..meter.end() })
}

/// Milliseconds of one GET that answers that there is nothing new.
pub(crate) async fn get(case: &Case) -> Outcome<Usage> {
    let http = HttpTransport::new()?;
    let path = "/sync/pull?after_bundle_seq=1&max_bundles=1000";
    send(&http, case, Method::Get, path, None).await?;
    let meter = Meter::begin();
    for _ in 0..GETS {
        send(&http, case, Method::Get, path, None).await?;
    }
    let usage = meter.end();
    Ok(Usage { requests: 1, own: usage.cpu * 1000.0 / f64::from(GETS), ..usage })
}

fn upsert(connection: &Connection, table: &str, payload: &RawValue) -> Outcome<()> {
    let columns: &[&str] = match table {
        "users" => &["id", "name", "email", "age", "updated_at"],
        _ => &["id", "title", "content", "author_id", "updated_at"],
    };
    let values: HashMap<&str, serde_json::Value> = serde_json::from_str(payload.get())?;
    let cells: Vec<Box<dyn ToSql>> = columns
        .iter()
        .map(|column| match &values[column] {
            // GEN-B writes numbers as text.
            serde_json::Value::String(text) => Box::new(text.clone()) as Box<dyn ToSql>,
            other => Box::new(other.as_i64()),
        })
        .collect();
    let updates: Vec<_> = columns[1..].iter().map(|column| format!("{column} = excluded.{column}")).collect();
    let sql = format!(
        "INSERT INTO {table} ({}) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE SET {}",
        columns.join(", "),
        updates.join(", ")
    );
    connection.prepare_cached(&sql)?.execute(params![cells[0], cells[1], cells[2], cells[3], cells[4]])?;
    Ok(())
}
