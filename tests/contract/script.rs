//! A server that answers from a script, endpoint by endpoint.

use async_trait::async_trait;
use rowtide::protocol::hash::{BundleHasher, HashedRow};
use rowtide::protocol::ids::RowVersion;
use rowtide::protocol::message::RowOp;
use rowtide::protocol::profile::WireGeneration;
use rowtide::{Client, Config, LocalDatabase, Request, Response, SyncTable, Transport, TransportError};
use rowtide_tests::{Endpoint, FixedTokens};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// Answers by endpoint, and counts calls.
#[derive(Clone, Default)]
pub(crate) struct Script {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    answers: HashMap<Endpoint, (u16, Value)>,
    calls: Vec<Endpoint>,
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
        self.state.lock().unwrap().calls.contains(&endpoint)
    }
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let path = request.url.split('?').next().unwrap();
        let endpoint = Endpoint::of(request.method, path);
        let mut state = self.state.lock().unwrap();
        state.calls.push(endpoint);
        if endpoint == Endpoint::PushCreate {
            let sent: Value = serde_json::from_str(request.body.as_deref().unwrap()).unwrap();
            state.request_hash = sent["canonical_request_hash"].as_str().map(str::to_owned);
        }
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

/// A device of the fixtures: `main.users (id, name)`.
pub(crate) struct FixtureDevice {
    pub(crate) client: Client,
    _folder: TempDir,
}

impl FixtureDevice {
    pub(crate) async fn new(script: &Script) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("app.db");
        let database = LocalDatabase::open(&path).await.unwrap();
        let table = "CREATE TABLE users (id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL)";
        database.execute_script(table).await.unwrap();
        drop(database);
        let config = Config::new(&path, "https://sync.test/api/v1/", "main")
            .unwrap()
            .table(SyncTable::new("users").key("id"))
            .tokens(FixedTokens("token".into()))
            .transport(script.clone());
        Self { client: Client::open(config).await.unwrap(), _folder: folder }
    }

    pub(crate) async fn attached(script: &Script) -> Self {
        let device = Self::new(script).await;
        device.client.attach("u").await.unwrap();
        device
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        match self.client.query(sql, vec![]).await.unwrap().rows[0][0] {
            rowtide::SqlValue::Integer(number) => number,
            ref other => panic!("{sql} answered {other:?}"),
        }
    }

    /// Compares what the fixture expects of the local state; members that this layout has no word for are named
    /// by the caller.
    pub(crate) async fn expect(&self, case: &str, expected: &Value) {
        let status = self.client.status().await.unwrap();
        let checks = [
            ("dirtyRowCount", "SELECT count(*) FROM _rowtide_dirty_rows"),
            ("outboxRowCount", "SELECT count(*) FROM _rowtide_outbox_rows"),
            ("usersRowCount", "SELECT count(*) FROM users"),
            ("nextSourceBundleId", "SELECT next_source_bundle_id FROM _rowtide_attachment"),
            ("lastBundleSeqSeen", "SELECT checkpoint FROM _rowtide_attachment"),
        ];
        for (member, sql) in checks {
            if let Some(value) = expected.get(member) {
                assert_eq!(Some(self.number(sql).await), value.as_i64(), "{case}: {member} ({status:?})");
            }
        }
        if let Some(state) = expected.get("rowState") {
            let sql = "SELECT row_version * 10 + deleted FROM _rowtide_row_state";
            let deleted = i64::from(state["deleted"].as_bool().unwrap());
            let version = state["rowVersion"].as_i64().unwrap();
            assert_eq!(self.number(sql).await, version * 10 + deleted, "{case}: rowState");
        }
        if let Some(deleted) = expected.get("rowStateDeleted") {
            // Rows that a snapshot lacks have no version here, so there is no tombstone for them either.
            let tombstones = self.number("SELECT count(*) FROM _rowtide_row_state WHERE deleted = 1").await;
            assert_eq!(Some(tombstones), deleted.as_i64(), "{case}: rowStateDeleted");
        }
    }
}
