//! What a run does: plain data, so that it can be printed, shortened and replayed.

use crate::schema::Table;
use rowtide::Hydrate;
use rowtide::protocol::profile::WireGeneration;
use rowtide_testing::Endpoint;
use std::fmt;

/// A run from its beginning to the moment when everything is healed and must come to rest.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    pub(crate) setup: Setup,
    pub(crate) steps: Vec<Step>,
}

/// What is there at the beginning.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) generation: WireGeneration,
    pub(crate) tables: Vec<Table>,
    /// Who is signed in at each device first.
    pub(crate) users: Vec<&'static str>,
    /// Rows of a chunk or page at most: few, so that transfers have several steps.
    pub(crate) page_rows: i64,
    /// Bundles of a pull page at most.
    pub(crate) page_bundles: i64,
    /// Rows of an upload bundle at most; 0 is no limit.
    pub(crate) bundle_rows: i64,
    /// Seconds that sessions and leases live.
    pub(crate) session_seconds: i64,
    /// Whether the server keeps its data in a file that can be backed up.
    pub(crate) backups: bool,
    /// How a first download becomes visible.
    pub(crate) hydrate: Hydrate,
}

/// Something that happens, some time after what came before it.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) after_ms: u64,
    pub(crate) act: Act,
}

#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// The app runs statements in one transaction.
    Write { device: usize, mark: i64, sql: String },
    /// The app calls the client.
    Call { device: usize, call: Call },
    /// The process dies.
    Kill { device: usize, when: Moment },
    /// The app starts again; a running one is closed first.
    Open { device: usize },
    /// The n-th request from now on fails at this device.
    Fault { device: usize, endpoint: Endpoint, skip: u32, fault: NetworkFault },
    /// So many of a hundred requests of everybody fail from now on.
    Weather { percent: u8 },
    /// Something is wrong with a device's disk for some jobs.
    Disk { device: usize, jobs: u32, trouble: DiskTrouble },
    /// The device's clock is put forward or back.
    Clock { device: usize, milliseconds: i64 },
    /// Another user signs in.
    SwitchUser { device: usize, user: &'static str },
    /// The server does not accept the tokens that a user has.
    RejectTokens { user: &'static str },
    /// The server's process ends and begins again.
    RestartServer,
    /// The server forgets a user's history.
    Prune { user: &'static str },
    /// The server's clock goes on: sessions, leases and tokens end.
    ServerClock { seconds: i64 },
    /// The server retires the source of a device.
    Retire { device: usize },
    /// The server's data is copied.
    Backup,
    /// The server's data is what it was when it was copied.
    Restore,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Attach,
    Sync,
    Push,
    Pull,
    Rebuild,
    Detach,
    SyncThenDetach,
    /// Stops what runs.
    Cancel,
    /// The automatic loop.
    Start,
    Stop,
    PauseUploads,
    PauseDownloads,
    Resume,
    NetworkGone,
    NetworkBack,
    RetryRefused,
    DiscardRefused,
}

/// When a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Now,
    /// Right before its n-th commit from now on would become durable.
    BeforeCommit(u32),
    /// Right after its n-th commit from now on became durable.
    AfterCommit(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NetworkFault {
    /// The request is lost.
    DropRequest,
    /// The server acts, the reply is lost.
    DropReply,
    /// The server acts, half of the reply arrives.
    TruncateReply,
    /// The request arrives twice.
    Duplicate,
    /// An answer of this status, without the server's doing.
    Answer(u16),
    /// It takes this long.
    Slow(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiskTrouble {
    /// No more than this many pages fit.
    Full { pages: u32 },
    /// Somebody else holds the write lock.
    Busy,
    /// Each job waits this long.
    Slow { milliseconds: u64 },
}

impl Act {
    /// The device that it is about.
    pub(crate) fn device(&self) -> Option<usize> {
        match self {
            Self::Write { device, .. }
            | Self::Call { device, .. }
            | Self::Kill { device, .. }
            | Self::Open { device }
            | Self::Fault { device, .. }
            | Self::Disk { device, .. }
            | Self::Clock { device, .. }
            | Self::SwitchUser { device, .. }
            | Self::Retire { device } => Some(*device),
            _ => None,
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { device, mark, sql } => write!(f, "d{device} writes {mark}: {sql}"),
            Self::Call { device, call } => write!(f, "d{device} calls {call:?}"),
            Self::Kill { device, when } => write!(f, "d{device} is killed {when:?}"),
            Self::Open { device } => write!(f, "d{device} opens"),
            Self::Fault { device, endpoint, skip, fault } => {
                write!(f, "d{device} meets {fault:?} at {endpoint:?} after {skip} calls")
            }
            Self::Weather { percent } => write!(f, "{percent} of 100 requests fail"),
            Self::Disk { device, jobs, trouble } => {
                write!(f, "d{device} has a disk that is {trouble:?} for {jobs} jobs")
            }
            Self::Clock { device, milliseconds } => {
                write!(f, "d{device} has its clock put by {milliseconds} ms")
            }
            Self::SwitchUser { device, user } => write!(f, "d{device} is to be {user}'s"),
            Self::RejectTokens { user } => write!(f, "the server rejects the tokens of {user}"),
            Self::RestartServer => f.write_str("the server restarts"),
            Self::Prune { user } => write!(f, "the server forgets the history of {user}"),
            Self::ServerClock { seconds } => write!(f, "the server's clock goes on by {seconds} s"),
            Self::Retire { device } => write!(f, "the server retires the source of d{device}"),
            Self::Backup => f.write_str("the server is backed up"),
            Self::Restore => f.write_str("the server is restored"),
        }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setup {
            generation,
            tables,
            users,
            page_rows,
            page_bundles,
            bundle_rows,
            session_seconds,
            backups,
            hydrate,
        } = &self.setup;
        writeln!(
            f,
            "seed {}, generation {}, devices of {}; {page_rows} rows a page, {page_bundles} bundles a pull, \
             {bundle_rows} rows a bundle, sessions of {session_seconds} s, {}, hydrate {hydrate:?}",
            self.seed,
            generation.as_str(),
            users.join(", "),
            if *backups { "with backups" } else { "without backups" }
        )?;
        f.write_str(&crate::schema::ddl(tables))?;
        for table in tables {
            writeln!(f, "-- {}: {:?}", table.name, table.policy)?;
        }
        for Step { after_ms, act } in &self.steps {
            writeln!(f, "+{after_ms} ms  {act}")?;
        }
        Ok(())
    }
}
