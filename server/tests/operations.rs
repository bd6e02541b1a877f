//! What operators and proxies see: metrics, compression, the description of the API.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use flate2::Compression;
use flate2::read::{GzDecoder, GzEncoder};
use rowtide_server::{JwtAuthenticator, Limits, metrics_router, router};
use serde_json::{Value, json};
use std::io::Read;
use std::sync::Arc;
use support::{BOTH, SETUPS, Server, insert, row, stores};
use tower::ServiceExt;

/// The server's routes, for answers whose headers and bytes matter.
fn routes(server: &Server) -> Router {
    router(server.service.clone(), Arc::new(JwtAuthenticator::hs256(b"a secret")))
}

fn request(server: &Server, method: &str, path: &str) -> axum::http::request::Builder {
    let token = server.token("ada", 4_102_444_800);
    let request = Request::builder().method(method).uri(path).header("oversync-source-id", "s");
    request.header("authorization", format!("Bearer {token}"))
}

async fn bytes(response: Response<Body>) -> Vec<u8> {
    to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = Vec::new();
    GzEncoder::new(text.as_bytes(), Compression::fast()).read_to_end(&mut packed).unwrap();
    packed
}

#[tokio::test]
async fn long_answers_are_compressed_for_those_who_ask_and_hold_the_same() {
    for setup in SETUPS {
        let rows: Vec<Value> =
            (0..200).map(|n| row("INSERT", &format!("{n:04}"), 0, Some("a name"))).collect();
        let server = Server::new(setup).await.seeded(&rows).await;
        let plain = request(&server, "GET", "/sync/pull").body(Body::empty()).unwrap();
        let plain = routes(&server).oneshot(plain).await.unwrap();
        assert!(plain.headers().get("content-encoding").is_none());
        let plain = bytes(plain).await;
        for encoding in ["gzip", "zstd"] {
            let call = request(&server, "GET", "/sync/pull").header("accept-encoding", encoding);
            let response = routes(&server).oneshot(call.body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(response.headers()["content-encoding"], encoding);
            let packed = bytes(response).await;
            assert!(packed.len() * 4 < plain.len(), "{} of {} bytes", packed.len(), plain.len());
            if encoding == "gzip" {
                let mut unpacked = Vec::new();
                GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
                assert!(unpacked == plain);
            }
        }
        let short = request(&server, "GET", "/sync/capabilities").header("accept-encoding", "gzip");
        let short = routes(&server).oneshot(short.body(Body::empty()).unwrap()).await.unwrap();
        assert!(short.headers().get("content-encoding").is_none(), "proxies read short answers");
    }
}

#[tokio::test]
async fn a_gzip_request_is_read_and_one_that_unfolds_beyond_the_limit_or_is_none_is_refused() {
    let limits = Limits { request_bytes: 2_000, ..Limits::default() };
    for setup in stores(BOTH[0]) {
        let server = Server::with(&setup, limits.clone()).await.seeded(&[insert("u")]).await;
        assert_eq!(server.get("s", "capabilities").await.ok()["features"]["gzip_requests"], true);
        let session = server.create("s", 1, &[insert("a")], None).await.ok();
        let path = format!("/sync/push-sessions/{}/chunks", session["push_id"].as_str().unwrap());
        let chunk = json!({ "start_row_ordinal": 0, "rows": [insert("a")] }).to_string();
        for (body, status, code) in [
            (gzip(&format!("{chunk}{}", " ".repeat(1 << 20))), 413, "request_too_large"),
            (chunk.clone().into_bytes(), 400, "invalid_request"),
            (gzip(&chunk)[..20].to_vec(), 400, "invalid_request"),
        ] {
            let call = request(&server, "POST", &path).header("content-encoding", "gzip");
            server.raw(call.body(Body::from(body)).unwrap()).await.refused(status, code);
        }
        let call = request(&server, "POST", &path).header("content-encoding", "gzip");
        server.raw(call.body(Body::from(gzip(&chunk))).unwrap()).await.ok();
    }
}

#[tokio::test]
async fn the_metrics_count_requests_and_bundles_and_name_no_user() {
    let server = Server::new(&SETUPS[0]).await.seeded(&[insert("u")]).await;
    server.get("a-source-to-be-kept-secret", "pull").await.ok();
    server
        .call_of("a-user-to-be-kept-secret", "s", "GET", "pull", None)
        .await
        .refused(409, "scope_uninitialized");
    let scrape = Request::get("/metrics").body(Body::empty()).unwrap();
    let text = String::from_utf8(bytes(metrics_router().oneshot(scrape).await.unwrap()).await).unwrap();
    for part in [
        "rowtide_requests_total{wire=\"a\",method=\"GET\",endpoint=\"/sync/pull\",status=\"409\"}",
        "rowtide_request_seconds_bucket{",
        "rowtide_bundles_committed_total ",
        "rowtide_watchers ",
        "# EOF",
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
    assert!(!text.contains("secret") && !text.contains("ada"), "{text}");
}

#[tokio::test]
async fn the_description_of_the_api_is_served() {
    let server = Server::new(&SETUPS[0]).await;
    let call = Request::get("/syncx/openapi.yaml").body(Body::empty()).unwrap();
    let response = routes(&server).oneshot(call).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/yaml");
    assert!(bytes(response).await.starts_with(b"openapi: 3.1"));
}
