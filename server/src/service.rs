//! The protocol for one wire generation on a store: limits, capacity, lifecycle, wake-ups.

use crate::config::ServiceConfig;
use crate::http::Caller;
use crate::limits::Limits;
use crate::metrics::metrics;
use crate::refusal::Refusal;
use crate::store::{Call, Scope, Store, StoreChange, StoreError, StoreStatus};
use crate::watch::Watchers;
use rowtide::protocol::ids::{BundleSeq, SourceId};
use rowtide::protocol::message::{Capabilities, CommittedBundle, WatchEvent};
use rowtide::protocol::problem::ProblemCode;
use rowtide::{Clock, SystemClock};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

/// Names of GEN-A's feature flags that are on here (`docs/protocol.md` section 2).
const FEATURES: [&str; 21] = [
    "bundle_push",
    "bundle_pull",
    "push_session_chunking",
    "committed_bundle_row_fetch",
    "snapshot_chunking",
    "structured_sync_keys",
    "registered_write_rejection_enforced",
    "accepted_push_replay_visibility",
    "committed_bundle_visibility",
    "retained_floor_visibility",
    "retained_window_visibility",
    "history_pruned_visibility",
    "history_pruned_errors",
    "status_endpoint",
    "capabilities_endpoint",
    "graceful_shutdown",
    "connect_lifecycle",
    "scope_initialization_leases",
    "bundle_change_watch",
    "snapshot_tables",
    "gzip_requests",
];

/// One wire generation on a store. Clones share it.
#[derive(Clone)]
pub struct Service {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) config: ServiceConfig,
    limits: Arc<Limits>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) watchers: Watchers,
    builds: Semaphore,
    chunks: Semaphore,
    running: watch::Sender<bool>,
    inflight: AtomicI64,
    pruned_errors: AtomicI64,
    accepted_replays: AtomicI64,
    rejected_writes: AtomicI64,
}

impl Service {
    /// A service on a store, with the system's clock.
    pub fn new(config: ServiceConfig, store: impl Store) -> Self {
        Self::with_clock(config, Arc::new(store), Arc::new(SystemClock))
    }

    /// A service on a store, with a clock of the host's: leases and sessions live by it.
    pub fn with_clock(config: ServiceConfig, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let limits = &config.limits;
        let shared = Shared {
            limits: Arc::new(limits.clone()),
            builds: Semaphore::new(limits.concurrent_snapshot_builds),
            chunks: Semaphore::new(limits.concurrent_snapshot_chunks),
            config,
            store,
            clock,
            watchers: Watchers::default(),
            running: watch::channel(true).0,
            inflight: AtomicI64::new(0),
            pruned_errors: AtomicI64::new(0),
            accepted_replays: AtomicI64::new(0),
            rejected_writes: AtomicI64::new(0),
        };
        let shared = Arc::new(shared);
        follow(&shared);
        Self { shared }
    }

    /// Refuses new operations and ends watch streams; running operations finish.
    pub fn drain(&self) {
        self.shared.running.send_replace(false);
    }

    /// Deletes everything of every user, as a server that lost its data: for demonstrations and tests.
    ///
    /// # Errors
    /// The store failed.
    pub async fn reset(&self) -> Result<(), StoreError> {
        self.shared.store.reset().await?;
        self.shared.watchers.end();
        Ok(())
    }

    /// Deletes the sessions of all users that have expired, with what they staged. Nothing that a client may still ask
    /// for goes; a host that mounts the router calls it every minute or so.
    ///
    /// # Errors
    /// The store failed.
    pub async fn purge_expired(&self) -> Result<(), StoreError> {
        self.shared.store.purge_expired(self.now_ms()).await
    }

    /// Prunes a user's history up to and with a bundle, as retention would. Answers whether there is such a user.
    ///
    /// # Errors
    /// The store failed.
    pub async fn set_retained_floor(&self, user: &str, floor: BundleSeq) -> Result<bool, StoreError> {
        self.shared.store.set_retained_floor(&self.scope(user), floor).await
    }

    pub(crate) fn scope(&self, user: &str) -> Scope {
        Scope { generation: self.shared.config.generation, user: user.to_owned() }
    }

    /// What every step of the store needs of a request.
    pub(crate) fn call(&self, caller: Caller) -> Call {
        let Caller { scope, source } = caller;
        Call { scope, source, now_ms: self.now_ms(), limits: self.shared.limits.clone() }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.shared.clock.now_ms()
    }

    pub(crate) fn running(&self) -> watch::Receiver<bool> {
        self.shared.running.subscribe()
    }

