//! What operations report, and where a database stands.

use std::time::Duration;

/// How an operation ended. Expected endings are values, not errors.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Outcome {
    /// Rows went up or came down.
    Done,
    /// There was nothing to do.
    NoChange,
    /// The database is attached; it started empty, or seeds the server with its next push.
    Attached,
    /// The database was attached to this user already.
    AlreadyAttached,
    /// Another device is seeding the server; nothing was changed. Try again later.
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

/// The two ways that rows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Direction {
    /// From here to the server.
    Uploads,
    /// From the server to here.
    Downloads,
}

/// What one operation did, in rows, bundles, requests and bytes of bodies.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
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
    /// Directions in which the automatic loop is paused; an operation that the app calls works all the same.
    pub paused: Vec<Direction>,
}

/// How much one operation may cost before it stops between two durable steps. What is absent is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct Budget {
    /// Time from its start, in milliseconds.
    pub milliseconds: Option<i64>,
    /// Bytes of request and response bodies.
    pub bytes: Option<i64>,
}

/// Where the state machine stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum State {
    /// Not attached to a user; writes are captured.
    Anonymous,
    /// A first download for a user was started and is finished by attaching.
    Hydrating,
    /// Attached, and seeding the server under a lease.
    Seeding,
    /// Attached, with an upload bundle to be settled by the next sync.
    Uploading,
    /// Attached, with a rebuild to be finished by the next sync.
    Rebuilding,
    /// Attached and at rest.
    Attached,
}

/// What stands in the way of sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Health {
    /// Nothing, as far as is known.
    Well,
    /// The server could not be reached.
    Offline,
    /// There is no valid token: sign in, then tell that credentials changed.
    AuthRequired,
    /// The server does not speak this protocol, or an earlier state of it.
    ServerTooOld,
    /// The server's tables are not the configured ones.
    TableMismatch,
    /// Something else, which the last error's text names.
    Blocked,
}

/// The network, as the app's platform tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Connectivity {
    /// There is none; the loop waits.
    None,
    /// One that costs.
    Metered,
    /// One that does not; also assumed until the app says otherwise.
    Unmetered,
}

/// Where a database stands.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Status {
    /// The attached user.
    pub user: Option<String>,
    /// This database's identity at the server.
    pub source_id: String,
    /// `a` or `b` once a server was met.
    pub generation: Option<String>,
    /// The newest bundle that was read.
    pub checkpoint: i64,
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
    /// Whether the automatic loop was started.
    pub automatic: bool,
    /// Directions that the app paused.
    pub paused: Vec<Direction>,
    /// The network, as the app told.
    pub connectivity: Connectivity,
    /// Whether the server's watch stream is open.
    pub watching: bool,
    /// When the loop tries again after a failure, in milliseconds since 1970 UTC.
    pub next_attempt_ms: Option<i64>,
    /// Whether a transaction of the app holds the database, so that sync waits for it.
    pub transaction_open: bool,
}

/// Operations, as progress names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Activity {
    /// Attaching to a user.
    Attach,
    /// Syncing both ways.
    Sync,
    /// Uploading.
    Push,
    /// Downloading.
    Pull,
    /// Downloading everything anew.
    Rebuild,
    /// Detaching, perhaps after a sync.
    Detach,
}

/// Phases of long operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
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

/// Progress of a long operation. Totals are there where they are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
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

/// This database's identity towards the server.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct SourceInfo {
    /// The source.
    pub source_id: String,
    /// Number of its next upload bundle.
    pub next_source_bundle_id: i64,
}

impl From<rowtide::Outcome> for Outcome {
    fn from(outcome: rowtide::Outcome) -> Self {
        match outcome {
            rowtide::Outcome::Done => Self::Done,
            rowtide::Outcome::NoChange => Self::NoChange,
            rowtide::Outcome::Attached => Self::Attached,
            rowtide::Outcome::AlreadyAttached => Self::AlreadyAttached,
            rowtide::Outcome::RetryLater { seconds } => Self::RetryLater { seconds },
            rowtide::Outcome::BlockedUnsyncedData { rows } => Self::BlockedUnsyncedData { rows },
            rowtide::Outcome::Detached => Self::Detached,
            rowtide::Outcome::BudgetSpent { pending_rows, download_left } => {
                Self::BudgetSpent { pending_rows, download_left }
            }
        }
    }
}

impl From<rowtide::Direction> for Direction {
    fn from(direction: rowtide::Direction) -> Self {
        match direction {
            rowtide::Direction::Uploads => Self::Uploads,
            rowtide::Direction::Downloads => Self::Downloads,
        }
    }
}

impl From<Direction> for rowtide::Direction {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Uploads => Self::Uploads,
            Direction::Downloads => Self::Downloads,
        }
    }
}

