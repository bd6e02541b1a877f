//! A server that does what a case's `serverScript` says.

use crate::script::{capabilities, hash_of};
use async_trait::async_trait;
use rowtide::protocol::profile::WireGeneration;
use rowtide::{Request, Response, Transport, TransportError};
use rowtide_tests::Endpoint;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const PUSH_ID: &str = "11111111-1111-4111-8111-111111111111";
const EXPIRES: &str = "2099-01-01T00:00:00Z";

/// The server. Clones share it.
#[derive(Clone)]
pub(crate) struct Playbook(Arc<Mutex<Play>>);

pub(crate) struct Play {
    script: Value,
    specs: Value,
    /// What a script leaves to the steps: the version that this one sees.
    pub(crate) version: String,
    /// Committed rows cannot be fetched in this step.
    pub(crate) fetches_fail: bool,
    /// `byte_count` of a session whose script does not say it.
    pub(crate) session_bytes: i64,
    /// Rows come back with these members changed, or as an update, so that they have to be fetched.
    pub(crate) changes: Option<Value>,
    pub(crate) calls: Vec<Endpoint>,
    pub(crate) uploaded: Vec<Value>,
    /// Bodies of snapshot session requests.
    pub(crate) snapshot_requests: Vec<Value>,
    staged: Vec<Value>,
    request_hash: Value,
    bundles: Vec<Value>,
    pulls: usize,
    snapshot_seq: i64,
    ended: Vec<String>,
}

fn problem(status: u16, code: &str) -> (u16, Value) {
    (status, json!({ "error": code, "message": "" }))
}

fn body(request: &Request) -> Value {
    request.body.as_deref().map_or(Value::Null, |body| serde_json::from_str(body).unwrap())
}

fn query(request: &Request, name: &str) -> i64 {
    let pairs = request.url.split_once('?').map_or("", |(_, query)| query).split('&');
    let found = pairs.filter_map(|pair| pair.split_once('=')).find(|(found, _)| *found == name);
    found.map_or(0, |(_, value)| value.parse().unwrap())
}

impl Playbook {
    /// A server with these tables, whose key is `id`.
    pub(crate) fn new(script: &Value, schema: &str, tables: &[&str]) -> Self {
        let spec = |table: &&str| json!({ "schema": schema, "table": table, "sync_key_columns": ["id"] });
        Self(Arc::new(Mutex::new(Play {
            script: script.clone(),
            specs: tables.iter().map(spec).collect(),
            version: "v1".into(),
            fetches_fail: false,
            session_bytes: 0,
            changes: None,
            calls: Vec::new(),
            uploaded: Vec::new(),
            snapshot_requests: Vec::new(),
            staged: Vec::new(),
            request_hash: Value::Null,
            bundles: Vec::new(),
            pulls: 0,
            snapshot_seq: 0,
            ended: Vec::new(),
        })))
    }

    /// Looks at or changes the server.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut Play) -> R) -> R {
        look(&mut self.0.lock().unwrap())
    }

    pub(crate) fn count(&self, endpoint: Endpoint) -> usize {
        self.with(|play| play.calls.iter().filter(|called| **called == endpoint).count())
    }
}

impl Play {
    fn kind(&self) -> &str {
        self.script["kind"].as_str().unwrap_or_default()
    }

    fn answer(&mut self, endpoint: Endpoint, request: &Request) -> (u16, Value) {
        self.calls.push(endpoint);
        let source =
            request.headers.iter().find(|(name, _)| *name == "oversync-source-id").unwrap().1.clone();
        match endpoint {
            Endpoint::Capabilities => {
                let mut answer = capabilities();
                answer["registered_table_specs"] = self.specs.clone();
                answer["protocol_version"] = json!(self.version);
                (200, answer)
            }
            Endpoint::Connect => {
                let resolution = self.script["connectResolution"].as_str().unwrap_or("initialize_empty");
                (200, json!({ "resolution": resolution }))
            }
            Endpoint::PushCreate | Endpoint::PushChunk | Endpoint::PushCommit => {
                self.push(endpoint, request, &source)
            }
            Endpoint::CommittedRows if self.fetches_fail => problem(500, "committed_bundle_chunk_failed"),
            Endpoint::CommittedRows => {
                let mut page = self.bundles.last().unwrap().clone();
                page["next_row_ordinal"] = json!(page["rows"].as_array().unwrap().len() - 1);
                page["has_more"] = json!(false);
                (200, page)
            }
            Endpoint::Pull => self.pull(query(request, "after_bundle_seq")),
            Endpoint::SnapshotCreate => self.session(request),
            Endpoint::SnapshotChunk => self.chunk(request),
            Endpoint::SnapshotDelete => (204, Value::Null),
            Endpoint::Watch | Endpoint::Other => problem(404, "not_found"),
        }
    }

