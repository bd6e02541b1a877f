//! Users side by side on one store: what is another's is not there, and text is never SQL.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::{SETUPS, Server, insert, request_hash, row};

#[tokio::test]
async fn sessions_and_bundles_of_another_user_are_not_there_and_sessions_of_another_source_are_forbidden() {
    for setup in SETUPS {
        let server = Server::new(setup).await.seeded(&[insert("u")]).await;
        let body = Some("{\"has_local_pending_rows\":false}".to_owned());
        server.call_of("eve", "s", "POST", "connect", body).await.ok();
        let push = server.create("s", 1, &[insert("a")], None).await.ok();
        let push = format!("push-sessions/{}", push["push_id"].as_str().unwrap());
        let snapshot = server.call("s", "POST", "snapshot-sessions", None).await.ok();
        let snapshot = format!("snapshot-sessions/{}", snapshot["snapshot_id"].as_str().unwrap());
        let chunk = json!({ "start_row_ordinal": 0, "rows": [insert("a")] }).to_string();
        let calls = [
            ("POST", format!("{push}/chunks"), Some(chunk), "push_session"),
            ("POST", format!("{push}/commit"), None, "push_session"),
            ("DELETE", push, None, "push_session"),
            ("GET", snapshot.clone(), None, "snapshot_session"),
            ("DELETE", snapshot, None, "snapshot_session"),
        ];
        for (user, source, status, end) in [("eve", "s", 404, "not_found"), ("ada", "t", 403, "forbidden")] {
            for (method, path, body, kind) in &calls {
                let answer = server.call_of(user, source, method, path, body.clone()).await;
                answer.refused(status, &format!("{kind}_{end}"));
            }
        }
        let bundle = server.call_of("eve", "s", "GET", "committed-bundles/1/rows", None).await;
        bundle.refused(404, "committed_bundle_not_found");
        let page = server.call_of("eve", "s", "GET", "pull", None).await.ok();
        assert_eq!((page["stable_bundle_seq"].as_i64(), &page["bundles"]), (Some(0), &json!([])));
        // And all of it is still there for whom it belongs to.
        for (method, path, body, _) in &calls[..2] {
            server.call("s", method, path, body.clone()).await.ok();
        }
        server.call("s", "GET", &calls[3].1, None).await.ok();
    }
}

#[tokio::test]
async fn text_in_every_place_is_taken_as_text() {
    // In a header there are no spaces, in a path they are escaped.
    let (odd, bare) =
        ("x'); DROP SCHEMA rowtide CASCADE; --\"\\$1", "x');DROP/**/SCHEMA/**/rowtide;--\"\\$1");
    let path = "x%27%29%3B%20DROP%20SCHEMA%20rowtide%3B--";
    for setup in SETUPS {
        let server = Server::new(setup).await.seeded(&[insert("u")]).await;
        // Where text is allowed it comes back as it was.
        let rows = [row("INSERT", odd, 0, Some(odd))];
        server.connect(bare, false).await.ok();
        server.push(bare, 1, &rows).await.ok();
        let page = server.get(bare, "pull?after_bundle_seq=1").await.ok();
        let bundle = &page["bundles"][0];
        let sent = &bundle["rows"][0];
        assert_eq!((&bundle["source_id"], &sent["key"]["id"]), (&json!(bare), &json!(odd)));
        assert_eq!(sent["payload"]["name"], odd);
        let update = row("UPDATE", odd, 1, Some("stale"));
        let refused = server.push(bare, 2, &[update]).await.refused(409, "push_conflict");
        assert_eq!(refused["conflict"]["server_row"]["name"], odd);
        // Where it is not, it is refused.
        let push = server.create("s", 1, &rows, None).await.ok();
        let chunks = format!("push-sessions/{}/chunks", push["push_id"].as_str().unwrap());
        for (place, value) in [
            ("/schema", json!(odd)),
            ("/table", json!(odd)),
            ("/key", json!({ odd: odd })),
            ("/op", json!(odd)),
            ("/payload", json!({ "id": odd, odd: odd })),
        ] {
            let mut row = rows[0].clone();
            *row.pointer_mut(place).unwrap() = value;
            let chunk = json!({ "start_row_ordinal": 0, "rows": [row] });
            server.post("s", &chunks, &chunk).await.refused(400, "push_chunk_invalid");
        }
        let mut lease = json!({ "source_bundle_id": 1, "planned_row_count": 1, "initialization_id": odd });
        lease["canonical_request_hash"] = json!(request_hash(&rows));
        server.post("s", "push-sessions", &lease).await.refused(400, "push_session_invalid");
        let tables = json!({ "tables": [odd] });
        server.post("s", "snapshot-sessions", &tables).await.refused(400, "snapshot_session_invalid");
        let replacement = json!({ "source_replacement":
            { "previous_source_id": "s", "new_source_id": bare, "reason": odd } });
        let replaced = server.post("s", "snapshot-sessions", &replacement).await;
        assert!((400..500).contains(&replaced.status), "{}", replaced.body);
        for (method, of) in [
            ("POST", "push-sessions/{}/commit"),
            ("DELETE", "push-sessions/{}"),
            ("GET", "snapshot-sessions/{}"),
        ] {
            let answer = server.call("s", method, &of.replace("{}", path), None).await;
            assert_eq!(answer.status, 404, "{}", answer.body);
        }
        server.get("s", &format!("pull?after_bundle_seq={path}")).await.refused(400, "invalid_request");
        let rows_left: Vec<Value> = server.get("s", "pull").await.ok()["bundles"].as_array().unwrap().clone();
        assert_eq!(rows_left.len(), 2);
    }
}
