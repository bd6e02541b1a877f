//! Requests to the server. Each line is one: a letter for the endpoint, then the body or the query.

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use rowtide::protocol::hash::{BundleHasher, HashedRow};
use rowtide::protocol::ids::BundleSeq;
use rowtide::protocol::message::{PullResponse, SnapshotChunk, SnapshotRow, SnapshotSession};
use rowtide::protocol::problem::{Problem, ProblemCode};
use rowtide::protocol::profile::WireGeneration;
use rowtide::protocol::validate;
use rowtide_server::{AuthError, Authenticator, Registration, Service, ServiceConfig, SqliteStore, router};
use std::sync::Arc;
use tower::ServiceExt;

const BYTES: usize = 16 << 20;
const LINES: usize = 12;

struct Ada;

#[async_trait]
impl Authenticator for Ada {
    async fn authenticate(&self, _: &HeaderMap) -> Result<String, AuthError> {
        Ok("ada".into())
    }
}

struct Server {
    app: Router,
    generation: WireGeneration,
    /// Ids of the session that was created last, as the next requests name it.
    push_id: String,
    snapshot_id: String,
}

/// Any request is done or refused with a documented code, and what the server then tells of its data is what a client
/// accepts.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        for generation in [WireGeneration::A, WireGeneration::B] {
            let mut server = Server::new(generation);
            for line in text.lines().take(LINES) {
                server.request(line).await;
            }
            server.tells_what_a_client_accepts().await;
        }
    });
}

impl Server {
    fn new(generation: WireGeneration) -> Self {
        let tables = [("notes", "id"), ("tags", "id")]
            .map(|(table, key)| Registration { table: table.into(), key_column: key.into() });
        let config = ServiceConfig::new(generation, "business", &tables).expect("the tables are valid");
        let store = SqliteStore::in_memory(&config).expect("a store in memory");
        Self {
            app: router(Service::new(config, store), Arc::new(Ada)),
            generation,
            push_id: String::new(),
            snapshot_id: String::new(),
        }
    }

    async fn request(&mut self, line: &str) {
        let Some(letter) = line.chars().next() else { return };
        let rest = &line[letter.len_utf8()..];
        let push = escaped(&self.push_id);
        let snapshot = escaped(&self.snapshot_id);
        let (method, path, body) = match letter {
            'a' => ("GET", "/sync/capabilities".into(), ""),
            'c' => ("POST", "/sync/connect".into(), rest),
            'p' => ("POST", "/sync/push-sessions".into(), rest),
            'k' => ("POST", format!("/sync/push-sessions/{push}/chunks"), rest),
            'm' => ("POST", format!("/sync/push-sessions/{push}/commit"), ""),
            'd' => ("DELETE", format!("/sync/push-sessions/{push}"), ""),
            's' => ("POST", "/sync/snapshot-sessions".into(), rest),
            't' => ("GET", format!("/sync/snapshot-sessions/{snapshot}?{}", escaped_query(rest)), ""),
            'l' => ("GET", format!("/sync/pull?{}", escaped_query(rest)), ""),
            'r' => ("GET", format!("/sync/committed-bundles/1/rows?{}", escaped_query(rest)), ""),
            'u' => ("GET", format!("/sync/snapshot-sessions/{}", escaped(rest)), ""),
            _ => return,
        };
        let (status, answer) = self.send(method, &path, body).await;
        if status >= 400 {
            let problem: Problem = serde_json::from_slice(&answer).expect("a refusal says why");
            let code = problem.code();
            assert!(status < 500, "{method} {path}: {status} {}", problem.message);
            // A path that names nothing has no code of the protocol's.
            assert!(
                code.is_some(),
                "{method} {path}: {status} with the undocumented code {:?}",
                problem.error
            );
            assert_eq!(code.map(ProblemCode::status), Some(status));
            return;
        }
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap_or_default();
        let id = |name: &str| answer.get(name).and_then(|id| id.as_str()).map(str::to_owned);
        self.push_id = id("push_id").unwrap_or(std::mem::take(&mut self.push_id));
        self.snapshot_id = id("snapshot_id").unwrap_or(std::mem::take(&mut self.snapshot_id));
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> (u16, Vec<u8>) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("oversync-source-id", "source-1")
            .body(Body::from(body.to_owned()))
            .expect("the path is escaped");
        let response = self.app.clone().oneshot(request).await.expect("a router always answers");
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), BYTES).await.expect("a bounded body");
        (status, body.to_vec())
    }

    async fn tells_what_a_client_accepts(&self) {
        let (status, body) = self.send("GET", "/sync/pull?after_bundle_seq=0", "").await;
        if status != 200 {
            return;
        }
        let page: PullResponse<'_> = serde_json::from_slice(&body).expect("a page of a pull");
        validate::pull(&page, BundleSeq(0), None).expect("a client accepts the page");
        for bundle in &page.bundles {
            let mut hasher = BundleHasher::new(self.generation);
            for row in &bundle.rows {
                hasher.committed_row(&HashedRow::from(row), row.row_version).expect("a row has a hash");
            }
            assert!(bundle.bundle_hash.as_ref().is_none_or(|hash| *hash == hasher.clone().finish()));
        }
        let (status, body) = self.send("POST", "/sync/snapshot-sessions", "").await;
        assert_eq!(status, 200, "whoever can pull can take a snapshot");
        let session: SnapshotSession = serde_json::from_slice(&body).expect("a session");
        validate::snapshot_session(self.generation, &session).expect("a client accepts the session");
        let path = format!("/sync/snapshot-sessions/{}?after_row_ordinal=0", escaped(&session.snapshot_id));
        let (status, body) = self.send("GET", &path, "").await;
        assert_eq!(status, 200);
        let chunk: SnapshotChunk<'_> = serde_json::from_slice(&body).expect("a chunk");
        validate::snapshot_chunk(self.generation, &chunk, &session, 0, 0)
            .expect("a client accepts the chunk");
        for row in chunk.rows {
            let _: SnapshotRow<'_> = serde_json::from_str(row.get()).expect("a snapshot row");
        }
    }
}

/// A path segment.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |path, byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => path + char::from(byte).to_string().as_str(),
        _ => format!("{path}%{byte:02x}"),
    })
}

/// A query, whose own signs stay.
fn escaped_query(text: &str) -> String {
    text.bytes().fold(String::new(), |query, byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'=' | b'&' | b'+' => {
            query + char::from(byte).to_string().as_str()
        }
        _ => format!("{query}%{byte:02x}"),
    })
}
