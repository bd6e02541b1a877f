//! A server that answers from a script, endpoint by endpoint.

use async_trait::async_trait;
use rowtide::protocol::hash::{BundleHasher, HashedRow};
use rowtide::protocol::ids::RowVersion;
use rowtide::protocol::message::RowOp;
use rowtide::protocol::profile::WireGeneration;
use rowtide::{Request, Response, Transport, TransportError};
use rowtide_tests::Endpoint;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Answers by endpoint, and counts calls.
#[derive(Clone, Default)]
pub(crate) struct Script {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    answers: HashMap<Endpoint, (u16, Value)>,
    calls: Vec<(Endpoint, Value)>,
    request_hash: Option<String>,
}

/// Capabilities of a GEN-B server with the table `main.users`.
pub(crate) fn capabilities() -> Value {
    json!({
        "protocol_version": "v1",
        "schema_version": 1,
        "registered_table_specs": [{ "schema": "main", "table": "users", "sync_key_columns": ["id"] }],
        "features": { "connect_lifecycle": true },
        "bundle_limits": {
            "default_rows_per_snapshot_chunk": 1000,
            "max_rows_per_snapshot_chunk": 4000,
            "default_bytes_per_snapshot_chunk": 4_194_304,
            "max_bytes_per_snapshot_chunk": 16_777_216,
            "max_bytes_per_snapshot_row": 4_194_304,
            "max_concurrent_snapshot_builds": 2,
            "max_concurrent_snapshot_chunk_requests": 8,
        },
    })
}

impl Script {
    pub(crate) fn new() -> Self {
        let script = Self::default();
        script.on(Endpoint::Capabilities, 200, capabilities());
        script.on(Endpoint::Connect, 200, json!({ "resolution": "initialize_empty" }));
        script.on(Endpoint::SnapshotDelete, 204, Value::Null);
        script
    }

    pub(crate) fn on(&self, endpoint: Endpoint, status: u16, body: Value) {
        self.state.lock().unwrap().answers.insert(endpoint, (status, body));
    }

    pub(crate) fn called(&self, endpoint: Endpoint) -> bool {
        self.state.lock().unwrap().calls.iter().any(|(called, _)| *called == endpoint)
    }

    /// The bodies of all requests to an endpoint.
    pub(crate) fn bodies(&self, endpoint: Endpoint) -> Vec<Value> {
        let state = self.state.lock().unwrap();
        state.calls.iter().filter(|(called, _)| *called == endpoint).map(|(_, body)| body.clone()).collect()
    }
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let path = request.url.split('?').next().unwrap();
        let endpoint = Endpoint::of(request.method, path);
        let mut state = self.state.lock().unwrap();
        let sent: Value =
            request.body.as_deref().map_or(Value::Null, |body| serde_json::from_str(body).unwrap());
        if endpoint == Endpoint::PushCreate {
            state.request_hash = sent["canonical_request_hash"].as_str().map(str::to_owned);
        }
        state.calls.push((endpoint, sent));
        let (status, mut body) = state.answers.get(&endpoint).cloned().ok_or_else(|| {
            TransportError::Connection(format!("the script has no answer for {endpoint:?}"))
        })?;
        let source =
            request.headers.iter().find(|(name, _)| *name == "oversync-source-id").unwrap().1.clone();
        if body.get("source_id") == Some(&json!("source-fixture")) {
            body["source_id"] = json!(source);
        }
        if body.get("canonical_request_hash") == Some(&json!("a".repeat(64))) {
            body["canonical_request_hash"] = json!(state.request_hash);
        }
        let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(&body).unwrap() };
        Ok(Response { status, retry_after_seconds: None, body })
    }
}

/// The `bundle_hash` of the rows of a fixture.
pub(crate) fn hash_of(generation: WireGeneration, rows: &Value) -> String {
    let mut hasher = BundleHasher::new(generation);
    for row in rows.as_array().unwrap() {
        let (column, key) = row["key"].as_object().unwrap().iter().next().unwrap();
        let payload = row.get("payload").filter(|payload| !payload.is_null()).map(Value::to_string);
        let hashed = HashedRow {
            schema: row["schema"].as_str().unwrap(),
            table: row["table"].as_str().unwrap(),
            key_column: column,
            key: key.as_str().unwrap(),
            op: RowOp::parse(row["op"].as_str().unwrap()).unwrap(),
            payload: payload.as_deref(),
        };
        hasher.committed_row(&hashed, RowVersion(row["row_version"].as_i64().unwrap())).unwrap();
    }
    hasher.finish()
}
