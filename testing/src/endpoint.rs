//! The endpoints of the protocol, as faults name them.

use rowtide::Method;

/// An endpoint of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // named after the protocol
pub enum Endpoint {
    Capabilities,
    Connect,
    PushCreate,
    PushChunk,
    PushCommit,
    CommittedRows,
    Pull,
    SnapshotCreate,
    SnapshotChunk,
    SnapshotDelete,
    Watch,
    Other,
    // New ones come last: the place is part of what a seed of random faults means.
}

impl Endpoint {
    /// Every endpoint that a client cannot do without.
    pub const ALL: [Self; 9] = [
        Self::Capabilities,
        Self::Connect,
        Self::PushCreate,
        Self::PushChunk,
        Self::PushCommit,
        Self::CommittedRows,
        Self::Pull,
        Self::SnapshotCreate,
        Self::SnapshotChunk,
    ];

    /// The endpoint of a request: `path` may be a whole URL, without its query.
    pub fn of(method: Method, path: &str) -> Self {
        let tail = path.split("/sync/").nth(1).unwrap_or_default();
        let parts: Vec<&str> = tail.split('/').collect();
        match (method, parts.as_slice()) {
            (Method::Get, ["capabilities"]) => Self::Capabilities,
            (Method::Post, ["connect"]) => Self::Connect,
            (Method::Post, ["push-sessions"]) => Self::PushCreate,
            (Method::Post, ["push-sessions", _, "chunks"]) => Self::PushChunk,
            (Method::Post, ["push-sessions", _, "commit"]) => Self::PushCommit,
            (Method::Get, ["committed-bundles", ..]) => Self::CommittedRows,
            (Method::Get, ["pull"]) => Self::Pull,
            (Method::Post, ["snapshot-sessions"]) => Self::SnapshotCreate,
            (Method::Get, ["snapshot-sessions", _]) => Self::SnapshotChunk,
            (Method::Delete, ["snapshot-sessions", _]) => Self::SnapshotDelete,
            (Method::Get, ["watch"]) => Self::Watch,
            _ => Self::Other,
        }
    }
}
