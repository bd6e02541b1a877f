//! The server of one test: how it is started, steered and asked what happened.

use crate::clock::ServerClock;
use crate::endpoint::Endpoint;
use crate::fault::{Fault, Faults, RandomFaults, Struck};
use crate::options::{TestServerError, TestServerOptions, TestStore};
use crate::store::{Backup, Founding, Running};
use crate::tokens::{IssuedTokens, TestTokens};
use rowtide::Request;
use rowtide::protocol::profile::WireGeneration;
use rowtide_server::{Limits, Registration, Service, ServiceConfig, Store};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A request that reached the transport or the loopback port, whatever became of it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Which endpoint.
    pub endpoint: Endpoint,
    /// The request, with its token.
    pub request: Request,
}

/// A server for one test. Clones share it.
///
/// It is the [`Transport`](rowtide::Transport) of clients in the same process, and [`TestServer::serve`] puts it on a
/// loopback port for all others. Both ways go through the same faults.
#[derive(Clone)]
pub struct TestServer {
    /// The generation that it speaks.
    pub generation: WireGeneration,
    pub(crate) founding: Arc<Founding>,
    running: Arc<Mutex<Running>>,
    state: Arc<Mutex<State>>,
}

/// What runs right before a call reaches the server.
pub(crate) type Hook = Box<dyn FnOnce() + Send>;

#[derive(Default)]
pub(crate) struct State {
    pub(crate) faults: Faults,
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) before: Option<(Endpoint, Hook)>,
    pub(crate) forbidden: Vec<String>,
    pub(crate) forbidden_sessions: Vec<String>,
    /// Ends the watch streams that are open.
    pub(crate) streams: tokio::sync::watch::Sender<u64>,
}

impl TestServer {
    /// The URL to configure a client with that has the server as its transport. Only paths from `/sync/` on are looked
    /// at, so any other serves as well.
    pub const URL: &'static str = "http://rowtide.test";

    /// A server in memory with tables given as `(table, key column)`, in the schema `business`.
    ///
    /// # Panics
    /// The tables cannot be registered. [`TestServer::start`] returns an error instead.
    pub fn new(generation: WireGeneration, tables: &[(&str, &str)]) -> Self {
        Self::with_limits(generation, tables, Limits::default())
    }

    /// As [`TestServer::new`], with limits of its own.
    ///
    /// # Panics
    /// The tables cannot be registered.
    pub fn with_limits(generation: WireGeneration, tables: &[(&str, &str)], limits: Limits) -> Self {
        let options = TestServerOptions { limits, ..TestServerOptions::new(generation, tables) };
        Self::start(options).expect("tables can be registered")
    }

    /// As [`TestServer::new`], with a store that can be backed up and restored.
    ///
    /// # Panics
    /// The tables cannot be registered, or there is no temporary folder.
    pub fn with_file(generation: WireGeneration, tables: &[(&str, &str)]) -> Self {
        let options =
            TestServerOptions { store: TestStore::File, ..TestServerOptions::new(generation, tables) };
        Self::start(options).expect("tables can be registered")
    }

    /// Starts a server.
    ///
    /// # Errors
    /// A name is not made of `a-z`, `0-9` and `_`, a table comes twice, there is none, or the file cannot be made.
    pub fn start(options: TestServerOptions) -> Result<Self, TestServerError> {
        let place = options.store;
        Self::found(options, |founding| Running::first(founding, place))
    }

    /// Starts a server on a store of the host's, such as `rowtide_server::PostgresStore`: the options' own is not used, and
    /// there is no backup.
    ///
    /// # Errors
    /// A name is not made of `a-z`, `0-9` and `_`, a table comes twice, or there is none.
    pub fn start_on(options: TestServerOptions, store: Arc<dyn Store>) -> Result<Self, TestServerError> {
        Self::found(options, |founding| Ok(Running::on_store(founding, store)))
    }

    fn found(
        options: TestServerOptions,
        start: impl FnOnce(&Founding) -> Result<Running, TestServerError>,
    ) -> Result<Self, TestServerError> {
        let TestServerOptions { generation, schema, tables, store: _, limits, clock } = options;
        let tables: Vec<_> =
            tables.into_iter().map(|(table, key_column)| Registration { table, key_column }).collect();
        let mut config = ServiceConfig::new(generation, &schema, &tables)?;
        config.limits = limits;
        let clock = ServerClock::new(clock);
        let tokens = Arc::new(IssuedTokens::new(Arc::new(clock.clone())));
        let founding = Founding { config, clock, tokens };
        let running = start(&founding)?;
        Ok(Self {
            generation,
            founding: Arc::new(founding),
            running: Arc::new(Mutex::new(running)),
            state: Arc::default(),
        })
    }

