//! The pool, and transactions on it: each on one connection, retried where PostgreSQL asks for that.
//!
//! Statements are sent unnamed, with their types: nothing is prepared on a connection, and every setting is local to
//! its transaction, so that a transaction pooler may stand in between.

use super::failure::{PgError, PgResult};
use crate::store::StoreError;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Config, Row, RowStream};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Connections of one process.
const CONNECTIONS: usize = 16;
/// How often a transaction is tried that others stand in the way of.
const ATTEMPTS: u32 = 5;
/// How long a transaction waits for a lock of another process before it is tried again.
const LOCK_TIMEOUT_MS: u32 = 10_000;

/// A parameter with its type.
pub(super) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

pub(super) fn text<'a>(value: &'a (dyn ToSql + Sync)) -> Param<'a> {
    (value, Type::TEXT)
}

pub(super) fn int8<'a>(value: &'a (dyn ToSql + Sync)) -> Param<'a> {
    (value, Type::INT8)
}

pub(super) fn int4<'a>(value: &'a (dyn ToSql + Sync)) -> Param<'a> {
    (value, Type::INT4)
}

pub(super) fn texts<'a>(value: &'a (dyn ToSql + Sync)) -> Param<'a> {
    (value, Type::TEXT_ARRAY)
}

/// Parses a URL; its errors name no password.
pub(super) fn parse_url(url: &str) -> Result<Config, StoreError> {
    let mut config: Config = url.parse().map_err(|_| {
        StoreError::Failed("the database URL is not postgres://USER:PASSWORD@HOST:PORT/DATABASE".into())
    })?;
    config.application_name("rowtide");
    config.connect_timeout(Duration::from_secs(10));
    Ok(config)
}

/// TLS where the URL's `sslmode` or the server asks for it, checked against the public certificate authorities.
pub(super) fn tls() -> MakeRustlsConnect {
    // Another part of the process may have chosen a provider already; either one does.
    let _ = rustls::crypto::ring::default_provider().install_default();
    MakeRustlsConnect::with_webpki_roots()
}

/// A transaction. One that is dropped unfinished takes its connection along, which rolls it back.
pub(super) struct Tx {
    connection: Option<Object>,
}

impl Tx {
    fn client(&self) -> &tokio_postgres::Client {
        self.connection.as_ref().expect("a transaction has its connection until it ends")
    }

    pub(super) async fn execute(&self, sql: &str, params: &[Param<'_>]) -> PgResult<u64> {
        Ok(self.client().execute_typed(sql, params).await?)
    }

    pub(super) async fn rows(&self, sql: &str, params: &[Param<'_>]) -> PgResult<Vec<Row>> {
        Ok(self.client().query_typed(sql, params).await?)
    }

    pub(super) async fn optional(&self, sql: &str, params: &[Param<'_>]) -> PgResult<Option<Row>> {
        Ok(self.client().query_typed_opt(sql, params).await?)
    }

    pub(super) async fn one(&self, sql: &str, params: &[Param<'_>]) -> PgResult<Row> {
        Ok(self.client().query_typed_one(sql, params).await?)
    }

    /// Rows as they arrive, for results that do not fit into memory.
    pub(super) async fn stream(&self, sql: &str, params: &[Param<'_>]) -> PgResult<RowStream> {
        let params = params.iter().map(|(value, kind)| (*value, kind.clone()));
        Ok(self.client().query_typed_raw(sql, params).await?)
    }

    /// Several statements without parameters.
    pub(super) async fn batch(&self, sql: &str) -> PgResult<()> {
        Ok(self.client().batch_execute(sql).await?)
    }

    pub(super) async fn end(mut self, sql: &str) -> PgResult<()> {
        self.batch(sql).await?;
        drop(self.connection.take());
        Ok(())
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(Object::take(connection));
        }
    }
}

/// Whether a transaction writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// One consistent view.
    Read,
    /// One consistent view, from which something is written that no other transaction touches.
    Copy,
    /// Each statement sees what was committed before it.
    Write,
}

impl Access {
    fn begin(self) -> &'static str {
        match self {
            Self::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Self::Copy => "BEGIN ISOLATION LEVEL REPEATABLE READ",
            // Whatever the database's default is: what waits for a user's lock has to see what its holder wrote.
            Self::Write => "BEGIN ISOLATION LEVEL READ COMMITTED",
        }
    }

    /// Sessions and new bundles are younger than the statistics: what is read in the order of a key is read by the key,
    /// and not collected and sorted.
    fn plans(self) -> &'static str {
        match self {
            Self::Read | Self::Write => "SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off",
            Self::Copy => "",
        }
    }
}

/// The connections of a store.
pub(super) struct Connections {
    pool: Pool,
    /// Writers of one user wait here, so that no more than one connection waits for the user's lock.
    turns: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

impl Connections {
    pub(super) fn new(config: Config) -> Result<Self, StoreError> {
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(config, tls(), manager);
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(Duration::from_secs(30)))
            .create_timeout(Some(Duration::from_secs(10)))
            .build()
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        Ok(Self { pool, turns: Mutex::default() })
    }

