//! Pull, committed rows and snapshots over HTTP. Pages are put together from stored text.

use super::App;
use super::request::{Caller, Gate, bounded, parse, query};
use crate::refusal::Refusal;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rowtide::protocol::ids::BundleSeq;
use rowtide::protocol::message::SnapshotSessionRequest;
use rowtide::protocol::problem::ProblemCode;
use serde::Deserialize;

fn json(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn text(value: &str) -> String {
    let mut out = String::new();
    rowtide::protocol::value::encode_text(value, &mut out);
    out
}

#[derive(Deserialize)]
struct PullQuery {
    after_bundle_seq: Option<i64>,
    max_bundles: Option<i64>,
    target_bundle_seq: Option<i64>,
}

pub(super) async fn pull(State(app): State<App>, uri: Uri, caller: Caller) -> Result<Response, Refusal> {
    let service = &app.service;
    let _inflight = service.enter()?;
    let limits = &service.shared.config.limits;
    let asked: PullQuery = query(&uri, ProblemCode::InvalidRequest)?;
    let max = bounded(
        "max_bundles",
        asked.max_bundles,
        1_000,
        limits.bundles_per_pull,
        ProblemCode::InvalidRequest,
    )?;
    let after = asked.after_bundle_seq.unwrap_or(0);
    if after < 0 {
        return Err(Refusal::new(ProblemCode::InvalidRequest, "after_bundle_seq must be non-negative"));
    }
    let target = asked.target_bundle_seq.filter(|target| *target > 0).map(BundleSeq);
    let page = service
        .shared
        .store
        .pull(&service.call(caller), BundleSeq(after), max, target)
        .await
        .map_err(|error| service.refuse(error, ProblemCode::PullFailed))?;
    Ok(json(format!(
        "{{\"stable_bundle_seq\":{},\"bundles\":{},\"has_more\":{}}}",
        page.stable, page.bundles, page.has_more
    )))
}

#[derive(Deserialize)]
struct ChunkQuery {
    after_row_ordinal: Option<i64>,
    max_rows: Option<i64>,
    max_bytes: Option<i64>,
}

pub(super) async fn committed_rows(
    State(app): State<App>,
    Path(seq): Path<String>,
    uri: Uri,
    caller: Caller,
) -> Result<Response, Refusal> {
    const INVALID: ProblemCode = ProblemCode::CommittedBundleChunkInvalid;
    let service = &app.service;
    let _inflight = service.enter()?;
    let limits = &service.shared.config.limits;
    let asked: ChunkQuery = query(&uri, INVALID)?;
    let max = bounded(
        "max_rows",
        asked.max_rows,
        limits.default_rows_per_chunk,
        limits.max_rows_per_chunk,
        INVALID,
    )?;
    let seq = seq.parse().ok().filter(|seq| *seq > 0).map(BundleSeq);
    let seq = seq.ok_or_else(|| Refusal::new(INVALID, "bundle_seq must be a positive number"))?;
    let after = asked.after_row_ordinal;
    if after.is_some_and(|ordinal| ordinal < 0) {
        return Err(Refusal::new(INVALID, "after_row_ordinal must be non-negative"));
    }
    let page = service
        .shared
        .store
        .committed_rows(&service.call(caller), seq, after, max)
        .await
        .map_err(|error| service.refuse(error, ProblemCode::CommittedBundleChunkFailed))?;
    let hash = page.head.canonical_request_hash.as_ref();
    let hash = hash.map_or_else(String::new, |hash| format!(",\"canonical_request_hash\":\"{hash}\""));
    Ok(json(format!(
        "{{\"bundle_seq\":{},\"source_id\":{},\"source_bundle_id\":{},\"row_count\":{},\"bundle_hash\":\"{}\"{hash},\
         \"rows\":{},\"next_row_ordinal\":{},\"has_more\":{}}}",
        page.head.bundle_seq,
        text(page.head.source_id.as_str()),
        page.head.source_bundle_id,
        page.head.row_count,
        page.head.bundle_hash,
        page.rows,
        after.map_or(0, |ordinal| ordinal + 1) + page.count - 1,
        page.has_more
    )))
}

pub(super) async fn create_snapshot(
    State(app): State<App>,
    caller: Caller,
    gate: Gate,
) -> Result<Response, Refusal> {
    let service = &app.service;
    let _inflight = service.enter()?;
    let body = gate.body(service).await?;
    let request: SnapshotSessionRequest = match body.iter().all(u8::is_ascii_whitespace) {
        true => SnapshotSessionRequest::default(),
        false => parse(&body, ProblemCode::SnapshotSessionInvalid)?,
    };
    let _place = service.build_permit().await?;
    let session = service
        .shared
        .store
        .create_snapshot(&service.call(caller), request.source_replacement.as_ref(), request.tables)
        .await
        .map_err(|error| service.refuse(error, ProblemCode::SnapshotSessionCreateFailed))?;
    Ok(Json(session).into_response())
}

pub(super) async fn snapshot_chunk(
    State(app): State<App>,
    Path(snapshot_id): Path<String>,
    uri: Uri,
    caller: Caller,
) -> Result<Response, Refusal> {
    const INVALID: ProblemCode = ProblemCode::SnapshotChunkInvalid;
    let service = &app.service;
    let _inflight = service.enter()?;
    let limits = &service.shared.config.limits;
    let exact = service.shared.config.generation.accounts_snapshot_bytes();
    let asked: ChunkQuery = query(&uri, INVALID)?;
    let max_rows = bounded(
        "max_rows",
        asked.max_rows,
        limits.default_rows_per_chunk,
        limits.max_rows_per_chunk,
        INVALID,
    )?;
    let asked_bytes = asked.max_bytes.filter(|_| exact);
    let (default, most) = (limits.default_bytes_per_snapshot_chunk, limits.max_bytes_per_snapshot_chunk);
    let max_bytes = bounded("max_bytes", asked_bytes, default, most, INVALID)?;
    let after = asked.after_row_ordinal.unwrap_or(0);
    if after < 0 {
        return Err(Refusal::new(INVALID, "after_row_ordinal must be non-negative"));
    }
    let _place = service.chunk_permit().await?;
    let page = service
        .shared
        .store
        .snapshot_rows(&service.call(caller), &snapshot_id, after, max_rows, max_bytes)
        .await
        .map_err(|error| service.refuse(error, ProblemCode::SnapshotChunkFailed))?;
    let byte_count = if exact { format!(",\"byte_count\":{}", page.bytes) } else { String::new() };
    Ok(json(format!(
        "{{\"snapshot_id\":{},\"snapshot_bundle_seq\":{},\"rows\":{},\"next_row_ordinal\":{}{byte_count},\"has_more\":{}}}",
        text(&page.head.snapshot_id),
        page.head.snapshot_bundle_seq,
        page.rows,
        after + page.count,
        page.has_more
    )))
}

pub(super) async fn delete_snapshot(
    State(app): State<App>,
    Path(snapshot_id): Path<String>,
    caller: Caller,
) -> Result<Response, Refusal> {
    let service = &app.service;
    let _inflight = service.enter()?;
    service
        .shared
        .store
        .delete_snapshot(&service.call(caller), &snapshot_id)
        .await
        .map_err(|error| service.refuse(error, ProblemCode::SnapshotSessionDeleteFailed))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
