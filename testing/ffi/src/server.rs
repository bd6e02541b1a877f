//! The server on its loopback port, with a runtime of its own.

use crate::faults::{Endpoint, Fault, StruckFault};
use crate::{TestServerError, invalid};
use rowtide_testing::{Backup, Limits, Loopback, RandomFaults};
use serde_json::Value;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Which of the two wire generations the server speaks.
pub type WireGeneration = rowtide::protocol::profile::WireGeneration;

/// Which of the two wire generations the server speaks.
#[uniffi::remote(Enum)]
pub enum WireGeneration {
    A,
    B,
}

/// Where the server keeps its data.
pub type TestStore = rowtide_testing::TestStore;

/// Where the server keeps its data.
#[uniffi::remote(Enum)]
pub enum TestStore {
    Memory,
    File,
}

/// A table of the server.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct TestTable {
    /// Its name, lowercase.
    pub name: String,
    /// Its sync key column, lowercase.
    pub key_column: String,
}

/// Options of a [`TestServer`].
#[derive(Debug, Clone, uniffi::Record)]
pub struct TestServerOptions {
    /// The wire generation that it speaks.
    pub generation: WireGeneration,
    /// Schema of the tables at the server.
    #[uniffi(default = "business")]
    pub schema: String,
    /// The tables.
    pub tables: Vec<TestTable>,
    /// Where the data is. Only a file can be backed up and restored.
    pub store: TestStore,
    /// Rows of a chunk, so that a small transfer has several steps; the server's own limits where it is not set.
    #[uniffi(default = None)]
    pub rows_per_chunk: Option<i64>,
}

/// A copy of a server's data at one moment.
#[derive(Debug, uniffi::Object)]
pub struct TestBackup(Backup);

/// A sync server on a loopback port of this machine, for one test. It ends when it is closed.
#[derive(uniffi::Object)]
pub struct TestServer {
    server: rowtide_testing::TestServer,
    loopback: Loopback,
    /// Taken when the server ends.
    runtime: Option<Runtime>,
}

