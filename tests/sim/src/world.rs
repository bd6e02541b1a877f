//! Everything that a run has in common: the server, the ledger, the disks, the journal.

use crate::crash_points;
use crate::disk::Drive;
use crate::journal::Journal;
use crate::ledger::{self, Ledger, RowId};
use crate::network::Network;
use crate::oracle;
use crate::script::Setup;
use crate::witness::View;
use async_trait::async_trait;
use rowtide::Clock;
use rowtide_testing::{Backup, Limits, TestServer, TestServerOptions, TestStore};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

/// Milliseconds since 1970 at which every run begins.
const BEGINNING: i64 = 1_800_000_000_000;

/// A clock on virtual time that can be put wrong. Clones share it.
#[derive(Clone)]
pub(crate) struct SimClock {
    start: Instant,
    wrong_by_ms: Arc<AtomicI64>,
}

impl SimClock {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), wrong_by_ms: Arc::default() }
    }

    pub(crate) fn put(&self, milliseconds: i64) {
        self.wrong_by_ms.fetch_add(milliseconds, Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for SimClock {
    fn now_ms(&self) -> i64 {
        let elapsed = i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX);
        BEGINNING + elapsed + self.wrong_by_ms.load(Ordering::Relaxed)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// What is known of a device from outside.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Its database after the newest commit.
    pub(crate) view: Option<View>,
    /// Every source that it ever had.
    pub(crate) sources: BTreeSet<String>,
    /// Writes of the app that it was told to be durable.
    pub(crate) acknowledged: BTreeSet<i64>,
    /// What each commit of its processes did.
    pub(crate) steps: Vec<(u32, String)>,
    /// It read on beyond what a restored server has, until it has rebuilt.
    pub(crate) ahead: bool,
}

/// The world of one run.
pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) folder: TempDir,
    pub(crate) server: TestServer,
    pub(crate) journal: Journal,
    pub(crate) network: Network,
    ledger: Mutex<Ledger>,
    drives: Mutex<BTreeMap<PathBuf, Arc<Mutex<Drive>>>>,
    seen: Mutex<Vec<Seen>>,
    backup: Mutex<Option<(Backup, Ledger)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(crate) fn new(seed: u64, setup: &Setup) -> Self {
        let tables: Vec<_> = setup.tables.iter().map(|table| (table.name.as_str(), "id")).collect();
        let limits = Limits {
            default_rows_per_chunk: setup.page_rows,
            max_rows_per_chunk: setup.page_rows,
            bundles_per_pull: setup.page_bundles,
            max_rows_per_bundle: setup.bundle_rows,
            session_ttl_seconds: setup.session_seconds,
            ..Limits::default()
        };
        let options = TestServerOptions {
            limits,
            clock: Arc::new(SimClock::new()),
            store: if setup.backups { TestStore::File } else { TestStore::Memory },
            ..TestServerOptions::new(setup.generation, &tables)
        };
        Self {
            setup: setup.clone(),
            folder: folder(),
            server: TestServer::start(options).expect("the tables can be registered"),
            journal: Journal::begin(),
            network: Network::new(seed),
            ledger: Mutex::default(),
            drives: Mutex::default(),
            seen: Mutex::new(vec![Seen::default(); setup.users.len()]),
            backup: Mutex::default(),
        }
    }

    /// Puts a disk under a database that is about to be opened.
    pub(crate) fn mount(&self, file: &Path, device: usize) -> Arc<Mutex<Drive>> {
        let drive = Arc::new(Mutex::new(Drive::new(device)));
        lock(&self.drives).insert(file.to_owned(), drive.clone());
        drive
    }

    pub(crate) fn drive(&self, file: &Path) -> Option<Arc<Mutex<Drive>>> {
        lock(&self.drives).get(file).cloned()
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        lock(&self.seen)
    }

    /// A device's database as it is after a commit of its process.
    pub(crate) fn observed(&self, device: usize, commit: u32, view: View) {
        let mut seen = self.seen();
        let seen = &mut seen[device];
        seen.sources.insert(view.source.clone());
        let was_rebuilding = seen.view.as_ref().is_some_and(|before| before.operation.is_some());
        // A snapshot of before the restore brings it no further.
        let newest = view.user.as_ref().map_or(0, |user| self.ledger().newest(user));
        if was_rebuilding && view.operation.is_none() && view.checkpoint <= newest {
            seen.ahead = false;
        }
        if let Err(wrong) = oracle::visible(&self.ledger(), seen, &view) {
            self.journal.fail(format!("d{device}: {wrong}"));
        }
        if let Some(before) = &seen.view
            && let Err(wrong) = oracle::kept(&self.ledger(), &self.setup.tables, seen, before, &view)
        {
            self.journal.fail(format!("d{device}: {wrong}"));
        }
        seen.steps.push((commit, crash_points::name(seen.view.as_ref(), &view)));
        seen.view = Some(view);
    }

    /// Copies the server's data, and what is known of it.
    pub(crate) fn back_up(&self) {
        match self.server.backup() {
            Ok(backup) => *lock(&self.backup) = Some((backup, self.ledger().clone())),
            Err(error) => self.journal.fail(format!("the server cannot be backed up: {error}")),
        }
    }

    /// Puts the copy in place of the server's data; answers whether there was one.
    pub(crate) fn restore(&self) -> bool {
        let Some((backup, ledger)) = lock(&self.backup).clone() else { return false };
        if let Err(error) = self.server.restore(&backup) {
            self.journal.fail(format!("the server cannot be restored: {error}"));
        }
        for seen in self.seen().iter_mut() {
            let Some(view) = &seen.view else { continue };
            let newest = view.user.as_ref().map_or(i64::MAX, |user| ledger.newest(user));
            seen.ahead |=
                view.checkpoint.max(view.versions.values().map(|known| known.0).max().unwrap_or(0)) > newest;
        }
        *self.ledger() = ledger;
        true
    }

    /// Each row of a bundle that was just committed must be based on the newest version before it.
    pub(crate) fn check_bases(&self, bases: &[(RowId, i64)], seq: i64) {
        // Whose bundle it is shows by whose next one it is.
        let wrong =
            crate::draw::USERS.into_iter().filter(|user| self.ledger().newest(user) + 1 == seq).map(|user| {
                self.ledger().with(user, |history| {
                    bases.iter().find(|(row, base)| {
                        let newest = history.at(row, seq).map_or(0, |version| version.seq);
                        *base != newest
                            && !(*base == 0 && history.at(row, seq).is_some_and(|v| v.content.is_none()))
                    })
                })
            });
        let wrong: Vec<_> = wrong.collect();
        if !wrong.is_empty() && wrong.iter().all(Option::is_some) {
            let (row, base) = wrong[0].expect("all are there");
            self.journal
                .fail(format!("bundle {seq} changes {row} on version {base}, which was not the newest"));
        }
    }

    /// Reads what the server committed for a user since the last time.
    pub(crate) async fn note_commits(&self, user: &str) {
        let after = self.ledger().newest(user);
        let read = ledger::read(&self.server, user, after).await;
        let added = read.and_then(|bundles| self.ledger().add(user, bundles));
        if let Err(wrong) = added {
            self.journal.fail(wrong);
        }
    }
}

/// Memory, where the system has files in it.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.expect("a temporary folder can be made")
}
