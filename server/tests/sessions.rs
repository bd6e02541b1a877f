//! How many sessions a user has, and how they end.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use axum::body::Body;
use axum::http::Request;
use rowtide_server::{JwtAuthenticator, Limits, demo_router};
use std::sync::Arc;
use support::{SETUPS, Server, insert};
use tower::ServiceExt;

#[tokio::test]
async fn a_session_too_many_ends_the_one_of_the_user_that_would_expire_first() {
    let limits = Limits { push_sessions_per_user: 2, snapshot_sessions_per_user: 2, ..Limits::default() };
    for setup in SETUPS {
        let server = Server::with(setup, limits.clone()).await.seeded(&[insert("u")]).await;
        let (mut pushes, mut snapshots) = (Vec::new(), Vec::new());
        for source in ["first", "second", "third"] {
            let push = server.create(source, 1, &[insert("a")], None).await.ok();
            pushes.push(format!("push-sessions/{}/commit", push["push_id"].as_str().unwrap()));
            let snapshot = server.call(source, "POST", "snapshot-sessions", None).await.ok();
            snapshots.push(format!("snapshot-sessions/{}", snapshot["snapshot_id"].as_str().unwrap()));
            server.advance(1);
        }
        server.call("first", "POST", &pushes[0], None).await.refused(404, "push_session_not_found");
        // Nothing was staged in the others; they are there.
        server.call("second", "POST", &pushes[1], None).await.refused(400, "push_commit_invalid");
        server.call("third", "POST", &pushes[2], None).await.refused(400, "push_commit_invalid");
        server.get("first", &snapshots[0]).await.refused(404, "snapshot_session_not_found");
        server.get("second", &snapshots[1]).await.ok();
        server.get("third", &snapshots[2]).await.ok();
    }
}

#[tokio::test]
async fn sessions_that_expired_are_deleted_though_their_user_does_not_come_back() {
    for setup in SETUPS {
        let server = Server::new(setup).await.seeded(&[insert("u")]).await;
        let push = server.create("s", 1, &[insert("a")], None).await.ok();
        let push = format!("push-sessions/{}/commit", push["push_id"].as_str().unwrap());
        let snapshot = server.call("s", "POST", "snapshot-sessions", None).await.ok();
        let snapshot = format!("snapshot-sessions/{}", snapshot["snapshot_id"].as_str().unwrap());
        server.advance(800);
        let younger = server.call("t", "POST", "snapshot-sessions", None).await.ok();
        server.advance(101);
        server.get("s", &snapshot).await.refused(410, "snapshot_session_expired");
        server.service.purge_expired().await.unwrap();
        server.get("s", &snapshot).await.refused(404, "snapshot_session_not_found");
        server.call("s", "POST", &push, None).await.refused(404, "push_session_not_found");
        server
            .get("t", &format!("snapshot-sessions/{}", younger["snapshot_id"].as_str().unwrap()))
            .await
            .ok();
    }
}

#[tokio::test]
async fn the_floor_of_a_user_whom_nobody_knows_is_not_moved() {
    for setup in SETUPS {
        let server = Server::new(setup).await.seeded(&[insert("u")]).await;
        let demo = demo_router(vec![server.service.clone()], Arc::new(JwtAuthenticator::hs256(b"a secret")));
        for (body, status) in [
            (r#"{"user_id":"ada","retained_bundle_floor":1}"#, 200),
            (r#"{"user_id":"nobody","retained_bundle_floor":1}"#, 404),
            (r#"{"user_id":" ","retained_bundle_floor":1}"#, 400),
            (r#"{"user_id":"ada","retained_bundle_floor":-1}"#, 400),
        ] {
            let request = Request::post("/test/retention-floor").body(Body::from(body)).unwrap();
            assert_eq!(demo.clone().oneshot(request).await.unwrap().status().as_u16(), status, "{body}");
        }
    }
}
