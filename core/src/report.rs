//! What operations report.

use crate::automatic::{Connectivity, Direction};
use crate::error::ErrorKind;
use crate::protocol::ids::BundleSeq;
use serde::Serialize;
use std::time::Duration;

/// How an operation ended. Expected endings are values, not errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Rows went up or came down.
    Done,
    /// There was nothing to do.
    NoChange,
    /// The database is attached; it started empty, or seeds the server with its next push.
    Attached,
    /// The database was attached to this user already.
    AlreadyAttached,
    /// Another device is seeding the server; nothing was changed. Try again after this many seconds.
    RetryLater {
        /// Seconds to wait.
        seconds: i64,
    },
    /// Rows are unsynced, so nothing was dropped. Sync first, or discard them.
    BlockedUnsyncedData {
        /// How many rows.
        rows: i64,
    },
    /// The database is detached and its managed tables are empty.
    Detached,
    /// The budget was spent before everything was done; what is left goes on with the next operation.
    BudgetSpent {
        /// Rows that are still to be uploaded.
        pending_rows: i64,
        /// Whether a download was begun and is not finished, or other devices' rows may be left.
        download_left: bool,
    },
}

impl Outcome {
    /// The ending in one lowercase word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NoChange => "no_change",
            Self::Attached => "attached",
            Self::AlreadyAttached => "already_attached",
            Self::RetryLater { .. } => "retry_later",
            Self::BlockedUnsyncedData { .. } => "blocked_unsynced_data",
            Self::Detached => "detached",
            Self::BudgetSpent { .. } => "budget_spent",
        }
    }
}

/// What one operation did, in rows, bundles, requests and bytes of bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// Rows that the server committed for this device.
    pub pushed_rows: i64,
    /// Rows of other devices that were written or deleted here.
    pub pulled_rows: i64,
    /// Bundles that were read.
    pub pulled_bundles: i64,
    /// Rows that came with a snapshot.
    pub hydrated_rows: i64,
    /// Conflicts that were decided.
    pub conflicts: i64,
    /// Rows in the inbox when it ended.
    pub refused_rows: i64,
    /// HTTP requests.
    pub requests: i64,
    /// Bytes of request bodies.
    pub bytes_up: i64,
    /// Bytes of response bodies, decompressed.
    pub bytes_down: i64,
    /// Directions in which the automatic loop is paused; an operation that the host calls works all the same.
    pub paused: Vec<Direction>,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            outcome: Outcome::NoChange,
            pushed_rows: 0,
            pulled_rows: 0,
            pulled_bundles: 0,
            hydrated_rows: 0,
            conflicts: 0,
            refused_rows: 0,
            requests: 0,
            bytes_up: 0,
            bytes_down: 0,
            paused: Vec::new(),
        }
    }
}

impl Report {
    pub(crate) fn moved_rows(&self) -> bool {
        self.pushed_rows + self.pulled_rows + self.pulled_bundles + self.hydrated_rows > 0
    }
}

/// Where a database stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The attached user.
    pub user: Option<String>,
    /// This database's identity at the server.
    pub source_id: String,
    /// `a` or `b` once a server was met.
    pub generation: Option<&'static str>,
    /// The newest bundle that was read.
    pub checkpoint: BundleSeq,
    /// Rows of local intent that the server does not have.
    pub pending_rows: i64,
    /// Rows in the inbox.
    pub refused_rows: i64,
    /// Where the state machine stands.
    pub state: State,
    /// The last error's text, until an operation succeeds.
    pub last_error: Option<String>,
    /// When an operation with the server succeeded last, in milliseconds since 1970 UTC, since the client was opened.
    pub last_success_ms: Option<i64>,
    /// What stands in the way of sync, since the client was opened.
    pub health: Health,
    /// The automatic loop.
    pub automatic: Automatic,
    /// Whether a transaction of the host holds the database, so that sync waits for it.
    pub host_transaction_open: bool,
}

