//! Error bodies of the protocol (`docs/protocol.md` section 4): one list of codes for client and server.

use super::ids::{RowVersion, SourceId};
use super::message::{RowOp, WireKey};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal;)*) => {
        /// A documented error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs)] // named as on the wire
        pub enum ProblemCode {
            $($(#[$doc])* $variant,)*
        }

        impl ProblemCode {
            /// The code on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The HTTP status that it travels with.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// Reads a code; `None` for one that is not documented.
            pub fn parse(code: &str) -> Option<Self> {
                match code { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    InvalidRequest = "invalid_request", 400;
    ConnectInvalid = "connect_invalid", 400;
    PushSessionInvalid = "push_session_invalid", 400;
    PushChunkInvalid = "push_chunk_invalid", 400;
    PushCommitInvalid = "push_commit_invalid", 400;
    CommittedBundleChunkInvalid = "committed_bundle_chunk_invalid", 400;
    SnapshotSessionInvalid = "snapshot_session_invalid", 400;
    SnapshotChunkInvalid = "snapshot_chunk_invalid", 400;
    SnapshotChunkTooSmall = "snapshot_chunk_too_small", 400;
    AuthenticationFailed = "authentication_failed", 401;
    PushSessionForbidden = "push_session_forbidden", 403;
    SnapshotSessionForbidden = "snapshot_session_forbidden", 403;
    BundleChangeWatchForbidden = "bundle_change_watch_forbidden", 403;
    PushSessionNotFound = "push_session_not_found", 404;
    CommittedBundleNotFound = "committed_bundle_not_found", 404;
    SnapshotSessionNotFound = "snapshot_session_not_found", 404;
    NotFound = "not_found", 404;
    MethodNotAllowed = "method_not_allowed", 405;
    PushConflict = "push_conflict", 409;
    /// A row that the server refuses for good, named (`docs/protocol.md` section 4).
    PushRowRefused = "push_row_refused", 409;
    PushChunkOutOfOrder = "push_chunk_out_of_order", 409;
    HistoryPruned = "history_pruned", 409;
    CheckpointAhead = "checkpoint_ahead", 409;
    SourceSequenceOutOfOrder = "source_sequence_out_of_order", 409;
    SourceSequenceChanged = "source_sequence_changed", 409;
    SourceRetired = "source_retired", 409;
    SourceReplacementInvalid = "source_replacement_invalid", 409;
    ScopeUninitialized = "scope_uninitialized", 409;
    ScopeInitializing = "scope_initializing", 409;
    InitializationStale = "initialization_stale", 409;
    SnapshotSessionLimitExceeded = "snapshot_session_limit_exceeded", 409;
    InitializationExpired = "initialization_expired", 410;
    PushSessionExpired = "push_session_expired", 410;
    SnapshotSessionExpired = "snapshot_session_expired", 410;
    RequestTooLarge = "request_too_large", 413;
    SnapshotBuildCapacity = "snapshot_build_capacity", 429;
    SnapshotChunkCapacity = "snapshot_chunk_capacity", 429;
    ConnectFailed = "connect_failed", 500;
    CapabilitiesFailed = "capabilities_failed", 500;
    PushSessionCreateFailed = "push_session_create_failed", 500;
    PushSessionChunkFailed = "push_session_chunk_failed", 500;
    PushSessionCommitFailed = "push_session_commit_failed", 500;
    PushSessionDeleteFailed = "push_session_delete_failed", 500;
    CommittedBundleChunkFailed = "committed_bundle_chunk_failed", 500;
    PullFailed = "pull_failed", 500;
    SnapshotSessionCreateFailed = "snapshot_session_create_failed", 500;
    SnapshotChunkFailed = "snapshot_chunk_failed", 500;
    SnapshotSessionDeleteFailed = "snapshot_session_delete_failed", 500;
    BundleChangeWatchFailed = "bundle_change_watch_failed", 500;
    ServiceUnavailable = "service_unavailable", 503;
    BundleChangeWatchDisabled = "bundle_change_watch_disabled", 503;
}

/// The body of an error response; members beyond the first two only where the code documents them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[allow(missing_docs)] // named as on the wire
pub struct Problem {
    pub error: String,
    #[serde(default)]
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<Conflict>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedTarget>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_id: Option<SourceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by_source_id: Option<SourceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_byte_count: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimension: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
}

impl Problem {
    /// A body with a code and a message.
    pub fn new(code: ProblemCode, message: impl Into<String>) -> Self {
        Self { error: code.as_str().to_owned(), message: message.into(), ..Self::default() }
    }

    /// The documented code, `None` for another.
    pub fn code(&self) -> Option<ProblemCode> {
        ProblemCode::parse(&self.error)
    }
}

/// The row of an upload that the server refuses for good, and what stands against it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RefusedTarget {
    /// Server schema.
    pub schema: String,
    /// Table.
    pub table: String,
    /// Sync key.
    #[serde(deserialize_with = "WireKey::deserialize_owned")]
    pub key: WireKey<'static>,
    /// The constraint or limit, by its name at the server.
    pub constraint: String,
}

/// The first row of an upload whose base is not what the server has (`docs/protocol.md` section 11).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Conflict {
    /// Server schema.
    pub schema: String,
    /// Table.
    pub table: String,
    /// Sync key.
    #[serde(deserialize_with = "WireKey::deserialize_owned")]
    pub key: WireKey<'static>,
    /// What the client wanted.
    pub op: RowOp,
    /// What it based that on.
    pub base_row_version: RowVersion,
    /// What the server has; 0 where the row never existed.
    pub server_row_version: RowVersion,
    /// Whether the server has a tombstone.
    pub server_row_deleted: bool,
    /// The server's row in wire encoding, where it is live.
    pub server_row: Option<Box<RawValue>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_back_as_itself_and_an_unknown_one_as_none() {
        assert_eq!(ProblemCode::parse("push_conflict"), Some(ProblemCode::PushConflict));
        assert_eq!(ProblemCode::PushConflict.status(), 409);
        assert_eq!(ProblemCode::parse("something_new"), None);
    }
}