impl TestServer {
    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.as_ref().expect("the runtime ends with the server").block_on(work)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // The last reference may be dropped on any thread, also on one that must not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[uniffi::export]
impl TestServer {
    /// Starts a server on a free port.
    ///
    /// # Errors
    /// A name is not made of `a-z`, `0-9` and `_`, a table comes twice, there is none, or no port can be had.
    #[uniffi::constructor]
    pub fn start(options: TestServerOptions) -> Result<Arc<Self>, TestServerError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| TestServerError::Failed { reason: error.to_string() })?;
        let server = rowtide_testing::TestServer::start(options.try_into()?)?;
        let loopback = runtime.block_on(server.serve())?;
        Ok(Arc::new(Self { server, loopback, runtime: Some(runtime) }))
    }

    /// Where it is: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.loopback.url().to_owned()
    }

    /// A bearer token for a user that does not expire: the same one until [`TestServer::reject_tokens`].
    pub fn token(&self, user: String) -> String {
        self.server.token(&user)
    }

    /// A bearer token for a user that expires after that many seconds on the server's clock.
    ///
    /// # Errors
    /// The number is negative.
    pub fn token_expiring_in(&self, user: String, seconds: i64) -> Result<String, TestServerError> {
        let seconds = u64::try_from(seconds).map_err(|_| invalid("a token's life is not negative"))?;
        Ok(self.server.token_expiring_in(&user, Duration::from_secs(seconds)))
    }

    /// Answers 401 to every token that the user was given so far; those given from now on are accepted.
    pub fn reject_tokens(&self, user: String) {
        self.server.reject_tokens(&user);
    }

    /// Moves the server's clock on by seconds: leases, sessions and tokens expire.
    pub fn advance(&self, seconds: i64) {
        self.server.advance(seconds);
    }

    /// Makes `times` calls of an endpoint fail, after letting `skip` through.
    ///
    /// # Errors
    /// A number is negative, or the fault is none that a server can have.
    pub fn fail(
        &self,
        endpoint: Endpoint,
        skip: i32,
        times: i32,
        fault: Fault,
    ) -> Result<(), TestServerError> {
        let count =
            |number: i32| usize::try_from(number).map_err(|_| invalid("skip and times are not negative"));
        self.server.fail(endpoint, count(skip)?, count(times)?, fault.try_into()?);
        Ok(())
    }

    /// Makes calls fail by chance from now on, the same ones for the same seed.
    ///
    /// # Errors
    /// `percent` is not from 0 to 100.
    pub fn fail_randomly(&self, seed: i64, percent: i32) -> Result<(), TestServerError> {
        let percent = u8::try_from(percent).ok().filter(|percent| *percent <= 100);
        let percent = percent.ok_or_else(|| invalid("percent is from 0 to 100"))?;
        self.server.fail_randomly(RandomFaults { seed: seed.cast_unsigned(), percent });
        Ok(())
    }

    /// Takes the network down, until [`TestServer::heal`]: every connection breaks, and watch streams end.
    pub fn disconnect(&self) {
        self.server.disconnect();
    }

    /// Forgets all faults that are to come, and brings the network up; answers how many planned ones were left.
    pub fn heal(&self) -> i64 {
        i64::try_from(self.server.heal()).unwrap_or(i64::MAX)
    }

    /// Ends every watch stream, as a proxy that restarts does.
    pub fn break_streams(&self) {
        self.server.break_streams();
    }

    /// Makes every commit fail with a bare 500 whose rows contain one of these texts. No texts, and commits succeed
    /// again.
    pub fn forbid(&self, texts: Vec<String>) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        self.server.forbid(&texts);
    }

    /// Takes the calls that arrived so far, in their order.
    pub fn take_calls(&self) -> Vec<Endpoint> {
        self.server.take_exchanges().into_iter().map(|exchange| exchange.endpoint).collect()
    }

    /// Takes the faults that struck so far, in their order, but for what [`TestServer::disconnect`] dropped.
    pub fn take_struck(&self) -> Vec<StruckFault> {
        self.server.take_struck().into_iter().filter_map(StruckFault::of).collect()
    }

    /// The rows of a user's table by key, as a JSON array of objects. Blobs are base64, BLOB keys and references to them
    /// dashed UUIDs; numbers are JSON numbers in generation A, and their decimal text in generation B.
    ///
    /// # Errors
    /// The table is not registered, or the store failed.
    pub fn rows(&self, user: String, table: String) -> Result<String, TestServerError> {
        let rows = self.wait(self.server.rows(&user, &table))?;
        Ok(Value::from_iter(rows.into_iter().map(|row| Value::from(row.columns))).to_string())
    }

    /// Inserts and updates rows of a user's table in one bundle, as another device of the user would. `rows` is a JSON
    /// array of objects with all columns, lowercase, and the key as text; blobs are given in base64, BLOB keys and
    /// references to them as dashed UUIDs.
    ///
    /// # Errors
    /// The text is no such array, the table is not registered, or the server refuses. Nothing is written then.
    pub fn put_rows(&self, user: String, table: String, rows: String) -> Result<(), TestServerError> {
        let rows: Vec<Value> = serde_json::from_str(&rows).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            invalid(format!("rows must be a JSON array of objects; it is not at line {line} column {column}"))
        })?;
        Ok(self.wait(self.server.put_rows(&user, &table, &rows))?)
    }

    /// Deletes rows of a user's table in one bundle, as another device of the user would. Keys that are not there are
    /// left out.
    ///
    /// # Errors
    /// The table is not registered, or the server refuses. Nothing is written then.
    pub fn delete_rows(&self, user: String, table: String, keys: Vec<String>) -> Result<(), TestServerError> {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        Ok(self.wait(self.server.delete_rows(&user, &table, &keys))?)
    }

    /// Deletes everything of every user, as a server that lost its data.
    ///
    /// # Errors
    /// The store failed.
    pub fn reset(&self) -> Result<(), TestServerError> {
        Ok(self.wait(self.server.reset())?)
    }

    /// Forgets the history of a user up to the newest bundle, as retention would: a device that has not seen all of it
    /// must rebuild. Answers that bundle's number.
    ///
    /// # Errors
    /// The store failed.
    pub fn prune_history(&self, user: String) -> Result<i64, TestServerError> {
        Ok(self.wait(self.server.prune_history(&user))?)
    }

    /// Stops the service and starts it again on the same port and data. Watch streams end; sessions and leases stay.
    pub fn restart(&self) {
        self.server.restart();
    }

    /// Copies the data of all users as they are now.
    ///
    /// # Errors
    /// The store is in memory, or the copy cannot be written.
    pub fn backup(&self) -> Result<Arc<TestBackup>, TestServerError> {
        Ok(Arc::new(TestBackup(self.server.backup()?)))
    }

    /// Puts the data of a backup in place, as an operator does after a loss. Watch streams end.
    ///
    /// # Errors
    /// The store is in memory, or the copy cannot be written; the data is as it was.
    pub fn restore(&self, backup: Arc<TestBackup>) -> Result<(), TestServerError> {
        Ok(self.server.restore(&backup.0)?)
    }
}

