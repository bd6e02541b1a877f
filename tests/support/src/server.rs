//! The real server, in process, behind a transport that can fail.

use crate::faults::{Endpoint, Fault};
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use futures_util::{StreamExt, TryStreamExt, stream};
use rowtide::protocol::profile::WireGeneration;
use rowtide::{Clock, Method, Request, Response, StreamingResponse, SystemClock, Transport, TransportError};
use rowtide_server::{JwtAuthenticator, Limits, Registration, Service, ServiceConfig, SqliteStore};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::ServiceExt;

const SECRET: &[u8] = b"a secret of the tests";

/// The system's clock, moved on by the test.
#[derive(Debug, Clone, Default)]
struct ShiftedClock(Arc<AtomicI64>);

#[async_trait]
impl Clock for ShiftedClock {
    fn now_ms(&self) -> i64 {
        SystemClock.now_ms() + self.0.load(Ordering::SeqCst)
    }

    async fn sleep(&self, _: Duration) {
        unreachable!("the server waits for nothing")
    }
}

/// A request that reached the transport.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Which endpoint.
    pub endpoint: Endpoint,
    /// The request.
    pub request: Request,
}

#[derive(Debug)]
struct Planned {
    endpoint: Endpoint,
    /// Calls to let through first.
    skip: usize,
    /// Calls to fail after that.
    times: usize,
    fault: Fault,
}

/// A server for one test. Clones share it, and are what devices use as their transport.
#[derive(Clone)]
pub struct TestServer {
    /// The generation that it speaks.
    pub generation: WireGeneration,
    running: Arc<Mutex<(Router, Service)>>,
    config: Arc<ServiceConfig>,
    file: Option<PathBuf>,
    jwt: Arc<JwtAuthenticator>,
    clock: ShiftedClock,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    planned: Vec<Planned>,
    exchanges: Vec<Exchange>,
    before: Option<(Endpoint, Box<dyn FnOnce() + Send>)>,
    forbidden: Vec<String>,
    forbidden_sessions: Vec<String>,
    /// Ends the watch streams that are open.
    streams: tokio::sync::watch::Sender<u64>,
}

impl TestServer {
    /// A server with tables given as `(table, key column)`.
    ///
    /// # Panics
    /// The tables cannot be registered.
    pub fn new(generation: WireGeneration, tables: &[(&str, &str)]) -> Self {
        Self::with_limits(generation, tables, Limits::default())
    }

    /// A server with limits of its own.
    ///
    /// # Panics
    /// The tables cannot be registered.
    pub fn with_limits(generation: WireGeneration, tables: &[(&str, &str)], limits: Limits) -> Self {
        Self::build(generation, tables, limits, None)
    }

    /// A server whose store is a file, which can be backed up and restored.
    ///
    /// # Panics
    /// The tables cannot be registered, or the file not be opened.
    pub fn with_file(generation: WireGeneration, tables: &[(&str, &str)], file: &Path) -> Self {
        Self::build(generation, tables, Limits::default(), Some(file.to_owned()))
    }

    fn build(
        generation: WireGeneration,
        tables: &[(&str, &str)],
        limits: Limits,
        file: Option<PathBuf>,
    ) -> Self {
        let tables: Vec<_> = tables
            .iter()
            .map(|(table, key)| Registration { table: (*table).into(), key_column: (*key).into() })
            .collect();
        let mut config =
            ServiceConfig::new(generation, "business", &tables).expect("tables can be registered");
        config.limits = limits;
        let clock = ShiftedClock::default();
        let jwt = Arc::new(JwtAuthenticator::hs256(SECRET));
        let running = start(&config, file.as_deref(), &clock, &jwt);
        let running = Arc::new(Mutex::new(running));
        Self { generation, running, config: Arc::new(config), file, jwt, clock, state: Arc::default() }
    }

