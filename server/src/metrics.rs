//! What Prometheus scrapes: numbers of the whole process, of every service in it.

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::sync::LazyLock;
use std::time::Instant;

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// The numbers of this process.
pub(crate) fn metrics() -> &'static Metrics {
    &METRICS
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    wire: &'static str,
    method: String,
    endpoint: String,
    status: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Timed {
    wire: &'static str,
    method: String,
    endpoint: String,
}

/// Counters and gauges; none of their labels names a user or a source.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Family<Timed, Histogram>,
    pub(crate) operations: Gauge,
    pub(crate) watchers: Gauge,
    pub(crate) bundles: Counter,
    pub(crate) bundle_rows: Counter,
    pub(crate) replays: Counter,
    pub(crate) pruned: Counter,
    pub(crate) rejected: Counter,
    pub(crate) retries: Counter,
}

impl Metrics {
    fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("rowtide"),
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.0, 15))),
            operations: Gauge::default(),
            watchers: Gauge::default(),
            bundles: Counter::default(),
            bundle_rows: Counter::default(),
            replays: Counter::default(),
            pruned: Counter::default(),
            rejected: Counter::default(),
            retries: Counter::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("requests", "Requests by endpoint and status", metrics.requests.clone());
        let text = "Time to the head of the answer";
        registry.register_with_unit("request", text, Unit::Seconds, metrics.seconds.clone());
        registry.register("operations_running", "Operations that are running", metrics.operations.clone());
        registry.register("watchers", "Watch streams that are open", metrics.watchers.clone());
        registry.register("bundles_committed", "Bundles committed here", metrics.bundles.clone());
        registry.register("bundle_rows_committed", "Rows of these bundles", metrics.bundle_rows.clone());
        let text = "Pushes of bundles that were committed before";
        registry.register("push_replays", text, metrics.replays.clone());
        registry.register("history_pruned", "Answers that history is gone", metrics.pruned.clone());
        registry.register("push_chunks_rejected", "Chunks that were not valid", metrics.rejected.clone());
        let text = "Transactions of the store that were tried again";
        registry.register("store_retries", text, metrics.retries.clone());
        metrics
    }
}

/// `GET /metrics` for Prometheus, unauthenticated: numbers of all services of this process, without users, sources or
/// row contents. A host mounts it where the outside does not reach it.
pub fn metrics_router() -> Router {
    Router::new().route("/metrics", get(scrape))
}

async fn scrape() -> Response {
    let mut text = String::new();
    if encode(&mut text, &metrics().registry).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// Counts and times a request of a known path.
pub(crate) async fn measure(
    State(wire): State<&'static str>,
    path: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().to_string();
    // The prefix that the host mounted the service under is no endpoint's.
    let at = path.as_str().find("/sync").unwrap_or(0);
    let endpoint = path.as_str()[at..].to_owned();
    let begun = Instant::now();
    let response = next.run(request).await;
    let metrics = metrics();
    let timed = Timed { wire, method: method.clone(), endpoint: endpoint.clone() };
    metrics.seconds.get_or_create(&timed).observe(begun.elapsed().as_secs_f64());
    let answered = Answered { wire, method, endpoint, status: response.status().as_u16().into() };
    metrics.requests.get_or_create(&answered).inc();
    response
}

/// A watch stream that is open.
pub(crate) struct Watching;

impl Watching {
    pub(crate) fn new() -> Self {
        metrics().watchers.inc();
        Self
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        metrics().watchers.dec();
    }
}
