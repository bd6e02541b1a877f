//! One method per endpoint; alone knows paths and statuses (`docs/protocol.md` section 1).

use super::{
    Authorizer, Method, Request, Response, StreamingResponse, Transport, TransportError, WatchStream,
};
use crate::clock::{Clock, Rng};
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::ids::{BundleSeq, SourceId};
use crate::protocol::message::{
    Capabilities, CommittedBundle, ConnectRequest, ConnectResponse, PushChunkResponse, PushSessionReply,
    PushSessionRequest, SnapshotSession, SnapshotSessionRequest,
};
use crate::protocol::problem::{Problem, ProblemCode};
use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::StreamExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use url::Url;

const CAPABILITIES_BYTES: u64 = 4 << 20;
const CONTROL_BYTES: u64 = 64 << 10;
const TRANSIENT_TRIES: usize = 3;
/// A snapshot at capacity is waited for this long in all (`docs/protocol.md` section 7).
const CAPACITY_BUDGET: Duration = Duration::from_secs(30);

/// What went over the wire so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traffic {
    pub(crate) requests: i64,
    pub(crate) bytes_up: i64,
    pub(crate) bytes_down: i64,
}

/// A refusal with the server's reason, kept apart from failures because the flow acts on it.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// A documented or undocumented error body.
    Problem { status: u16, code: Option<ProblemCode>, problem: Box<Problem>, error: Error },
    /// Network, authentication, or a body that is no answer.
    Failure(Error),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Problem { error, .. } | Refusal::Failure(error) => error,
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failure(error)
    }
}

pub(crate) type Answer<T> = std::result::Result<T, Refusal>;

/// A response body, parsed by whoever holds it, so that rows can borrow from it.
#[derive(Debug)]
pub(crate) struct Body {
    endpoint: &'static str,
    bytes: Vec<u8>,
}

impl Body {
    pub(crate) fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        serde_json::from_slice(&self.bytes).map_err(|error| malformed(self.endpoint, &error))
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

fn malformed(endpoint: &str, error: &serde_json::Error) -> Error {
    // serde_json's text can quote what it read, so only the place is passed on.
    let place = format!("line {} column {}", error.line(), error.column());
    Error::new(
        ErrorKind::Protocol,
        format!("{endpoint}: the response is not what the protocol says, at {place}"),
    )
}

/// The server's endpoints.
pub(crate) struct Api {
    transport: Arc<dyn Transport>,
    auth: Authorizer,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    base: Url,
    stop: Mutex<CancellationToken>,
    requests: AtomicI64,
    bytes_up: AtomicI64,
    bytes_down: AtomicI64,
}

struct Call<'a> {
    endpoint: &'static str,
    method: Method,
    path: &'a [&'a str],
    query: &'a [(&'a str, String)],
    body: Option<String>,
    max_response_bytes: u64,
    /// Whether sending it again is harmless.
    idempotent: bool,
}

impl Api {
    pub(crate) fn new(
        base: Url,
        transport: Arc<dyn Transport>,
        auth: Authorizer,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        let zero = || AtomicI64::new(0);
        let stop = Mutex::default();
        Self {
            transport,
            auth,
            clock,
            rng,
            base,
            stop,
            requests: zero(),
            bytes_up: zero(),
            bytes_down: zero(),
        }
    }

    /// The operation that begins ends its requests and waits with this. A request that is given up is as one whose
    /// answer was lost: the next operation settles it.
    pub(crate) fn stop_with(&self, token: CancellationToken) {
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        let token = self.stop.lock().unwrap_or_else(PoisonError::into_inner).clone();
        token.run_until_cancelled(work).await.ok_or_else(Error::cancelled)
    }

    /// Asks the host for a token anew with the next request.
    pub(crate) fn forget_token(&self) {
        self.auth.forget();
    }

    pub(crate) fn traffic(&self) -> Traffic {
        Traffic {
            requests: self.requests.load(Ordering::Relaxed),
            bytes_up: self.bytes_up.load(Ordering::Relaxed),
            bytes_down: self.bytes_down.load(Ordering::Relaxed),
        }
    }

