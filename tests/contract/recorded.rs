//! `gen-a/recorded.json`: what the real GEN-A server answered, byte for byte.

use rowtide::protocol::hash::{BundleHasher, HashedRow};
use rowtide::protocol::message::{
    Capabilities, CommittedBundle, CommittedRow, CommittedRows, ConnectResponse, PullResponse,
    PushChunkResponse, PushSessionReply, SnapshotChunk, SnapshotRow, SnapshotSession,
};
use rowtide::protocol::problem::Problem;
use rowtide::protocol::profile::WireGeneration;
use rowtide::protocol::validate;
use rowtide_tests::contract;
use std::collections::HashMap;

fn add(hasher: &mut BundleHasher, rows: &[CommittedRow<'_>]) {
    for row in rows {
        validate::committed_row(row).unwrap();
        let hashed = HashedRow::from(row);
        hasher.committed_row(&hashed, row.row_version).unwrap();
    }
}

#[test]
fn every_recorded_response_is_understood_and_every_bundle_hash_comes_out_the_same() {
    let Some(file) = contract("gen-a/recorded.json") else { return };
    let mut pages: HashMap<(String, i64), BundleHasher> = HashMap::new();
    let (mut hashes, mut problems) = (0, 0);
    for exchange in file["exchanges"].as_array().unwrap() {
        let text = exchange["response_text"].as_str().unwrap();
        let path = exchange["path"].as_str().unwrap();
        let place = format!("{} {path}", exchange["scenario"]);
        let route = path.split('?').next().unwrap();
        let (status, method) = (exchange["status"].as_u64().unwrap(), exchange["method"].as_str().unwrap());
        let json = exchange["content_type"].as_str().is_some_and(|kind| kind.starts_with("application/json"));
        if status >= 400 {
            if json {
                let problem: Problem = serde_json::from_str(text).unwrap();
                let code =
                    problem.code().unwrap_or_else(|| panic!("{place}: {} is not known", problem.error));
                assert_eq!(u64::from(code.status()), status, "{place}");
                problems += 1;
            }
            continue;
        }
        let parts: Vec<&str> = route.trim_start_matches('/').split('/').collect();
        match (method, parts.as_slice()) {
            ("GET", ["sync", "capabilities"]) => {
                let capabilities: Capabilities = serde_json::from_str(text).unwrap();
                assert_eq!(WireGeneration::detect(&capabilities), Ok(WireGeneration::A));
            }
            ("POST", ["sync", "connect"]) => {
                validate::connect(&serde_json::from_str::<ConnectResponse>(text).unwrap()).unwrap();
            }
            ("POST", ["sync", "push-sessions"]) => {
                drop(serde_json::from_str::<PushSessionReply>(text).unwrap())
            }
            ("POST", ["sync", "push-sessions", _, "chunks"]) => {
                drop(serde_json::from_str::<PushChunkResponse>(text).unwrap());
            }
            ("POST", ["sync", "push-sessions", _, "commit"]) => {
                drop(serde_json::from_str::<CommittedBundle>(text).unwrap());
            }
            ("GET", ["sync", "committed-bundles", _, "rows"]) => {
                let page: CommittedRows<'_> = serde_json::from_str(text).unwrap();
                let key = (page.bundle.source_id.to_string(), page.bundle.bundle_seq.0);
                let hasher = pages.entry(key.clone()).or_insert_with(|| BundleHasher::new(WireGeneration::A));
                add(hasher, &page.rows);
                if !page.has_more {
                    assert_eq!(pages.remove(&key).unwrap().finish(), page.bundle.bundle_hash, "{place}");
                    hashes += 1;
                }
            }
            ("GET", ["sync", "pull"]) => {
                let page: PullResponse<'_> = serde_json::from_str(text).unwrap();
                for bundle in &page.bundles {
                    let mut hasher = BundleHasher::new(WireGeneration::A);
                    add(&mut hasher, &bundle.rows);
                    assert_eq!(Some(hasher.finish()), bundle.bundle_hash, "{place}");
                    hashes += 1;
                }
            }
            ("POST", ["sync", "snapshot-sessions"]) => {
                let session: SnapshotSession = serde_json::from_str(text).unwrap();
                validate::snapshot_session(WireGeneration::A, &session).unwrap();
            }
            ("GET", ["sync", "snapshot-sessions", _]) => {
                let chunk: SnapshotChunk<'_> = serde_json::from_str(text).unwrap();
                for row in &chunk.rows {
                    drop(serde_json::from_str::<SnapshotRow<'_>>(row.get()).unwrap());
                }
            }
            _ => {}
        }
    }
    assert!(hashes >= 6 && problems >= 20, "{hashes} hashes and {problems} problems were seen");
}
