//! Requests and responses as they travel (`docs/protocol.md` sections 2 to 8).
//!
//! Row payloads stay raw JSON text, borrowed from the body: they are read once, straight into typed values.

use super::ids::{BundleSeq, RowVersion, SourceBundleId, SourceId};
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RowOp {
    /// The row is new.
    Insert,
    /// The row has a new content.
    Update,
    /// The row is gone.
    Delete,
}

impl RowOp {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }

    /// Reads what [`RowOp::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Insert, Self::Update, Self::Delete].into_iter().find(|op| op.as_str() == text)
    }
}

/// A sync key on the wire: an object of exactly one lowercase column and its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WireKey<'a> {
    /// Name of the key column, lowercase.
    pub column: Cow<'a, str>,
    /// The key as text; a BLOB key as dashed UUID.
    pub value: Cow<'a, str>,
}

impl Serialize for WireKey<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(&self.column, &self.value)?;
        map.end()
    }
}

impl WireKey<'_> {
    /// The same key, free of the body that it was read from.
    pub fn into_owned(self) -> WireKey<'static> {
        WireKey { column: Cow::Owned(self.column.into_owned()), value: Cow::Owned(self.value.into_owned()) }
    }

    pub(super) fn deserialize_owned<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<WireKey<'static>, D::Error> {
        WireKey::deserialize(deserializer).map(WireKey::into_owned)
    }
}

/// Text that is borrowed where the body holds it without escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct BorrowedText<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for WireKey<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = WireKey<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key object of exactly one column with a string value")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let entry: Option<(BorrowedText<'de>, BorrowedText<'de>)> = map.next_entry()?;
                let (column, value) = entry.ok_or_else(|| de::Error::invalid_length(0, &self))?;
                if map.next_entry::<BorrowedText<'de>, de::IgnoredAny>()?.is_some() {
                    return Err(de::Error::invalid_length(2, &self));
                }
                Ok(WireKey { column: column.0, value: value.0 })
            }
        }
        deserializer.deserialize_map(KeyVisitor)
    }
}

/// `GET /sync/capabilities`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Capabilities {
    /// `v1` in both generations.
    #[serde(default)]
    pub protocol_version: String,
    /// Version of the server's schema.
    #[serde(default)]
    pub schema_version: i64,
    /// Name of the server application.
    #[serde(default)]
    pub app_name: String,
    /// `schema.table` of each registered table.
    #[serde(default)]
    pub registered_tables: Vec<String>,
    /// Tables with their keys; `None` where the server sends none.
    #[serde(default)]
    pub registered_table_specs: Option<Vec<TableSpec>>,
    /// Feature flags.
    #[serde(default)]
    pub features: BTreeMap<String, bool>,
    /// Limits on bundles, chunks and sessions.
    #[serde(default)]
    pub bundle_limits: BundleLimits,
}

/// A table as the server has it registered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableSpec {
    /// Server schema.
    pub schema: String,
    /// Table.
    pub table: String,
    /// Key columns; exactly one.
    pub sync_key_columns: Vec<String>,
}

/// Limits in rows, bytes, seconds and requests; absent where the server states none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // the names of the protocol say it; units are in them
pub struct BundleLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bundles_per_pull: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_rows_per_push_chunk: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rows_per_push_chunk: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_rows_per_committed_bundle_chunk: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rows_per_committed_bundle_chunk: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_rows_per_snapshot_chunk: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rows_per_snapshot_chunk: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push_session_ttl_seconds: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_session_ttl_seconds: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initialization_lease_ttl_seconds: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rows_per_bundle: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes_per_bundle: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rows_per_snapshot_session: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes_per_snapshot_session: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_bytes_per_snapshot_chunk: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes_per_snapshot_chunk: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes_per_snapshot_row: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrent_snapshot_builds: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrent_snapshot_chunk_requests: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_materialization_batch_rows: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_materialization_batch_bytes: Option<i64>,
}

/// `POST /sync/connect` request.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct ConnectRequest {
    /// Whether the client has dirty or frozen rows.
    pub has_local_pending_rows: bool,
}

