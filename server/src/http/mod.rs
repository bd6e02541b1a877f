//! HTTP in front of a [`Service`]: paths, verbs, headers, bodies (`docs/protocol.md` section 1).

mod demo;
mod download;
mod push;
mod request;
mod watch;

pub use demo::demo_router;

use crate::auth::Authenticator;
use crate::metrics::measure;
use crate::refusal::Refusal;
use crate::service::Service;
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
pub(crate) use request::Caller;
use request::Gate;
use rowtide::protocol::message::ConnectRequest;
use rowtide::protocol::problem::ProblemCode;
use std::sync::Arc;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate, SizeAbove};
use tower_http::decompression::RequestDecompressionLayer;

/// What every handler works with.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) service: Service,
    pub(crate) authenticator: Arc<dyn Authenticator>,
}

/// All endpoints of the protocol, to be mounted in the host's own app, at the root or under a prefix.
pub fn router(service: Service, authenticator: Arc<dyn Authenticator>) -> Router {
    let wire = service.shared.config.generation.as_str();
    Router::new()
        .route("/sync/capabilities", get(capabilities))
        .route("/sync/connect", post(connect))
        .route("/sync/push-sessions", post(push::create))
        .route("/sync/push-sessions/{id}", delete(push::delete))
        .route("/sync/push-sessions/{id}/chunks", post(push::chunk))
        .route("/sync/push-sessions/{id}/commit", post(push::commit))
        .route("/sync/committed-bundles/{seq}/rows", get(download::committed_rows))
        .route("/sync/pull", get(download::pull))
        .route("/sync/snapshot-sessions", post(download::create_snapshot))
        .route(
            "/sync/snapshot-sessions/{id}",
            get(download::snapshot_chunk).delete(download::delete_snapshot),
        )
        .route("/sync/watch", get(watch::watch))
        .route("/syncx/health", get(health))
        .route("/syncx/status", get(status))
        .route("/syncx/openapi.yaml", get(openapi))
        .route_layer(middleware::from_fn_with_state(wire, measure))
        .method_not_allowed_fallback(wrong_verb)
        .fallback(unknown_path)
        .with_state(App { service, authenticator })
        .layer(RequestDecompressionLayer::new().pass_through_unaccepted(true))
        // Watch streams stay as they are: an event must not wait for the next one. So do short answers, which some proxies
        // read.
        .layer(
            CompressionLayer::new()
                .quality(CompressionLevel::Fastest)
                .compress_when(DefaultPredicate::new().and(SizeAbove::new(4_096))),
        )
}

/// The description of this API.
const OPENAPI: &str = include_str!("../../../docs/openapi.yaml");

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/yaml")], OPENAPI).into_response()
}

async fn unknown_path(uri: Uri) -> Refusal {
    Refusal::new(ProblemCode::NotFound, format!("there is nothing at {}", uri.path()))
}

async fn wrong_verb() -> Refusal {
    Refusal::new(ProblemCode::MethodNotAllowed, "this path does not take this method")
}

async fn capabilities(State(app): State<App>, caller: Caller) -> Result<Response, Refusal> {
    let _inflight = app.service.enter()?;
    log::debug!("capabilities for source {}", caller.source);
    Ok(Json(app.service.capabilities()).into_response())
}

async fn connect(State(app): State<App>, caller: Caller, gate: Gate) -> Result<Response, Refusal> {
    let service = &app.service;
    let _inflight = service.enter()?;
    let body = gate.body(service).await?;
    let request: ConnectRequest = request::parse(&body, ProblemCode::ConnectInvalid)?;
    let answer = service
        .shared
        .store
        .connect(&service.call(caller), request.has_local_pending_rows)
        .await
        .map_err(|error| service.refuse(error, ProblemCode::ConnectFailed))?;
    Ok(Json(answer).into_response())
}

async fn health(State(app): State<App>) -> Response {
    let health = app.service.health();
    let healthy = health["status"] == "healthy";
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health)).into_response()
}

async fn status(State(app): State<App>) -> Result<Response, Refusal> {
    let status = app.service.status().await;
    let status = status.map_err(|error| app.service.refuse(error, ProblemCode::ServiceUnavailable))?;
    Ok(Json(status).into_response())
}
