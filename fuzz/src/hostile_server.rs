//! A server that answers whatever it likes: a whole client downloads from it. The first byte is the generation, then each
//! line is the answer to one request: a status, a space, a body.

use async_trait::async_trait;
use rowtide::{
    Client, Clock, Config, LocalDatabase, Request, Response, SyncTable, TokenError, TokenProvider,
    TokenReason, Transport, TransportError,
};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

const SCHEMA: &str = "
    CREATE TABLE notes (id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL, stars INTEGER, weight REAL, body BLOB,
        parent TEXT REFERENCES notes (id) ON DELETE SET NULL);
    CREATE TABLE tags (id BLOB PRIMARY KEY NOT NULL, name TEXT UNIQUE, amount NUMERIC,
        note TEXT NOT NULL REFERENCES notes (id) ON DELETE CASCADE);";

/// What a column may hold, whatever was sent.
const MISFITS: &str = "
    SELECT (SELECT count(*) FROM notes WHERE typeof(id) <> 'text' OR typeof(title) <> 'text'
                OR typeof(stars) NOT IN ('integer', 'null') OR typeof(weight) NOT IN ('real', 'null')
                OR typeof(body) NOT IN ('blob', 'null') OR typeof(parent) NOT IN ('text', 'null'))
         + (SELECT count(*) FROM tags WHERE typeof(id) <> 'blob' OR length(id) <> 16 OR typeof(amount) = 'blob')
         + (SELECT count(*) FROM pragma_foreign_key_check)
         + (SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok')";

const CAPABILITIES: [&str; 2] = [
    r#"{"protocol_version":"v1","registered_tables":["business.notes","business.tags"],"features":{"connect_lifecycle":true}}"#,
    r#"{"protocol_version":"v1","registered_tables":["business.notes","business.tags"],"registered_table_specs":[{"schema":"business","table":"notes","sync_key_columns":["id"]},{"schema":"business","table":"tags","sync_key_columns":["id"]}],"features":{"connect_lifecycle":true},"bundle_limits":{"max_bundles_per_pull":10,"default_rows_per_push_chunk":10,"max_rows_per_push_chunk":10,"default_rows_per_committed_bundle_chunk":10,"max_rows_per_committed_bundle_chunk":10,"default_rows_per_snapshot_chunk":10,"max_rows_per_snapshot_chunk":10,"default_bytes_per_snapshot_chunk":65536,"max_bytes_per_snapshot_chunk":65536,"max_bytes_per_snapshot_row":65536,"max_concurrent_snapshot_builds":1,"max_concurrent_snapshot_chunk_requests":1,"push_session_ttl_seconds":900,"snapshot_session_ttl_seconds":900,"initialization_lease_ttl_seconds":900}}"#,
];

struct Hostile {
    capabilities: &'static str,
    answers: Mutex<VecDeque<(u16, Vec<u8>)>>,
}

#[async_trait]
impl Transport for Hostile {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let answer =
            |status, body: &[u8]| Ok(Response { status, retry_after_seconds: None, body: body.to_vec() });
        let path = request.url.split('?').next().unwrap_or_default();
        if path.ends_with("/capabilities") {
            return answer(200, self.capabilities.as_bytes());
        }
        if path.ends_with("/connect") {
            return answer(200, br#"{"resolution":"remote_authoritative"}"#);
        }
        let next = self.answers.lock().expect("nobody panicked").pop_front();
        match next {
            Some((_, body)) if body.len() as u64 > request.max_response_bytes => {
                Err(TransportError::ResponseTooLarge(request.max_response_bytes))
            }
            Some((status, body)) => answer(status, &body),
            None => Err(TransportError::Connection("the script is over".into())),
        }
    }
}

struct AnyToken;

#[async_trait]
impl TokenProvider for AnyToken {
    async fn token(&self, _: TokenReason) -> Result<String, TokenError> {
        Ok("token".into())
    }
}

/// Time that stands still, so that nothing is waited for.
struct NoTime;

#[async_trait]
impl Clock for NoTime {
    fn now_ms(&self) -> i64 {
        1_700_000_000_000
    }

    async fn sleep(&self, _: Duration) {
        tokio::task::yield_now().await;
    }
}

/// Whatever the server answers, a download is refused whole or leaves rows that fit their tables.
pub fn check(data: &[u8]) {
    let Some((generation, script)) = data.split_first() else { return };
    let answers = script.split(|byte| *byte == b'\n').filter_map(|line| {
        let space = line.iter().position(|byte| *byte == b' ')?;
        let status = std::str::from_utf8(&line[..space]).ok()?.parse().ok()?;
        Some((status, line[space + 1..].to_vec()))
    });
    let server = Hostile {
        capabilities: CAPABILITIES[usize::from(generation & 1)],
        answers: Mutex::new(answers.take(40).collect()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(download(server));
}

async fn download(server: Hostile) {
    let database = LocalDatabase::open(":memory:").await.expect("a database in memory");
    database.execute_script(SCHEMA).await.expect("the schema is valid");
    let config = Config::new(":memory:", "http://server.test", "business")
        .expect("the URL is valid")
        .table(SyncTable::new("notes").key("id"))
        .table(SyncTable::new("tags").key("id"))
        .transport(server)
        .tokens(AnyToken)
        .clock(NoTime);
    let client = Client::open_in(&database, config).await.expect("the tables are valid");
    let attached = client.attach("ada").await;
    let rows = number(&client, "SELECT (SELECT count(*) FROM notes) + (SELECT count(*) FROM tags)").await;
    match &attached {
        Ok(report) => assert!(rows <= report.hydrated_rows, "more rows than the snapshot had"),
        Err(_) => assert_eq!(rows, 0, "a download that failed shows rows"),
    }
    assert_eq!(number(&client, MISFITS).await, 0, "rows that do not fit their tables");
    if attached.is_ok() {
        // The rest of the script answers a pull.
        let _ = client.sync().await;
        assert_eq!(number(&client, MISFITS).await, 0, "rows that do not fit their tables");
    }
    client.close().await;
    database.close().await;
}

async fn number(client: &Client, sql: &str) -> i64 {
    let found = client.query(sql, Vec::new()).await.expect("the tables are readable");
    match found.rows.first().and_then(|row| row.first()) {
        Some(rowtide::SqlValue::Integer(number)) => *number,
        other => panic!("a count is a number, not {other:?}"),
    }
}
