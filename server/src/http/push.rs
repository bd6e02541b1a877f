//! Push sessions over HTTP.

use super::App;
use super::request::{Caller, Gate, parse};
use crate::refusal::Refusal;
use crate::upload;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use rowtide::protocol::message::{PushChunkRequest, PushChunkResponse, PushSessionReply, PushSessionRequest};
use rowtide::protocol::problem::ProblemCode;

pub(super) async fn create(State(app): State<App>, caller: Caller, gate: Gate) -> Result<Response, Refusal> {
    let service = &app.service;
    let _inflight = service.enter()?;
    let body = gate.body(service).await?;
    let request: PushSessionRequest = parse(&body, ProblemCode::PushSessionInvalid)?;
    check(
        service.shared.config.generation.sends_request_hash(),
        service.shared.config.limits.max_rows_per_bundle,
        &request,
    )
    .map_err(|text| Refusal::new(ProblemCode::PushSessionInvalid, text))?;
    let reply = service
        .shared
        .store
        .create_push_session(&service.call(caller), &request)
        .await
        .map_err(|error| service.refuse(error, ProblemCode::PushSessionCreateFailed))?;
    if matches!(reply, PushSessionReply::AlreadyCommitted(_)) {
        service.count_accepted_replay();
    }
    Ok(Json(reply).into_response())
}

fn check(wants_hash: bool, max_rows: i64, request: &PushSessionRequest) -> Result<(), String> {
    if request.source_bundle_id.0 < 1 {
        return Err("source_bundle_id must be at least 1".into());
    }
    if request.planned_row_count < 1 {
        return Err("planned_row_count must be at least 1".into());
    }
    if max_rows > 0 && request.planned_row_count > max_rows {
        return Err(format!("a bundle has at most {max_rows} rows"));
    }
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let hash = request.canonical_request_hash.as_deref();
    if wants_hash && !hash.is_some_and(|hash| hash.len() == 64 && hash.bytes().all(hex)) {
        return Err("canonical_request_hash must be 64 lowercase hexadecimal digits".into());
    }
    Ok(())
}

pub(super) async fn chunk(
    State(app): State<App>,
    Path(push_id): Path<String>,
    caller: Caller,
    gate: Gate,
) -> Result<Response, Refusal> {
    let service = &app.service;
    let _inflight = service.enter()?;
    let body = gate.body(service).await?;
    let request: PushChunkRequest<'_> = parse(&body, ProblemCode::PushChunkInvalid)?;
    let start = request.start_row_ordinal;
    let rows = upload::check(&service.shared.config, &request)
        .map_err(|refusal| service.refuse(refusal.into(), ProblemCode::PushSessionChunkFailed))?;
    let next_expected_row_ordinal = service
        .shared
        .store
        .stage_rows(&service.call(caller), &push_id, start, rows)
        .await
        .map_err(|error| service.refuse(error, ProblemCode::PushSessionChunkFailed))?;
    Ok(Json(PushChunkResponse { push_id, next_expected_row_ordinal }).into_response())
}

pub(super) async fn commit(
    State(app): State<App>,
    Path(push_id): Path<String>,
    caller: Caller,
) -> Result<Response, Refusal> {
    let service = &app.service;
    let _inflight = service.enter()?;
    let call = service.call(caller);
    let bundle = service
        .shared
        .store
        .commit(&call, &push_id)
        .await
        .map_err(|error| service.refuse(error, ProblemCode::PushSessionCommitFailed))?;
    log::info!(
        "bundle {} of {} rows committed by source {}",
        bundle.bundle_seq,
        bundle.row_count,
        bundle.source_id
    );
    service.announce(&call.scope, &bundle);
    Ok(Json(bundle).into_response())
}

pub(super) async fn delete(
    State(app): State<App>,
    Path(push_id): Path<String>,
    caller: Caller,
) -> Result<Response, Refusal> {
    let service = &app.service;
    let _inflight = service.enter()?;
    service
        .shared
        .store
        .delete_push_session(&service.call(caller), &push_id)
        .await
        .map_err(|error| service.refuse(error, ProblemCode::PushSessionDeleteFailed))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
