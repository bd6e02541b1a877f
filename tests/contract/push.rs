//! `push/basic-insert.json`.

use crate::ledger::Findings;
use crate::replica::{Replica, ending};
use crate::script::{Script, hash_of};
use rowtide::protocol::profile::WireGeneration;
use rowtide_tests::Endpoint;
use serde_json::{Value, json};

pub(crate) async fn run(_: &str, case: &Value) -> Findings {
    let mut findings = Findings::default();
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
    let chunk = json!({ "push_id": "11111111-1111-4111-8111-111111111111", "next_expected_row_ordinal": 1 });
    script.on(Endpoint::PushChunk, 200, chunk);
    match (&case["pushConflictResponse"], &case["pushCommitResponse"]) {
        (Value::Null, commit) => script.on(Endpoint::PushCommit, 200, real_hash(commit.clone())),
        (conflict, _) => script.on(Endpoint::PushCommit, 409, conflict.clone()),
    }
    script.on(Endpoint::CommittedRows, 200, real_hash(case["committedBundleRowsResponse"].clone()));
    script.on(Endpoint::Pull, 200, json!({ "stable_bundle_seq": 0, "bundles": [], "has_more": false }));

    let replica = Replica::attached(&script).await;
    let own = "INSERT INTO users (id, name) VALUES ('user-1', 'Ada')";
    replica.execute(case["localWrite"]["sql"].as_str().unwrap_or(own)).await;
    let pushed = replica.client().push().await;

    let mut expected = case["expectedFinalState"].clone();
    let error = expected.as_object_mut().unwrap().remove("error");
    let exception = error.as_ref().map_or("none", |error| error.as_str().unwrap());
    ending("", exception, None, &pushed, &mut findings);
    replica.state("", &expected, &[], &mut findings).await;
    for (member, endpoint) in
        [("pushSessionCreateRequest", Endpoint::PushCreate), ("pushChunkRequest", Endpoint::PushChunk)]
    {
        let Some(mut request) = case.get(member).cloned() else { continue };
        let mut sent = script.bodies(endpoint);
        // The fixture's hash is a placeholder.
        for body in sent.iter_mut().chain([&mut request]) {
            body.as_object_mut().unwrap().remove("canonical_request_hash");
        }
        findings.check(member, &json!([request]), &json!(sent));
    }
    findings
}
