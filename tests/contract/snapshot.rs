//! `pull-snapshot/basic.json`.

use crate::ledger::Findings;
use crate::replica::{Replica, ending};
use crate::script::Script;
use rowtide_tests::Endpoint;
use serde_json::{Value, json};

pub(crate) async fn run(_: &str, case: &Value) -> Findings {
    let mut findings = Findings::default();
    let script = Script::new();
    let answer = |member: &str| case.get(member).filter(|value| !value.is_null()).cloned();
    let nothing_new = |seq: &Value| json!({ "stable_bundle_seq": seq, "bundles": [], "has_more": false });
    if let Some(session) = answer("snapshotSession") {
        script.on(Endpoint::Pull, 200, nothing_new(&session["snapshot_bundle_seq"]));
        script.on(Endpoint::SnapshotCreate, 200, session);
    }
    if let Some(chunk) = answer("snapshotChunkResponse") {
        script.on(Endpoint::SnapshotChunk, 200, chunk);
    }
    if let Some(pull) = answer("pullResponse") {
        script.on(Endpoint::Pull, 200, pull);
    }
    for (member, endpoint) in [
        ("historyPrunedResponse", Endpoint::Pull),
        ("checkpointAheadResponse", Endpoint::Pull),
        ("sourceReplacementInvalidResponse", Endpoint::SnapshotCreate),
    ] {
        if let Some(refused) = answer(member) {
            let status = u16::try_from(refused["status"].as_u64().unwrap()).unwrap();
            script.on(endpoint, status, refused["body"].clone());
        }
    }
    let replica = Replica::attached(&script).await;
    let after = case["afterBundleSeq"].as_i64().unwrap_or(0);
    replica.execute(&format!("UPDATE _sync_attachment_state SET last_bundle_seq_seen = {after}")).await;
    let words = |members: &[&str]| members.iter().find_map(|member| case.get(*member)?.as_str());
    let pull_words = words(&["expectedPullErrorContains"]);
    let snapshot_words =
        words(&["expectedSnapshotSessionErrorContains", "expectedSnapshotChunkErrorContains"]);
    let mut expected = case["expectedFinalState"].clone();
    let client = replica.client();

    if pull_words.is_some() {
        ending("", "protocol_error", pull_words, &client.pull().await, &mut findings);
        expected = json!({ "usersRowCount": 0, "lastBundleSeqSeen": after, "rebuildRequired": false });
    } else if snapshot_words.is_some() {
        ending("", "protocol_error", snapshot_words, &client.rebuild().await, &mut findings);
        expected = json!({ "usersRowCount": 0, "lastBundleSeqSeen": 0 });
    } else if let Some(request) = answer("snapshotSessionCreateRequest") {
        let replacement = &request["source_replacement"];
        recover(&replica, Some(&replacement["previous_source_id"]), replacement).await;
        ending("", "none", None, &client.pull().await, &mut findings);
        let sent = script.bodies(Endpoint::SnapshotCreate);
        findings.check("snapshotSessionCreateRequest", &json!([request]), &json!(sent));
    } else if expected["rebuildRejected"] == true {
        let replacement = json!({ "new_source_id": "another-source", "reason": "history_pruned" });
        recover(&replica, None, &replacement).await;
        let before = client.source_info().await.unwrap();
        let rebuilt = client.rebuild().await;
        ending("", "http_error", None, &rebuilt, &mut findings);
        let code = json!(rebuilt.unwrap_err().code());
        findings.check("code", &case["sourceReplacementInvalidResponse"]["body"]["error"], &code);
        findings.demand("source kept", client.source_info().await.unwrap() == before);
        expected = json!({ "rebuildRequired": true });
    } else {
        ending("", "none", None, &client.pull().await, &mut findings);
        if case["historyPrunedResponse"].is_null() && case["checkpointAheadResponse"].is_null() {
            assert!(!expected.is_null(), "the case expects nothing that is known");
        } else {
            findings.demand("snapshot asked for", script.called(Endpoint::SnapshotCreate));
        }
    }
    replica.state("", &expected, &[], &mut findings).await;
    findings
}

/// Brings the database where its source is about to be replaced.
async fn recover(replica: &Replica<Script>, previous: Option<&Value>, replacement: &Value) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    if let Some(previous) = previous {
        let sql = format!("UPDATE _rowtide_attachment SET source_id = '{}'", text(previous));
        replica.execute(&sql).await;
    }
    replica.execute("UPDATE _sync_attachment_state SET rebuild_required = 1").await;
    let sql = format!(
        "UPDATE _sync_operation_state SET kind = 'source_recovery', reason = '{}', replacement_source_id = '{}'",
        text(&replacement["reason"]),
        text(&replacement["new_source_id"])
    );
    replica.execute(&sql).await;
}