/// `POST /sync/connect` response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectResponse {
    /// What the client is to do.
    pub resolution: Resolution,
    /// The lease, exactly with `initialize_local`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialization_id: Option<String>,
    /// End of the lease, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_expires_at: Option<String>,
    /// Seconds to wait, with `retry_later`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<i64>,
}

/// The four answers to connect (`docs/protocol.md` section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// The server has the data: download it.
    RemoteAuthoritative,
    /// Nobody has data: start empty.
    InitializeEmpty,
    /// This device seeds the server, under a lease.
    InitializeLocal,
    /// Another device is seeding.
    RetryLater,
}

/// `POST /sync/push-sessions` request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushSessionRequest {
    /// Number of the bundle at this source.
    pub source_bundle_id: SourceBundleId,
    /// Rows that will be staged.
    pub planned_row_count: i64,
    /// The lease while the scope is being initialised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialization_id: Option<String>,
    /// SHA-256 of the canonical rows; GEN-B only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canonical_request_hash: Option<String>,
}

/// `POST /sync/push-sessions` response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum PushSessionReply {
    /// A session is open; nothing of this bundle has been committed.
    Staging {
        /// The session.
        push_id: String,
        /// Echo of the plan.
        planned_row_count: i64,
        /// Where to start; 0.
        #[serde(default)]
        next_expected_row_ordinal: i64,
        /// Echo; GEN-B only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        canonical_request_hash: Option<String>,
    },
    /// The bundle was committed before.
    AlreadyCommitted(CommittedBundle),
}

/// Facts of a committed bundle, as commit and create answer them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommittedBundle {
    /// Sequence in the user's history.
    pub bundle_seq: BundleSeq,
    /// Who committed it.
    pub source_id: SourceId,
    /// Its number at that source.
    pub source_bundle_id: SourceBundleId,
    /// Rows, with what server triggers added or removed.
    pub row_count: i64,
    /// SHA-256 of the canonical committed rows.
    pub bundle_hash: String,
    /// Hash of the upload; GEN-B only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canonical_request_hash: Option<String>,
}

/// A row of an upload.
#[derive(Debug, Serialize, Deserialize)]
pub struct PushRow<'a> {
    /// Server schema.
    #[serde(borrow)]
    pub schema: Cow<'a, str>,
    /// Table.
    #[serde(borrow)]
    pub table: Cow<'a, str>,
    /// Sync key.
    #[serde(borrow)]
    pub key: WireKey<'a>,
    /// What happened.
    pub op: RowOp,
    /// Version that the change was made on; 0 for a row that the server never had.
    pub base_row_version: RowVersion,
    /// The full row; omitted for a delete.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<&'a RawValue>,
}

/// `POST /sync/push-sessions/{id}/chunks` request.
#[derive(Debug, Serialize, Deserialize)]
pub struct PushChunkRequest<'a> {
    /// Ordinal of the first row, contiguous with what was sent before.
    pub start_row_ordinal: i64,
    /// Rows in ordinal order.
    #[serde(borrow)]
    pub rows: Vec<PushRow<'a>>,
}

/// `POST /sync/push-sessions/{id}/chunks` response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushChunkResponse {
    /// The session.
    pub push_id: String,
    /// Ordinal of the next row.
    pub next_expected_row_ordinal: i64,
}

/// A row of a committed bundle.
#[derive(Debug, Serialize, Deserialize)]
pub struct CommittedRow<'a> {
    /// Server schema.
    #[serde(borrow)]
    pub schema: Cow<'a, str>,
    /// Table.
    #[serde(borrow)]
    pub table: Cow<'a, str>,
    /// Sync key.
    #[serde(borrow)]
    pub key: WireKey<'a>,
    /// What happened.
    pub op: RowOp,
    /// The row's version from now on.
    pub row_version: RowVersion,
    /// The full row; absent or null for a delete.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<&'a RawValue>,
}