    fn push(&mut self, endpoint: Endpoint, request: &Request, source: &str) -> (u16, Value) {
        if self.kind().starts_with("pull_") || self.kind().starts_with("snapshot_") {
            return problem(404, "not_found");
        }
        let sent = body(request);
        match endpoint {
            Endpoint::PushCreate => {
                self.request_hash = sent["canonical_request_hash"].clone();
                self.staged.clear();
                let number = sent["source_bundle_id"].clone();
                let Some(rows) = self.script.get("committedRows").cloned() else {
                    let planned = sent["planned_row_count"].clone();
                    let answer = json!({
                        "status": "staging", "push_id": PUSH_ID, "planned_row_count": planned,
                        "next_expected_row_ordinal": 0, "canonical_request_hash": self.request_hash,
                    });
                    return (200, answer);
                };
                let mut answer = self.commit(1, source, &number, rows);
                answer["status"] = json!("already_committed");
                (200, answer)
            }
            Endpoint::PushChunk => {
                let rows = sent["rows"].as_array().unwrap();
                self.staged.extend(rows.iter().cloned());
                self.uploaded.extend(rows.iter().cloned());
                (200, json!({ "push_id": PUSH_ID, "next_expected_row_ordinal": self.staged.len() }))
            }
            _ => {
                let done = self.bundles.last().map_or(0, |bundle| bundle["bundle_seq"].as_i64().unwrap());
                let seq = self.script["bundleSeq"].as_i64().unwrap_or(done + 1);
                let rows: Vec<_> = self.staged.iter().map(|row| self.committed(row, seq)).collect();
                let number = json!(self.bundles.len() + 1);
                (200, self.commit(seq, source, &number, json!(rows)))
            }
        }
    }

    fn committed(&self, row: &Value, seq: i64) -> Value {
        let mut row = row.clone();
        row.as_object_mut().unwrap().remove("base_row_version");
        row["row_version"] = json!(seq);
        for (column, value) in self.changes.iter().filter_map(Value::as_object).flatten() {
            if row.get("payload").is_some() {
                row["payload"][column] = value.clone();
            }
        }
        if self.changes.is_some() && row["op"] == "INSERT" {
            row["op"] = json!("UPDATE");
        }
        row
    }

    fn commit(&mut self, seq: i64, source: &str, number: &Value, rows: Value) -> Value {
        let facts = json!({
            "bundle_seq": seq, "source_id": source, "source_bundle_id": number,
            "row_count": rows.as_array().unwrap().len(), "bundle_hash": hash_of(WireGeneration::B, &rows),
            "canonical_request_hash": self.request_hash,
        });
        let mut bundle = facts.clone();
        bundle["rows"] = rows;
        self.bundles.push(bundle);
        facts
    }

    fn pull(&mut self, after: i64) -> (u16, Value) {
        let scripted = self.script.get("response").or_else(|| self.script["responses"].get(self.pulls));
        if let Some(page) = scripted.cloned() {
            self.pulls += 1;
            return (200, page);
        }
        let own = self.bundles.last().map_or(0, |bundle| bundle["bundle_seq"].as_i64().unwrap());
        let stable = own.max(self.snapshot_seq);
        // Other devices' bundles between the own ones have no rows.
        let bundle = |seq: i64| {
            let own = self.bundles.iter().find(|bundle| bundle["bundle_seq"] == seq).cloned();
            own.unwrap_or_else(|| {
                json!({ "bundle_seq": seq, "source_id": "remote-source", "source_bundle_id": seq, "rows": [] })
            })
        };
        let bundles: Vec<_> = (after + 1..=stable).map(bundle).collect();
        (200, json!({ "stable_bundle_seq": stable, "bundles": bundles, "has_more": false }))
    }