    pub(super) async fn begin(&self, access: Access) -> PgResult<Tx> {
        let connection = self.pool.get().await.map_err(PgError::pool)?;
        let tx = Tx { connection: Some(connection) };
        let (begin, plans) = (access.begin(), access.plans());
        tx.batch(&format!(
            "{begin}; SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL extra_float_digits = 1;
             SET LOCAL intervalstyle = 'postgres'; SET LOCAL bytea_output = 'hex'; SET LOCAL jit = off;
             SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}; {plans}"
        ))
        .await?;
        Ok(tx)
    }

    /// Runs work in a transaction, and again where it met others.
    pub(super) async fn run<T, F>(&self, access: Access, work: F) -> Result<T, StoreError>
    where
        T: Send,
        F: for<'a> Fn(&'a Tx) -> BoxFuture<'a, PgResult<T>> + Send + Sync,
    {
        let mut attempt = 1;
        loop {
            match self.attempt(access, &work).await {
                Err(error) if Self::tries_again(&error, attempt).await => attempt += 1,
                result => return Ok(result?),
            }
        }
    }

    /// Whether a transaction is tried again after its attempt number `attempt`, and the pause before that.
    pub(super) async fn tries_again(error: &PgError, attempt: u32) -> bool {
        if !error.is_worth_another_attempt() || attempt >= ATTEMPTS {
            return false;
        }
        log::info!("a transaction is tried again: {error}");
        crate::metrics::metrics().retries.inc();
        tokio::time::sleep(Duration::from_millis(u64::from(20 * attempt) + rand_ms())).await;
        true
    }

    async fn attempt<T, F>(&self, access: Access, work: &F) -> PgResult<T>
    where
        T: Send,
        F: for<'a> Fn(&'a Tx) -> BoxFuture<'a, PgResult<T>> + Send + Sync,
    {
        let tx = self.begin(access).await?;
        match work(&tx).await {
            Ok(value) => {
                tx.end("COMMIT").await?;
                Ok(value)
            }
            Err(error) => {
                // The connection stays in the pool, unless it is the connection that failed.
                let _ = tx.end("ROLLBACK").await;
                Err(error)
            }
        }
    }

    /// Waits until no other task of this process writes for the user.
    pub(super) async fn turn(&self, user: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            match turns.get(user).and_then(Weak::upgrade) {
                Some(turn) => turn,
                None => {
                    let turn = Arc::new(tokio::sync::Mutex::new(()));
                    turns.insert(user.to_owned(), Arc::downgrade(&turn));
                    turn
                }
            }
        };
        turn.lock_owned().await
    }
}

/// A few milliseconds of chance, so that two that met do not meet again.
fn rand_ms() -> u64 {
    let byte = uuid::Uuid::new_v4().as_bytes()[0];
    u64::from(byte % 20)
}