    /// A token for a user that expires in 2100: the same one until [`TestServer::reject_tokens`].
    pub fn token(&self, user: &str) -> String {
        self.founding.tokens.lasting(user)
    }

    /// A token for a user that expires after whole seconds on the server's clock. The client reads the expiry from it,
    /// and compares it with its own clock.
    pub fn token_expiring_in(&self, user: &str, lifetime: Duration) -> String {
        self.founding.tokens.expiring_in(user, lifetime)
    }

    /// A provider of a user's tokens, for a client's configuration.
    pub fn tokens(&self, user: &str) -> TestTokens {
        TestTokens { issued: self.founding.tokens.clone(), user: user.to_owned() }
    }

    /// Answers 401 to every token that the user was given so far; those given from now on are accepted.
    pub fn reject_tokens(&self, user: &str) {
        self.founding.tokens.reject(user);
    }

    /// Moves the server's clock on: leases, sessions and tokens expire. Delays are not cut short by it.
    pub fn advance(&self, seconds: i64) {
        self.founding.clock.advance(seconds.saturating_mul(1000));
    }

    /// Makes the next call of an endpoint fail.
    pub fn fail_next(&self, endpoint: Endpoint, fault: Fault) {
        self.fail(endpoint, 0, 1, fault);
    }

    /// Makes `times` calls of an endpoint fail, after letting `skip` through. Plans for the same endpoint follow one
    /// another.
    pub fn fail(&self, endpoint: Endpoint, skip: usize, times: usize, fault: Fault) {
        self.lock().faults.plan(endpoint, skip, times, fault);
    }

    /// Makes calls fail by chance from now on, the same ones for the same seed.
    pub fn fail_randomly(&self, faults: RandomFaults) {
        self.lock().faults.plan_randomly(faults);
    }

    /// Takes the network down, until [`TestServer::heal`]: no request reaches the server, and watch streams end.
    pub fn disconnect(&self) {
        self.lock().faults.disconnected = true;
        self.break_streams();
    }

    /// Forgets all faults that are to come, and brings the network up; answers how many planned ones were left.
    pub fn heal(&self) -> usize {
        self.lock().faults.heal()
    }

    /// Ends every watch stream, as a proxy that restarts does.
    pub fn break_streams(&self) {
        self.lock().streams.send_modify(|count| *count += 1);
    }

    /// Makes every commit fail whose rows contain one of these texts, the way a server of the first generation
    /// answers a constraint: a bare 500 that names nothing. No texts, and commits succeed again.
    pub fn forbid(&self, texts: &[&str]) {
        let mut state = self.lock();
        state.forbidden = texts.iter().map(|text| (*text).to_owned()).collect();
        state.forbidden_sessions.clear();
    }

    /// Runs something right before the next call of an endpoint reaches the server: another device's write, say. It may
    /// block, so it asks for tokio's runtime with several threads.
    pub fn before(&self, endpoint: Endpoint, work: impl FnOnce() + Send + 'static) {
        self.lock().before = Some((endpoint, Box::new(work)));
    }

    /// Takes what was sent so far.
    pub fn take_exchanges(&self) -> Vec<Exchange> {
        std::mem::take(&mut self.lock().exchanges)
    }

    /// Takes the faults that struck so far, in their order. Calls that [`TestServer::disconnect`] dropped are not among
    /// them.
    pub fn take_struck(&self) -> Vec<Struck> {
        std::mem::take(&mut self.lock().faults.struck)
    }

    /// The service behind it, for what this server has no method for.
    pub fn service(&self) -> Service {
        self.running().service.clone()
    }

    /// Deletes everything of every user, as a server that lost its data. Tokens and planned faults stay.
    ///
    /// # Errors
    /// The store failed.
    pub async fn reset(&self) -> Result<(), TestServerError> {
        Ok(self.service().reset().await?)
    }

    /// Stops the service and starts it again on the same data. Watch streams end; sessions and leases stay.
    pub fn restart(&self) {
        self.running().restart(&self.founding);
        self.break_streams();
    }

    /// Copies the data of all users as they are now.
    ///
    /// # Errors
    /// The store is in memory, or the copy cannot be written.
    pub fn backup(&self) -> Result<Backup, TestServerError> {
        self.running().backup()
    }

    /// Puts the data of a backup in place, as an operator does after a loss. Watch streams end.
    ///
    /// # Errors
    /// The store is in memory, or the copy cannot be written; the data is as it was.
    pub fn restore(&self, backup: &Backup) -> Result<(), TestServerError> {
        self.running().restore(&self.founding, backup)?;
        self.break_streams();
        Ok(())
    }

    pub(crate) fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
