//! HTTP: identity, verbs, bodies, lifecycle. Whatever is refused has changed nothing.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use axum::body::Body;
use axum::http::Request;
use rowtide_server::{JwtAuthenticator, Limits};
use support::{BOTH, SETUPS, Server, insert, stores};

fn request(method: &str, path: &str, token: Option<&str>, source: Option<&str>, body: &str) -> Request<Body> {
    let mut builder = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        builder = builder.header("authorization", token);
    }
    if let Some(source) = source {
        builder = builder.header("oversync-source-id", source);
    }
    builder.body(Body::from(body.to_owned())).unwrap()
}

#[tokio::test]
async fn missing_forged_expired_and_foreign_tokens_are_refused_and_change_nothing() {
    for setup in SETUPS {
        let server = Server::new(setup).await;
        let forged = JwtAuthenticator::hs256(b"another secret").sign("ada", 4_102_444_800).unwrap();
        let expired = server.token("ada", 1_000_000_000);
        let unsigned = "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEiLCJleHAiOjQxMDI0NDQ4MDB9.";
        let headers = [
            None,
            Some("Basic x".to_owned()),
            Some(format!("Bearer {forged}")),
            Some(format!("Bearer {expired}")),
            Some(unsigned.to_owned()),
            Some("Bearer nonsense".to_owned()),
        ];
        for header in headers {
            let body = "{\"has_local_pending_rows\":false}";
            let call = request("POST", "/sync/connect", header.as_deref(), Some("s"), body);
            server.raw(call).await.refused(401, "authentication_failed");
        }
        assert_eq!(
            server.connect("s", true).await.ok()["resolution"],
            "initialize_local",
            "the scope is untouched"
        );
    }
}

#[tokio::test]
async fn the_source_header_is_required() {
    for setup in SETUPS {
        let server = Server::new(setup).await;
        let token = format!("Bearer {}", server.token("ada", 4_102_444_800));
        for source in [None, Some(""), Some("   ")] {
            let call = request("GET", "/sync/capabilities", Some(&token), source, "");
            server.raw(call).await.refused(400, "invalid_request");
        }
    }
}

#[tokio::test]
async fn wrong_verbs_and_unknown_paths_have_their_codes() {
    let server = Server::new(&SETUPS[0]).await;
    server.call("s", "PUT", "pull", None).await.refused(405, "method_not_allowed");
    server.call("s", "DELETE", "connect", None).await.refused(405, "method_not_allowed");
    server.get("s", "nothing/here").await.refused(404, "not_found");
}

#[tokio::test]
async fn malformed_bodies_have_the_code_of_their_endpoint() {
    for setup in SETUPS {
        let server = Server::new(setup).await;
        for (path, code) in [
            ("connect", "connect_invalid"),
            ("push-sessions", "push_session_invalid"),
            ("push-sessions/x/chunks", "push_chunk_invalid"),
            ("snapshot-sessions", "snapshot_session_invalid"),
        ] {
            for body in ["{", "[]", "{\"unexpected\": \"secret text\"", "\u{0}"] {
                let refused = server.call("s", "POST", path, Some(body.to_owned())).await.refused(400, code);
                assert!(
                    !refused["message"].as_str().unwrap().contains("secret"),
                    "what was sent is not echoed"
                );
            }
        }
        let zero = serde_json::json!({ "source_bundle_id": 0, "planned_row_count": 1 });
        server.post("s", "push-sessions", &zero).await.refused(400, "push_session_invalid");
    }
}

#[tokio::test]
async fn a_body_over_the_stated_limit_is_refused_and_changes_nothing() {
    let limits = Limits { request_bytes: 1_000, ..Limits::default() };
    for setup in stores(BOTH[1]) {
        let server = Server::with(&setup, limits.clone()).await.seeded(&[insert("u")]).await;
        let session = server.create("s", 1, &[insert("a")], None).await.ok();
        let path = format!("push-sessions/{}/chunks", session["push_id"].as_str().unwrap());
        server.call("s", "POST", &path, Some(" ".repeat(1_001))).await.refused(413, "request_too_large");
        let chunk = serde_json::json!({ "start_row_ordinal": 0, "rows": [insert("a")] });
        server.post("s", &path, &chunk).await.ok();
    }
}