    pub(crate) async fn capabilities(&self, source: &SourceId) -> Answer<Capabilities> {
        let call = Call {
            max_response_bytes: CAPABILITIES_BYTES,
            ..get("GET /sync/capabilities", &["capabilities"])
        };
        self.json(source, call).await
    }

    pub(crate) async fn connect(&self, source: &SourceId, pending: bool) -> Answer<ConnectResponse> {
        let body = to_json(&ConnectRequest { has_local_pending_rows: pending });
        self.json(source, post("POST /sync/connect", &["connect"], body, true)).await
    }

    pub(crate) async fn create_push_session(
        &self,
        source: &SourceId,
        request: &PushSessionRequest,
    ) -> Answer<PushSessionReply> {
        self.json(source, post("POST /sync/push-sessions", &["push-sessions"], to_json(request), true)).await
    }

    pub(crate) async fn push_chunk(
        &self,
        source: &SourceId,
        push_id: &str,
        body: String,
    ) -> Answer<PushChunkResponse> {
        let path = ["push-sessions", push_id, "chunks"];
        self.json(source, post("POST /sync/push-sessions/{id}/chunks", &path, body, false)).await
    }

    pub(crate) async fn commit(&self, source: &SourceId, push_id: &str) -> Answer<CommittedBundle> {
        let path = ["push-sessions", push_id, "commit"];
        let call =
            Call { body: None, ..post("POST /sync/push-sessions/{id}/commit", &path, String::new(), false) };
        self.json(source, call).await
    }

    pub(crate) async fn committed_rows(
        &self,
        source: &SourceId,
        seq: BundleSeq,
        after_row_ordinal: Option<i64>,
        max_rows: i64,
        max_bytes: u64,
    ) -> Answer<Body> {
        let seq = seq.to_string();
        let path = ["committed-bundles", seq.as_str(), "rows"];
        let mut query = Vec::new();
        query.extend(after_row_ordinal.map(|ordinal| ("after_row_ordinal", ordinal.to_string())));
        query.push(("max_rows", max_rows.to_string()));
        let call = Call {
            query: &query,
            max_response_bytes: max_bytes,
            ..get("GET /sync/committed-bundles/{seq}/rows", &path)
        };
        self.body(source, call).await
    }

    pub(crate) async fn pull(
        &self,
        source: &SourceId,
        after: BundleSeq,
        max_bundles: i64,
        target: Option<BundleSeq>,
        max_bytes: u64,
    ) -> Answer<Body> {
        let mut query =
            vec![("after_bundle_seq", after.to_string()), ("max_bundles", max_bundles.to_string())];
        query.extend(target.map(|seq| ("target_bundle_seq", seq.to_string())));
        let call = Call { query: &query, max_response_bytes: max_bytes, ..get("GET /sync/pull", &["pull"]) };
        self.body(source, call).await
    }

    pub(crate) async fn create_snapshot(
        &self,
        source: &SourceId,
        request: &SnapshotSessionRequest,
    ) -> Answer<SnapshotSession> {
        // An empty body where nothing is replaced, as both generations expect.
        let asks = request.source_replacement.is_some() || request.tables.is_some();
        let body = asks.then(|| to_json(request));
        let call = Call {
            body,
            ..post("POST /sync/snapshot-sessions", &["snapshot-sessions"], String::new(), true)
        };
        self.json(source, call).await
    }

    pub(crate) async fn snapshot_chunk(
        &self,
        source: &SourceId,
        snapshot_id: &str,
        after_row_ordinal: i64,
        max_rows: i64,
        max_bytes: Option<i64>,
        max_response_bytes: u64,
    ) -> Answer<Body> {
        let path = ["snapshot-sessions", snapshot_id];
        let mut query =
            vec![("after_row_ordinal", after_row_ordinal.to_string()), ("max_rows", max_rows.to_string())];
        query.extend(max_bytes.map(|bytes| ("max_bytes", bytes.to_string())));
        let call =
            Call { query: &query, max_response_bytes, ..get("GET /sync/snapshot-sessions/{id}", &path) };
        self.body(source, call).await
    }

