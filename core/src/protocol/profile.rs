//! The two wire generations, and everything that differs between them.
//!
//! Both call themselves `v1`. The generation is read from the capabilities, stored with the database and
//! frozen while an outbox exists, because values and hashes differ (`docs/protocol.md` section 2).

use super::canonical_json::CanonicalForm;
use super::message::{BundleLimits, Capabilities};
use serde::{Deserialize, Serialize};

/// Which of the two wire generations a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WireGeneration {
    /// The public go-oversync server: JSON numbers, hashes over binary64-rounded canonical JSON.
    A,
    /// Canonical JSON with numeric strings, byte-exact snapshots, request hashes on the wire.
    B,
}

/// Why the capabilities of a server do not identify a generation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenerationError {
    /// Some of the limits that only GEN-B has are there, others are missing or out of range.
    #[error(
        "the server announces only part of the byte and concurrency limits of the newer generation \
         (bundle_limits.{0} is missing or out of range); it is misconfigured or of an unknown generation"
    )]
    PartialLimits(&'static str),
    /// Another protocol version than `v1`.
    #[error("the server speaks protocol version {0:?}, this client speaks \"v1\"")]
    Version(String),
}

impl WireGeneration {
    /// Tells the generation from the capabilities: all five byte and concurrency limits are B, none is A,
    /// a part of them fails.
    pub fn detect(capabilities: &Capabilities) -> Result<Self, GenerationError> {
        if capabilities.protocol_version != "v1" {
            return Err(GenerationError::Version(capabilities.protocol_version.clone()));
        }
        let limits = &capabilities.bundle_limits;
        let marks = limits.generation_b_marks();
        if marks.iter().all(|(_, value)| value.is_none()) {
            return Ok(Self::A);
        }
        let rows = [
            ("default_rows_per_snapshot_chunk", limits.default_rows_per_snapshot_chunk),
            ("max_rows_per_snapshot_chunk", limits.max_rows_per_snapshot_chunk),
        ];
        for (name, value) in marks.into_iter().chain(rows) {
            if value.is_none_or(|limit| limit < 1) {
                return Err(GenerationError::PartialLimits(name));
            }
        }
        let ordered = [
            (
                "default_rows_per_snapshot_chunk",
                limits.default_rows_per_snapshot_chunk,
                limits.max_rows_per_snapshot_chunk,
            ),
            (
                "default_bytes_per_snapshot_chunk",
                limits.default_bytes_per_snapshot_chunk,
                limits.max_bytes_per_snapshot_chunk,
            ),
            (
                "max_bytes_per_snapshot_row",
                limits.max_bytes_per_snapshot_row,
                limits.max_bytes_per_snapshot_chunk,
            ),
        ];
        match ordered.into_iter().find(|(_, low, high)| low > high) {
            Some((name, ..)) => Err(GenerationError::PartialLimits(name)),
            None => Ok(Self::B),
        }
    }

    /// The canonical JSON form that this generation hashes.
    pub fn canonical_form(self) -> CanonicalForm {
        match self {
            Self::A => CanonicalForm::Binary64,
            Self::B => CanonicalForm::Jcs,
        }
    }

    /// Whether counters inside hash inputs are decimal strings.
    pub(super) fn counters_are_strings(self) -> bool {
        self == Self::B
    }

    /// Whether `canonical_request_hash` travels with push sessions.
    pub fn sends_request_hash(self) -> bool {
        self == Self::B
    }

    /// Whether snapshots are accounted to the byte and chunks are asked for with `max_bytes`.
    pub fn accounts_snapshot_bytes(self) -> bool {
        self == Self::B
    }

    /// Whether the advertised tables must equal the configured ones, in both directions.
    pub fn demands_table_contract(self) -> bool {
        self == Self::B
    }

    /// One lowercase letter, as stored and as printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    /// Reads what [`WireGeneration::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "a" => Some(Self::A),
            "b" => Some(Self::B),
            _ => None,
        }
    }
}

impl BundleLimits {
    fn generation_b_marks(&self) -> [(&'static str, Option<i64>); 5] {
        [
            ("default_bytes_per_snapshot_chunk", self.default_bytes_per_snapshot_chunk),
            ("max_bytes_per_snapshot_chunk", self.max_bytes_per_snapshot_chunk),
            ("max_bytes_per_snapshot_row", self.max_bytes_per_snapshot_row),
            ("max_concurrent_snapshot_builds", self.max_concurrent_snapshot_builds),
            ("max_concurrent_snapshot_chunk_requests", self.max_concurrent_snapshot_chunk_requests),
        ]
    }
}