impl TryFrom<TestServerOptions> for rowtide_testing::TestServerOptions {
    type Error = TestServerError;

    fn try_from(options: TestServerOptions) -> Result<Self, TestServerError> {
        let mut limits = Limits::default();
        if let Some(rows) = options.rows_per_chunk {
            if rows < 1 {
                return Err(invalid("rows_per_chunk is at least 1"));
            }
            (limits.default_rows_per_chunk, limits.max_rows_per_chunk) = (rows, rows);
        }
        Ok(Self {
            schema: options.schema,
            tables: options.tables.into_iter().map(|table| (table.name, table.key_column)).collect(),
            store: options.store,
            limits,
            ..Self::new(options.generation, &[])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    fn options() -> TestServerOptions {
        TestServerOptions {
            generation: WireGeneration::A,
            schema: "business".into(),
            tables: vec![TestTable { name: "notes".into(), key_column: "id".into() }],
            store: TestStore::Memory,
            rows_per_chunk: Some(1),
        }
    }

    fn started() -> Arc<TestServer> {
        TestServer::start(options()).expect("the options are good")
    }

    /// What the port answers, up to where the connection ends.
    fn ask(server: &TestServer) -> String {
        let address = server.url().replace("http://", "");
        let mut stream = TcpStream::connect(&address).expect("the port is open");
        let token = server.token("ada".into());
        write!(
            stream,
            "GET /sync/capabilities HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nOversync-Source-ID: s\r\n\r\n"
        )
        .expect("the request can be sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the answer ends");
        answer
    }

    #[test]
    fn calls_from_a_thread_without_a_runtime_reach_the_server_behind_the_port() {
        let server = started();
        assert!(ask(&server).starts_with("HTTP/1.1 200"));
        server.fail(Endpoint::Capabilities, 0, 1, Fault::DropRequest).expect("the fault can be had");
        assert_eq!(ask(&server), "");
        assert_eq!((server.take_calls().len(), server.take_struck().len()), (2, 1));
        let rows = r#"[{"id":"n1","stars":5},{"id":"n2","stars":null}]"#;
        server.put_rows("ada".into(), "notes".into(), rows.into()).expect("the rows are good");
        assert_eq!(server.rows("ada".into(), "notes".into()).expect("the table is there"), rows);
    }

    #[test]
    fn arguments_that_are_of_no_use_are_errors_and_name_no_content() {
        let server = started();
        let bad = |error: TestServerError| {
            assert!(matches!(error, TestServerError::Invalid { .. }), "{error}");
            error.to_string()
        };
        let fail = |skip, times, fault| bad(server.fail(Endpoint::Pull, skip, times, fault).unwrap_err());
        let mut texts = vec![
            fail(-1, 1, Fault::DropRequest),
            fail(0, -1, Fault::DropRequest),
            fail(0, 1, Fault::Delay { milliseconds: -1 }),
            fail(0, 1, Fault::Answer { status: 70_000, body: String::new() }),
            bad(server.fail_randomly(1, 101).unwrap_err()),
            bad(server.token_expiring_in("ada".into(), -1).unwrap_err()),
            bad(server.put_rows("ada".into(), "notes".into(), "secret".into()).unwrap_err()),
            bad(server.backup().unwrap_err()),
        ];
        for options in [
            TestServerOptions { rows_per_chunk: Some(0), ..options() },
            TestServerOptions { tables: Vec::new(), ..options() },
            TestServerOptions { schema: "No!".into(), ..options() },
        ] {
            texts.extend(TestServer::start(options).err().map(bad));
        }
        assert_eq!(texts.len(), 11);
        assert!(texts.iter().all(|text| !text.contains("secret")), "{texts:?}");
    }
}
