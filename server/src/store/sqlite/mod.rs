//! The embedded store: SQLite with WAL, one writer, a reader for what only reads. Rows are the JSON that
//! clients sent; nothing but keys, operations and versions is looked at.

mod commit;
mod history;
mod push;
mod scope;
mod snapshot;

use super::{
    BundlePage, Call, RowPage, Scope, SnapshotPage, StagedRow, Store, StoreError, StoreResult, StoreStatus,
};
use crate::config::ServiceConfig;
use async_trait::async_trait;
use rowtide::protocol::ids::BundleSeq;
use rowtide::protocol::message::{
    CommittedBundle, ConnectResponse, PushSessionReply, PushSessionRequest, SnapshotSession,
    SourceReplacement,
};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

const LAYOUT: i64 = 1;

/// A registered table with its number.
#[derive(Debug, Clone)]
pub(super) struct StoredTable {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) key_column: String,
}

/// The registered tables of the store.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    pub(super) schema: String,
    pub(super) list: Vec<StoredTable>,
}

impl Tables {
    pub(super) fn by_name(&self, name: &str) -> StoreResult<&StoredTable> {
        let found = self.list.iter().find(|table| table.name == name);
        found.ok_or_else(|| StoreError::Failed(format!("table {name} is not registered")))
    }

    pub(super) fn by_id(&self, id: i64) -> StoreResult<&StoredTable> {
        let found = self.list.iter().find(|table| table.id == id);
        found.ok_or_else(|| StoreError::Failed(format!("table number {id} is no longer registered")))
    }
}

/// The embedded store. Clones share one database.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    writer: Mutex<Connection>,
    /// For pages; the writer serves them where the database is in memory.
    reader: Option<Mutex<Connection>>,
    tables: Tables,
}

impl SqliteStore {
    /// Opens or creates a store in a file and registers the tables of the configuration.
    ///
    /// # Errors
    /// The file is no store of a known layout, or a registered table has another key column than before.
    pub fn open(path: &Path, config: &ServiceConfig) -> Result<Self, StoreError> {
        let writer = Connection::open(path)?;
        writer.pragma_update(None, "journal_mode", "wal")?;
        // A commit that was acknowledged must survive the loss of power.
        writer.pragma_update(None, "synchronous", "full")?;
        let reader = Connection::open(path)?;
        reader.pragma_update(None, "query_only", true)?;
        Self::start(writer, Some(reader), config)
    }

    /// A store that ends with the process.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn in_memory(config: &ServiceConfig) -> Result<Self, StoreError> {
        Self::start(Connection::open_in_memory()?, None, config)
    }

    fn start(
        mut writer: Connection,
        reader: Option<Connection>,
        config: &ServiceConfig,
    ) -> Result<Self, StoreError> {
        for connection in [Some(&writer), reader.as_ref()].into_iter().flatten() {
            connection.busy_timeout(std::time::Duration::from_secs(10))?;
            connection.set_prepared_statement_cache_capacity(64);
        }
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        install(&transaction)?;
        let tables = register(&transaction, config)?;
        transaction.commit()?;
        let shared = Shared { writer: Mutex::new(writer), reader: reader.map(Mutex::new), tables };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Runs work in one write transaction, off the async threads.
    async fn write<T, F>(&self, work: F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>, &Tables) -> StoreResult<T> + Send + 'static,
    {
        let shared = self.shared.clone();
        blocking(move || {
            // A panic rolled its transaction back, so the connection is as good as before.
            let mut writer = shared.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&transaction, &shared.tables)?;
            transaction.commit()?;
            Ok(result)
        })
        .await
    }

    /// Runs work on one consistent view, off the async threads.
    async fn read<T, F>(&self, work: F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Tables) -> StoreResult<T> + Send + 'static,
    {
        let shared = self.shared.clone();
        blocking(move || {
            let lock = shared.reader.as_ref().unwrap_or(&shared.writer);
            let mut reader = lock.lock().unwrap_or_else(PoisonError::into_inner);
            let view = reader.transaction()?;
            work(&view, &shared.tables)
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> StoreResult<T> + Send + 'static,
) -> StoreResult<T> {
    if rowtide::simulation::is_on() {
        return work();
    }
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|_| Err(StoreError::Failed("a store operation ended abnormally".into())))
}

fn install(transaction: &Transaction<'_>) -> StoreResult<()> {
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        transaction.execute_batch(include_str!("schema.sql"))?;
        return Ok(());
    }
    let version: rusqlite::Result<i64> =
        transaction.query_row("SELECT layout_version FROM meta", [], |row| row.get(0));
    match version {
        Ok(LAYOUT) => Ok(()),
        Ok(version) => Err(StoreError::Failed(format!(
            "the store has layout {version}, this server knows layout {LAYOUT}"
        ))),
        Err(_) => Err(StoreError::Failed("the file is not a store of this server; name another file".into())),
    }
}

