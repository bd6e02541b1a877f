//! Databases of the tests: one each, on the PostgreSQL of `DATABASE_URL` or of `scripts/postgres`.

use std::process::{Command, Stdio};
use std::sync::OnceLock;
use tokio_postgres::{Client, NoTls};

/// A database that goes with its test.
pub struct Database {
    /// Where it is.
    pub url: String,
    name: String,
}

/// The server that the databases are on.
fn server() -> &'static str {
    static SERVER: OnceLock<String> = OnceLock::new();
    SERVER.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/postgres");
        let output =
            Command::new(script).arg("start").stdin(Stdio::null()).output().expect("the script runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a URL is text").trim().to_owned()
    })
}

/// A connection that ends with the client.
///
/// # Panics
/// There is none.
pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("PostgreSQL runs");
    tokio::spawn(connection);
    client
}

impl Database {
    /// A database with the schema of these statements.
    ///
    /// # Panics
    /// PostgreSQL does not run, or does not take the statements.
    pub async fn create(schema: &str) -> Self {
        let name = format!("rowtide_test_{}", uuid::Uuid::new_v4().simple());
        connect(server())
            .await
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await
            .expect("a database is created");
        let (root, _) = server().rsplit_once('/').expect("the URL names a database");
        let database = Self { url: format!("{root}/{name}"), name };
        database.connect().await.batch_execute(schema).await.expect("the schema is SQL");
        database
    }

    /// An empty database, for callers that are not asynchronous.
    ///
    /// # Panics
    /// PostgreSQL does not run.
    pub fn create_blocking() -> Self {
        blocking(async || Self::create("").await)
    }

    /// A connection to it.
    ///
    /// # Panics
    /// There is none.
    pub async fn connect(&self) -> Client {
        connect(&self.url).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // The test's own runtime may be ending.
        blocking(async move || {
            connect(server()).await.batch_execute(&drop).await.expect("the database is dropped")
        });
    }
}

/// Runs work on a runtime of its own.
fn blocking<T: Send + 'static>(work: impl AsyncFnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        runtime.block_on(work())
    });
    thread.join().expect("the work does not panic")
}
