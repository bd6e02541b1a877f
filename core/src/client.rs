//! The façade: everything an app calls.

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::value::SqlValue;
use crate::report::{Outcome, Report, SourceInfo, State, Status};
use crate::schema::{self, ManagedSchema};
use crate::storage::host_sql::{self, QueryRows};
use crate::storage::host_transaction::HostTransaction;
use crate::storage::operation::OperationKind;
use crate::storage::refused_rows::{self, RefusedRow};
use crate::storage::{Database, attachment, catalog, installation, migrations};
use crate::sync::{Engine, RowValues};
use crate::transport::api::{Api, Traffic};
use crate::transport::{Authorizer, TokenError, TokenProvider, TokenReason, Transport};
use async_trait::async_trait;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// The app's database and its way to the server.
///
/// Clones share one client. All methods need a tokio runtime. Every operation runs on a task of its own: dropping
/// its future stops waiting for it, never the step that it is in. One operation runs at a time, the next
/// waits for it.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Arc<Engine>,
    operation: Arc<Mutex<()>>,
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
    /// captured once. No network is used.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyOwned`] at once where another client has the database open;
    /// [`ErrorKind::Configuration`] where a table cannot be synchronised, naming table, column and mend.
    pub async fn open(config: Config) -> Result<Self> {
        let database = Arc::new(Database::open(&config.path).await?);
        let (schema_name, tables) = (config.schema.clone(), config.tables.clone());
        let checked = database
            .write(move |connection| {
                migrations::layout(connection)?;
                Ok(schema::validate(&schema_name, &tables, &catalog::read(connection)?)?)
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
        Self::start(config, database, managed)
    }

    fn start(config: Config, database: Arc<Database>, schema: ManagedSchema) -> Result<Self> {
        let transport: Arc<dyn Transport> = match config.transport.clone() {
            Some(transport) => transport,
            None => default_transport()?,
        };
        let tokens = config.tokens.clone().unwrap_or_else(|| Arc::new(NoTokens));
        let auth = Authorizer::new(tokens, config.clock.clone());
        let api = Api::new(config.url.clone(), transport, auth, config.clock.clone(), config.rng.clone());
        let engine = Arc::new(Engine::new(database, Arc::new(schema), api, &config));
        Ok(Self { shared: Arc::new(Shared { engine, operation: Arc::default() }) })
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
        let user = user.to_owned();
        self.operate(move |engine, mut report| async move {
            engine.attach(&user, &mut report).await?;
            Ok(report)
        })
        .await
    }

    /// Settles, pulls and rebases, then pushes: afterwards the server has what was written before the call.
    ///
    /// # Errors
    /// Whatever fails, rows that the server does not have stay pending, and the next call goes on from there.
    pub async fn sync(&self) -> Result<Report> {
        self.operate(|engine, mut report| async move {
            engine.sync(&mut report).await?;
            Ok(finished(report))
        })
        .await
    }

    /// Uploads pending rows; pulls only where a conflict makes it necessary.
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
    pub async fn push(&self) -> Result<Report> {
        self.operate(|engine, mut report| async move {
            engine.push(&mut report).await?;
            Ok(finished(report))
        })
        .await
    }

    /// Downloads other devices' changes and rebases pending rows onto them; uploads only what an earlier run froze.
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
    pub async fn pull(&self) -> Result<Report> {
        self.operate(|engine, mut report| async move {
            engine.pull(&mut report).await?;
            Ok(finished(report))
        })
        .await
    }

    /// Downloads all rows anew and writes what differs; pending rows are rebased.
    ///
    /// # Errors
    /// As [`sync`](Self::sync); an interrupted rebuild is finished by the next operation.
    pub async fn rebuild(&self) -> Result<Report> {
        self.operate(|engine, mut report| async move {
            engine.rebuild(&mut report).await?;
            Ok(finished(report))
        })
        .await
    }

    /// Detaches from the user: the managed tables are emptied and the source is replaced. Rows that are
    /// unsynced or refused block it: the outcome is [`Outcome::BlockedUnsyncedData`] and nothing is changed.
    ///
    /// # Errors
    /// Only of the database.
    pub async fn detach(&self) -> Result<Report> {
        self.operate(|engine, mut report| async move {
            engine.detach(&mut report).await?;
            Ok(report)
        })
        .await
    }

    /// Syncs, at most three rounds, and detaches if nothing is pending then.
    ///
    /// # Errors
    /// As [`sync`](Self::sync); still attached then.
    pub async fn sync_then_detach(&self) -> Result<Report> {
        self.operate(|engine, mut report| async move {
            engine.sync_then_detach(&mut report).await?;
            Ok(report)
        })
        .await
    }

    /// Where the database stands. Uses no network.
    ///
    /// # Errors
    /// Only of the database.
    pub async fn status(&self) -> Result<Status> {
        let engine = &self.shared.engine;
        let attachment = engine.attachment().await?;
        let state = match (engine.pending_operation().await?, &attachment.user) {
            (Some(OperationKind::RemoteReplace { .. }), _) => State::Hydrating,
            (_, None) => State::Anonymous,
            (Some(_), _) => State::Rebuilding,
            _ if attachment.initialization_id.is_some() => State::Seeding,
            _ if engine.has_outbox().await? => State::Uploading,
            _ => State::Attached,
        };
        Ok(Status {
            user: attachment.user,
            source_id: attachment.source_id.to_string(),
            generation: attachment.generation.map(|generation| generation.as_str()),
            checkpoint: attachment.checkpoint,
            pending_rows: engine.pending_rows().await?,
            refused_rows: engine.refused_rows().await?,
            state,
            last_error: attachment.last_error,
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

    /// Runs one statement and answers the number of rows that it changed. Durable on return; captured for upload.
    ///
    /// # Errors
    /// SQLite's, with [`ErrorKind::Database`].
    pub async fn execute(&self, sql: &str, arguments: Vec<SqlValue>) -> Result<i64> {
        let sql = sql.to_owned();
        let work = move |transaction: &_| host_sql::execute(transaction, &sql, &arguments);
        Ok(self.database().host_transaction(self.now_ms(), move |transaction| work(transaction)).await?)
    }

    /// Runs several statements separated by semicolons, in one transaction.
    ///
    /// # Errors
    /// SQLite's; nothing was changed then.
    pub async fn execute_script(&self, sql: &str) -> Result<i64> {
        let sql = sql.to_owned();
        Ok(self
            .database()
            .host_transaction(self.now_ms(), move |transaction| host_sql::execute_script(transaction, &sql))
            .await?)
    }

    /// Runs one statement for each list of arguments, in one transaction.
    ///
    /// # Errors
    /// SQLite's; nothing was changed then.
    pub async fn execute_batch(&self, sql: &str, arguments: Vec<Vec<SqlValue>>) -> Result<i64> {
        let sql = sql.to_owned();
        Ok(self
            .database()
            .host_transaction(self.now_ms(), move |transaction| {
                host_sql::execute_batch(transaction, &sql, &arguments)
            })
            .await?)
    }

    /// Runs a query on a reader and answers all of its rows.
    ///
    /// # Errors
    /// SQLite's; a statement that writes is refused here.
    pub async fn query(&self, sql: &str, arguments: Vec<SqlValue>) -> Result<QueryRows> {
        let sql = sql.to_owned();
        Ok(self.database().read(move |connection| host_sql::query(connection, &sql, &arguments)).await?)
    }

    /// Begins a write transaction that holds the writer until it is committed, dropped (which rolls back), or
    /// `deadline` has passed (which rolls back too). Sync waits for it meanwhile, so keep it short.
    ///
    /// # Errors
    /// Only of the database.
    pub async fn transaction(&self, deadline: Duration) -> Result<Transaction> {
        let handle = HostTransaction::begin(self.shared.engine.database.clone(), deadline).await?;
        Ok(Transaction { handle, deadline, engine: self.shared.engine.clone() })
    }

    /// Lists rows that cannot be synchronised as they are, oldest first.
    ///
    /// # Errors
    /// Only of the database.
    pub async fn refused_rows(&self) -> Result<Vec<RefusedRow>> {
        let schema = self.shared.engine.schema.clone();
        Ok(self.database().read(move |connection| refused_rows::list(connection, &schema)).await?)
    }

    /// Makes all refused rows pending again; those that had left their table are put back. Answers how many.
    ///
    /// # Errors
    /// SQLite's, where a row still cannot be put back (its parent or a unique value is still in the way);
    /// nothing was changed then.
    pub async fn retry_refused(&self) -> Result<i64> {
        self.act_on_inbox(refused_rows::Action::Retry(RowValues::new())).await
    }

    /// Makes one refused row pending again, with `changes` to its columns; the key as [`RefusedRow::key`] has it.
    /// Answers whether it was in the inbox.
    ///
    /// # Errors
    /// As [`retry_refused`](Self::retry_refused); [`ErrorKind::Configuration`] where the table is not configured or
    /// has no such column.
    pub async fn retry_refused_row(&self, table: &str, key: &str, changes: RowValues) -> Result<bool> {
        self.act_on_refused_row(table, key, refused_rows::Action::Retry(changes)).await
    }

    /// Gives up the local changes of all refused rows. Rows that the server never had leave their tables; what the
    /// server has comes back with the next sync, which downloads everything anew for that. Answers how many.
    ///
    /// # Errors
    /// Only of the database.
    pub async fn discard_refused(&self) -> Result<i64> {
        self.act_on_inbox(refused_rows::Action::Discard).await
    }

    /// Gives up the local change of one refused row, as [`discard_refused`](Self::discard_refused) does for all.
    /// Answers whether it was in the inbox.
    ///
    /// # Errors
    /// Of the database; [`ErrorKind::Configuration`] where the table is not configured.
    pub async fn discard_refused_row(&self, table: &str, key: &str) -> Result<bool> {
        self.act_on_refused_row(table, key, refused_rows::Action::Discard).await
    }

    async fn act_on_inbox(&self, action: refused_rows::Action) -> Result<i64> {
        let (schema, now_ms) = (self.shared.engine.schema.clone(), self.now_ms());
        Ok(self
            .database()
            .host_transaction(now_ms, move |transaction| {
                refused_rows::act_on_all(transaction, &schema, &action, now_ms)
            })
            .await?)
    }

    async fn act_on_refused_row(&self, table: &str, key: &str, action: refused_rows::Action) -> Result<bool> {
        let (schema, now_ms) = (self.shared.engine.schema.clone(), self.now_ms());
        let (table, key) = (table.to_owned(), key.to_owned());
        Ok(self
            .database()
            .host_transaction(now_ms, move |transaction| {
                refused_rows::act(transaction, &schema, &table, &key, &action, now_ms)
            })
            .await?)
    }

    /// Waits for a running operation and closes the database, once the last clone is closed or dropped.
    pub async fn close(self) {
        let _last = self.shared.operation.lock().await;
    }

    fn now_ms(&self) -> i64 {
        self.shared.engine.clock.now_ms()
    }

    fn database(&self) -> &Database {
        &self.shared.engine.database
    }

    /// Runs an operation on a task of its own, one at a time, and fills in what is counted for all of them.
    async fn operate<F, W>(&self, work: F) -> Result<Report>
    where
        F: FnOnce(Arc<Engine>, Report) -> W + Send + 'static,
        W: Future<Output = Result<Report>> + Send + 'static,
    {
        let (engine, operation) = (self.shared.engine.clone(), self.shared.operation.clone());
        let task = tokio::spawn(async move {
            let _one_at_a_time = operation.lock_owned().await;
            let before = engine.api.traffic();
            let result = work(engine.clone(), Report::default()).await;
            record(&engine, &result).await;
            if result.is_err() {
                engine.forget_negotiated().await;
            }
            let mut report = result?;
            let Traffic { requests, bytes_up, bytes_down } = engine.api.traffic();
            report.requests = requests - before.requests;
            report.bytes_up = bytes_up - before.bytes_up;
            report.bytes_down = bytes_down - before.bytes_down;
            report.refused_rows = engine.refused_rows().await?;
            Ok(report)
        });
        task.await.map_err(|_| {
            Error::new(ErrorKind::Internal, "the operation ended abnormally; what was durable stays")
        })?
    }
}

fn finished(mut report: Report) -> Report {
    if report.moved_rows() {
        report.outcome = Outcome::Done;
    }
    report
}

/// Keeps the error's text for the status; a database that cannot keep it has said so already.
async fn record(engine: &Engine, result: &Result<Report>) {
    let text = result.as_ref().err().map(ToString::to_string);
    let stored = engine
        .database
        .transaction(move |transaction| attachment::set_last_error(transaction, text.as_deref()))
        .await;
    if let Err(error) = stored {
        log::warn!("the last error could not be stored: {error}");
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

/// A write transaction held by the host. Dropping it rolls back.
pub struct Transaction {
    handle: HostTransaction,
    deadline: Duration,
    engine: Arc<Engine>,
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl Transaction {
    /// Runs one statement and answers the number of rows that it changed.
    ///
    /// # Errors
    /// SQLite's; the transaction goes on. [`ErrorKind::Database`] once the deadline has passed.
    pub async fn execute(&self, sql: &str, arguments: Vec<SqlValue>) -> Result<i64> {
        let sql = sql.to_owned();
        Ok(self
            .handle
            .run(self.deadline, move |connection| host_sql::execute(connection, &sql, &arguments))
            .await?)
    }

    /// Runs a query that sees the transaction's own writes.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn query(&self, sql: &str, arguments: Vec<SqlValue>) -> Result<QueryRows> {
        let sql = sql.to_owned();
        Ok(self
            .handle
            .run(self.deadline, move |connection| host_sql::query(connection, &sql, &arguments))
            .await?)
    }

    /// Commits; everything is durable when this returns `Ok`.
    ///
    /// # Errors
    /// SQLite's, or the deadline has passed; nothing was changed then.
    pub async fn commit(self) -> Result<()> {
        let now_ms = self.engine.clock.now_ms();
        Ok(self.handle.commit(self.deadline, now_ms).await?)
    }
}
