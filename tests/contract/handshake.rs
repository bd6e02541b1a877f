//! `protocol-handshake`: capabilities, table contract, connect.

use crate::ledger::Findings;
use crate::replica::{Replica, USER, ending};
use crate::script::{Script, capabilities};
use rowtide::protocol::message::TableSpec;
use rowtide::protocol::validate::table_contract;
use rowtide::{ErrorKind, Outcome, State};
use rowtide_tests::Endpoint;
use serde_json::{Value, json};

fn specs(value: &Value) -> Vec<TableSpec> {
    serde_json::from_value(value.clone()).unwrap()
}

pub(crate) async fn tables(_: &str, case: &Value) -> Findings {
    let mut findings = Findings::default();
    let advertised = case.get("advertised").filter(|value| !value.is_null()).map(specs);
    let result = table_contract(advertised.as_deref(), &specs(&case["localSpecs"]));
    let expected = &case["expected"];
    let found = match &result {
        Ok(None) => "match",
        Ok(Some(_)) => "mismatch",
        Err(_) => "invalid",
    };
    findings.check("kind", &expected["kind"], &json!(found));
    if let Ok(Some(mismatch)) = result {
        findings.check("serverOnlyTables", &expected["serverOnlyTables"], &json!(mismatch.server_only));
        findings.check("clientOnlyTables", &expected["clientOnlyTables"], &json!(mismatch.client_only));
        let keys = expected["syncKeyMismatches"].as_array().unwrap();
        let names = keys.iter().map(|key| key["qualifiedTable"].clone()).collect();
        findings.check("syncKeyMismatches", &names, &json!(mismatch.key_differs));
    }
    findings
}

pub(crate) async fn connect(_: &str, case: &Value) -> Findings {
    let mut findings = Findings::default();
    let script = Script::new();
    script.on(Endpoint::Capabilities, 200, case["capabilities"]["body"].clone());
    if let Some(connect) = case["connect"].as_object() {
        let status = u16::try_from(connect["status"].as_u64().unwrap()).unwrap();
        script.on(Endpoint::Connect, status, connect["body"].clone());
    }
    let session = json!({
        "snapshot_id": "s", "snapshot_bundle_seq": 0, "row_count": 0, "byte_count": 0,
        "expires_at": "2099-01-01T00:00:00Z",
    });
    script.on(Endpoint::SnapshotCreate, 200, session);
    let replica = Replica::users(&script).await;
    let pending = case["local"]["hasLocalPendingRows"] == true;
    if pending {
        replica.execute("INSERT INTO users VALUES ('u', 'n')").await;
    }
    let attached = replica.client().attach(USER).await;
    let expected = &case["expected"];
    findings.check("connectCalled", &expected["connectCalled"], &json!(script.called(Endpoint::Connect)));
    if script.called(Endpoint::Connect) {
        let sent = script.bodies(Endpoint::Connect);
        findings.check("sent", &json!([{ "has_local_pending_rows": pending }]), &json!(sent));
    }
    match expected["attachKind"].as_str().unwrap() {
        "retryLater" => {
            let seconds = expected["retryAfterSeconds"].as_i64().unwrap();
            findings.demand("retryLater", attached.unwrap().outcome == Outcome::RetryLater { seconds });
        }
        "connected" => {
            let report = attached.unwrap();
            assert_eq!(expected["bindingState"], "attached");
            findings.demand("connected", report.outcome == Outcome::Attached);
            let state = replica.client().status().await.unwrap().state;
            let outcome = match state {
                State::Seeding => "seededFromLocal",
                State::Attached if script.called(Endpoint::SnapshotCreate) => "usedRemoteState",
                State::Attached => "startedEmpty",
                other => other.as_str(),
            };
            findings.check("attachOutcome", &expected["attachOutcome"], &json!(outcome));
            let lease = replica.value("SELECT pending_initialization_id FROM _sync_attachment_state").await;
            findings.check("pendingInitializationId", &expected["pendingInitializationId"], &lease);
        }
        refused => ending("", refused, None, &attached, &mut findings),
    }
    findings
}

/// A version that the client does not speak stops it before connect, and later before anything is frozen.
pub(crate) async fn version(_: &str, case: &Value) -> Findings {
    assert_eq!(case["timing"], "before_connect_or_outbox_freeze");
    let mut findings = Findings::default();
    let script = Script::new();
    let mut body = capabilities();
    body["protocol_version"] = case["actual"].clone();
    script.on(Endpoint::Capabilities, 200, body.clone());
    let replica = Replica::users(&script).await;
    let attached = replica.client().attach(USER).await;
    ending("attach ", case["category"].as_str().unwrap(), None, &attached, &mut findings);
    findings.demand("stops before connect", !script.called(Endpoint::Connect));

    script.on(Endpoint::Capabilities, 200, capabilities());
    let mut replica = Replica::attached(&script).await;
    replica.execute("INSERT INTO users VALUES ('u', 'n')").await;
    script.on(Endpoint::Capabilities, 200, body);
    replica.reopen().await;
    let pushed = replica.client().push().await;
    ending("push ", case["category"].as_str().unwrap(), None, &pushed, &mut findings);
    replica.state("", &json!({ "dirtyRowCount": 1, "outboxState": "none" }), &[], &mut findings).await;
    findings
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_set_of_limits_stops_before_connect() {
    for change in [
        |body: &mut Value| {
            drop(body["bundle_limits"].as_object_mut().unwrap().remove("max_bytes_per_snapshot_row"))
        },
        |body: &mut Value| body["bundle_limits"]["max_rows_per_snapshot_chunk"] = json!(1),
    ] {
        let mut body = capabilities();
        change(&mut body);
        let script = Script::new();
        script.on(Endpoint::Capabilities, 200, body);
        let replica = Replica::users(&script).await;
        assert_eq!(replica.client().attach(USER).await.unwrap_err().kind(), ErrorKind::Protocol);
        assert!(!script.called(Endpoint::Connect));
    }
}
