//! `protocol-handshake`: capabilities, table contract, connect.

use crate::script::{FixtureDevice, Script, capabilities};
use rowtide::protocol::message::TableSpec;
use rowtide::protocol::validate::table_contract;
use rowtide::{ErrorKind, Outcome, State};
use rowtide_tests::{Endpoint, contract};
use serde_json::{Value, json};

const FILE: &str = "protocol-handshake/connect.json";

fn specs(value: &Value) -> Vec<TableSpec> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn tables_are_compared_in_both_directions() {
    let Some(file) = contract(FILE) else { return };
    for case in file["contractCases"].as_array().unwrap() {
        let advertised = case.get("advertised").filter(|value| !value.is_null()).map(specs);
        let result = table_contract(advertised.as_deref(), &specs(&case["localSpecs"]));
        let expected = &case["expected"];
        match expected["kind"].as_str().unwrap() {
            "match" => assert_eq!(result, Ok(None), "{}", case["name"]),
            "invalid" => assert!(result.is_err(), "{}", case["name"]),
            _ => {
                let found = result.unwrap().unwrap_or_else(|| panic!("{}: no mismatch", case["name"]));
                assert_eq!(json!(found.server_only), expected["serverOnlyTables"], "{}", case["name"]);
                assert_eq!(json!(found.client_only), expected["clientOnlyTables"], "{}", case["name"]);
                let keys: Vec<_> = expected["syncKeyMismatches"].as_array().unwrap().iter().collect();
                let names: Vec<_> = keys.iter().map(|key| key["qualifiedTable"].as_str().unwrap()).collect();
                assert_eq!(found.key_differs, names, "{}", case["name"]);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_is_answered_by_attach_as_the_contract_says() {
    let Some(file) = contract(FILE) else { return };
    for case in file["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
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
        let device = FixtureDevice::new(&script).await;
        if case["local"]["hasLocalPendingRows"] == true {
            device.client.execute("INSERT INTO users VALUES ('u', 'n')", vec![]).await.unwrap();
        }
        let attached = device.client.attach("u").await;
        let expected = &case["expected"];
        assert_eq!(script.called(Endpoint::Connect), expected["connectCalled"] == true, "{name}");
        match expected["attachKind"].as_str().unwrap() {
            "unsupportedCapability" => {
                assert_eq!(attached.unwrap_err().kind(), ErrorKind::Protocol, "{name}")
            }
            "retryLater" => {
                let seconds = expected["retryAfterSeconds"].as_i64().unwrap();
                assert_eq!(attached.unwrap().outcome, Outcome::RetryLater { seconds }, "{name}");
            }
            _ => {
                assert_eq!(attached.unwrap().outcome, Outcome::Attached, "{name}");
                let state = device.client.status().await.unwrap().state;
                let seeding = expected["pendingInitializationId"] != "";
                assert_eq!(state == State::Seeding, seeding, "{name}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_version_or_a_partial_set_of_limits_stops_before_connect() {
    for change in [
        |body: &mut Value| body["protocol_version"] = json!("v0"),
        |body: &mut Value| body["protocol_version"] = json!(""),
        |body: &mut Value| {
            drop(body["bundle_limits"].as_object_mut().unwrap().remove("max_bytes_per_snapshot_row"))
        },
        |body: &mut Value| body["bundle_limits"]["max_rows_per_snapshot_chunk"] = json!(1),
    ] {
        let mut body = capabilities();
        change(&mut body);
        let script = Script::new();
        script.on(Endpoint::Capabilities, 200, body);
        let device = FixtureDevice::new(&script).await;
        assert_eq!(device.client.attach("u").await.unwrap_err().kind(), ErrorKind::Protocol);
        assert!(!script.called(Endpoint::Connect));
    }
}
