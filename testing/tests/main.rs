//! The test server as an app's tests use it: in process, and over HTTP.
#![allow(clippy::unwrap_used)]

mod faults;
mod history;
mod lifecycle;
mod rows;

use async_trait::async_trait;
use rowtide::protocol::profile::WireGeneration;
use rowtide::{Client, Clock, Config, LocalDatabase, SyncTable, TokenProvider};
use rowtide_testing::TestServer;
use std::time::Duration;
use tempfile::TempDir;

const BOTH: [WireGeneration; 2] = [WireGeneration::A, WireGeneration::B];
const TABLES: [(&str, &str); 1] = [("notes", "id")];
const SCHEMA: &str =
    "CREATE TABLE notes (id TEXT PRIMARY KEY NOT NULL, title TEXT, stars INTEGER, weight REAL)";

/// Real time, without waiting.
struct Impatient;

#[async_trait]
impl Clock for Impatient {
    fn now_ms(&self) -> i64 {
        rowtide::SystemClock.now_ms()
    }

    async fn sleep(&self, _: Duration) {
        tokio::task::yield_now().await;
    }
}

/// A user's app on a device.
struct App {
    client: Client,
    _folder: TempDir,
}

impl App {
    /// Opens a database with the schema. `reach` says how it gets to the server.
    async fn open(url: &str, tokens: impl TokenProvider, reach: impl FnOnce(Config) -> Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("app.db");
        LocalDatabase::open(&file).await.unwrap().execute_script(SCHEMA).await.unwrap();
        let config = Config::new(&file, url, "business").unwrap();
        let config = config.table(SyncTable::new("notes").key("id")).clock(Impatient).tokens(tokens);
        Self { client: Client::open(reach(config)).await.unwrap(), _folder: folder }
    }

    /// An attached app in the server's process.
    async fn attached(server: &TestServer, user: &str) -> Self {
        let transport = server.clone();
        let app =
            Self::open(TestServer::URL, server.tokens(user), |config| config.transport(transport)).await;
        app.client.attach(user).await.unwrap();
        app
    }

    async fn exec(&self, sql: &str) {
        self.client.execute_script(sql).await.unwrap();
    }

    async fn titles(&self) -> Vec<String> {
        let rows = self.client.query("SELECT title FROM notes ORDER BY id", vec![]).await.unwrap().rows;
        rows.into_iter().map(|row| format!("{:?}", row[0])).collect()
    }
}