    /// Sessions come in the script's order; the last one is there for everybody who asks again.
    fn session(&mut self, request: &Request) -> (u16, Value) {
        let asked = self.snapshot_requests.len();
        self.snapshot_requests.push(body(request));
        let listed = |list: &str| {
            let sessions = self.script[list].as_array()?;
            sessions.get(asked.min(sessions.len() - 1)).cloned()
        };
        let session = listed("sessions").or_else(|| {
            let snapshot = listed("snapshots")?;
            Some(json!({
                "snapshot_id": snapshot["id"], "snapshot_bundle_seq": snapshot["bundleSeq"],
                "row_count": snapshot["rows"].as_array().unwrap().len(), "byte_count": self.session_bytes,
                "expires_at": EXPIRES,
            }))
        });
        let Some(session) = session else { return problem(500, "snapshot_session_create_failed") };
        self.snapshot_seq = session["snapshot_bundle_seq"].as_i64().unwrap();
        (200, session)
    }

    fn chunk(&mut self, request: &Request) -> (u16, Value) {
        let path = request.url.split('?').next().unwrap();
        let id = path.rsplit('/').next().unwrap().to_owned();
        if self.ended.contains(&id) {
            return problem(404, "snapshot_session_not_found");
        }
        let after = query(request, "after_row_ordinal");
        let answer = match self.script.get("chunks") {
            Some(chunks) => chunks[&id][after.to_string()].clone(),
            None => self.rows_of_snapshot(&id, after),
        };
        match answer["status"].as_u64() {
            Some(status) => (u16::try_from(status).unwrap(), answer["body"].clone()),
            None => (200, answer),
        }
    }

    fn rows_of_snapshot(&self, id: &str, after: i64) -> Value {
        let snapshots = self.script["snapshots"].as_array().unwrap();
        let snapshot = snapshots.iter().find(|snapshot| snapshot["id"] == id).unwrap();
        if snapshot["failAfterRowOrdinal"].as_i64().is_some_and(|limit| after >= limit) {
            return json!({ "status": 500, "body": { "error": "snapshot_chunk_failed", "message": "" } });
        }
        let all = snapshot["rows"].as_array().unwrap();
        let (from, at_most) =
            (usize::try_from(after).unwrap(), snapshot["rowsPerChunk"].as_u64().unwrap_or(1000));
        let to = all.len().min(from + usize::try_from(at_most).unwrap());
        let row = |row: &Value| {
            json!({
                "schema": "main", "table": "users", "key": row["key"], "row_version": row["rowVersion"],
                "payload": row["payload"],
            })
        };
        let rows: Vec<_> = all[from..to].iter().map(row).collect();
        json!({
            "snapshot_id": id, "snapshot_bundle_seq": snapshot["bundleSeq"], "next_row_ordinal": to,
            "byte_count": rows.iter().map(|row| row.to_string().len()).sum::<usize>(),
            "has_more": to < all.len(), "rows": rows,
        })
    }

    /// Ends the sessions of the script that were created so far.
    pub(crate) fn end_sessions(&mut self) {
        let sessions = self.script["sessions"].as_array().cloned().unwrap_or_default();
        let created = sessions.iter().take(self.snapshot_requests.len());
        self.ended = created.map(|session| session["snapshot_id"].as_str().unwrap().to_owned()).collect();
    }
}

#[async_trait]
impl Transport for Playbook {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let endpoint = Endpoint::of(request.method, request.url.split('?').next().unwrap());
        let (status, body) = self.with(|play| play.answer(endpoint, &request));
        let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(&body).unwrap() };
        Ok(Response { status, retry_after_seconds: None, body })
    }
}