#[tokio::test]
async fn a_chunk_or_a_bundle_with_more_rows_than_stated_is_refused_and_changes_nothing() {
    let limits = Limits { max_rows_per_chunk: 2, max_rows_per_bundle: 3, ..Limits::default() };
    for setup in SETUPS {
        let server = Server::with(setup, limits.clone()).await.seeded(&[insert("u")]).await;
        let rows = ["a", "b", "c", "d"].map(insert);
        server.create("s", 1, &rows, None).await.refused(400, "push_session_invalid");
        let session = server.create("s", 1, &rows[..3], None).await.ok();
        let path = format!("push-sessions/{}/chunks", session["push_id"].as_str().unwrap());
        let chunk = |rows| serde_json::json!({ "start_row_ordinal": 0, "rows": rows });
        server.post("s", &path, &chunk(&rows[..3])).await.refused(400, "push_chunk_invalid");
        let staged = server.post("s", &path, &chunk(&rows[..2])).await.ok();
        assert_eq!(staged["next_expected_row_ordinal"], 2);
    }
}

#[tokio::test]
async fn a_draining_server_refuses_new_operations_and_says_so_in_its_health() {
    let server = Server::new(&SETUPS[0]).await;
    let health = || request("GET", "/syncx/health", None, None, "");
    assert_eq!(server.raw(health()).await.ok()["lifecycle"], "running");
    server.service.drain();
    let refused = server.connect("s", true).await;
    assert!(refused.retry_after.is_some());
    refused.refused(503, "service_unavailable");
    let unhealthy = server.raw(health()).await;
    assert_eq!((unhealthy.status, unhealthy.body["lifecycle"].as_str()), (503, Some("shutting_down")));
}

#[tokio::test]
async fn the_status_counts_bundles_and_refusals() {
    let server = Server::new(&SETUPS[1]).await.seeded(&[insert("u")]).await;
    server.create("seeder", 1, &[insert("u")], None).await.ok();
    let status = server.raw(request("GET", "/syncx/status", None, None, "")).await.ok();
    assert_eq!(
        (status["committed_bundle_count"].as_i64(), status["latest_bundle_seq_max"].as_i64()),
        (Some(1), Some(1))
    );
    assert_eq!(status["accepted_push_replay_count"], 1);
}

#[tokio::test]
async fn a_watch_stream_begins_with_what_is_there_and_wakes_for_the_next_bundle() {
    use axum::body::BodyDataStream;
    use futures_util::StreamExt;
    use tower::ServiceExt;
    for setup in SETUPS {
        let server = Server::new(setup).await.seeded(&[insert("u")]).await;
        let jwt = std::sync::Arc::new(JwtAuthenticator::hs256(b"a secret"));
        let router = rowtide_server::router(server.service.clone(), jwt);
        let token = format!("Bearer {}", server.token("ada", 4_102_444_800));
        let call = request("GET", "/sync/watch?after_bundle_seq=0", Some(&token), Some("w"), "");
        let response = router.oneshot(call).await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut stream: BodyDataStream = response.into_body().into_data_stream();
        let first = String::from_utf8(stream.next().await.unwrap().unwrap().to_vec()).unwrap();
        assert!(first.contains("event: bundle") && first.contains("\"bundle_seq\":1"), "{first}");
        server.push("seeder", 2, &[insert("v")]).await.ok();
        let second = String::from_utf8(stream.next().await.unwrap().unwrap().to_vec()).unwrap();
        assert!(
            second.contains("\"bundle_seq\":2") && second.contains("\"source_id\":\"seeder\""),
            "{second}"
        );
        server.service.drain();
        assert!(stream.next().await.is_none(), "draining ends the stream");
    }
}
