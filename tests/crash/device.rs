//! A device reduced to the protocol: it pushes bundles until each is answered, whatever happens to the server.

use crate::cluster::SECRET;
use rowtide::protocol::hash::{BundleHasher, HashedRow};
use rowtide::protocol::ids::RowVersion;
use rowtide::protocol::message::RowOp;
use rowtide::protocol::profile::WireGeneration;
use rowtide::{HttpTransport, Method, Request, Transport};
use rowtide_server::JwtAuthenticator;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

/// What the devices and the one who kills share.
pub(crate) struct Field {
    /// Addresses of the processes.
    pub(crate) addresses: Vec<String>,
    /// Requests that were sent.
    pub(crate) requests: watch::Sender<usize>,
    /// Whether there is more to come.
    pub(crate) going: watch::Sender<bool>,
    next: AtomicUsize,
}

impl Field {
    pub(crate) fn new(addresses: Vec<String>) -> Self {
        let (requests, going) = (watch::channel(0).0, watch::channel(true).0);
        Self { addresses, requests, going, next: AtomicUsize::new(0) }
    }
}

pub(crate) struct Device {
    field: Arc<Field>,
    http: HttpTransport,
    pub(crate) user: String,
    pub(crate) source: String,
    generation: WireGeneration,
    token: String,
    /// Sequences of its bundles, the first one's first.
    pub(crate) committed: Vec<i64>,
}

impl Device {
    pub(crate) fn new(field: &Arc<Field>, user: &str, number: usize) -> Self {
        let jwt = JwtAuthenticator::hs256(SECRET.as_bytes());
        Self {
            field: field.clone(),
            http: HttpTransport::new().unwrap(),
            user: user.to_owned(),
            source: format!("device-{number}"),
            generation: if number.is_multiple_of(2) { WireGeneration::A } else { WireGeneration::B },
            token: jwt.sign(user, 4_102_444_800).unwrap(),
            committed: Vec::new(),
        }
    }

    /// A request to whichever process is next; no answer where that one is dead.
    async fn post(&self, path: &str, body: String) -> Option<(u16, Value)> {
        let turn = self.field.next.fetch_add(1, Ordering::Relaxed);
        let address = &self.field.addresses[turn % self.field.addresses.len()];
        let request = Request {
            method: Method::Post,
            url: format!("http://{address}/{}/sync/{path}", self.generation.as_str()),
            headers: vec![
                ("authorization", format!("Bearer {}", self.token)),
                ("oversync-source-id", self.source.clone()),
                ("content-type", "application/json".into()),
            ],
            body: Some(body).filter(|body| !body.is_empty()),
            max_response_bytes: 1 << 20,
        };
        self.field.requests.send_modify(|count| *count += 1);
        let response = self.http.send(request).await.ok()?;
        Some((response.status, serde_json::from_slice(&response.body).unwrap_or_default()))
    }

    pub(crate) async fn connect(&self) {
        let body = json!({ "has_local_pending_rows": false }).to_string();
        let (status, answer) = self.post("connect", body).await.expect("nothing was killed yet");
        assert_eq!(status, 200, "{answer}");
    }

    /// Pushes bundles until the end is called.
    pub(crate) async fn run(mut self) -> Self {
        while *self.field.going.borrow() {
            let rows = self.next_rows();
            let seq = loop {
                match self.push(&rows).await {
                    Some(seq) => break seq,
                    None => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
                }
            };
            self.committed.push(seq);
        }
        self
    }

    /// A new row, and an update of the device's counter: based on its last bundle, so that one which was lost or
    /// applied twice is a conflict.
    fn next_rows(&self) -> Vec<Value> {
        let number = self.committed.len() + 1;
        let row = |key: String, op: &str, base: i64| {
            json!({ "schema": "business", "table": "items", "key": { "id": key }, "op": op, "base_row_version": base,
                    "payload": { "id": key, "name": number.to_string() } })
        };
        let counter = self.committed.last().map_or_else(
            || row(format!("{} counter", self.source), "INSERT", 0),
            |last| row(format!("{} counter", self.source), "UPDATE", *last),
        );
        vec![counter, row(format!("{} {number}", self.source), "INSERT", 0)]
    }

    /// One attempt; nothing where it has to be made again.
    async fn push(&self, rows: &[Value]) -> Option<i64> {
        let id = self.committed.len() + 1;
        let mut create = json!({ "source_bundle_id": id, "planned_row_count": rows.len() });
        if self.generation == WireGeneration::B {
            create["canonical_request_hash"] = json!(request_hash(rows));
        }
        let session = self.answer("push-sessions", create.to_string()).await?;
        if session["status"] == "already_committed" {
            assert_eq!(session["source_bundle_id"], json!(id));
            return session["bundle_seq"].as_i64();
        }
        let session = format!("push-sessions/{}", session["push_id"].as_str()?);
        let chunk = json!({ "start_row_ordinal": 0, "rows": rows }).to_string();
        self.answer(&format!("{session}/chunks"), chunk).await?;
        self.answer(&format!("{session}/commit"), String::new()).await?["bundle_seq"].as_i64()
    }

    /// A good answer; nothing where the server failed or lost the session. Any other refusal is a lost or doubled bundle.
    async fn answer(&self, path: &str, body: String) -> Option<Value> {
        let (status, answer) = self.post(path, body).await?;
        match status {
            200 => Some(answer),
            404 | 410 | 500.. => None,
            _ => panic!("{} of {} at bundle {}: {answer}", self.source, self.user, self.committed.len() + 1),
        }
    }
}

fn request_hash(rows: &[Value]) -> String {
    let mut hasher = BundleHasher::new(WireGeneration::B);
    for row in rows {
        let payload = row["payload"].to_string();
        let hashed = HashedRow {
            schema: "business",
            table: "items",
            key_column: "id",
            key: row["key"]["id"].as_str().unwrap(),
            op: RowOp::parse(row["op"].as_str().unwrap()).unwrap(),
            payload: Some(&payload),
        };
        hasher.request_row(&hashed, RowVersion(row["base_row_version"].as_i64().unwrap())).unwrap();
    }
    hasher.finish()
}