/// What stands in the way of sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Health {
    /// Nothing, as far as is known.
    #[default]
    Well,
    /// The server could not be reached.
    Offline,
    /// There is no valid token: sign in, then call `credentials_changed`.
    AuthRequired,
    /// The server does not speak this protocol, or an earlier state of it.
    ServerTooOld,
    /// The server's tables are not the configured ones.
    TableMismatch,
    /// Something else, which the last error's text names.
    Blocked(ErrorKind),
}

impl Health {
    /// The health after an operation that failed.
    pub(crate) fn after(kind: ErrorKind) -> Option<Self> {
        match kind {
            // Nothing was tried, or the host wanted it so.
            ErrorKind::NotAttached | ErrorKind::AttachedToAnother | ErrorKind::Cancelled => None,
            ErrorKind::Network => Some(Self::Offline),
            ErrorKind::Authentication => Some(Self::AuthRequired),
            ErrorKind::ServerTooOld => Some(Self::ServerTooOld),
            ErrorKind::TableMismatch => Some(Self::TableMismatch),
            kind => Some(Self::Blocked(kind)),
        }
    }

    /// The health in one lowercase word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Offline => "offline",
            Self::AuthRequired => "auth_required",
            Self::ServerTooOld => "server_too_old",
            Self::TableMismatch => "table_mismatch",
            Self::Blocked(_) => "blocked",
        }
    }
}

/// What the automatic loop is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Automatic {
    /// Whether it was started.
    pub running: bool,
    /// Directions that the host paused.
    pub paused: Vec<Direction>,
    /// The network, as the host told.
    pub connectivity: Connectivity,
    /// Whether the server's watch stream is open.
    pub watching: bool,
    /// When it tries again after a failure, in milliseconds since 1970 UTC.
    pub next_attempt_ms: Option<i64>,
}

/// Where the state machine stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not attached to a user; writes are captured.
    Anonymous,
    /// A first download for a user was started and is finished by `attach`.
    Hydrating,
    /// Attached, and seeding the server under a lease.
    Seeding,
    /// Attached, with an upload bundle to be settled by the next `sync`.
    Uploading,
    /// Attached, with a rebuild to be finished by the next `sync`.
    Rebuilding,
    /// Attached and at rest.
    Attached,
}

impl State {
    /// The state in one lowercase word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Hydrating => "hydrating",
            Self::Seeding => "seeding",
            Self::Uploading => "uploading",
            Self::Rebuilding => "rebuilding",
            Self::Attached => "attached",
        }
    }
}

/// This database's identity towards the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceInfo {
    /// The source.
    pub source_id: String,
    /// Number of its next upload bundle.
    pub next_source_bundle_id: i64,
}

/// How much one operation may cost before it stops between two durable steps. What is `None` is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// Time from its start.
    pub time: Option<Duration>,
    /// Bytes of request and response bodies.
    pub bytes: Option<i64>,
}

/// Progress of a long operation. Totals are there where they are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The operation that makes it.
    pub activity: Activity,
    /// What is being done.
    pub phase: Phase,
    /// Rows so far.
    pub rows: i64,
    /// Rows in all.
    pub total_rows: Option<i64>,
    /// Bytes so far.
    pub bytes: i64,
    /// Bytes in all.
    pub total_bytes: Option<i64>,
}

/// Operations, as progress names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)] // named after the client's methods
pub enum Activity {
    Attach,
    #[default]
    Sync,
    Push,
    Pull,
    Rebuild,
    Detach,
}

impl Activity {
    /// The operation in one lowercase word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attach => "attach",
            Self::Sync => "sync",
            Self::Push => "push",
            Self::Pull => "pull",
            Self::Rebuild => "rebuild",
            Self::Detach => "detach",
        }
    }
}

/// Phases of long operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Uploading the frozen bundle.
    Upload,
    /// Fetching the committed bundle back.
    Replay,
    /// Reading other devices' bundles.
    Pull,
    /// Downloading a snapshot into the stage.
    Download,
    /// Applying the stage.
    Apply,
}

impl Phase {
    /// The phase in one lowercase word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Replay => "replay",
            Self::Pull => "pull",
            Self::Download => "download",
            Self::Apply => "apply",
        }
    }
}
