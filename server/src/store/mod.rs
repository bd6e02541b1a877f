//! Where the data is. Each method is one atomic step of the protocol; a refusal has changed nothing.

#[cfg(feature = "postgres")]
mod postgres;
mod rules;
mod sqlite;

#[cfg(feature = "postgres")]
pub use postgres::{BundleWriter, PostgresStore, WriteError};
pub use sqlite::SqliteStore;

use crate::limits::Limits;
use crate::refusal::Refusal;
use async_trait::async_trait;
use rowtide::protocol::ids::{BundleSeq, RowVersion, SourceId};
use rowtide::protocol::message::{
    CommittedBundle, ConnectResponse, PushSessionReply, PushSessionRequest, RowOp, SnapshotSession,
    SourceReplacement, WatchEvent,
};
use rowtide::protocol::profile::WireGeneration;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Whose data: a user, within one wire generation, because stored payloads differ between them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The generation that the service speaks.
    pub generation: WireGeneration,
    /// The authenticated user.
    pub user: String,
}

/// Who calls, when, and within which limits: what every step needs.
#[derive(Debug, Clone)]
pub struct Call {
    /// Whose data.
    pub scope: Scope,
    /// The database that calls.
    pub source: SourceId,
    /// Milliseconds since 1970 UTC.
    pub now_ms: i64,
    /// The service's limits.
    pub limits: Arc<Limits>,
}

impl Call {
    /// When a session or lease that is used now expires.
    pub(crate) fn expires_at(&self) -> i64 {
        self.now_ms + self.limits.session_ttl_seconds * 1000
    }
}

/// A checked row of an upload.
#[derive(Debug, Clone)]
pub struct StagedRow {
    /// Registered table.
    pub table: String,
    /// Sync key as text.
    pub key: String,
    /// What happened.
    pub op: RowOp,
    /// What it is based on.
    pub base: RowVersion,
    /// The payload as it was sent.
    pub payload: Option<String>,
    /// Bytes of the row in a snapshot, without the digits of its version.
    pub fixed_bytes: i64,
}

/// A part of the history as a JSON array of bundles.
#[derive(Debug)]
pub struct BundlePage {
    /// Where the pull ends.
    pub stable: BundleSeq,
    /// `[{…},…]`
    pub bundles: String,
    /// Whether bundles follow.
    pub has_more: bool,
}

/// A part of a bundle or a snapshot as a JSON array of rows.
#[derive(Debug)]
pub struct RowPage<H> {
    /// The bundle or the session.
    pub head: H,
    /// `[{…},…]`
    pub rows: String,
    /// Number of rows.
    pub count: i64,
    /// Bytes of the row objects.
    pub bytes: i64,
    /// Whether rows follow.
    pub has_more: bool,
}

/// A part of a snapshot.
pub type SnapshotPage = RowPage<SnapshotSession>;

/// Numbers for the status endpoint.
#[derive(Debug, Clone, Copy, Default)]
pub struct StoreStatus {
    /// Bundles kept.
    pub committed_bundles: i64,
    /// Bytes of their rows.
    pub committed_bytes: i64,
    /// The highest sequence of any user.
    pub latest_bundle_seq_max: i64,
    /// The lowest floor of any user.
    pub floor_min: i64,
    /// The highest floor of any user.
    pub floor_max: i64,
}

/// Something that another process, or another service on the same store, committed.
#[derive(Debug, Clone)]
pub enum StoreChange {
    /// A bundle of a user, in whatever generation.
    Committed {
        /// Whose.
        user: String,
        /// Which.
        event: WatchEvent,
    },
    /// Bundles may have been missed: the newest one of every watched user is to be looked up.
    Unknown,
}

/// The store failed or refused.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A documented refusal.
    #[error("{}", .0.problem.message)]
    Refused(Refusal),
    /// The database failed; the cause is logged, not answered.
    #[error("the store failed: {0}")]
    Failed(String),
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

pub(crate) type StoreResult<T> = Result<T, StoreError>;

/// The steps of the protocol that touch data.
#[async_trait]
#[allow(missing_docs)] // each is the endpoint of its name, docs/protocol.md sections 3 to 8
pub trait Store: Send + Sync + 'static {
    async fn connect(&self, call: &Call, pending: bool) -> StoreResult<ConnectResponse>;
    async fn create_push_session(
        &self,
        call: &Call,
        request: &PushSessionRequest,
    ) -> StoreResult<PushSessionReply>;
    async fn stage_rows(
        &self,
        call: &Call,
        push_id: &str,
        start: i64,
        rows: Vec<StagedRow>,
    ) -> StoreResult<i64>;
    async fn commit(&self, call: &Call, push_id: &str) -> StoreResult<CommittedBundle>;
    async fn delete_push_session(&self, call: &Call, push_id: &str) -> StoreResult<()>;
    async fn committed_rows(
        &self,
        call: &Call,
        seq: BundleSeq,
        after: Option<i64>,
        max_rows: i64,
    ) -> StoreResult<RowPage<CommittedBundle>>;
    async fn pull(
        &self,
        call: &Call,
        after: BundleSeq,
        max_bundles: i64,
        target: Option<BundleSeq>,
    ) -> StoreResult<BundlePage>;
    async fn create_snapshot(
        &self,
        call: &Call,
        replacement: Option<&SourceReplacement>,
        tables: Option<Vec<String>>,
    ) -> StoreResult<SnapshotSession>;
    async fn snapshot_rows(
        &self,
        call: &Call,
        snapshot_id: &str,
        after: i64,
        max_rows: i64,
        max_bytes: i64,
    ) -> StoreResult<SnapshotPage>;
    async fn delete_snapshot(&self, call: &Call, snapshot_id: &str) -> StoreResult<()>;
    /// The newest bundle, for watch; refuses a scope that is not initialised.
    async fn latest(&self, call: &Call) -> StoreResult<BundleSeq>;
    async fn status(&self) -> StoreResult<StoreStatus>;
    /// Deletes the sessions of all users that had expired at `now_ms`.
    async fn purge_expired(&self, now_ms: i64) -> StoreResult<()>;
    /// Moves a user's floor, as retention would; answers whether there is such a user.
    async fn set_retained_floor(&self, scope: &Scope, floor: BundleSeq) -> StoreResult<bool>;
    /// Deletes everything of every user.
    async fn reset(&self) -> StoreResult<()>;
    /// Where others commit to the same data, what they commit.
    fn changes(&self) -> Option<broadcast::Receiver<StoreChange>> {
        None
    }
}
