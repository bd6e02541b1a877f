//! Devices: a database in a folder of its own, opened and closed like an app's.
//!
//! In their SQL `@7` is the text key 7 and `$7` the blob key 7; both are UUIDs.

use crate::world::{SignIn, World};
use rowtide::{Client, Config, ConflictPolicy, LocalDatabase, Report, SqlValue, State, SyncTable};
use rowtide_tests::open;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// The tables that servers have.
pub(crate) const TABLES: [&str; 8] =
    ["users", "posts", "categories", "teams", "team_members", "files", "file_reviews", "typed_rows"];

/// Their schema on a device.
pub(crate) const BUSINESS: &str = "
    CREATE TABLE users (
        id TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        email TEXT NOT NULL,
        created_at TEXT NOT NULL DEFAULT '2026-03-01T08:00:00Z',
        updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
    );
    CREATE TABLE posts (
        id TEXT NOT NULL PRIMARY KEY,
        title TEXT NOT NULL,
        content TEXT NOT NULL DEFAULT '',
        author_id TEXT REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED,
        created_at TEXT NOT NULL DEFAULT '2026-03-01T08:00:00Z',
        updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
    );
    CREATE TABLE categories (
        id TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        parent_id TEXT REFERENCES categories (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
    );
    CREATE TABLE teams (
        id TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        captain_member_id TEXT REFERENCES team_members (id) DEFERRABLE INITIALLY DEFERRED
    );
    CREATE TABLE team_members (
        id TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
    );
    CREATE TABLE files (id BLOB NOT NULL PRIMARY KEY, name TEXT NOT NULL, data BLOB NOT NULL);
    CREATE TABLE file_reviews (
        id BLOB NOT NULL PRIMARY KEY,
        review TEXT NOT NULL,
        file_id BLOB NOT NULL REFERENCES files (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
    );
    CREATE TABLE typed_rows (
        id TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        note TEXT,
        count_value INTEGER,
        enabled_flag INTEGER NOT NULL DEFAULT 0,
        rating REAL,
        data BLOB,
        created_at TEXT
    );";

/// Text key number `n`.
pub(crate) fn id(n: u64) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

pub(crate) fn expand(sql: &str) -> String {
    let mut expanded = String::new();
    let mut rest = sql;
    while let Some(at) = rest.find(['@', '$']) {
        let (before, from) = rest.split_at(at);
        expanded += before;
        let digits: String = from[1..].chars().take_while(char::is_ascii_digit).collect();
        match digits.parse() {
            Ok(n) if from.starts_with('@') => expanded += &format!("'{}'", id(n)),
            Ok(n) => expanded += &format!("x'{}'", id(n).replace('-', "")),
            Err(_) => expanded += &from[..1],
        }
        rest = &from[1 + digits.len()..];
    }
    expanded + rest
}

/// A device of the world's user.
pub(crate) struct Device {
    folder: TempDir,
    world: World,
    /// Who signs in on it.
    pub(crate) user: Arc<Mutex<String>>,
    client: Option<Client>,
    change: Box<dyn Fn(Config) -> Config + Send>,
}

impl World {
    /// A device that is open, not attached.
    pub(crate) async fn device(&self) -> Device {
        self.device_with(|config| config).await
    }

    /// A device whose tables have a policy, attached.
    pub(crate) async fn device_of_policy(&self, policy: ConflictPolicy) -> Device {
        let change = move |config: Config| config.tables(tables(policy));
        let device = Device::create(self, BUSINESS, change).await;
        device.attach().await;
        device
    }

    /// A device with a configuration of its own.
    pub(crate) async fn device_with(&self, change: impl Fn(Config) -> Config + Send + 'static) -> Device {
        let change = move |config| change(config).tables(tables(ConflictPolicy::default()));
        Device::create(self, BUSINESS, change).await
    }

    /// A device, attached.
    pub(crate) async fn attached(&self) -> Device {
        let device = self.device().await;
        device.attach().await;
        device
    }

    /// Device A, which seeded the server, and device B, hydrated from there.
    pub(crate) async fn pair(&self, seed: &str) -> (Device, Device) {
        let a = self.device().await;
        a.exec(seed).await;
        a.attach().await;
        a.sync().await;
        let b = self.attached().await;
        crate::agree(&[&a, &b]).await;
        (a, b)
    }
}

/// The tables, all with one policy.
pub(crate) fn tables(policy: ConflictPolicy) -> impl Iterator<Item = SyncTable> {
    TABLES.into_iter().map(move |table| SyncTable::new(table).key("id").policy(policy))
}

impl Device {
    /// A device with a schema and all of its configuration.
    pub(crate) async fn create(
        world: &World,
        schema: &str,
        change: impl Fn(Config) -> Config + Send + 'static,
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let database = LocalDatabase::open(folder.path().join("app.db")).await.unwrap();
        database.execute_script(&expand(schema)).await.unwrap();
        drop(database);
        let mut device = Self {
            folder,
            world: world.clone(),
            user: Arc::new(Mutex::new(world.user.clone())),
            client: None,
            change: Box::new(change),
        };
        device.reopen().await;
        device
    }

    /// The database file.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }

    /// Drops the client and opens the database again: nothing but the file is carried over.
    pub(crate) async fn reopen(&mut self) {
        drop(self.client.take());
        let config = Config::new(self.path(), &self.world.url, "business").unwrap();
        let config = (self.change)(
            config
                .transport(self.world.http.clone())
                .tokens(SignIn { world: self.world.clone(), user: self.user.clone() }),
        );
        self.client = Some(open(&config).await.unwrap());
    }

    /// The same database opened with another configuration, as after an update of the app.
    pub(crate) async fn configured(mut self, change: impl Fn(Config) -> Config + Send + 'static) -> Self {
        self.change = Box::new(change);
        self.reopen().await;
        self
    }

    pub(crate) fn client(&self) -> &Client {
        self.client.as_ref().unwrap()
    }

    /// Attaches to whoever signs in, which must succeed.
    pub(crate) async fn attach(&self) -> Report {
        let user = self.user.lock().unwrap().clone();
        self.client().attach(&user).await.unwrap()
    }

    /// Syncs, which must succeed.
    pub(crate) async fn sync(&self) -> Report {
        self.client().sync().await.unwrap()
    }

    /// Runs statements in one transaction.
    pub(crate) async fn exec(&self, sql: &str) {
        self.client().execute_script(&expand(sql)).await.unwrap();
    }

    /// All rows of a query.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<Vec<SqlValue>> {
        self.client().query(&expand(sql), Vec::new()).await.unwrap().rows
    }

    /// The only cell of a query.
    pub(crate) async fn cell(&self, sql: &str) -> SqlValue {
        let mut rows = self.rows(sql).await;
        assert_eq!(rows.len(), 1, "{sql}");
        rows.remove(0).remove(0)
    }

    /// The only cell of a query, a text.
    pub(crate) async fn text(&self, sql: &str) -> String {
        match self.cell(sql).await {
            SqlValue::Text(text) => text,
            other => panic!("{sql}: {other:?}"),
        }
    }

    pub(crate) async fn count(&self, table: &str) -> i64 {
        match self.cell(&format!("SELECT count(*) FROM {table}")).await {
            SqlValue::Integer(count) => count,
            other => panic!("{table}: {other:?}"),
        }
    }

    /// The names in a table, in the order of the keys.
    pub(crate) async fn names(&self, table: &str) -> String {
        let names = format!("SELECT name FROM {table} ORDER BY id");
        self.text(&format!("SELECT ifnull(group_concat(name), '') FROM ({names})")).await
    }

    /// Everything, table by table.
    pub(crate) async fn dump(&self) -> Vec<(&'static str, Vec<Vec<SqlValue>>)> {
        let mut dump = Vec::new();
        for table in TABLES {
            dump.push((table, self.rows(&format!("SELECT * FROM {table} ORDER BY id")).await));
        }
        dump
    }

    /// Rows of local intent.
    pub(crate) async fn pending(&self) -> i64 {
        self.client().status().await.unwrap().pending_rows
    }

    pub(crate) async fn state(&self) -> State {
        self.client().status().await.unwrap().state
    }

    /// Table and reason of what is in the inbox.
    pub(crate) async fn inbox(&self) -> Vec<(String, String)> {
        let refused = self.client().refused_rows().await.unwrap();
        refused.into_iter().map(|row| (row.table, row.reason.as_str().to_owned())).collect()
    }
}
