//! The store on PostgreSQL. The application's own tables are authoritative; triggers capture what bundles do to them,
//! and the schema `rowtide` holds history, versions and sessions. A user has one history, which both wire generations
//! read and write.

mod adoption;
mod commit;
mod conflicts;
mod connection;
mod discovery;
mod failure;
mod history;
mod listen;
mod migrations;
mod payload;
mod push;
mod refused;
mod registration;
mod scope;
mod snapshot;
mod tables;
mod writer;

use super::{
    BundlePage, Call, RowPage, Scope, SnapshotPage, StagedRow, Store, StoreChange, StoreError, StoreResult,
    StoreStatus,
};
use crate::config::ServiceConfig;
use async_trait::async_trait;
use connection::{Access, Connections, Tx};
use failure::PgResult;
use futures_util::future::BoxFuture;
use rowtide::protocol::ids::BundleSeq;
use rowtide::protocol::message::{
    CommittedBundle, ConnectResponse, PushSessionReply, PushSessionRequest, SnapshotSession,
    SourceReplacement,
};
use std::sync::Arc;
use tables::Tables;
use tokio::sync::broadcast;
pub use writer::{BundleWriter, WriteError};

/// The store on PostgreSQL. Clones share its connections.
#[derive(Clone)]
pub struct PostgresStore {
    connections: Arc<Connections>,
    tables: Arc<Tables>,
    changes: broadcast::Sender<StoreChange>,
}

impl PostgresStore {
    /// Connects, brings the schema `rowtide` up to date, checks and registers the configuration's tables, and makes
    /// bundles of rows that were in them before. All of it is durable; a start that is cut off is made again.
    ///
    /// `listen_url` names the database for LISTEN where `url` goes through a transaction pooler, which cannot do that.
    ///
    /// # Errors
    /// The database is not reached, or the tables are not what the protocol needs: then nothing was installed, and the
    /// error names every table, column and constraint, and the mend.
    pub async fn open(url: &str, listen_url: Option<&str>, config: &ServiceConfig) -> StoreResult<Self> {
        let listener = connection::parse_url(listen_url.unwrap_or(url))?;
        let connections = Arc::new(Connections::new(connection::parse_url(url)?)?);
        let config = Arc::new(config.clone());
        let tables = connections
            .run(Access::Write, move |tx| {
                let config = config.clone();
                Box::pin(async move {
                    migrations::lock(tx).await?;
                    let mut tables = discovery::discover(tx, &config).await?;
                    migrations::migrate(tx).await?;
                    registration::register(tx, &mut tables).await?;
                    Ok(tables)
                })
            })
            .await?;
        let tables = Arc::new(tables);
        adoption::adopt(&connections, &tables).await?;
        let changes = listen::start(listener);
        Ok(Self { connections, tables, changes })
    }

    /// Runs statements in one transaction, before a store is opened.
    pub(crate) async fn execute(url: &str, statements: &str) -> StoreResult<()> {
        let connections = Connections::new(connection::parse_url(url)?)?;
        let statements = Arc::<str>::from(statements);
        connections
            .run(Access::Write, move |tx| {
                let statements = statements.clone();
                Box::pin(async move { tx.batch(&statements).await })
            })
            .await
    }

    async fn read<T, F>(&self, work: F) -> StoreResult<T>
    where
        T: Send,
        F: for<'a> Fn(&'a Tx) -> BoxFuture<'a, PgResult<T>> + Send + Sync,
    {
        self.connections.run(Access::Read, work).await
    }

    async fn write<T, F>(&self, user: &str, work: F) -> StoreResult<T>
    where
        T: Send,
        F: for<'a> Fn(&'a Tx) -> BoxFuture<'a, PgResult<T>> + Send + Sync,
    {
        let _turn = self.connections.turn(user).await;
        self.connections.run(Access::Write, work).await
    }
}

/// A transaction's work, which owns what it needs so that it can be tried again.
macro_rules! work {
    ([$($name:ident),*] |$tx:ident| $body:expr) => {{
        $(let $name = $name.clone();)*
        move |$tx| {
            $(let $name = $name.clone();)*
            let future: BoxFuture<'_, _> = Box::pin(async move { $body.await });
            future
        }
    }};
}

async fn purge(tx: &Tx, user: &str, now_ms: i64) -> PgResult<()> {
    push::purge_expired(tx, user, now_ms).await?;
    snapshot::purge_expired(tx, user, now_ms).await
}

#[async_trait]
impl Store for PostgresStore {
    async fn connect(&self, call: &Call, pending: bool) -> StoreResult<ConnectResponse> {
        self.write(&call.scope.user, work!([call] | tx | scope::connect(tx, &call, pending))).await
    }

