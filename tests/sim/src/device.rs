//! A device: a host app with one database, which is opened, used, killed and opened again.

use crate::disk::{self, Drive};
use crate::journal::{Kind, Lane};
use crate::network::Link;
use crate::script::{Call, DiskTrouble, Moment};
use crate::world::{SimClock, World};
use async_trait::async_trait;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng};
use rowtide::{
    Client, Config, Connectivity, Decision, Direction, Error, ErrorKind, LocalDatabase, LoopOptions,
    Operation, Outcome, Report, Resolver, ResolverError, RowConflict, TokenError, TokenProvider, TokenReason,
    TransferLimits,
};
use rowtide_testing::TestServer;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A device. Tasks that wait for its operations share it.
pub(crate) struct Device {
    world: Arc<World>,
    number: usize,
    pub(crate) clock: SimClock,
    state: Mutex<State>,
    /// The app starts once at a time.
    starting: tokio::sync::Mutex<()>,
    /// The app lets one user sign in at a time.
    signing_in: tokio::sync::Mutex<()>,
}

struct State {
    /// Who is signed in when the app starts the next time.
    user: &'static str,
    /// How often it was opened.
    openings: u32,
    process: Option<Process>,
}

/// The app while it runs.
#[derive(Clone)]
struct Process {
    file: PathBuf,
    drive: Arc<Mutex<Drive>>,
    /// Who is signed in.
    user: &'static str,
    client: Client,
    database: LocalDatabase,
}

impl Process {
    fn is_dead(&self) -> bool {
        self.drive().dead
    }