    /// The files of the store as they are now.
    ///
    /// # Panics
    /// The store is no file, or cannot be read.
    pub fn backup(&self) -> Vec<(PathBuf, Option<Vec<u8>>)> {
        let file = self.file.as_ref().expect("the store is a file");
        let beside = |suffix: &str| {
            let mut name = file.clone().into_os_string();
            name.push(suffix);
            PathBuf::from(name)
        };
        ["", "-wal", "-shm"].map(beside).map(|path| (path.clone(), std::fs::read(path).ok())).into()
    }

    /// Stops the server, puts a backup's files in place, and starts it again.
    ///
    /// # Panics
    /// The files cannot be written, or the store not be opened.
    pub fn restore(&self, backup: &[(PathBuf, Option<Vec<u8>>)]) {
        let mut running = self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // The former store is closed before its files are replaced.
        *running = start(&self.config, None, &self.clock, &self.jwt);
        for (path, content) in backup {
            match content {
                Some(bytes) => std::fs::write(path, bytes).expect("the file can be written"),
                None => drop(std::fs::remove_file(path)),
            }
        }
        *running = start(&self.config, self.file.as_deref(), &self.clock, &self.jwt);
    }

    /// The service, to move floors and the like.
    pub fn service(&self) -> Service {
        self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner).1.clone()
    }

    /// A token for a user that expires in 2100.
    ///
    /// # Panics
    /// It cannot be signed.
    pub fn token(&self, user: &str) -> String {
        self.jwt.sign(user, 4_102_444_800).expect("the token can be signed")
    }

    /// Moves the server's clock on.
    pub fn advance(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// Makes the next call of an endpoint fail.
    pub fn fail_next(&self, endpoint: Endpoint, fault: Fault) {
        self.fail(endpoint, 0, 1, fault);
    }

    /// Makes `times` calls of an endpoint fail, after letting `skip` through.
    pub fn fail(&self, endpoint: Endpoint, skip: usize, times: usize, fault: Fault) {
        self.lock().planned.push(Planned { endpoint, skip, times, fault });
    }

    /// Forgets planned faults; answers how many calls were still to fail.
    pub fn heal(&self) -> usize {
        std::mem::take(&mut self.lock().planned).iter().map(|planned| planned.times).sum()
    }

    /// Makes every commit fail whose rows contain one of these texts, the way a server of the first generation
    /// answers a constraint: a bare 500 that names nothing. No texts, and commits succeed again.
    pub fn forbid(&self, texts: &[&str]) {
        let mut state = self.lock();
        state.forbidden = texts.iter().map(|text| (*text).to_owned()).collect();
        state.forbidden_sessions.clear();
    }

    fn refuses(&self, endpoint: Endpoint, request: &Request) -> bool {
        let mut state = self.lock();
        let session = || {
            let tail = request.url.split("/push-sessions/").nth(1).unwrap_or_default();
            tail.split('/').next().unwrap_or_default().to_owned()
        };
        match endpoint {
            Endpoint::PushChunk => {
                let body = request.body.as_deref().unwrap_or_default();
                if state.forbidden.iter().any(|text| body.contains(text)) {
                    state.forbidden_sessions.push(session());
                }
                false
            }
            Endpoint::PushCommit => state.forbidden_sessions.contains(&session()),
            _ => false,
        }
    }

    /// Runs something right before the next call of an endpoint reaches the server.
    pub fn before(&self, endpoint: Endpoint, work: impl FnOnce() + Send + 'static) {
        self.lock().before = Some((endpoint, Box::new(work)));
    }

    /// Takes what was sent so far.
    pub fn take_exchanges(&self) -> Vec<Exchange> {
        std::mem::take(&mut self.lock().exchanges)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn fault_for(&self, endpoint: Endpoint) -> Option<Fault> {
        let mut state = self.lock();
        let planned =
            state.planned.iter_mut().find(|planned| planned.endpoint == endpoint && planned.times > 0)?;
        if planned.skip > 0 {
            planned.skip -= 1;
            return None;
        }
        planned.times -= 1;
        Some(planned.fault.clone())
    }

    /// Ends every watch stream, as a proxy that restarts does.
    pub fn break_streams(&self) {
        self.lock().streams.send_modify(|count| *count += 1);
    }

    async fn call(&self, request: Request) -> Response {
        let response = self.answer(request).await;
        let retry_after =
            response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.expect("the body is in memory").to_vec();
        Response { status, retry_after_seconds: retry_after, body }
    }

    async fn answer(&self, request: Request) -> axum::response::Response {
        let method = match request.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        };
        let mut builder = axum::http::Request::builder().method(method).uri(&request.url);
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        let body = request.body.map_or_else(Body::empty, Body::from);
        let request = builder.body(body).expect("the client sends valid requests");
        let router = self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner).0.clone();
        router.oneshot(request).await.expect("the router always answers")
    }

    fn record(&self, endpoint: Endpoint, request: &Request) {
        self.lock().exchanges.push(Exchange { endpoint, request: request.clone() });
    }
}