    async fn create_push_session(
        &self,
        call: &Call,
        request: &PushSessionRequest,
    ) -> StoreResult<PushSessionReply> {
        let tables = &self.tables;
        self.write(
            &call.scope.user,
            work!([call, tables, request] | tx | push::create(tx, &tables, &call, &request)),
        )
        .await
    }

    async fn stage_rows(
        &self,
        call: &Call,
        push_id: &str,
        start: i64,
        rows: Vec<StagedRow>,
    ) -> StoreResult<i64> {
        let (tables, rows, push_id) = (&self.tables, Arc::new(rows), Arc::<str>::from(push_id));
        self.write(
            &call.scope.user,
            work!(
                [call, tables, rows, push_id] | tx | push::stage(tx, &tables, &call, &push_id, start, &rows)
            ),
        )
        .await
    }

    async fn commit(&self, call: &Call, push_id: &str) -> StoreResult<CommittedBundle> {
        let (tables, push_id) = (&self.tables, Arc::<str>::from(push_id));
        let committed = self
            .write(
                &call.scope.user,
                work!([call, tables, push_id] | tx | commit::commit(tx, &tables, &call, &push_id)),
            )
            .await?;
        committed.map_err(StoreError::Refused)
    }

    async fn delete_push_session(&self, call: &Call, push_id: &str) -> StoreResult<()> {
        let push_id = Arc::<str>::from(push_id);
        self.write(&call.scope.user, work!([call, push_id] | tx | push::delete(tx, &call, &push_id))).await
    }

    async fn committed_rows(
        &self,
        call: &Call,
        seq: BundleSeq,
        after: Option<i64>,
        max_rows: i64,
    ) -> StoreResult<RowPage<CommittedBundle>> {
        let tables = &self.tables;
        self.read(work!(
            [call, tables] | tx | history::committed_rows(tx, &tables, &call, seq, after, max_rows)
        ))
        .await
    }

    async fn pull(
        &self,
        call: &Call,
        after: BundleSeq,
        max_bundles: i64,
        target: Option<BundleSeq>,
    ) -> StoreResult<BundlePage> {
        let tables = &self.tables;
        self.read(work!([call, tables] | tx | history::pull(tx, &tables, &call, after, max_bundles, target)))
            .await
    }

    async fn create_snapshot(
        &self,
        call: &Call,
        replacement: Option<&SourceReplacement>,
        tables: Option<Vec<String>>,
    ) -> StoreResult<SnapshotSession> {
        let (known, wanted, replacement) = (&self.tables, tables, replacement.cloned());
        self.connections
            .run(
                Access::Copy,
                work!(
                    [call, known, wanted, replacement]
                        | tx
                        | snapshot::create(tx, &known, &call, replacement.as_ref(), wanted.as_deref())
                ),
            )
            .await
    }

    async fn snapshot_rows(
        &self,
        call: &Call,
        snapshot_id: &str,
        after: i64,
        max_rows: i64,
        max_bytes: i64,
    ) -> StoreResult<SnapshotPage> {
        let (tables, id) = (&self.tables, Arc::<str>::from(snapshot_id));
        self.read(work!(
            [call, tables, id] | tx | snapshot::rows(tx, &tables, &call, &id, after, max_rows, max_bytes)
        ))
        .await
    }

    async fn delete_snapshot(&self, call: &Call, snapshot_id: &str) -> StoreResult<()> {
        let id = Arc::<str>::from(snapshot_id);
        self.connections.run(Access::Write, work!([call, id] | tx | snapshot::delete(tx, &call, &id))).await
    }

    async fn latest(&self, call: &Call) -> StoreResult<BundleSeq> {
        let found = self.read(work!([call] | tx | scope::initialized(tx, &call))).await?;
        Ok(found.latest)
    }

    async fn status(&self) -> StoreResult<StoreStatus> {
        self.read(|tx| Box::pin(scope::status(tx))).await
    }

    async fn purge_expired(&self, now_ms: i64) -> StoreResult<()> {
        loop {
            let users = self.read(work!([now_ms] | tx | scope::with_expired_sessions(tx, now_ms))).await?;
            for user in &users {
                self.write(user, work!([user, now_ms] | tx | purge(tx, &user, now_ms))).await?;
            }
            if users.is_empty() {
                return Ok(());
            }
        }
    }

    async fn set_retained_floor(&self, scope: &Scope, floor: BundleSeq) -> StoreResult<bool> {
        let user = Arc::<str>::from(scope.user.as_str());
        self.write(&scope.user, work!([user] | tx | scope::set_floor(tx, &user, floor))).await
    }

    async fn reset(&self) -> StoreResult<()> {
        let tables = &self.tables;
        self.connections.run(Access::Write, work!([tables] | tx | scope::reset(tx, &tables))).await
    }

    fn changes(&self) -> Option<broadcast::Receiver<StoreChange>> {
        Some(self.changes.subscribe())
    }
}