    fn drive(&self) -> MutexGuard<'_, Drive> {
        self.drive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Device {
    pub(crate) fn new(world: &Arc<World>, number: usize) -> Arc<Self> {
        let user = world.setup.users[number];
        let state = Mutex::new(State { user, openings: 0, process: None });
        Arc::new(Self {
            world: world.clone(),
            number,
            clock: SimClock::new(),
            state,
            starting: tokio::sync::Mutex::default(),
            signing_in: tokio::sync::Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, kind: Kind, text: impl Into<String>) {
        self.world.journal.note(Lane::Device(self.number), kind, text);
    }

    /// The app while it runs; a killed one runs no more.
    fn process(&self) -> Option<Process> {
        self.lock().process.clone().filter(|process| !process.is_dead())
    }

    /// The client of the app while it runs, and who is signed in there.
    pub(crate) fn client(&self) -> Option<(Client, &'static str)> {
        self.process().map(|process| (process.client, process.user))
    }

    fn file(&self, opening: u32) -> PathBuf {
        disk::file_of(self.world.folder.path(), self.number, opening)
    }

    /// Opens the database as the last process left it. One that still runs is closed first.
    pub(crate) async fn open(&self) {
        let _alone = self.starting.lock().await;
        if let Some(process) = self.process() {
            self.note(Kind::Act, "is closed");
            let Process { client, database, .. } = process;
            self.lock().process = None;
            client.close().await;
            database.close().await;
        }
        let (opening, user) = {
            let mut state = self.lock();
            // What is left of a killed one ends by itself, and reaches neither disk nor network.
            state.process = None;
            state.openings += 1;
            (state.openings, state.user)
        };
        let file = self.file(opening);
        if opening > 1
            && let Err(error) = disk::copy(&self.file(opening - 1), &file)
        {
            return self
                .world
                .journal
                .fail(format!("the database of d{} cannot be copied: {error}", self.number));
        }
        let drive = self.world.mount(&file, self.number);
        match self.start(&file, &drive, opening, user).await {
            Ok(process) => {
                let status = process.client.status().await;
                let state = status.map_or_else(
                    |error| error.to_string(),
                    |status| format!("{}, {} pending", status.state.as_str(), status.pending_rows),
                );
                self.note(Kind::Opened, format!("opens, the {opening}. time: {state}"));
                self.lock().process = Some(process);
            }
            Err(error) => self.world.journal.fail(format!("d{} does not open: {error}", self.number)),
        }
    }

    async fn start(
        &self,
        file: &Path,
        drive: &Arc<Mutex<Drive>>,
        opening: u32,
        user: &'static str,
    ) -> rowtide::Result<Process> {
        let database = LocalDatabase::open(file).await?;
        if opening == 1 {
            database.execute_script(&crate::schema::ddl(&self.world.setup.tables)).await?;
        }
        let client = Client::open_in(&database, self.config(file, drive, opening, user)?).await?;
        Ok(Process { file: file.to_owned(), drive: drive.clone(), user, client, database })
    }

    fn config(
        &self,
        file: &Path,
        drive: &Arc<Mutex<Drive>>,
        opening: u32,
        user: &'static str,
    ) -> rowtide::Result<Config> {
        let setup = &self.world.setup;
        let limits = TransferLimits {
            upload_rows: setup.page_rows,
            download_rows: setup.page_rows,
            pull_bundles: setup.page_bundles,
            ..TransferLimits::default()
        };
        let seed = self.world.network.seed() ^ (self.number as u64) << 32 ^ u64::from(opening);
        let host = Host { world: self.world.clone(), number: self.number, user };
        let link = Link { world: self.world.clone(), device: self.number, drive: drive.clone() };
        Ok(Config::new(file, TestServer::URL, "business")?
            .tables(setup.tables.iter().map(crate::schema::Table::sync_table))
            .limits(limits)
            .hydrate(setup.hydrate)
            .installation(format!("d{}", self.number))
            .transport(link)
            .clock(self.clock.clone())
            .rng(Chance(Mutex::new(StdRng::seed_from_u64(seed))))
            .tokens(host.clone())
            .resolver(host))
    }

    /// Plans the death of the process, or lets it die now.
    pub(crate) fn kill(&self, moment: Moment) {
        let Some(process) = self.process() else { return };
        process.drive().kill(moment);
        if moment == Moment::Now {
            self.note(Kind::Killed, "is killed");
        }
    }

    pub(crate) fn trouble(&self, trouble: DiskTrouble, jobs: u32) {
        if let Some(process) = self.process() {
            process.drive().trouble(trouble, jobs);
        }
    }

    /// Nothing is planned against it any more.
    pub(crate) fn heal(&self) {
        if let Some(process) = self.process() {
            process.drive().heal();
        }
    }

    /// Commits of the process so far.
    pub(crate) fn commits(&self) -> u32 {
        self.lock().process.as_ref().map_or(0, |process| process.drive().commits)
    }

    /// The app writes. What is acknowledged has to last.
    pub(crate) async fn write(&self, mark: i64, sql: &str) {
        let Some(process) = self.process() else { return };
        let script = format!("INSERT INTO {} VALUES ({mark}); {sql}", crate::schema::MARKS);
        let result = process.database.execute_script(&script).await;
        match result {
            Ok(rows) => {
                self.note(Kind::Outcome, format!("write {mark} changed {rows} rows"));
                self.world.seen()[self.number].acknowledged.insert(mark);
            }
            // A constraint of the tables, a disk, or death.
            Err(error) => self.note(Kind::Outcome, format!("write {mark} failed: {error}")),
        }
    }

    /// The app calls the client, and waits for what comes of it.
    pub(crate) async fn call(&self, call: Call) {
        let _alone = if call == Call::Attach { Some(self.signing_in.lock().await) } else { None };
        let Some(process) = self.process() else { return };
        let client = process.client.clone();
        let operation = match call {
            Call::Attach => Operation::Attach { user: process.user.to_owned() },
            Call::Sync => Operation::Sync,
            Call::Push => Operation::Push,
            Call::Pull => Operation::Pull,
            Call::Rebuild => Operation::Rebuild,
            Call::Detach => Operation::Detach,
            Call::SyncThenDetach => Operation::SyncThenDetach,
            Call::Cancel => return client.cancel(),
            Call::Start => return client.start(LoopOptions::default()),
            Call::Stop => return client.stop(),
            Call::PauseUploads => return client.pause(Direction::Uploads),
            Call::PauseDownloads => return client.pause(Direction::Downloads),
            Call::Resume => {
                client.resume(Direction::Uploads);
                return client.resume(Direction::Downloads);
            }
            Call::NetworkGone => return client.set_connectivity(Connectivity::None),
            Call::NetworkBack => return client.set_connectivity(Connectivity::Unmetered),
            Call::RetryRefused => {
                let result = client.retry_refused().await;
                return self.note(Kind::Outcome, format!("RetryRefused: {}", counted(result)));
            }
            Call::DiscardRefused => {
                let result = client.discard_refused().await;
                return self.note(Kind::Outcome, format!("DiscardRefused: {}", counted(result)));
            }
        };
        let result = client.begin(operation).wait().await;
        if process.is_dead() {
            // Nobody is there to hear of it.
            return;
        }
        self.ended(call, &result);
    }

    /// Notes how an operation ended; some endings must not be.
    pub(crate) fn ended(&self, call: Call, result: &rowtide::Result<Report>) {
        self.note(Kind::Outcome, format!("{call:?}: {}", outcome(result)));
        if let Err(error) = result
            && error.kind() == ErrorKind::Internal
        {
            self.world.journal.fail(format!("d{}: {call:?} failed inside: {error}", self.number));
        }
    }

    /// Another user signs in, once everything of the former one is at the server.
    pub(crate) async fn switch_user(&self, user: &'static str) {
        let _alone = self.signing_in.lock().await;
        let Some(process) = self.process() else { return };
        if process.client.status().await.is_ok_and(|status| status.user.is_some()) {
            let result = process.client.sync_then_detach().await;
            if process.is_dead() {
                return;
            }
            self.ended(Call::SyncThenDetach, &result);
            if !result.is_ok_and(|report| report.outcome == Outcome::Detached) {
                return;
            }
        }
        let downloading =
            self.world.seen()[self.number].view.as_ref().is_some_and(|view| view.operation.is_some());
        if downloading || self.holds_rows(&process).await {
            // What was written while signed out would become the next user's, and rows of a download that is half done may
            // be what was written about: the app of these runs does not do that.
            return;
        }
        self.lock().user = user;
        self.note(Kind::Act, format!("is {user}'s now"));
        drop(process);
        // The app asks for tokens of who is signed in when it was opened.
        self.open().await;
    }

    async fn holds_rows(&self, process: &Process) -> bool {
        process.client.status().await.is_ok_and(|status| status.pending_rows > 0 || status.user.is_some())
    }

    /// The file of the process that runs.
    pub(crate) fn running_file(&self) -> Option<PathBuf> {
        self.process().map(|process| process.file)
    }
}

fn counted(result: rowtide::Result<i64>) -> String {
    result.map_or_else(|error| error.to_string(), |rows| format!("{rows} rows"))
}

pub(crate) fn outcome(result: &Result<Report, Error>) -> String {
    match result {
        Ok(report) => format!(
            "{:?}, {} up, {} down, {} hydrated, {} conflicts, {} refused",
            report.outcome,
            report.pushed_rows,
            report.pulled_rows,
            report.hydrated_rows,
            report.conflicts,
            report.refused_rows
        ),
        Err(error) => format!("{}: {error}", error.kind().as_str()),
    }
}

/// The app's side: tokens and decisions.
#[derive(Clone)]
struct Host {
    world: Arc<World>,
    number: usize,
    user: &'static str,
}

#[async_trait]
impl TokenProvider for Host {
    async fn token(&self, reason: TokenReason) -> Result<String, TokenError> {
        self.world.journal.note(
            Lane::Device(self.number),
            Kind::Act,
            format!("hands out a token: {reason:?}"),
        );
        Ok(match reason {
            TokenReason::Rejected => self.world.server.token(self.user),
            _ => self.world.server.token_expiring_in(self.user, Duration::from_secs(120)),
        })
    }
}

#[async_trait]
impl Resolver for Host {
    async fn resolve(&self, conflicts: &[RowConflict]) -> Result<Vec<Decision>, ResolverError> {
        let decide = |conflict: &RowConflict| {
            // The same for the same conflict, whoever meets it.
            let text = format!("{}{}{:?}{:?}", conflict.table, conflict.key, conflict.local, conflict.server);
            let sum: u32 = text.bytes().map(u32::from).sum();
            let decision = match (sum % 3, &conflict.local, &conflict.server) {
                (0, ..) => Decision::AcceptServer,
                (2, Some(local), Some(server)) => {
                    let mut merged = local.clone();
                    merged.insert("mark".into(), server["mark"].clone());
                    Decision::KeepMerged(merged)
                }
                _ => Decision::KeepLocal,
            };
            let text = format!("decides {} {}: {decision:?}", conflict.table, conflict.key);
            self.world.journal.note(Lane::Device(self.number), Kind::Act, text);
            decision
        };
        Ok(conflicts.iter().map(decide).collect())
    }
}

/// Chance from a seed.
struct Chance(Mutex<StdRng>);

impl rowtide::Rng for Chance {
    fn fraction(&self) -> f64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random()
    }
}
