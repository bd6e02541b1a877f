//! `canonical-json`: values on the wire, canonical bytes, hashes.

use crate::ledger::Findings;
use crate::playbook::Playbook;
use crate::replica::{Replica, USER, ending};
use crate::script::hash_of;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rowtide::SqlValue;
use rowtide::protocol::canonical_json::{CanonicalForm, canonicalize};
use rowtide::protocol::hash::{BundleHasher, HashedRow};
use rowtide::protocol::ids::RowVersion;
use rowtide::protocol::message::RowOp;
use rowtide::protocol::profile::WireGeneration;
use rowtide::protocol::value::{ColumnKind, decode, encode};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn local(case: &Value) -> (ColumnKind, SqlValue) {
    let text = case["local_sqlite"]["value_text"].as_str().unwrap();
    match case["local_sqlite"]["storage_class"].as_str().unwrap() {
        "integer" => (ColumnKind::Integer, SqlValue::Integer(text.parse().unwrap())),
        "real" => (ColumnKind::Real, SqlValue::Real(text.parse().unwrap())),
        "text" => (ColumnKind::Text, SqlValue::from(text)),
        other => panic!("a storage class that is not known: {other}"),
    }
}

fn wire(kind: ColumnKind, value: &SqlValue) -> Value {
    let mut json = String::new();
    encode(WireGeneration::B, kind, value, &mut json).unwrap();
    serde_json::from_str(&json).unwrap()
}

/// What is uploaded, and that what the server makes of it comes down as that value.
pub(crate) async fn travels(_: &str, case: &Value) -> Findings {
    let mut findings = Findings::default();
    let (kind, value) = local(case);
    findings.check("uploaded_wire", &case["uploaded_wire"], &wire(kind, &value));
    let committed = &case["committed_server"];
    let raw = RawValue::from_string(committed.to_string()).unwrap();
    match decode(WireGeneration::B, kind, &raw) {
        Err(error) => findings.note("committed_server", error, committed),
        Ok(value) => {
            let again =
                committed.as_bool().map_or(committed.clone(), |truth| json!(i64::from(truth).to_string()));
            findings.check("committed_server", &again, &wire(kind, &value));
        }
    }
    findings
}

/// A pulled row with an invalid value leaves the table and the checkpoint as they are.
pub(crate) async fn invalid(_: &str, case: &Value) -> Findings {
    assert_eq!(case["outcome"], "reject_before_mutation");
    let mut findings = Findings::default();
    let column = match case["family"].as_str().unwrap() {
        "integer" | "boolean" => "INTEGER",
        "float" => "REAL",
        // A decimal lives in a TEXT column.
        "decimal" => "TEXT",
        other => panic!("a family that is not known: {other}"),
    };
    let page = json!({ "stable_bundle_seq": 1, "has_more": false, "bundles": [{
        "bundle_seq": 1, "source_id": "remote-source", "source_bundle_id": 1,
        "rows": [{
            "schema": "main", "table": "numbers", "key": { "id": "n" }, "op": "INSERT", "row_version": 1,
            "payload": { "id": "n", "value": case["input"] },
        }],
    }] });
    let script = json!({ "kind": "pull_incremental_bundles", "response": page });
    let server = Playbook::new(&script, "main", &["numbers"]);
    let create = format!("CREATE TABLE numbers (id TEXT PRIMARY KEY NOT NULL, value {column})");
    let replica = Replica::new("main", &create, &["numbers"], server).await;
    replica.client().attach(USER).await.unwrap();
    ending("", "protocol_error", None, &replica.client().pull().await, &mut findings);
    let rows = replica.value("SELECT count(*) FROM numbers").await;
    findings.check("rows", &json!(0), &rows);
    replica.state("", &json!({ "lastBundleSeqSeen": 0, "dirtyRowCount": 0 }), &[], &mut findings).await;
    findings
}

