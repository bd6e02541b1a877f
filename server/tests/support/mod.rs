//! A service with a clock of the test's, called in process.
#![allow(dead_code, unreachable_pub)]

#[cfg(feature = "postgres")]
pub mod database;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use rowtide::Clock;
use rowtide::protocol::hash::{BundleHasher, HashedRow};
use rowtide::protocol::ids::RowVersion;
use rowtide::protocol::message::RowOp;
use rowtide::protocol::profile::WireGeneration;
use rowtide_server::{
    JwtAuthenticator, Limits, Registration, Service, ServiceConfig, SqliteStore, Store, router,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tower::ServiceExt;

pub const BOTH: [WireGeneration; 2] = [WireGeneration::A, WireGeneration::B];

/// A store and a generation: what every case has to hold on.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    pub generation: WireGeneration,
    pub store: Kind,
}

/// The stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Embedded,
    #[cfg(feature = "postgres")]
    Postgres,
}

/// Every store in every generation.
pub const SETUPS: &[Setup] = &[
    Setup { generation: WireGeneration::A, store: Kind::Embedded },
    Setup { generation: WireGeneration::B, store: Kind::Embedded },
    #[cfg(feature = "postgres")]
    Setup { generation: WireGeneration::A, store: Kind::Postgres },
    #[cfg(feature = "postgres")]
    Setup { generation: WireGeneration::B, store: Kind::Postgres },
];

/// Every store, in one generation.
pub fn stores(generation: WireGeneration) -> impl Iterator<Item = Setup> {
    SETUPS.iter().copied().filter(move |setup| setup.generation == generation)
}

/// Where a server's data is, for as long as the test needs it.
#[derive(Clone)]
pub enum Data {
    Memory,
    File(Arc<tempfile::TempDir>),
    #[cfg(feature = "postgres")]
    Database(Arc<database::Database>),
}

impl Data {
    /// Data that outlive their server.
    pub async fn durable(store: Kind) -> Self {
        match store {
            Kind::Embedded => Self::File(Arc::new(tempfile::TempDir::new().unwrap())),
            #[cfg(feature = "postgres")]
            Kind::Postgres => Self::Database(Arc::new(database::Database::create(TABLES).await)),
        }
    }

    async fn of_one_server(store: Kind) -> Self {
        match store {
            Kind::Embedded => Self::Memory,
            #[cfg(feature = "postgres")]
            Kind::Postgres => Self::durable(store).await,
        }
    }

    async fn open(&self, config: &ServiceConfig) -> Arc<dyn Store> {
        match self {
            Self::Memory => Arc::new(SqliteStore::in_memory(config).unwrap()),
            Self::File(folder) => {
                Arc::new(SqliteStore::open(&folder.path().join("store.db"), config).unwrap())
            }
            #[cfg(feature = "postgres")]
            Self::Database(database) => {
                Arc::new(rowtide_server::PostgresStore::open(&database.url, None, config).await.unwrap())
            }
        }
    }
}

/// The tables of the tests in PostgreSQL.
pub const TABLES: &str = "
    CREATE SCHEMA business;
    CREATE TABLE business.users (
        _sync_scope_id text NOT NULL, id text NOT NULL, name text, big bigint, exact numeric, small double precision,
        PRIMARY KEY (_sync_scope_id, id));
    CREATE TABLE business.posts (
        _sync_scope_id text NOT NULL, id text NOT NULL, name text, PRIMARY KEY (_sync_scope_id, id));";
const SECRET: &[u8] = b"a secret";

#[derive(Clone)]
pub struct TestClock(Arc<AtomicI64>);

#[async_trait]
impl Clock for TestClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
    async fn sleep(&self, _: Duration) {
        unreachable!("the server waits for nothing")
    }
}

/// An answer: status and body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
    /// The body before serde rounds its numbers.
    pub text: String,
    pub retry_after: Option<String>,
}

impl Answer {
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.body);
        self.body
    }

    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.body["error"].as_str()), (status, Some(code)), "{}", self.body);
        self.body
    }
}

/// A configuration of tables whose key is `id`.
pub fn config(tables: &[&str], generation: WireGeneration) -> ServiceConfig {
    let table = |table: &&str| Registration { table: (*table).into(), key_column: "id".into() };
    let tables: Vec<_> = tables.iter().map(table).collect();
    ServiceConfig::new(generation, "business", &tables).unwrap()
}

pub struct Server {
    pub generation: WireGeneration,
    pub service: Service,
    pub clock: TestClock,
    router: axum::Router,
    jwt: Arc<JwtAuthenticator>,
    /// Dropped last.
    data: Data,
}

impl Server {
    pub async fn new(setup: &Setup) -> Self {
        Self::with(setup, Limits::default()).await
    }

    pub async fn with(setup: &Setup, limits: Limits) -> Self {
        Self::on(setup.generation, limits, &Data::of_one_server(setup.store).await).await
    }