impl From<rowtide::Report> for Report {
    fn from(report: rowtide::Report) -> Self {
        Self {
            outcome: report.outcome.into(),
            pushed_rows: report.pushed_rows,
            pulled_rows: report.pulled_rows,
            pulled_bundles: report.pulled_bundles,
            hydrated_rows: report.hydrated_rows,
            conflicts: report.conflicts,
            refused_rows: report.refused_rows,
            requests: report.requests,
            bytes_up: report.bytes_up,
            bytes_down: report.bytes_down,
            paused: report.paused.into_iter().map(Direction::from).collect(),
        }
    }
}

impl From<Budget> for rowtide::Budget {
    fn from(budget: Budget) -> Self {
        Self { time: budget.milliseconds.map(milliseconds), bytes: budget.bytes }
    }
}

/// A span of time; a negative one is none at all.
pub(crate) fn milliseconds(count: i64) -> Duration {
    Duration::from_millis(u64::try_from(count).unwrap_or(0))
}

impl From<rowtide::State> for State {
    fn from(state: rowtide::State) -> Self {
        match state {
            rowtide::State::Anonymous => Self::Anonymous,
            rowtide::State::Hydrating => Self::Hydrating,
            rowtide::State::Seeding => Self::Seeding,
            rowtide::State::Uploading => Self::Uploading,
            rowtide::State::Rebuilding => Self::Rebuilding,
            rowtide::State::Attached => Self::Attached,
        }
    }
}

impl From<rowtide::Health> for Health {
    fn from(health: rowtide::Health) -> Self {
        match health {
            rowtide::Health::Well => Self::Well,
            rowtide::Health::Offline => Self::Offline,
            rowtide::Health::AuthRequired => Self::AuthRequired,
            rowtide::Health::ServerTooOld => Self::ServerTooOld,
            rowtide::Health::TableMismatch => Self::TableMismatch,
            rowtide::Health::Blocked(_) => Self::Blocked,
        }
    }
}

impl From<rowtide::Connectivity> for Connectivity {
    fn from(connectivity: rowtide::Connectivity) -> Self {
        match connectivity {
            rowtide::Connectivity::None => Self::None,
            rowtide::Connectivity::Metered => Self::Metered,
            rowtide::Connectivity::Unmetered => Self::Unmetered,
        }
    }
}

impl From<Connectivity> for rowtide::Connectivity {
    fn from(connectivity: Connectivity) -> Self {
        match connectivity {
            Connectivity::None => Self::None,
            Connectivity::Metered => Self::Metered,
            Connectivity::Unmetered => Self::Unmetered,
        }
    }
}

impl From<rowtide::Status> for Status {
    fn from(status: rowtide::Status) -> Self {
        let automatic = status.automatic;
        Self {
            user: status.user,
            source_id: status.source_id,
            generation: status.generation.map(str::to_owned),
            checkpoint: status.checkpoint.0,
            pending_rows: status.pending_rows,
            refused_rows: status.refused_rows,
            state: status.state.into(),
            last_error: status.last_error,
            last_success_ms: status.last_success_ms,
            health: status.health.into(),
            automatic: automatic.running,
            paused: automatic.paused.into_iter().map(Direction::from).collect(),
            connectivity: automatic.connectivity.into(),
            watching: automatic.watching,
            next_attempt_ms: automatic.next_attempt_ms,
            transaction_open: status.host_transaction_open,
        }
    }
}

impl From<rowtide::Activity> for Activity {
    fn from(activity: rowtide::Activity) -> Self {
        match activity {
            rowtide::Activity::Attach => Self::Attach,
            rowtide::Activity::Sync => Self::Sync,
            rowtide::Activity::Push => Self::Push,
            rowtide::Activity::Pull => Self::Pull,
            rowtide::Activity::Rebuild => Self::Rebuild,
            rowtide::Activity::Detach => Self::Detach,
        }
    }
}

impl From<rowtide::Phase> for Phase {
    fn from(phase: rowtide::Phase) -> Self {
        match phase {
            rowtide::Phase::Upload => Self::Upload,
            rowtide::Phase::Replay => Self::Replay,
            rowtide::Phase::Pull => Self::Pull,
            rowtide::Phase::Download => Self::Download,
            rowtide::Phase::Apply => Self::Apply,
        }
    }
}

impl From<rowtide::Progress> for Progress {
    fn from(progress: rowtide::Progress) -> Self {
        Self {
            activity: progress.activity.into(),
            phase: progress.phase.into(),
            rows: progress.rows,
            total_rows: progress.total_rows,
            bytes: progress.bytes,
            total_bytes: progress.total_bytes,
        }
    }
}

impl From<rowtide::SourceInfo> for SourceInfo {
    fn from(info: rowtide::SourceInfo) -> Self {
        Self { source_id: info.source_id, next_source_bundle_id: info.next_source_bundle_id }
    }
}
