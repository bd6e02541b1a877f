//! What the server states as its limits, and keeps.

use rowtide::protocol::message::BundleLimits;
use rowtide::protocol::profile::WireGeneration;

/// Limits in rows, bytes, seconds and requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request body; a larger one is answered 413.
    pub request_bytes: usize,
    /// Bundles of a pull page.
    pub bundles_per_pull: i64,
    /// Bytes of rows after which a pull page ends; its first bundle may be larger.
    pub bytes_per_pull: i64,
    /// Rows of a push, replay or snapshot chunk where the client names no number.
    pub default_rows_per_chunk: i64,
    /// Rows of a push, replay or snapshot chunk at most.
    pub max_rows_per_chunk: i64,
    /// Rows of a bundle at most; 0 is no limit.
    pub max_rows_per_bundle: i64,
    /// Bytes of a snapshot chunk where the client names no number.
    pub default_bytes_per_snapshot_chunk: i64,
    /// Bytes of a snapshot chunk at most.
    pub max_bytes_per_snapshot_chunk: i64,
    /// Bytes of a snapshot row at most; a push of a larger one is refused, in both generations. Clients refuse a server
    /// whose rows do not fit into what they apply at once, which is 4 MiB for most.
    pub max_bytes_per_snapshot_row: i64,
    /// Snapshots that are built at once.
    pub concurrent_snapshot_builds: usize,
    /// Snapshot chunks that are read at once.
    pub concurrent_snapshot_chunks: usize,
    /// Life of a push or snapshot session, and of an initialisation lease.
    pub session_ttl_seconds: i64,
    /// Push sessions of a user; one more ends the one that would expire first.
    pub push_sessions_per_user: usize,
    /// Snapshot sessions of a user; one more ends the one that would expire first.
    pub snapshot_sessions_per_user: usize,
    /// Bundles that are kept for each user.
    pub retained_bundles: i64,
    /// Bundles that one commit prunes at most.
    pub prune_batch: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: 64 << 20,
            bundles_per_pull: 5_000,
            bytes_per_pull: 8 << 20,
            default_rows_per_chunk: 1_000,
            max_rows_per_chunk: 5_000,
            max_rows_per_bundle: 0,
            default_bytes_per_snapshot_chunk: 4 << 20,
            max_bytes_per_snapshot_chunk: 32 << 20,
            max_bytes_per_snapshot_row: 4 << 20,
            concurrent_snapshot_builds: 2,
            concurrent_snapshot_chunks: 8,
            session_ttl_seconds: 900,
            push_sessions_per_user: 64,
            snapshot_sessions_per_user: 32,
            retained_bundles: 10_000,
            prune_batch: 1_000,
        }
    }
}

impl Limits {
    /// Whether no snapshot may carry a row, given its bytes without the version. Such a row must not be committed, or
    /// every later snapshot of the user fails.
    pub(crate) fn is_too_wide(&self, bytes: i64) -> bool {
        /// Digits of the largest version.
        const VERSION_DIGITS: i64 = 19;
        bytes + VERSION_DIGITS > self.max_bytes_per_snapshot_row
    }

    /// What stands against a row that is too wide.
    pub(crate) fn widest_row(&self) -> String {
        format!("max_bytes_per_snapshot_row {}", self.max_bytes_per_snapshot_row)
    }

    /// As the capabilities carry them; the byte and concurrency limits tell a client that this is GEN-B.
    pub(crate) fn announced(&self, generation: WireGeneration) -> BundleLimits {
        let rows = (Some(self.default_rows_per_chunk), Some(self.max_rows_per_chunk));
        let ttl = Some(self.session_ttl_seconds);
        let count = |number: usize| i64::try_from(number).ok();
        let mut limits = BundleLimits {
            max_bundles_per_pull: Some(self.bundles_per_pull),
            default_rows_per_push_chunk: rows.0,
            max_rows_per_push_chunk: rows.1,
            default_rows_per_committed_bundle_chunk: rows.0,
            max_rows_per_committed_bundle_chunk: rows.1,
            default_rows_per_snapshot_chunk: rows.0,
            max_rows_per_snapshot_chunk: rows.1,
            push_session_ttl_seconds: ttl,
            snapshot_session_ttl_seconds: ttl,
            initialization_lease_ttl_seconds: ttl,
            max_rows_per_bundle: Some(self.max_rows_per_bundle).filter(|limit| *limit > 0),
            ..BundleLimits::default()
        };
        if generation.accounts_snapshot_bytes() {
            limits.default_bytes_per_snapshot_chunk = Some(self.default_bytes_per_snapshot_chunk);
            limits.max_bytes_per_snapshot_chunk = Some(self.max_bytes_per_snapshot_chunk);
            limits.max_bytes_per_snapshot_row = Some(self.max_bytes_per_snapshot_row);
            limits.max_concurrent_snapshot_builds = count(self.concurrent_snapshot_builds);
            limits.max_concurrent_snapshot_chunk_requests = count(self.concurrent_snapshot_chunks);
        }
        limits
    }
}