/// `GET /sync/committed-bundles/{seq}/rows`: one page.
#[derive(Debug, Serialize, Deserialize)]
pub struct CommittedRows<'a> {
    /// The bundle.
    #[serde(flatten)]
    pub bundle: CommittedBundle,
    /// Rows in ordinal order.
    #[serde(borrow)]
    pub rows: Vec<CommittedRow<'a>>,
    /// Ordinal of the last row of this page.
    #[serde(default)]
    pub next_row_ordinal: i64,
    /// Whether rows follow.
    #[serde(default)]
    pub has_more: bool,
}

/// One bundle of a pull.
#[derive(Debug, Serialize, Deserialize)]
pub struct Bundle<'a> {
    /// Sequence in the user's history.
    pub bundle_seq: BundleSeq,
    /// Who committed it.
    pub source_id: SourceId,
    /// Its number at that source.
    pub source_bundle_id: SourceBundleId,
    /// Rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_count: Option<i64>,
    /// SHA-256 of the canonical rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_hash: Option<String>,
    /// Rows in ordinal order.
    #[serde(borrow)]
    pub rows: Vec<CommittedRow<'a>>,
}

/// `GET /sync/pull`: one page.
#[derive(Debug, Serialize, Deserialize)]
pub struct PullResponse<'a> {
    /// Where this pull ends; frozen by its first page.
    pub stable_bundle_seq: BundleSeq,
    /// Bundles in sequence.
    #[serde(borrow, default)]
    pub bundles: Vec<Bundle<'a>>,
    /// Whether bundles follow.
    #[serde(default)]
    pub has_more: bool,
}

/// `POST /sync/snapshot-sessions` request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotSessionRequest {
    /// Present where the source is replaced with the snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_replacement: Option<SourceReplacement>,
    /// Only these tables, as `schema.table`; only to servers with the feature `snapshot_tables`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<Vec<String>>,
}

/// Replacement of a source (`docs/protocol.md` section 7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReplacement {
    /// The source that ends; equals the header.
    pub previous_source_id: SourceId,
    /// The source that begins.
    pub new_source_id: SourceId,
    /// Why.
    pub reason: ReplacementReason,
}

/// Why a source is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the protocol's error codes
pub enum ReplacementReason {
    HistoryPruned,
    SourceSequenceOutOfOrder,
    SourceSequenceChanged,
    SourceRetired,
}

/// `POST /sync/snapshot-sessions` response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotSession {
    /// Opaque.
    pub snapshot_id: String,
    /// The bundle that the snapshot shows.
    #[serde(default)]
    pub snapshot_bundle_seq: BundleSeq,
    /// Rows in all.
    #[serde(default)]
    pub row_count: i64,
    /// Bytes in all: row objects in GEN-B, payloads in GEN-A.
    #[serde(default)]
    pub byte_count: i64,
    /// RFC 3339.
    pub expires_at: String,
}

/// A live row of a snapshot. Exactly these members.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotRow<'a> {
    /// Server schema.
    #[serde(borrow)]
    pub schema: Cow<'a, str>,
    /// Table.
    #[serde(borrow)]
    pub table: Cow<'a, str>,
    /// Sync key.
    #[serde(borrow)]
    pub key: WireKey<'a>,
    /// Version.
    pub row_version: RowVersion,
    /// The full row.
    #[serde(borrow)]
    pub payload: &'a RawValue,
}

/// `GET /sync/snapshot-sessions/{id}`: one chunk. Rows stay raw, because GEN-B counts their bytes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotChunk<'a> {
    /// The session.
    pub snapshot_id: String,
    /// The bundle that the snapshot shows.
    #[serde(default)]
    pub snapshot_bundle_seq: BundleSeq,
    /// [`SnapshotRow`]s.
    #[serde(borrow)]
    pub rows: Vec<&'a RawValue>,
    /// Rows received so far, with these.
    pub next_row_ordinal: i64,
    /// Bytes of the row objects of this chunk; GEN-B only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub byte_count: Option<i64>,
    /// Whether rows follow.
    pub has_more: bool,
}

/// Data of a `bundle` event of `GET /sync/watch`. A hint only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchEvent {
    /// The newest bundle.
    pub bundle_seq: BundleSeq,
    /// Who committed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_id: Option<SourceId>,
    /// Its number at that source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_bundle_id: Option<SourceBundleId>,
}
