//! A PostgreSQL of the test's own, and server processes on it, all of which can be killed.

use rowtide_tests::database::connect;
use std::io::{BufRead, BufReader, Read, Seek};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const SECRET: &str = "a secret of the tests";

/// The tables of the application.
const TABLES: &str = "
    CREATE SCHEMA business;
    CREATE TABLE business.items (_sync_scope_id text NOT NULL, id text NOT NULL, name text, PRIMARY KEY (_sync_scope_id, id))";

/// A PostgreSQL that ends with the test.
pub(crate) struct Cluster {
    home: TempDir,
    /// Its URL, without a pooler in between.
    pub(crate) url: String,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let mut cluster = Self { home: TempDir::new().unwrap(), url: String::new() };
        // The cluster's own user must be able to enter.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(cluster.home.path(), mode).unwrap();
        cluster.url = cluster.script("start");
        connect(&cluster.url).await.batch_execute(TABLES).await.unwrap();
        cluster
    }

    fn script(&self, command: &str) -> String {
        let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/postgres"))
            .arg(command)
            .env("ROWTIDE_POSTGRES_HOME", self.home.path())
            .env_remove("DATABASE_URL")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Starts a transaction pooler; answers its URL.
    pub(crate) fn pooler(&self) -> String {
        self.script("pooler")
    }

    /// Ends PostgreSQL without a checkpoint, and starts it again on the same port.
    pub(crate) fn crash(&self) {
        self.script("crash");
        assert_eq!(self.script("start"), self.url, "it comes back where it was");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.script("stop");
    }
}

/// A server process.
pub(crate) struct Process {
    child: Child,
    database_url: String,
    listen_url: String,
    /// `127.0.0.1:PORT`, the same one after every restart.
    pub(crate) address: String,
}

impl Process {
    pub(crate) fn start(database_url: &str, listen_url: &str) -> Self {
        let (child, address) = spawn(database_url, listen_url, "127.0.0.1:0");
        Self { child, address, database_url: database_url.to_owned(), listen_url: listen_url.to_owned() }
    }

    /// `kill -9`, and a new process in its place.
    pub(crate) fn crash(&mut self) {
        self.end();
        (self.child, self.address) = spawn(&self.database_url, &self.listen_url, &self.address);
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts a process, and again where it does not come up, as whoever supervises it does: for a second after a
/// crash a pooler lets nobody through.
#[allow(clippy::disallowed_methods)] // the pooler's second is a real one
fn spawn(database_url: &str, listen_url: &str, listen: &str) -> (Child, String) {
    let mut last = String::new();
    for _ in 0..100 {
        let mut log = tempfile::tempfile().unwrap();
        let mut child = Command::new(rowtide_tests::binary())
            .args(["serve", "--listen", listen, "--table", "items:id"])
            .args(["--database-url", database_url, "--database-listen-url", listen_url])
            .env("ROWTIDE_JWT_SECRET", SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if let Some(address) = line.trim().strip_prefix("listening on http://") {
            return (child, address.to_owned());
        }
        child.wait().unwrap();
        let mut text = String::new();
        log.rewind().and_then(|()| log.read_to_string(&mut text)).unwrap();
        last = text;
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("no process starts: {last}");
}
