//! `snapshot-capacity/retry.json`: how a server that is at its capacity is asked again.

use crate::ledger::Findings;
use crate::replica::{USER, USERS};
use crate::script::capabilities;
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use rowtide::{
    Clock, Config, ErrorKind, HttpTransport, LocalDatabase, Report, Request, Response, Rng, SyncTable,
    Transport, TransportError,
};
use rowtide_tests::{Endpoint, FixedTokens, contract, open};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// Time that passes only where the client waits, and what it waited.
#[derive(Clone, Default)]
struct Waits(Arc<Mutex<Vec<u64>>>);

#[async_trait]
impl Clock for Waits {
    fn now_ms(&self) -> i64 {
        i64::try_from(self.0.lock().unwrap().iter().sum::<u64>()).unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        self.0.lock().unwrap().push(u64::try_from(duration.as_millis()).unwrap());
    }
}

struct Chance(f64);

impl Rng for Chance {
    fn fraction(&self) -> f64 {
        self.0
    }
}

/// A server with a snapshot of one row, which is at its capacity first.
#[derive(Clone)]
struct Busy {
    endpoint: Endpoint,
    code: String,
    /// Refusals to come.
    refusals: Arc<Mutex<usize>>,
}

impl Busy {
    fn new(code: &str, refusals: usize) -> Self {
        let endpoint = match code {
            "snapshot_build_capacity" => Endpoint::SnapshotCreate,
            "snapshot_chunk_capacity" => Endpoint::SnapshotChunk,
            other => panic!("a code that is not known: {other}"),
        };
        Self { endpoint, code: code.to_owned(), refusals: Arc::new(Mutex::new(refusals)) }
    }

    fn answer(&self, endpoint: Endpoint) -> (u16, Value) {
        if endpoint == self.endpoint {
            let mut left = self.refusals.lock().unwrap();
            if *left > 0 {
                *left -= 1;
                return (429, json!({ "error": self.code, "message": "" }));
            }
        }
        let row = json!({
            "schema": "main", "table": "users", "key": { "id": "u" }, "row_version": 1,
            "payload": { "id": "u", "name": "n" },
        });
        let bytes = row.to_string().len();
        match endpoint {
            Endpoint::Capabilities => (200, capabilities()),
            Endpoint::Connect => (200, json!({ "resolution": "remote_authoritative" })),
            Endpoint::SnapshotCreate => {
                let session = json!({
                    "snapshot_id": "s", "snapshot_bundle_seq": 1, "row_count": 1, "byte_count": bytes,
                    "expires_at": "2099-01-01T00:00:00Z",
                });
                (200, session)
            }
            Endpoint::SnapshotChunk => {
                let chunk = json!({
                    "snapshot_id": "s", "snapshot_bundle_seq": 1, "rows": [row], "byte_count": bytes,
                    "next_row_ordinal": 1, "has_more": false,
                });
                (200, chunk)
            }
            _ => (204, Value::Null),
        }
    }
}

#[async_trait]
impl Transport for Busy {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let endpoint = Endpoint::of(request.method, request.url.split('?').next().unwrap());
        let (status, body) = self.answer(endpoint);
        Ok(Response { status, retry_after_seconds: None, body: serde_json::to_vec(&body).unwrap() })
    }
}

/// Attaches a new database, and answers how long the client waited.
async fn attach(
    url: &str,
    transport: impl Transport + Clone,
    chance: f64,
) -> (rowtide::Result<Report>, Vec<u64>) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("app.db");
    let database = LocalDatabase::open(&path).await.unwrap();
    database.execute_script(USERS).await.unwrap();
    drop(database);
    let waits = Waits::default();
    let config = || {
        let config = Config::new(&path, url, "main").unwrap().table(SyncTable::new("users").key("id"));
        let config = config.tokens(FixedTokens("token".into())).transport(transport.clone());
        config.clock(waits.clone()).rng(Chance(chance))
    };
    let attached = open(&config()).await.unwrap().attach(USER).await;
    let waited = waits.0.lock().unwrap().clone();
    (attached, waited)
}

const URL: &str = "https://sync.test";

fn defaults() -> Value {
    contract("snapshot-capacity/retry.json").unwrap()["defaults"].clone()
}

pub(crate) async fn bounds(_: &str, case: &Value) -> Findings {
    let mut findings = Findings::default();
    let fallback = case["fallback_delay_millis"].as_u64().unwrap();
    let (attached, waited) = attach(URL, Busy::new("snapshot_build_capacity", 1000), 0.0).await;
    assert_eq!(attached.unwrap_err().kind(), ErrorKind::Server);
    findings.check("enabled", &case["enabled"], &json!(!waited.is_empty()));
    findings.demand("fallback_delay_millis", waited.iter().all(|wait| *wait == fallback));
    findings.check("max_wait_millis", &case["max_wait_millis"], &json!(waited.iter().sum::<u64>()));

    let (attached, waited) = attach(URL, Busy::new("snapshot_build_capacity", 1), 0.5).await;
    attached.unwrap();
    let jitter =
        Duration::from_millis(fallback).mul_f64(0.5 * case["positive_jitter_ratio"].as_f64().unwrap());
    let jittered = u128::from(fallback) + jitter.as_millis();
    findings.check("positive_jitter_ratio", &json!([u64::try_from(jittered).unwrap()]), &json!(waited));
    findings
}

pub(crate) async fn code(code: &str, _: &Value) -> Findings {
    let mut findings = Findings::default();
    let (attached, waited) = attach(URL, Busy::new(code, 2), 0.0).await;
    findings.check("hydrated rows", &json!(1), &json!(attached.unwrap().hydrated_rows));
    let fallback = &defaults()["fallback_delay_millis"];
    findings.check("waited", &json!([fallback, fallback]), &json!(waited));
    findings
}

/// A header that does not count is as good as none: the client waits the fallback.
pub(crate) async fn header(_: &str, case: &Value) -> Findings {
    let mut findings = Findings::default();
    let busy = (Busy::new("snapshot_build_capacity", 1), case["wire"].as_str().unwrap().to_owned());
    let router = Router::new().fallback(answer).with_state(busy);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let (attached, waited) = attach(&url, HttpTransport::new().unwrap(), 0.0).await;
    server.abort();
    attached.unwrap();
    let expected = &case["expected_millis"];
    let expected =
        if expected.is_null() { defaults()["fallback_delay_millis"].clone() } else { expected.clone() };
    findings.check("waited", &json!([expected]), &json!(waited));
    findings
}

async fn answer(
    State((busy, retry_after)): State<(Busy, String)>,
    request: axum::extract::Request,
) -> axum::response::Response {
    let method = match request.method().as_str() {
        "GET" => rowtide::Method::Get,
        "POST" => rowtide::Method::Post,
        _ => rowtide::Method::Delete,
    };
    let (status, body) = busy.answer(Endpoint::of(method, request.uri().path()));
    let mut response = axum::response::Response::builder().status(status);
    if status == 429 {
        response = response.header("retry-after", retry_after);
    }
    response.body(Body::from(serde_json::to_vec(&body).unwrap())).unwrap()
}
