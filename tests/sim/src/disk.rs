//! The disks of all devices: counts commits, kills, fails and slows down, and looks at what is durable in between.

use crate::journal::{Kind, Lane};
use crate::script::{DiskTrouble, Moment};
use crate::witness::Witness;
use crate::world::World;
use rowtide::simulation::Disk;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The disk of one process, from its start to its death.
pub(crate) struct Drive {
    pub(crate) device: usize,
    pub(crate) dead: bool,
    pub(crate) commits: u32,
    kill: Option<Kill>,
    trouble: Option<(DiskTrouble, u32)>,
    /// Holds the write lock while the disk is busy.
    other: Option<Connection>,
    /// The connection has a limit of pages.
    limited: bool,
    witness: Option<Witness>,
}

#[derive(Debug, Clone, Copy)]
struct Kill {
    commit: u32,
    durable: bool,
}

impl Drive {
    pub(crate) fn new(device: usize) -> Self {
        Self {
            device,
            dead: false,
            commits: 0,
            kill: None,
            trouble: None,
            other: None,
            limited: false,
            witness: None,
        }
    }

    /// Plans the death of the process.
    pub(crate) fn kill(&mut self, moment: Moment) {
        match moment {
            Moment::Now => self.dead = true,
            Moment::BeforeCommit(commit) => {
                self.kill = Some(Kill { commit: self.commits + commit, durable: false })
            }
            Moment::AfterCommit(commit) => {
                self.kill = Some(Kill { commit: self.commits + commit, durable: true })
            }
        }
    }

    pub(crate) fn trouble(&mut self, trouble: DiskTrouble, jobs: u32) {
        self.trouble = Some((trouble, jobs));
    }

    pub(crate) fn heal(&mut self) {
        self.trouble = None;
        self.kill = None;
    }

    pub(crate) fn witness(&mut self, file: &Path, world: &World) -> rusqlite::Result<&mut Witness> {
        if self.witness.is_none() {
            self.witness = Some(Witness::open(file, &world.setup.tables, world.setup.generation)?);
        }
        Ok(self.witness.as_mut().expect("just opened"))
    }
}

/// As the core sees it.
pub(crate) struct SimDisk(pub(crate) Arc<World>);

impl SimDisk {
    fn with<T>(&self, file: &Path, absent: T, work: impl FnOnce(&mut Drive) -> T) -> T {
        match self.0.drive(file) {
            Some(drive) => work(&mut drive.lock().unwrap_or_else(std::sync::PoisonError::into_inner)),
            None => absent,
        }
    }

    /// Looks at what is durable, and whether it may be so.
    fn observe(&self, file: &Path) {
        let view = self.with(file, Ok(None), |drive| match drive.witness(file, &self.0) {
            Ok(witness) => witness.look().map(|view| view.map(|view| (drive.device, drive.commits, view))),
            Err(error) => Err(error),
        });
        match view {
            Ok(Some((device, commits, view))) => self.0.observed(device, commits, view),
            Ok(None) => {}
            Err(error) => self.0.journal.fail(format!("{} cannot be looked at: {error}", file.display())),
        }
    }
}

impl Disk for SimDisk {
    fn opened(&self, _: &Path, connection: &Connection) {
        let quick = connection.busy_timeout(Duration::ZERO).and_then(|()| {
            // Processes die here, machines do not.
            connection.pragma_update(None, "synchronous", "off")
        });
        if let Err(error) = quick {
            self.0.journal.fail(format!("a connection cannot be set up: {error}"));
        }
    }

    fn delay(&self, file: &Path) -> Duration {
        self.with(file, Duration::ZERO, |drive| match drive.trouble {
            Some((DiskTrouble::Slow { milliseconds }, _)) if !drive.dead => {
                Duration::from_millis(milliseconds)
            }
            _ => Duration::ZERO,
        })
    }

    fn before_job(&self, file: &Path, connection: &Connection) -> bool {
        let reads = connection.is_readonly("main").unwrap_or(false);
        self.with(file, true, |drive| {
            if drive.dead || reads {
                return !drive.dead;
            }
            let Some((trouble, jobs)) = drive.trouble.take() else { return true };
            match trouble {
                DiskTrouble::Busy => drive.other = occupy(file),
                DiskTrouble::Full { pages } => {
                    limit(connection, Some(pages));
                    drive.limited = true;
                }
                DiskTrouble::Slow { .. } => {}
            }
            drive.trouble = (jobs > 1).then_some((trouble, jobs - 1));
            true
        })
    }

    fn after_job(&self, file: &Path, connection: &Connection) {
        if connection.is_readonly("main").unwrap_or(false) {
            return;
        }
        let limited = self.with(file, false, |drive| {
            drive.other = None;
            std::mem::take(&mut drive.limited)
        });
        if limited {
            limit(connection, None);
        }
        self.observe(file);
    }

    fn may_commit(&self, file: &Path) -> bool {
        self.observe(file);
        let (device, allowed, killed) = self.with(file, (0, true, false), |drive| {
            if drive.dead {
                return (drive.device, false, false);
            }
            drive.commits += 1;
            let Some(kill) = drive.kill.filter(|kill| kill.commit == drive.commits) else {
                return (drive.device, true, false);
            };
            drive.dead = true;
            (drive.device, kill.durable, true)
        });
        if killed {
            let when = if allowed { "after" } else { "before" };
            self.0.journal.note(
                Lane::Device(device),
                Kind::Killed,
                format!("is killed right {when} a commit"),
            );
        }
        allowed
    }
}

/// Takes the write lock, as another process may.
fn occupy(file: &Path) -> Option<Connection> {
    let other = Connection::open(file).ok()?;
    other.execute_batch("BEGIN IMMEDIATE").ok()?;
    Some(other)
}

/// Lets the file grow by some pages at most.
fn limit(connection: &Connection, pages: Option<u32>) {
    let most = match pages {
        Some(pages) => {
            let now: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap_or(0);
            now + i64::from(pages)
        }
        None => 1 << 30,
    };
    // SQLite answers what it set; a limit that cannot be set is none.
    let _ = connection.query_row(&format!("PRAGMA max_page_count = {most}"), [], |row| row.get::<_, i64>(0));
}

/// The files of a process: one for each time that a device is opened, so that one that was killed is left as it was.
pub(crate) fn file_of(folder: &Path, device: usize, opening: u32) -> PathBuf {
    folder.join(format!("d{device}-{opening}.db"))
}

/// Copies a database as a killed process left it: what its log has counts.
pub(crate) fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::copy(from, to)?;
    let log = |file: &Path| PathBuf::from(format!("{}-wal", file.display()));
    if log(from).exists() {
        std::fs::copy(log(from), log(to))?;
    }
    Ok(())
}