    /// A server on data that may have been there before.
    pub async fn on(generation: WireGeneration, limits: Limits, data: &Data) -> Self {
        Self::of_tables(&["users", "posts"], generation, limits, data).await
    }

    /// A server with other tables, which the data must have.
    pub async fn of_tables(tables: &[&str], generation: WireGeneration, limits: Limits, data: &Data) -> Self {
        let mut config = config(tables, generation);
        config.limits = limits;
        let store = data.open(&config).await;
        let clock = TestClock(Arc::new(AtomicI64::new(1_800_000_000_000)));
        let service = Service::with_clock(config, store, Arc::new(clock.clone()));
        let jwt = Arc::new(JwtAuthenticator::hs256(SECRET));
        let router = router(service.clone(), jwt.clone());
        Self { generation, router, service, clock, jwt, data: data.clone() }
    }

    /// The database that the server is on, where it is on one.
    #[cfg(feature = "postgres")]
    pub fn database(&self) -> Option<&database::Database> {
        match &self.data {
            Data::Database(database) => Some(database),
            _ => None,
        }
    }

    pub fn advance(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    pub fn token(&self, user: &str, expires_at: i64) -> String {
        self.jwt.sign(user, expires_at).unwrap()
    }

    pub async fn raw(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let header = response.headers().get("retry-after");
        let retry_after = header.map(|value| value.to_str().unwrap().to_owned());
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status, body, text, retry_after }
    }

    pub async fn call(&self, source: &str, method: &str, path: &str, body: Option<String>) -> Answer {
        self.call_of("ada", source, method, path, body).await
    }

    /// A call of any user.
    pub async fn call_of(
        &self,
        user: &str,
        source: &str,
        method: &str,
        path: &str,
        body: Option<String>,
    ) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!("/sync/{path}"))
            .header("authorization", format!("Bearer {}", self.token(user, 4_102_444_800)))
            .header("oversync-source-id", source)
            .body(body.map_or_else(Body::empty, Body::from))
            .unwrap();
        self.raw(request).await
    }

    pub async fn get(&self, source: &str, path: &str) -> Answer {
        self.call(source, "GET", path, None).await
    }

    pub async fn post(&self, source: &str, path: &str, body: &Value) -> Answer {
        self.call(source, "POST", path, Some(body.to_string())).await
    }

    pub async fn connect(&self, source: &str, pending: bool) -> Answer {
        self.post(source, "connect", &json!({ "has_local_pending_rows": pending })).await
    }

    /// Opens a session for rows.
    pub async fn create(&self, source: &str, id: i64, rows: &[Value], lease: Option<&str>) -> Answer {
        let mut body = json!({ "source_bundle_id": id, "planned_row_count": rows.len() });
        if let Some(lease) = lease {
            body["initialization_id"] = json!(lease);
        }
        if self.generation == WireGeneration::B {
            body["canonical_request_hash"] = json!(request_hash(rows));
        }
        self.post(source, "push-sessions", &body).await
    }

    /// Uploads rows to the commit, which is answered.
    pub async fn push(&self, source: &str, id: i64, rows: &[Value]) -> Answer {
        let session = self.create(source, id, rows, None).await.ok();
        let push_id = session["push_id"].as_str().unwrap().to_owned();
        let chunk = json!({ "start_row_ordinal": 0, "rows": rows });
        self.post(source, &format!("push-sessions/{push_id}/chunks"), &chunk).await.ok();
        self.call(source, "POST", &format!("push-sessions/{push_id}/commit"), None).await
    }

    /// A scope that is initialised and has these rows.
    pub async fn seeded(self, rows: &[Value]) -> Self {
        self.connect("seeder", false).await.ok();
        self.push("seeder", 1, rows).await.ok();
        self
    }
}

pub fn request_hash(rows: &[Value]) -> String {
    let mut hasher = BundleHasher::new(WireGeneration::B);
    for row in rows {
        let payload = row.get("payload").map(Value::to_string);
        let hashed = HashedRow {
            schema: row["schema"].as_str().unwrap(),
            table: row["table"].as_str().unwrap(),
            key_column: "id",
            key: row["key"]["id"].as_str().unwrap(),
            op: RowOp::parse(row["op"].as_str().unwrap()).unwrap(),
            payload: payload.as_deref(),
        };
        hasher.request_row(&hashed, RowVersion(row["base_row_version"].as_i64().unwrap())).unwrap();
    }
    hasher.finish()
}

/// A row of an upload; a name makes it an upsert.
pub fn row(op: &str, key: &str, base: i64, name: Option<&str>) -> Value {
    let mut row = json!({
        "schema": "business", "table": "users", "key": { "id": key }, "op": op, "base_row_version": base,
    });
    if let Some(name) = name {
        row["payload"] = json!({ "id": key, "name": name });
    }
    row
}

pub fn insert(key: &str) -> Value {
    row("INSERT", key, 0, Some("n"))
}
