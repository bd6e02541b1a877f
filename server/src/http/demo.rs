//! Sign-in and test switches for demonstrations. Mounted only where they are asked for.

use super::request::{parse, query};
use crate::auth::JwtAuthenticator;
use crate::refusal::Refusal;
use crate::service::Service;
use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use rowtide::protocol::ids::BundleSeq;
use rowtide::protocol::problem::ProblemCode;
use serde::Deserialize;
use std::sync::Arc;

const TOKEN_SECONDS: i64 = 300;

#[derive(Clone)]
struct Demo {
    services: Vec<Service>,
    jwt: Arc<JwtAuthenticator>,
}

/// `POST /dummy-signin` gives a token for any user and password; `/test/…` moves floors, empties the store and counts
/// watchers.
pub fn demo_router(services: Vec<Service>, jwt: Arc<JwtAuthenticator>) -> Router {
    Router::new()
        .route("/dummy-signin", post(sign_in))
        .route("/test/retention-floor", post(retention_floor))
        .route("/test/reset", post(reset))
        .route("/test/watch-subscribers", get(watch_subscribers))
        .with_state(Demo { services, jwt })
}

#[derive(Deserialize)]
struct SignIn {
    user: String,
    #[serde(default)]
    #[allow(dead_code)] // any password is accepted
    password: String,
}

async fn sign_in(State(demo): State<Demo>, body: Bytes) -> Result<Response, Refusal> {
    let SignIn { user, .. } = parse(&body, ProblemCode::InvalidRequest)?;
    if user.trim().is_empty() {
        return Err(Refusal::new(ProblemCode::InvalidRequest, "user must not be empty"));
    }
    let now = demo.services.first().map_or(0, Service::now_ms) / 1000;
    let token = demo
        .jwt
        .sign(&user, now + TOKEN_SECONDS)
        .map_err(|error| Refusal::new(ProblemCode::AuthenticationFailed, error.0))?;
    Ok(Json(serde_json::json!({ "token": token, "expires_in": TOKEN_SECONDS, "user": user })).into_response())
}

#[derive(Deserialize)]
struct RetentionFloor {
    user_id: String,
    retained_bundle_floor: i64,
}

async fn retention_floor(State(demo): State<Demo>, body: Bytes) -> Result<Response, Refusal> {
    let asked: RetentionFloor = parse(&body, ProblemCode::InvalidRequest)?;
    if asked.user_id.trim().is_empty() || asked.retained_bundle_floor < 0 {
        let text = "user_id must not be empty, and retained_bundle_floor not negative";
        return Err(Refusal::new(ProblemCode::InvalidRequest, text));
    }
    let mut known = false;
    for service in &demo.services {
        known |= service
            .set_retained_floor(&asked.user_id, BundleSeq(asked.retained_bundle_floor))
            .await
            .map_err(|error| service.refuse(error, ProblemCode::ServiceUnavailable))?;
    }
    if !known {
        return Err(Refusal::new(ProblemCode::NotFound, "there is no such user"));
    }
    let RetentionFloor { user_id, retained_bundle_floor } = asked;
    let done = serde_json::json!({
        "status": "ok", "user_id": user_id, "retained_bundle_floor": retained_bundle_floor,
    });
    Ok(Json(done).into_response())
}

#[derive(Deserialize)]
struct WatchSubscribers {
    user_id: String,
}

async fn watch_subscribers(State(demo): State<Demo>, uri: Uri) -> Result<Response, Refusal> {
    let asked: WatchSubscribers = query(&uri, ProblemCode::InvalidRequest)?;
    let count = |service: &Service| service.shared.watchers.count(&service.scope(&asked.user_id));
    let count: usize = demo.services.iter().map(count).sum();
    let found = serde_json::json!({
        "user_id": asked.user_id, "subscriber_count": count, "process_local_only": true,
    });
    Ok(Json(found).into_response())
}

async fn reset(State(demo): State<Demo>) -> Result<Response, Refusal> {
    for service in &demo.services {
        let done = service.reset().await;
        done.map_err(|error| service.refuse(error, ProblemCode::ServiceUnavailable))?;
    }
    Ok(Json(serde_json::json!({ "status": "ok" })).into_response())
}
