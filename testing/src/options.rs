//! What a server is started with, and why it is not.

use rowtide::protocol::profile::WireGeneration;
use rowtide::{Clock, SystemClock};
use rowtide_server::{Limits, StoreError, TableConfigError};
use std::sync::Arc;

/// Where the server keeps its data. It ends with the last clone of the server either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TestStore {
    /// Memory: the fastest.
    #[default]
    Memory,
    /// A file in a temporary folder: slower, and can be backed up and restored.
    File,
}

/// Options of a [`TestServer`](crate::TestServer).
#[derive(Clone)]
pub struct TestServerOptions {
    /// The wire generation that it speaks.
    pub generation: WireGeneration,
    /// Schema of the tables at the server; `business` unless set.
    pub schema: String,
    /// Tables with their key columns, lowercase.
    pub tables: Vec<(String, String)>,
    /// Where the data is.
    pub store: TestStore,
    /// Limits that it announces and keeps. Small ones make several steps of a small transfer.
    pub limits: Limits,
    /// The time by which leases, sessions and tokens expire and delays pass; the system's unless set.
    pub clock: Arc<dyn Clock>,
}

impl TestServerOptions {
    /// A server in memory with the default limits, for tables given as `(table, key column)`.
    pub fn new(generation: WireGeneration, tables: &[(&str, &str)]) -> Self {
        Self {
            generation,
            schema: "business".into(),
            tables: tables.iter().map(|(table, key)| ((*table).into(), (*key).into())).collect(),
            store: TestStore::default(),
            limits: Limits::default(),
            clock: Arc::new(SystemClock),
        }
    }
}

/// What a test asked for and cannot have. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum TestServerError {
    /// A table, its key or the schema.
    #[error(transparent)]
    Tables(#[from] TableConfigError),
    /// The store failed or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file or the loopback port.
    #[error("{what}: {cause}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        cause: std::io::Error,
    },
    /// The server has no file to back up or restore.
    #[error("the store is in memory; start the server with TestStore::File to back it up")]
    InMemory,
    /// Rows that the server cannot take.
    #[error("{0}")]
    Rows(String),
    /// The server refused what was written for a user.
    #[error("the server answered {status} {code}: {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Code of the protocol.
        code: String,
        /// In words.
        message: String,
    },
}