fn start(
    config: &ServiceConfig,
    file: Option<&Path>,
    clock: &ShiftedClock,
    jwt: &Arc<JwtAuthenticator>,
) -> (Router, Service) {
    let store = match file {
        Some(path) => SqliteStore::open(path, config),
        None => SqliteStore::in_memory(config),
    };
    let store = store.expect("the store opens");
    let service = Service::with_clock(config.clone(), Arc::new(store), Arc::new(clock.clone()));
    (rowtide_server::router(service.clone(), jwt.clone()), service)
}

#[async_trait]
impl Transport for TestServer {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let endpoint = Endpoint::of(request.method, request.url.split('?').next().unwrap_or_default());
        let hook = {
            let mut state = self.lock();
            state.exchanges.push(Exchange { endpoint, request: request.clone() });
            match state.before.take() {
                Some((at, work)) if at == endpoint => Some(work),
                other => {
                    state.before = other;
                    None
                }
            }
        };
        if let Some(work) = hook {
            // The hook may run another device to its end, which needs threads of its own.
            tokio::task::block_in_place(work);
        }
        if self.refuses(endpoint, &request) {
            let body = r#"{"error":"push_session_commit_failed","message":"Failed to commit push session"}"#;
            return Ok(Response { status: 500, retry_after_seconds: None, body: body.into() });
        }
        let lost = || TransportError::Connection("the connection broke (planned)".into());
        match self.fault_for(endpoint) {
            None => Ok(self.call(request).await),
            Some(Fault::DropRequest) => Err(lost()),
            Some(Fault::ApplyThenDropReply) => {
                self.call(request).await;
                Err(lost())
            }
            Some(Fault::ApplyThenTruncateReply) => {
                let mut response = self.call(request).await;
                response.body.truncate(response.body.len() / 2);
                Ok(response)
            }
            Some(Fault::Answer(status, body)) => {
                Ok(Response { status, retry_after_seconds: None, body: body.into_bytes() })
            }
            Some(Fault::Forge(from, to)) => {
                let mut response = self.call(request).await;
                let text = String::from_utf8(response.body).expect("responses are text");
                assert!(text.contains(&from), "nothing to forge: {from}");
                response.body = text.replacen(&from, &to, 1).into_bytes();
                Ok(response)
            }
        }
    }

    async fn open(&self, request: Request) -> Result<StreamingResponse, TransportError> {
        let endpoint = Endpoint::of(request.method, request.url.split('?').next().unwrap_or_default());
        self.record(endpoint, &request);
        let mut broken = self.lock().streams.subscribe();
        match self.fault_for(endpoint) {
            None => {}
            Some(Fault::Answer(status, body)) => {
                let body = Box::pin(stream::iter([Ok(body.into_bytes())]));
                return Ok(StreamingResponse { status, retry_after_seconds: None, body });
            }
            Some(_) => return Err(TransportError::Connection("the connection broke (planned)".into())),
        }
        let response = self.answer(request).await;
        let status = response.status().as_u16();
        let lost = |_| TransportError::Connection("the connection broke".into());
        let parts = response.into_body().into_data_stream().map_ok(|part| part.to_vec()).map_err(lost);
        let end = async move {
            let _ = broken.changed().await;
        };
        Ok(StreamingResponse {
            status,
            retry_after_seconds: None,
            body: Box::pin(parts.take_until(Box::pin(end))),
        })
    }
}
