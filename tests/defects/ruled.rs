//! A server with rules of its own: what it commits is not what was sent.

use async_trait::async_trait;
use rowtide::protocol::hash::{BundleHasher, HashedRow};
use rowtide::protocol::ids::RowVersion;
use rowtide::protocol::message::RowOp;
use rowtide::protocol::profile::WireGeneration;
use rowtide::{Config, ConflictPolicy, Request, Response, SyncTable, Transport, TransportError};
use rowtide_tests::{Device, Endpoint, TestServer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

const PUSH_ID: &str = "11111111-1111-4111-8111-111111111111";
/// The tables of its devices.
pub(crate) const SCHEMA: &str = "
    CREATE TABLE notes (id TEXT PRIMARY KEY NOT NULL, title TEXT, flag BOOLEAN, filled TEXT);
    CREATE TABLE audits (id TEXT PRIMARY KEY NOT NULL, note TEXT NOT NULL);";

/// What goes wrong at the next call of an endpoint.
#[derive(Clone)]
pub(crate) enum Mishap {
    /// The call never arrives.
    Lost,
    /// The server acts, its answer is lost.
    ReplyLost,
    /// The server answers this and does nothing.
    Answer(u16, Value),
}

/// The server. Clones share it.
#[derive(Clone)]
pub(crate) struct RuledServer(Arc<Mutex<State>>);

pub(crate) type Rule = fn(&mut Vec<Value>);

struct State {
    generation: WireGeneration,
    /// Changes the rows of a bundle before they are committed.
    rule: Rule,
    mishaps: Vec<(Endpoint, Mishap)>,
    calls: Vec<(Endpoint, Value)>,
    number: Value,
    request_hash: Value,
    staged: Vec<Value>,
    /// Committed bundles, their rows included.
    history: Vec<Value>,
    /// Version and payload by table and key; no payload is a tombstone.
    rows: BTreeMap<(String, String), (i64, Value)>,
}

impl RuledServer {
    pub(crate) fn new(generation: WireGeneration, rule: Rule) -> Self {
        Self(Arc::new(Mutex::new(State {
            generation,
            rule,
            mishaps: Vec::new(),
            calls: Vec::new(),
            number: Value::Null,
            request_hash: Value::Null,
            staged: Vec::new(),
            history: Vec::new(),
            rows: BTreeMap::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// A device of it, attached.
    pub(crate) async fn device(&self, policy: ConflictPolicy) -> Device {
        let transport = self.clone();
        // Only its tokens are used.
        let host = TestServer::new(self.lock().generation, &[("notes", "id")]);
        let device = Device::new(&host, "ada", SCHEMA, move |config: Config| {
            config
                .transport(transport.clone())
                .tables(["notes", "audits"].map(|table| SyncTable::new(table).key("id").policy(policy)))
        })
        .await;
        device.attach().await;
        device
    }

    /// Plans mishaps for the next calls of an endpoint.
    pub(crate) fn mishap(&self, endpoint: Endpoint, times: usize, mishap: Mishap) {
        self.lock().mishaps.extend((0..times).map(|_| (endpoint, mishap.clone())));
    }

    /// Forgets planned mishaps.
    pub(crate) fn heal(&self) {
        self.lock().mishaps.clear();
    }

    /// Forgets that it ever had a row.
    pub(crate) fn lose_history_of(&self, table: &str, key: &str) {
        self.lock().rows.remove(&(table.to_owned(), key.to_owned())).unwrap();
    }

    /// Another device commits rows.
    pub(crate) fn publish(&self, rows: Vec<Value>) {
        self.lock().commit("another-device", &json!(1), Value::Null, rows);
    }

    /// The bundles that it committed.
    pub(crate) fn bundles(&self) -> usize {
        self.lock().history.len()
    }

    pub(crate) fn calls(&self, endpoint: Endpoint) -> usize {
        self.lock().calls.iter().filter(|(called, _)| *called == endpoint).count()
    }

    /// All rows that were sent.
    pub(crate) fn sent(&self) -> Vec<Value> {
        let state = self.lock();
        let chunks = state.calls.iter().filter(|(called, _)| *called == Endpoint::PushChunk);
        chunks.flat_map(|(_, body)| body["rows"].as_array().unwrap().clone()).collect()
    }
}

/// A row as bundles carry it; `commit` sets its version.
pub(crate) fn row(schema: &str, table: &str, key: &str, op: &str, payload: Value) -> Value {
    json!({ "schema": schema, "table": table, "key": { "id": key }, "op": op, "payload": payload })
}

fn place(row: &Value) -> (String, String) {
    (row["table"].as_str().unwrap().to_owned(), row["key"]["id"].as_str().unwrap().to_owned())
}

fn query(request: &Request, name: &str) -> i64 {
    let pairs = request.url.split_once('?').map_or("", |(_, query)| query).split('&');
    let found = pairs.filter_map(|pair| pair.split_once('=')).find(|(found, _)| *found == name);
    found.map_or(0, |(_, value)| value.parse().unwrap())
}

impl State {
    fn answer(&mut self, endpoint: Endpoint, sent: &Value, source: &str, request: &Request) -> (u16, Value) {
        match endpoint {
            Endpoint::Capabilities => (200, self.capabilities()),
            Endpoint::Connect => (200, json!({ "resolution": "initialize_empty" })),
            Endpoint::PushCreate => {
                self.number = sent["source_bundle_id"].clone();
                self.request_hash = sent["canonical_request_hash"].clone();
                self.staged.clear();
                let earlier = self.history.iter().find(|bundle| {
                    bundle["source_id"] == source && bundle["source_bundle_id"] == self.number
                });
                if let Some(bundle) = earlier {
                    let mut facts = facts(bundle);
                    facts["status"] = json!("already_committed");
                    return (200, facts);
                }
                let answer = json!({
                    "status": "staging", "push_id": PUSH_ID, "planned_row_count": sent["planned_row_count"],
                    "next_expected_row_ordinal": 0, "canonical_request_hash": self.request_hash,
                });
                (200, answer)
            }
            Endpoint::PushChunk => {
                self.staged.extend(sent["rows"].as_array().unwrap().iter().cloned());
                (200, json!({ "push_id": PUSH_ID, "next_expected_row_ordinal": self.staged.len() }))
            }
            Endpoint::PushCommit => self.try_commit(source),
            Endpoint::CommittedRows => {
                let seq = request.url.split("/committed-bundles/").nth(1).unwrap().split('/').next().unwrap();
                let index = seq.parse::<usize>().unwrap() - 1;
                let mut page = self.history[index].clone();
                page["next_row_ordinal"] = json!(page["rows"].as_array().unwrap().len() - 1);
                page["has_more"] = json!(false);
                (200, page)
            }
            Endpoint::Pull => {
                let after = usize::try_from(query(request, "after_bundle_seq")).unwrap();
                let (stable, bundles) = (self.history.len(), &self.history[after..]);
                (200, json!({ "stable_bundle_seq": stable, "bundles": bundles, "has_more": false }))
            }
            _ => (404, json!({ "error": "not_found", "message": "" })),
        }
    }

    fn capabilities(&self) -> Value {
        let spec = |table: &str| json!({ "schema": "business", "table": table, "sync_key_columns": ["id"] });
        let limits = match self.generation {
            WireGeneration::A => json!({}),
            WireGeneration::B => json!({
                "default_rows_per_snapshot_chunk": 1000,
                "max_rows_per_snapshot_chunk": 4000,
                "default_bytes_per_snapshot_chunk": 4_194_304,
                "max_bytes_per_snapshot_chunk": 16_777_216,
                "max_bytes_per_snapshot_row": 4_194_304,
                "max_concurrent_snapshot_builds": 2,
                "max_concurrent_snapshot_chunk_requests": 8,
            }),
        };
        json!({
            "protocol_version": "v1", "schema_version": 1, "bundle_limits": limits,
            "registered_table_specs": [spec("notes"), spec("audits")],
            "features": { "connect_lifecycle": true },
        })
    }

    fn try_commit(&mut self, source: &str) -> (u16, Value) {
        let staged = std::mem::take(&mut self.staged);
        for row in &staged {
            let (version, payload) = self.rows.get(&place(row)).cloned().unwrap_or((0, Value::Null));
            let base = row["base_row_version"].as_i64().unwrap();
            if base != version || (row["op"] != "INSERT" && payload.is_null()) {
                let mut conflict = row.clone();
                conflict.as_object_mut().unwrap().remove("payload");
                conflict["server_row_version"] = json!(version);
                conflict["server_row_deleted"] = json!(version > 0 && payload.is_null());
                conflict["server_row"] = payload;
                return (409, json!({ "error": "push_conflict", "message": "", "conflict": conflict }));
            }
        }
        let mut rows = staged;
        for row in &mut rows {
            let row = row.as_object_mut().unwrap();
            row.remove("base_row_version");
            row.entry("payload").or_insert(Value::Null);
        }
        (self.rule)(&mut rows);
        let (number, hash) = (self.number.clone(), self.request_hash.clone());
        (200, self.commit(source, &number, hash, rows))
    }

    fn commit(&mut self, source: &str, number: &Value, request_hash: Value, mut rows: Vec<Value>) -> Value {
        let seq = self.history.len() + 1;
        for row in &mut rows {
            row["row_version"] = json!(seq);
            let payload = row["payload"].clone();
            self.rows.insert(place(row), (i64::try_from(seq).unwrap(), payload));
        }
        let mut bundle = json!({
            "bundle_seq": seq, "source_id": source, "source_bundle_id": number, "row_count": rows.len(),
            "bundle_hash": self.hash_of(&rows), "rows": rows,
        });
        if self.generation == WireGeneration::B {
            bundle["canonical_request_hash"] = request_hash;
        }
        self.history.push(bundle.clone());
        facts(&bundle)
    }

    fn hash_of(&self, rows: &[Value]) -> String {
        let mut hasher = BundleHasher::new(self.generation);
        for row in rows {
            let payload = Some(&row["payload"]).filter(|payload| !payload.is_null()).map(Value::to_string);
            let hashed = HashedRow {
                schema: row["schema"].as_str().unwrap(),
                table: row["table"].as_str().unwrap(),
                key_column: "id",
                key: row["key"]["id"].as_str().unwrap(),
                op: RowOp::parse(row["op"].as_str().unwrap()).unwrap(),
                payload: payload.as_deref(),
            };
            hasher.committed_row(&hashed, RowVersion(row["row_version"].as_i64().unwrap())).unwrap();
        }
        hasher.finish()
    }
}

/// A bundle without its rows.
fn facts(bundle: &Value) -> Value {
    let mut facts = bundle.clone();
    facts.as_object_mut().unwrap().remove("rows");
    facts
}

#[async_trait]
impl Transport for RuledServer {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let lost = || TransportError::Connection("the connection broke (planned)".into());
        let endpoint = Endpoint::of(request.method, request.url.split('?').next().unwrap());
        let body = request.body.as_deref().filter(|body| !body.is_empty());
        let sent: Value = body.map_or(Value::Null, |body| serde_json::from_str(body).unwrap());
        let source = request.headers.iter().find(|(name, _)| *name == "oversync-source-id").unwrap();
        let mut state = self.lock();
        state.calls.push((endpoint, sent.clone()));
        let planned = state.mishaps.iter().position(|(at, _)| *at == endpoint);
        let mishap = planned.map(|index| state.mishaps.remove(index).1);
        let (status, body) = match mishap {
            None => state.answer(endpoint, &sent, &source.1, &request),
            Some(Mishap::Answer(status, body)) => (status, body),
            Some(Mishap::Lost) => return Err(lost()),
            Some(Mishap::ReplyLost) => {
                state.answer(endpoint, &sent, &source.1, &request);
                return Err(lost());
            }
        };
        Ok(Response { status, retry_after_seconds: None, body: serde_json::to_vec(&body).unwrap() })
    }
}
