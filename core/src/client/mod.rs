//! The façade: everything an app calls.

mod inbox;
mod live;
mod local;
mod run;

pub use run::{Operation, RunningOperation};

use crate::automatic::Signals;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::local_database::LocalDatabase;
use crate::observe::TableObservers;
use crate::report::{Automatic, Budget, Report, SourceInfo, State, Status};
use crate::schema::{self, ManagedSchema};
use crate::storage::operation::OperationKind;
use crate::storage::{ClientPlace, Database, StorageError, catalog, installation, migrations};
use crate::sync::Engine;
use crate::transport::api::Api;
use crate::transport::{Authorizer, TokenError, TokenProvider, TokenReason, Transport};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::Mutex;

/// The app's database and its way to the server.
///
/// Clones share one client. All methods need a tokio runtime. Every operation runs on a task of its own: dropping
/// its future stops waiting for it, never the step that it is in. One operation runs at a time, the next
/// waits for it; calls of [`sync`](Self::sync) that wait share one run.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

/// What the clones of one client share.
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    operation: Arc<Mutex<()>>,
    /// A sync that waits for its turn, for others to join.
    queued: std::sync::Mutex<Option<run::Run>>,
    signals: Arc<Signals>,
    observers: Arc<TableObservers>,
    _place: ClientPlace,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// Opens the database, checks the configuration against it, and starts capturing writes.
    ///
    /// Nothing is written before every check has passed. Afterwards the database has Rowtide's own tables (prefix
    /// `_rowtide_`), capture triggers, and a source identity that it keeps; rows that were there before are
    /// captured once. A database that another client of the protocol left behind (`_sync_` tables) goes on where that
    /// client stood. No network is used.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyOwned`] at once where another client has the database open;
    /// [`ErrorKind::Configuration`] where a table cannot be synchronised, naming table, column and mend.
    pub async fn open(config: Config) -> Result<Self> {
        let database = LocalDatabase::open(&config.path).await?;
        Self::open_in(&database, config).await
    }

    /// As [`open`](Self::open), in a database that is open already: the app creates or migrates its tables there first,
    /// and database drivers go on working on it. One client at a time.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`ErrorKind::Configuration`] where the configuration is of another path.
    pub async fn open_in(database: &LocalDatabase, config: Config) -> Result<Self> {
        let database = database.shared().clone();
        if database.path() != config.path {
            let (configured, opened) =
                (config.path.display().to_string(), database.path().display().to_string());
            return Err(StorageError::OtherPath { configured, opened }.into());
        }
        let place = database.take_client_place()?;
        let (schema_name, tables) = (config.schema.clone(), config.tables.clone());
        let unknown_columns = config.unknown_columns;
        let checked = database
            .write(move |connection| {
                migrations::layout(connection)?;
                Ok(schema::validate(&schema_name, &tables, unknown_columns, &catalog::read(connection)?)?)
            })
            .await?;
        let marker = installation::marker(&config.path, config.installation.as_deref())?;
        let managed = database
            .transaction(move |transaction| {
                let managed = migrations::install(transaction, &checked)?;
                installation::bind(transaction, marker.as_deref())?;
                Ok(managed)
            })
            .await?;
        let feed = database.feed().clone();
        database.write(move |connection| feed.learn(connection)).await?;
        database.set_managed();
        let client = Self::assemble(config, database, managed, place)?;
        let attached = client.shared.engine.attachment().await?.user.is_some();
        client.shared.signals.change(|inputs| inputs.attached = attached);
        Ok(client)
    }

    fn assemble(
        config: Config,
        database: Arc<Database>,
        schema: ManagedSchema,
        place: ClientPlace,
    ) -> Result<Self> {
        let transport: Arc<dyn Transport> = match config.transport.clone() {
            Some(transport) => transport,
            None => default_transport()?,
        };
        let tokens = config.tokens.clone().unwrap_or_else(|| Arc::new(NoTokens));
        let auth = Authorizer::new(tokens, config.clock.clone());
        let api = Api::new(config.url.clone(), transport, auth, config.clock.clone(), config.rng.clone());
        let signals = Arc::new(Signals::new());
        let observers = Arc::new(TableObservers::default());
        let (told, heard, clock) = (signals.clone(), Arc::downgrade(&observers), config.clock.clone());
        database.feed().listen(Box::new(move |changed| {
            if let Some(observers) = heard.upgrade() {
                observers.tell(&changed.tables);
            }
            if changed.captured {
                told.local_commit(clock.now_ms());
            }
        }));
        let engine = Arc::new(Engine::new(database, Arc::new(schema), api, &config));
        let queued = std::sync::Mutex::new(None);
        Ok(Self {
            shared: Arc::new(Shared {
                engine,
                operation: Arc::default(),
                queued,
                signals,
                observers,
                _place: place,
            }),
        })
    }

    /// Attaches the database to the user that the tokens belong to.
    ///
    /// Where the server has data, it is downloaded and applied before this returns; rows written before are
    /// kept as local inserts unless the configuration says otherwise. Where the server is empty, the next
    /// [`push`](Self::push) or [`sync`](Self::sync) seeds it. Interrupted anywhere, the next call goes on.
    ///
    /// # Errors
    /// [`ErrorKind::AttachedToAnother`] where another user is attached; network, authentication and protocol
    /// errors. Nothing local is changed by a failed attach.
    pub async fn attach(&self, user: &str) -> Result<Report> {
        self.begin(Operation::Attach { user: user.to_owned() }).wait().await
    }

    /// Settles, pulls and rebases, then pushes: afterwards the server has what was written before the call.
    ///
    /// # Errors
    /// Whatever fails, rows that the server does not have stay pending, and the next call goes on from there.
    pub async fn sync(&self) -> Result<Report> {
        self.begin(Operation::Sync).wait().await
    }

    /// Syncs for at most a budget, and stops between two durable steps when it is spent: for a background task that
    /// the platform ends. The outcome is [`Outcome::BudgetSpent`](crate::Outcome::BudgetSpent) then, and says what is left.
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
    pub async fn sync_for(&self, budget: Budget) -> Result<Report> {
        self.begin(Operation::SyncFor(budget)).wait().await
    }

    /// Begins an operation and answers at once; [`RunningOperation::wait`] waits for it and
    /// [`RunningOperation::cancel`] stops it. The methods named after operations do this and wait.
    pub fn begin(&self, operation: Operation) -> RunningOperation {
        self.shared.begin(operation)
    }

    /// Stops the operation that runs, between two durable steps, whoever began it; its callers get
    /// [`ErrorKind::Cancelled`]. The next operation goes on from there.
    pub fn cancel(&self) {
        self.shared.engine.cancel();
    }

    /// Uploads pending rows; pulls only where a conflict makes it necessary.
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
    pub async fn push(&self) -> Result<Report> {
        self.begin(Operation::Push).wait().await
    }

    /// Downloads other devices' changes and rebases pending rows onto them; uploads only what an earlier run froze.
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
    pub async fn pull(&self) -> Result<Report> {
        self.begin(Operation::Pull).wait().await
    }

    /// Downloads all rows anew and writes what differs; pending rows are rebased.
    ///
    /// # Errors
    /// As [`sync`](Self::sync); an interrupted rebuild is finished by the next operation.
    pub async fn rebuild(&self) -> Result<Report> {
        self.begin(Operation::Rebuild).wait().await
    }

    /// Detaches from the user: the managed tables are emptied and the source is replaced. Rows that are
    /// unsynced or refused block it: the outcome is [`Outcome::BlockedUnsyncedData`](crate::Outcome::BlockedUnsyncedData) and nothing is changed.
    ///
    /// # Errors
    /// Only of the database.
    pub async fn detach(&self) -> Result<Report> {
        self.begin(Operation::Detach).wait().await
    }

    /// Syncs, at most three rounds, and detaches if nothing is pending then.
    ///
    /// # Errors
    /// As [`sync`](Self::sync); still attached then.
    pub async fn sync_then_detach(&self) -> Result<Report> {
        self.begin(Operation::SyncThenDetach).wait().await
    }

    /// Where the database stands. Uses no network.
    ///
    /// # Errors
    /// Only of the database.
    pub async fn status(&self) -> Result<Status> {
        let engine = &self.shared.engine;
        let found = engine.overview().await?;
        let attachment = found.attachment;
        let state = match (found.operation, &attachment.user) {
            (Some(OperationKind::RemoteReplace { .. }), _) => State::Hydrating,
            (_, None) => State::Anonymous,
            (Some(_), _) => State::Rebuilding,
            _ if attachment.initialization_id.is_some() => State::Seeding,
            _ if found.has_outbox => State::Uploading,
            _ => State::Attached,
        };
        let inputs = self.shared.signals.inputs();
        Ok(Status {
            user: attachment.user,
            source_id: attachment.source_id.to_string(),
            generation: attachment.generation.map(|generation| generation.as_str()),
            checkpoint: attachment.checkpoint,
            pending_rows: found.pending_rows,
            refused_rows: found.refused_rows,
            state,
            last_error: attachment.last_error,
            last_success_ms: inputs.last_success_ms,
            health: inputs.health,
            automatic: Automatic {
                running: inputs.running.is_some(),
                paused: inputs.paused(),
                connectivity: inputs.connectivity,
                watching: inputs.watching,
                next_attempt_ms: inputs.not_before_ms.filter(|_| inputs.running.is_some()),
            },
            host_transaction_open: engine.database.host_transactions().load(Ordering::Relaxed) > 0,
        })
    }

    /// This database's identity towards the server.
    ///
    /// # Errors
    /// Only of the database.
    pub async fn source_info(&self) -> Result<SourceInfo> {
        let attachment = self.shared.engine.attachment().await?;
        Ok(SourceInfo {
            source_id: attachment.source_id.to_string(),
            next_source_bundle_id: attachment.next_source_bundle_id.0,
        })
    }

    /// Asks the server which generation it speaks and whether its tables match.
    ///
    /// # Errors
    /// [`ErrorKind::TableMismatch`] names the tables that differ; network, authentication and protocol errors.
    pub async fn check_server(&self) -> Result<&'static str> {
        let engine = self.shared.engine.clone();
        let source = engine.attachment().await?.source_id;
        Ok(engine.negotiate(&source).await?.generation.as_str())
    }

    /// Stops the loop and waits for a running operation. The client ends once the last clone is closed or dropped, and
    /// the database is closed with it, unless the host holds the [`LocalDatabase`].
    pub async fn close(self) {
        self.stop();
        let _last = self.shared.operation.lock().await;
    }

    fn now_ms(&self) -> i64 {
        self.shared.engine.clock.now_ms()
    }

    fn storage(&self) -> &Database {
        &self.shared.engine.database
    }
}

#[cfg(feature = "http")]
fn default_transport() -> Result<Arc<dyn Transport>> {
    let transport = crate::transport::HttpTransport::new()
        .map_err(|error| Error::with_source(ErrorKind::Network, error.to_string(), error))?;
    Ok(Arc::new(transport))
}

#[cfg(not(feature = "http"))]
fn default_transport() -> Result<Arc<dyn Transport>> {
    let text = "no transport is configured, and this build has no HTTP of its own; set Config::transport";
    Err(Error::new(ErrorKind::Configuration, text))
}

struct NoTokens;

#[async_trait]
impl TokenProvider for NoTokens {
    async fn token(&self, _: TokenReason) -> Result<String, TokenError> {
        Err(TokenError::Denied("no token provider is configured".into()))
    }
}