    /// Best effort: the session expires by itself.
    pub(crate) async fn delete_snapshot(&self, source: &SourceId, snapshot_id: &str) {
        let path = ["snapshot-sessions", snapshot_id];
        let call = Call { method: Method::Delete, ..get("DELETE /sync/snapshot-sessions/{id}", &path) };
        if let Err(refusal) = self.body(source, call).await {
            log::debug!("a snapshot session was left to expire: {}", Error::from(refusal));
        }
    }

    /// Opens the watch stream; tried once.
    pub(crate) async fn watch(&self, source: &SourceId, after: BundleSeq) -> Answer<WatchStream> {
        let query = [("after_bundle_seq", after.to_string())];
        let call = Call { query: &query, ..get("GET /sync/watch", &["watch"]) };
        let token = self.auth.token().await.map_err(no_token)?;
        let mut response = self.open(source, &call, &token).await?;
        if response.status == 401 {
            let fresh = self.auth.replace(&token).await.map_err(no_token)?;
            response = self.open(source, &call, &fresh).await?;
        }
        if response.status == 200 {
            return Ok(WatchStream::new(response.body));
        }
        let mut body = Vec::new();
        while let Some(part) = response.body.next().await {
            // A broken error body is an error without one.
            body.extend(part.unwrap_or_default());
            if body.len() as u64 > CONTROL_BYTES {
                break;
            }
        }
        Err(refusal(&call, response.status, &body, response.retry_after_seconds))
    }

    async fn open(&self, source: &SourceId, call: &Call<'_>, token: &str) -> Result<StreamingResponse> {
        let mut request = self.request(source, call, token)?;
        request.headers.retain(|(name, _)| *name != "accept");
        request.headers.push(("accept", "text/event-stream".to_owned()));
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.transport.open(request).await.map_err(|error| self.unsent(call, error))
    }

    async fn json<T: DeserializeOwned>(&self, source: &SourceId, call: Call<'_>) -> Answer<T> {
        Ok(self.body(source, call).await?.parse()?)
    }

    /// Sends a call, again after transient failures where that is harmless.
    async fn body(&self, source: &SourceId, call: Call<'_>) -> Answer<Body> {
        let started_ms = self.clock.now_ms();
        let mut waits = transient_waits();
        loop {
            let refusal = match self.unless_stopped(self.attempt(source, &call)).await? {
                Ok(body) => return Ok(body),
                Err(refusal) => refusal,
            };
            let wait = match &refusal {
                Refusal::Problem {
                    code: Some(ProblemCode::SnapshotBuildCapacity | ProblemCode::SnapshotChunkCapacity),
                    error,
                    ..
                } => self.capacity_wait(started_ms, error),
                _ if call.idempotent && is_transient(&refusal) => {
                    waits.next().map(|wait| self.jittered(wait))
                }
                _ => None,
            };
            let Some(wait) = wait else { return Err(refusal) };
            log::debug!("{}: trying again in {} ms", call.endpoint, wait.as_millis());
            self.unless_stopped(self.clock.sleep(wait)).await?;
        }
    }

    fn capacity_wait(&self, started_ms: i64, error: &Error) -> Option<Duration> {
        let seconds = u64::try_from(error.retry_after_seconds().unwrap_or(1)).unwrap_or(1).max(1);
        let asked = Duration::from_secs(seconds);
        let elapsed =
            u64::try_from(self.clock.now_ms() - started_ms).map_or(Duration::ZERO, Duration::from_millis);
        let left = CAPACITY_BUDGET.saturating_sub(elapsed);
        // Chance spreads devices, and must not make a wait too long that the server's own would not be.
        (asked <= left).then(|| asked.mul_f64(1.0 + self.rng.fraction()).min(left))
    }

    fn jittered(&self, wait: Duration) -> Duration {
        wait.mul_f64(0.8 + 0.4 * self.rng.fraction())
    }

    /// Waits before a push session is tried anew.
    pub(crate) async fn pause(&self, wait: Duration) -> Result<()> {
        self.unless_stopped(self.clock.sleep(self.jittered(wait))).await
    }

