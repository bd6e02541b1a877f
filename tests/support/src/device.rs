//! Devices: a database in a folder of its own, opened and closed like an app's.

use crate::opening::open;
use crate::server::TestServer;
use async_trait::async_trait;
use rowtide::{
    Client, Clock, Config, LocalDatabase, SqlValue, SyncTable, TokenError, TokenProvider, TokenReason,
};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// The schema that most tests use: notes with a self reference, and tags of notes.
pub const NOTES: &str = "
    CREATE TABLE notes (
        id TEXT PRIMARY KEY NOT NULL,
        title TEXT NOT NULL DEFAULT '',
        stars INTEGER,
        weight REAL,
        body BLOB,
        parent TEXT REFERENCES notes (id) ON DELETE SET NULL
    );
    CREATE TABLE tags (
        id BLOB PRIMARY KEY NOT NULL DEFAULT (randomblob(16)),
        name TEXT NOT NULL,
        note_id TEXT NOT NULL REFERENCES notes (id) ON DELETE CASCADE
    );";

/// A token provider that always has the same token.
#[derive(Debug, Clone)]
pub struct FixedTokens(pub String);

#[async_trait]
impl TokenProvider for FixedTokens {
    async fn token(&self, _: TokenReason) -> Result<String, TokenError> {
        Ok(self.0.clone())
    }
}

/// Real time, without waiting.
#[derive(Debug, Clone, Copy)]
pub struct ImpatientClock;

#[async_trait]
impl Clock for ImpatientClock {
    fn now_ms(&self) -> i64 {
        rowtide::SystemClock.now_ms()
    }

    async fn sleep(&self, _: Duration) {
        tokio::task::yield_now().await;
    }
}

/// Marker for the tables of [`NOTES`].
#[derive(Debug, Clone, Copy)]
pub struct Notes;

impl Notes {
    /// For the server.
    pub const TABLES: [(&'static str, &'static str); 2] = [("notes", "id"), ("tags", "id")];
}

/// A device of a user.
pub struct Device {
    folder: TempDir,
    server: TestServer,
    user: String,
    client: Option<Client>,
    change: Box<dyn Fn(Config) -> Config + Send>,
}

impl Device {
    /// A device with the schema [`NOTES`], opened, not attached.
    pub async fn notes(server: &TestServer, user: &str) -> Self {
        Self::new(server, user, NOTES, |config| {
            config.table(SyncTable::new("notes").key("id")).table(SyncTable::new("tags").key("id"))
        })
        .await
    }

    /// A device with a schema and configuration of its own.
    ///
    /// # Panics
    /// It cannot be opened.
    pub async fn new(
        server: &TestServer,
        user: &str,
        schema: &str,
        change: impl Fn(Config) -> Config + Send + 'static,
    ) -> Self {
        server.create_tables(schema).await;
        let folder = TempDir::new().expect("a temporary folder");
        let database = LocalDatabase::open(folder.path().join("app.db")).await.expect("the database opens");
        database.execute_script(schema).await.expect("the schema is valid");
        drop(database);
        let mut device = Self {
            folder,
            server: server.clone(),
            user: user.to_owned(),
            client: None,
            change: Box::new(change),
        };
        device.reopen().await;
        device
    }

    /// The database file.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }

    /// The configuration that it is opened with.
    ///
    /// # Panics
    /// The URL is no URL.
    pub fn config(&self) -> Config {
        let config = Config::new(self.path(), "http://server.test/base", "business")
            .expect("the URL is valid")
            .transport(self.server_at_base())
            .clock(ImpatientClock)
            .tokens(FixedTokens(self.server.token(&self.user)));
        (self.change)(config)
    }

    fn server_at_base(&self) -> impl rowtide::Transport {
        AtBase(self.server.clone())
    }

    /// Closes the database and opens it again, as after a crash: nothing but the file is carried over.
    ///
    /// # Panics
    /// It cannot be opened.
    pub async fn reopen(&mut self) {
        self.close().await;
        self.client = Some(open(&self.config()).await.expect("the database opens"));
    }

    /// Closes the database.
    pub async fn close(&mut self) {
        if let Some(client) = self.client.take() {
            client.close().await;
        }
    }

    /// The client.
    ///
    /// # Panics
    /// The device was closed.
    pub fn client(&self) -> &Client {
        self.client.as_ref().expect("the device is open")
    }

    /// Attaches, which must succeed.
    ///
    /// # Panics
    /// It fails.
    pub async fn attach(&self) -> rowtide::Report {
        self.client().attach(&self.user).await.expect("attach succeeds")
    }

    /// Syncs, which must succeed.
    ///
    /// # Panics
    /// It fails.
    pub async fn sync(&self) -> rowtide::Report {
        self.client().sync().await.expect("sync succeeds")
    }

    /// Runs statements.
    ///
    /// # Panics
    /// They fail.
    pub async fn exec(&self, sql: &str) {
        self.client().execute_script(sql).await.expect("the statements are valid");
    }

    /// All rows of a query.
    ///
    /// # Panics
    /// It fails.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<SqlValue>> {
        self.client().query(sql, Vec::new()).await.expect("the query is valid").rows
    }

    /// The first cell of a query as text.
    ///
    /// # Panics
    /// It fails, or answers no text.
    pub async fn text(&self, sql: &str) -> String {
        match self.rows(sql).await.into_iter().next().and_then(|row| row.into_iter().next()) {
            Some(SqlValue::Text(text)) => text,
            Some(SqlValue::Integer(number)) => number.to_string(),
            other => panic!("{sql} answered {other:?}"),
        }
    }

    /// Everything in the tables of [`NOTES`].
    pub async fn dump(&self) -> Vec<Vec<Vec<SqlValue>>> {
        vec![
            self.rows("SELECT * FROM notes ORDER BY id").await,
            self.rows("SELECT * FROM tags ORDER BY id").await,
        ]
    }

    /// Rows of local intent.
    ///
    /// # Panics
    /// The status fails.
    pub async fn pending(&self) -> i64 {
        self.client().status().await.expect("the status is there").pending_rows
    }
}

/// The server mounted under a path prefix, which clients must keep.
struct AtBase(TestServer);

#[async_trait]
impl rowtide::Transport for AtBase {
    async fn send(
        &self,
        mut request: rowtide::Request,
    ) -> Result<rowtide::Response, rowtide::TransportError> {
        assert!(request.url.starts_with("http://server.test/base/sync/"), "the path prefix is kept");
        request.url = request.url.replacen("/base/", "/", 1);
        self.0.send(request).await
    }

    async fn open(
        &self,
        mut request: rowtide::Request,
    ) -> Result<rowtide::StreamingResponse, rowtide::TransportError> {
        request.url = request.url.replacen("/base/", "/", 1);
        self.0.open(request).await
    }
}