fn register(transaction: &Transaction<'_>, config: &ServiceConfig) -> StoreResult<Tables> {
    for registration in &config.tables {
        transaction.execute(
            "INSERT INTO tables (schema_name, table_name, key_column) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            [&config.schema, &registration.table, &registration.key_column],
        )?;
    }
    let mut statement = transaction.prepare(
        "SELECT table_id, table_name, key_column FROM tables WHERE schema_name = ?1 ORDER BY table_id",
    )?;
    let stored = statement
        .query_map([&config.schema], |row| {
            Ok(StoredTable { id: row.get(0)?, name: row.get(1)?, key_column: row.get(2)? })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for registration in &config.tables {
        let same = |table: &&StoredTable| {
            table.name == registration.table && table.key_column != registration.key_column
        };
        if let Some(table) = stored.iter().find(same) {
            return Err(StoreError::Failed(format!(
                "table {} is stored with key column {} and registered with {}; register it as stored",
                table.name, table.key_column, registration.key_column
            )));
        }
    }
    Ok(Tables { schema: config.schema.clone(), list: stored })
}

#[async_trait]
impl Store for SqliteStore {
    async fn connect(&self, call: &Call, pending: bool) -> StoreResult<ConnectResponse> {
        let call = call.clone();
        self.write(move |t, _| scope::connect(t, &call, pending)).await
    }

    async fn create_push_session(
        &self,
        call: &Call,
        request: &PushSessionRequest,
    ) -> StoreResult<PushSessionReply> {
        let (call, request) = (call.clone(), request.clone());
        self.write(move |t, _| push::create(t, &call, &request)).await
    }

    async fn stage_rows(
        &self,
        call: &Call,
        push_id: &str,
        start: i64,
        rows: Vec<StagedRow>,
    ) -> StoreResult<i64> {
        let (call, push_id) = (call.clone(), push_id.to_owned());
        self.write(move |t, tables| push::stage(t, tables, &call, &push_id, start, &rows)).await
    }

    async fn commit(&self, call: &Call, push_id: &str) -> StoreResult<CommittedBundle> {
        let (call, push_id) = (call.clone(), push_id.to_owned());
        let committed = self.write(move |t, tables| commit::commit(t, tables, &call, &push_id)).await?;
        committed.map_err(StoreError::Refused)
    }

    async fn delete_push_session(&self, call: &Call, push_id: &str) -> StoreResult<()> {
        let (call, push_id) = (call.clone(), push_id.to_owned());
        self.write(move |t, _| push::delete(t, &call, &push_id)).await
    }

    async fn committed_rows(
        &self,
        call: &Call,
        seq: BundleSeq,
        after: Option<i64>,
        max_rows: i64,
    ) -> StoreResult<RowPage<CommittedBundle>> {
        let call = call.clone();
        self.read(move |c, tables| history::committed_rows(c, tables, &call, seq, after, max_rows)).await
    }

    async fn pull(
        &self,
        call: &Call,
        after: BundleSeq,
        max_bundles: i64,
        target: Option<BundleSeq>,
    ) -> StoreResult<BundlePage> {
        let call = call.clone();
        self.read(move |c, tables| history::pull(c, tables, &call, after, max_bundles, target)).await
    }

    async fn create_snapshot(
        &self,
        call: &Call,
        replacement: Option<&SourceReplacement>,
        tables: Option<Vec<String>>,
    ) -> StoreResult<SnapshotSession> {
        let (call, replacement) = (call.clone(), replacement.cloned());
        self.write(move |t, known| {
            let wanted = tables.map(|names| snapshot::wanted(known, &names)).transpose()?;
            snapshot::create(t, &call, replacement.as_ref(), wanted.as_deref())
        })
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
        let (call, snapshot_id) = (call.clone(), snapshot_id.to_owned());
        self.read(move |c, tables| snapshot::rows(c, tables, &call, &snapshot_id, after, max_rows, max_bytes))
            .await
    }

    async fn delete_snapshot(&self, call: &Call, snapshot_id: &str) -> StoreResult<()> {
        let (call, snapshot_id) = (call.clone(), snapshot_id.to_owned());
        self.write(move |t, _| snapshot::delete(t, &call, &snapshot_id)).await
    }

    async fn latest(&self, call: &Call) -> StoreResult<BundleSeq> {
        let call = call.clone();
        self.read(move |c, _| Ok(scope::initialized(c, &call)?.latest)).await
    }

    async fn status(&self) -> StoreResult<StoreStatus> {
        self.read(|c, _| scope::status(c)).await
    }

    async fn purge_expired(&self, now_ms: i64) -> StoreResult<()> {
        self.write(move |t, _| {
            push::purge_expired(t, None, now_ms)?;
            snapshot::purge_expired(t, None, now_ms)
        })
        .await
    }

    async fn set_retained_floor(&self, scope: &Scope, floor: BundleSeq) -> StoreResult<bool> {
        let scope = scope.clone();
        self.write(move |t, _| scope::set_floor(t, &scope, floor)).await
    }

    async fn reset(&self) -> StoreResult<()> {
        self.write(|t, _| scope::reset(t)).await
    }
}