    async fn attempt(&self, source: &SourceId, call: &Call<'_>) -> Answer<Body> {
        let token = self.auth.token().await.map_err(no_token)?;
        let mut response = self.exchange(source, call, &token).await?;
        if response.status == 401 {
            let fresh = self.auth.replace(&token).await.map_err(no_token)?;
            response = self.exchange(source, call, &fresh).await?;
        }
        match response.status {
            200..=299 => Ok(Body { endpoint: call.endpoint, bytes: response.body }),
            status => Err(refusal(call, status, &response.body, response.retry_after_seconds)),
        }
    }

    fn request(&self, source: &SourceId, call: &Call<'_>, token: &str) -> Result<Request> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Error::new(ErrorKind::Configuration, "the server URL cannot have a path"))?
            .pop_if_empty()
            .push("sync")
            .extend(call.path);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        Ok(Request {
            method: call.method,
            url: url.into(),
            headers: vec![
                ("authorization", format!("Bearer {token}")),
                ("oversync-source-id", source.as_str().to_owned()),
                ("accept", "application/json".to_owned()),
            ],
            body: call.body.clone(),
            max_response_bytes: call.max_response_bytes.max(CONTROL_BYTES),
        })
    }

    async fn exchange(&self, source: &SourceId, call: &Call<'_>, token: &str) -> Result<Response> {
        let request = self.request(source, call, token)?;
        let size = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes_up.fetch_add(size(call.body.as_ref().map_or(0, String::len)), Ordering::Relaxed);
        let response = self.transport.send(request).await.map_err(|error| self.unsent(call, error))?;
        self.bytes_down.fetch_add(size(response.body.len()), Ordering::Relaxed);
        Ok(response)
    }

    fn unsent(&self, call: &Call<'_>, error: TransportError) -> Error {
        let kind = match error {
            TransportError::ResponseTooLarge(_) => ErrorKind::Protocol,
            TransportError::Connection(_) | TransportError::StreamingUnsupported => ErrorKind::Network,
        };
        let text = format!("{} at {}: {error}", call.endpoint, origin(&self.base));
        Error::with_source(kind, text, error)
    }
}

/// What an answer that is no success means.
fn refusal(call: &Call<'_>, status: u16, body: &[u8], retry_after_seconds: Option<i64>) -> Refusal {
    if status == 401 {
        return Refusal::Failure(Error::new(
            ErrorKind::Authentication,
            format!("{}: the server rejected a fresh token; sign in again", call.endpoint),
        ));
    }
    let small = body.len() as u64 <= CONTROL_BYTES;
    let problem: Option<Problem> = if small { serde_json::from_slice(body).ok() } else { None };
    let problem = problem.unwrap_or_default();
    let error = Error::server(call.endpoint, status, &problem, retry_after_seconds);
    Refusal::Problem { status, code: problem.code(), problem: Box::new(problem), error }
}

fn origin(base: &Url) -> String {
    base.origin().ascii_serialization()
}

fn get<'a>(endpoint: &'static str, path: &'a [&'a str]) -> Call<'a> {
    Call {
        endpoint,
        method: Method::Get,
        path,
        query: &[],
        body: None,
        max_response_bytes: CONTROL_BYTES,
        idempotent: true,
    }
}

fn post<'a>(endpoint: &'static str, path: &'a [&'a str], body: String, idempotent: bool) -> Call<'a> {
    Call { method: Method::Post, body: Some(body), idempotent, ..get(endpoint, path) }
}

fn to_json(message: &impl serde::Serialize) -> String {
    serde_json::to_string(message).expect("protocol messages always serialise")
}

fn no_token(error: crate::transport::TokenError) -> Refusal {
    let kind = match error {
        crate::transport::TokenError::Offline(_) => ErrorKind::Network,
        crate::transport::TokenError::Denied(_) => ErrorKind::Authentication,
    };
    Refusal::Failure(Error::with_source(kind, format!("the token provider gave no token: {error}"), error))
}

/// Waits between tries after transient failures.
pub(crate) fn transient_waits() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(150))
        .with_max_delay(Duration::from_millis(1500))
        .with_max_times(TRANSIENT_TRIES - 1)
        .build()
}

/// Whether the same request may succeed a moment later.
pub(crate) fn is_transient(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::Failure(error) => error.kind() == ErrorKind::Network,
        Refusal::Problem { status, .. } => matches!(status, 429 | 500 | 502 | 503 | 504),
    }
}
