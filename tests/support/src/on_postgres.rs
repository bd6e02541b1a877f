//! A store on a PostgreSQL database of its own, opened once a device has said what its tables are like.

use crate::columns::{Columns, columns, statements};
use crate::database::Database;
use async_trait::async_trait;
use rowtide::protocol::ids::BundleSeq;
use rowtide::protocol::message::{
    CommittedBundle, ConnectResponse, PushSessionReply, PushSessionRequest, SnapshotSession,
    SourceReplacement,
};
use rowtide_server::{
    BundlePage, Call, PostgresStore, RowPage, Scope, ServiceConfig, SnapshotPage, StagedRow, Store,
    StoreChange, StoreError, StoreStatus,
};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Mutex, broadcast};

type StoreResult<T> = Result<T, StoreError>;

pub(crate) struct OnPostgres {
    config: ServiceConfig,
    changes: broadcast::Sender<StoreChange>,
    open: Mutex<Option<Open>>,
    is_final: AtomicBool,
}

struct Open {
    store: PostgresStore,
    columns: Columns,
    database: Database,
}

impl OnPostgres {
    pub(crate) fn new(config: ServiceConfig) -> Self {
        Self {
            config,
            changes: broadcast::channel(64).0,
            open: Mutex::default(),
            is_final: AtomicBool::new(false),
        }
    }

    pub(crate) fn tables_are_final(&self) {
        self.is_final.store(true, Ordering::SeqCst);
    }

    /// Gives the database the tables of a schema, and opens the store on them.
    pub(crate) async fn create_tables(&self, schema: &str) {
        let wanted = columns(schema, &self.config.tables).expect("the schema is valid");
        let mut open = self.open.lock().await;
        if open.is_some() && self.is_final.load(Ordering::SeqCst) {
            return;
        }
        let known = open.as_ref().map(|open| open.columns.clone());
        let mut all = known.clone().unwrap_or_default();
        for (table, columns) in wanted {
            let of_table = all.entry(table).or_default();
            for (column, kind) in columns {
                of_table.entry(column).or_insert(kind);
            }
        }
        if known.as_ref() == Some(&all) {
            return;
        }
        let sql = statements(&all, &self.config.schema, &self.config.tables);
        let database = match open.take() {
            Some(before) => before.database,
            None => Database::create("").await,
        };
        database.connect().await.batch_execute(&sql).await.expect("the tables are created");
        let store = PostgresStore::open(&database.url, None, &self.config).await.expect("the store opens");
        self.forward(&store);
        *open = Some(Open { store, columns: all, database });
    }

    fn forward(&self, store: &PostgresStore) {
        let (sender, mut changes) = (self.changes.clone(), store.changes());
        tokio::spawn(async move {
            while let Some(Ok(change)) = match &mut changes {
                Some(changes) => Some(changes.recv().await),
                None => None,
            } {
                // Nobody may be watching.
                let _ = sender.send(change);
            }
        });
    }

    async fn store(&self) -> PostgresStore {
        if self.open.lock().await.is_none() {
            self.create_tables("").await;
        }
        let open = self.open.lock().await;
        open.as_ref().expect("it was opened, and stays open").store.clone()
    }
}

#[async_trait]
impl Store for OnPostgres {
    async fn connect(&self, call: &Call, pending: bool) -> StoreResult<ConnectResponse> {
        self.store().await.connect(call, pending).await
    }

    async fn create_push_session(
        &self,
        call: &Call,
        request: &PushSessionRequest,
    ) -> StoreResult<PushSessionReply> {
        self.store().await.create_push_session(call, request).await
    }

    async fn stage_rows(
        &self,
        call: &Call,
        push_id: &str,
        start: i64,
        rows: Vec<StagedRow>,
    ) -> StoreResult<i64> {
        self.store().await.stage_rows(call, push_id, start, rows).await
    }

    async fn commit(&self, call: &Call, push_id: &str) -> StoreResult<CommittedBundle> {
        self.store().await.commit(call, push_id).await
    }

    async fn delete_push_session(&self, call: &Call, push_id: &str) -> StoreResult<()> {
        self.store().await.delete_push_session(call, push_id).await
    }

    async fn committed_rows(
        &self,
        call: &Call,
        seq: BundleSeq,
        after: Option<i64>,
        max_rows: i64,
    ) -> StoreResult<RowPage<CommittedBundle>> {
        self.store().await.committed_rows(call, seq, after, max_rows).await
    }

    async fn pull(
        &self,
        call: &Call,
        after: BundleSeq,
        max_bundles: i64,
        target: Option<BundleSeq>,
    ) -> StoreResult<BundlePage> {
        self.store().await.pull(call, after, max_bundles, target).await
    }

    async fn create_snapshot(
        &self,
        call: &Call,
        replacement: Option<&SourceReplacement>,
        tables: Option<Vec<String>>,
    ) -> StoreResult<SnapshotSession> {
        self.store().await.create_snapshot(call, replacement, tables).await
    }

    async fn snapshot_rows(
        &self,
        call: &Call,
        snapshot_id: &str,
        after: i64,
        max_rows: i64,
        max_bytes: i64,
    ) -> StoreResult<SnapshotPage> {
        self.store().await.snapshot_rows(call, snapshot_id, after, max_rows, max_bytes).await
    }

    async fn delete_snapshot(&self, call: &Call, snapshot_id: &str) -> StoreResult<()> {
        self.store().await.delete_snapshot(call, snapshot_id).await
    }

    async fn latest(&self, call: &Call) -> StoreResult<BundleSeq> {
        self.store().await.latest(call).await
    }

    async fn status(&self) -> StoreResult<StoreStatus> {
        self.store().await.status().await
    }

    async fn purge_expired(&self, now_ms: i64) -> StoreResult<()> {
        self.store().await.purge_expired(now_ms).await
    }

    async fn set_retained_floor(&self, scope: &Scope, floor: BundleSeq) -> StoreResult<bool> {
        self.store().await.set_retained_floor(scope, floor).await
    }

    async fn reset(&self) -> StoreResult<()> {
        self.store().await.reset().await
    }

    fn changes(&self) -> Option<broadcast::Receiver<StoreChange>> {
        Some(self.changes.subscribe())
    }
}