    /// Enters an operation, or refuses it while draining.
    pub(crate) fn enter(&self) -> Result<Inflight<'_>, Refusal> {
        if !*self.shared.running.borrow() {
            return Err(
                Refusal::new(ProblemCode::ServiceUnavailable, "the service is shutting down").retry_after(1)
            );
        }
        self.shared.inflight.fetch_add(1, Ordering::Relaxed);
        metrics().operations.inc();
        Ok(Inflight(&self.shared.inflight))
    }

    /// A place among the snapshots being built; only GEN-B has an answer for a full house.
    pub(crate) async fn build_permit(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.permit(&self.shared.builds, ProblemCode::SnapshotBuildCapacity).await
    }

    /// A place among the snapshot chunks being read.
    pub(crate) async fn chunk_permit(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.permit(&self.shared.chunks, ProblemCode::SnapshotChunkCapacity).await
    }

    async fn permit<'a>(
        &self,
        places: &'a Semaphore,
        full: ProblemCode,
    ) -> Result<SemaphorePermit<'a>, Refusal> {
        let at_capacity =
            || Refusal::new(full, "the server is at its snapshot capacity; try again").retry_after(1);
        if self.shared.config.generation.accounts_snapshot_bytes() {
            return places.try_acquire().map_err(|_| at_capacity());
        }
        places.acquire().await.map_err(|_| at_capacity())
    }

    /// Makes a store's error an answer, and counts it.
    pub(crate) fn refuse(&self, error: StoreError, failed: ProblemCode) -> Refusal {
        let refusal = match error {
            StoreError::Refused(refusal) => refusal,
            StoreError::Failed(cause) => {
                log::error!("{}: {cause}", failed.as_str());
                Refusal::new(failed, "the server failed; try again")
            }
        };
        let (counter, metric) = match refusal.code {
            ProblemCode::HistoryPruned => (&self.shared.pruned_errors, &metrics().pruned),
            ProblemCode::PushChunkInvalid => (&self.shared.rejected_writes, &metrics().rejected),
            _ => return refusal,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        metric.inc();
        refusal
    }

    pub(crate) fn count_accepted_replay(&self) {
        self.shared.accepted_replays.fetch_add(1, Ordering::Relaxed);
        metrics().replays.inc();
    }

    pub(crate) fn announce(&self, scope: &Scope, bundle: &CommittedBundle) {
        metrics().bundles.inc();
        metrics().bundle_rows.inc_by(u64::try_from(bundle.row_count).unwrap_or(0));
        let event = WatchEvent {
            bundle_seq: bundle.bundle_seq,
            source_id: Some(bundle.source_id.clone()),
            source_bundle_id: Some(bundle.source_bundle_id),
        };
        self.shared.watchers.publish(scope, event);
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        let config = &self.shared.config;
        Capabilities {
            protocol_version: "v1".into(),
            schema_version: 1,
            app_name: config.app_name.clone(),
            registered_tables: config.qualified_tables(),
            registered_table_specs: Some(config.specs()),
            features: features(),
            bundle_limits: config.limits.announced(config.generation),
        }
    }

    pub(crate) fn health(&self) -> serde_json::Value {
        let running = *self.shared.running.borrow();
        serde_json::json!({
            "status": if running { "healthy" } else { "unhealthy" },
            "version": "v1",
            "app_name": self.shared.config.app_name,
            "lifecycle": if running { "running" } else { "shutting_down" },
            "accepting_operations": running,
            "inflight_operations": self.shared.inflight.load(Ordering::Relaxed),
            "registered_tables": self.shared.config.qualified_tables(),
            "features": features(),
        })
    }

    pub(crate) async fn status(&self) -> Result<serde_json::Value, StoreError> {
        let StoreStatus { committed_bundles, committed_bytes, latest_bundle_seq_max, floor_min, floor_max } =
            self.shared.store.status().await?;
        let count = |counter: &AtomicI64| counter.load(Ordering::Relaxed);
        let mut status = self.health();
        let more = serde_json::json!({
            "latest_bundle_seq_max": latest_bundle_seq_max,
            "retained_bundle_floor_min": floor_min,
            "retained_bundle_floor_max": floor_max,
            "retained_bundle_window_min": self.shared.config.limits.retained_bundles,
            "retained_bundle_window_max": self.shared.config.limits.retained_bundles,
            "user_state_retention_floor_ahead_count": 0,
            "history_pruned_error_count": count(&self.shared.pruned_errors),
            "accepted_push_replay_count": count(&self.shared.accepted_replays),
            "rejected_registered_write_count": count(&self.shared.rejected_writes),
            "committed_bundle_count": committed_bundles,
            "committed_bundle_bytes": committed_bytes,
        });
        if let (Some(status), serde_json::Value::Object(more)) = (status.as_object_mut(), more) {
            status.extend(more);
        }
        Ok(status)
    }
}

/// Wakes watchers for what others commit to the same store.
fn follow(shared: &Arc<Shared>) {
    let Some(mut changes) = shared.store.changes() else { return };
    let service = Arc::downgrade(shared);
    tokio::spawn(async move {
        loop {
            let change = match changes.recv().await {
                Ok(change) => change,
                Err(RecvError::Lagged(_)) => StoreChange::Unknown,
                Err(RecvError::Closed) => return,
            };
            let Some(shared) = service.upgrade() else { return };
            match change {
                StoreChange::Committed { user, event } => {
                    let scope = Scope { generation: shared.config.generation, user };
                    shared.watchers.publish(&scope, event);
                }
                StoreChange::Unknown => shared.look_up_watched().await,
            }
        }
    });
}

impl Shared {
    /// Wakes every watcher whose user has a bundle that it may not know.
    async fn look_up_watched(&self) {
        for scope in self.watchers.scopes() {
            let (source, now_ms) = (SourceId::mint(), self.clock.now_ms());
            let call = Call { scope, source, now_ms, limits: self.limits.clone() };
            if let Ok(bundle_seq) = self.store.latest(&call).await {
                let event = WatchEvent { bundle_seq, source_id: None, source_bundle_id: None };
                self.watchers.publish(&call.scope, event);
            }
        }
    }
}

fn features() -> BTreeMap<String, bool> {
    let on = FEATURES.iter().map(|name| ((*name).to_owned(), true));
    on.chain([("server_checkpoint_tracking".to_owned(), false)]).collect()
}

/// An operation that is running.
pub(crate) struct Inflight<'a>(&'a AtomicI64);

impl Drop for Inflight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
        metrics().operations.dec();
    }
}