pub(crate) async fn canonical(name: &str, case: &Value) -> Findings {
    let mut findings = Findings::default();
    let bytes = case["canonical_bytes"].as_str().unwrap();
    findings.check("utf8_base64", &case["utf8_base64"], &json!(STANDARD.encode(bytes)));
    let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    findings.check("sha256", &case["sha256"], &json!(digest));
    let value: Value = serde_json::from_str(bytes).unwrap();
    let spaced = serde_json::to_string_pretty(&value).unwrap();
    let canonical = canonicalize(CanonicalForm::Jcs, &spaced).unwrap();
    findings.check("canonical_bytes", &json!(bytes), &json!(canonical));
    match name {
        "push_request" => findings.check("request hash", &case["sha256"], &json!(request_hash(&value[0]))),
        "committed_bundle" => {
            let mut rows = value;
            rows[0]["row_version"] = json!(1);
            findings.check("bundle hash", &case["sha256"], &json!(hash_of(WireGeneration::B, &rows)));
        }
        _ => {}
    }
    findings
}

fn request_hash(row: &Value) -> String {
    let payload = row["payload"].to_string();
    let hashed = HashedRow {
        schema: row["schema"].as_str().unwrap(),
        table: row["table"].as_str().unwrap(),
        key_column: "id",
        key: row["key"]["id"].as_str().unwrap(),
        op: RowOp::Insert,
        payload: Some(&payload),
    };
    let mut hasher = BundleHasher::new(WireGeneration::B);
    hasher.request_row(&hashed, RowVersion(0)).unwrap();
    hasher.finish()
}

/// A row is frozen and committed with other values; it is edited, or not, before the committed rows can be
/// fetched.
pub(crate) async fn replay(_: &str, case: &Value) -> Findings {
    let mut findings = Findings::default();
    let server = Playbook::new(&json!({ "kind": "echo_committed_rows" }), "main", &["numbers"]);
    server.with(|play| {
        play.changes = Some(case["committed_server"].clone());
        play.fetches_fail = true;
    });
    let create = "CREATE TABLE numbers (id TEXT PRIMARY KEY NOT NULL, amount TEXT, ratio REAL)";
    let replica = Replica::new("main", create, &["numbers"], server.clone()).await;
    replica.client().attach(USER).await.unwrap();
    let values = |row: &Value| {
        vec![SqlValue::from(row["amount"].as_str().unwrap()), SqlValue::Real(row["ratio"].as_f64().unwrap())]
    };
    let insert = "INSERT INTO numbers (id, amount, ratio) VALUES ('n', ?1, ?2)";
    replica.client().execute(insert, values(&case["frozen_local"])).await.unwrap();
    ending("push ", "http_error", None, &replica.client().push().await, &mut findings);
    let mut uploaded = server.with(|play| play.uploaded[0]["payload"].clone());
    uploaded.as_object_mut().unwrap().remove("id");
    findings.check("uploaded_wire", &case["uploaded_wire"], &uploaded);
    if case["live_local"] != case["frozen_local"] {
        let update = "UPDATE numbers SET amount = ?1, ratio = ?2";
        replica.client().execute(update, values(&case["live_local"])).await.unwrap();
    }
    server.with(|play| play.fetches_fail = false);
    // A pull settles the upload without beginning another one.
    ending("pull ", "none", None, &replica.client().pull().await, &mut findings);
    let (kept, dirty) = match case["decision"].as_str().unwrap() {
        "apply_committed_and_clear_dirty" => (&case["committed_server"], 0),
        "preserve_later_local_edit_and_requeue" => (&case["live_local"], 1),
        other => panic!("a decision that is not known: {other}"),
    };
    let ratio =
        kept["ratio"].as_str().map_or(kept["ratio"].clone(), |text| json!(text.parse::<f64>().unwrap()));
    let row = replica.rows("SELECT amount, ratio FROM numbers").await;
    findings.check("row", &json!([{ "amount": kept["amount"], "ratio": ratio }]), &json!(row));
    let expected = json!({ "dirtyRowCount": dirty, "outboxState": "none", "nextSourceBundleId": 2 });
    replica.state("", &expected, &[], &mut findings).await;
    findings
}
