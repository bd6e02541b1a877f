//! What rows would cost as UniFFI's own records instead of packed bytes (docs/adr/0008): for `scripts/bench ffi`.

use rowtide::{LocalDatabase, SqlValue};
use std::sync::Arc;
use tokio::runtime::Runtime;

uniffi::setup_scaffolding!();

/// A cell.
#[derive(Debug, uniffi::Enum)]
pub enum Value {
    /// NULL.
    Null,
    /// An integer.
    Integer {
        /// It.
        value: i64,
    },
    /// A number with a fraction.
    Real {
        /// It.
        value: f64,
    },
    /// Text.
    Text {
        /// It.
        value: String,
    },
    /// A blob.
    Blob {
        /// It.
        value: Vec<u8>,
    },
}

impl From<SqlValue> for Value {
    fn from(value: SqlValue) -> Self {
        match value {
            SqlValue::Null => Self::Null,
            SqlValue::Integer(value) => Self::Integer { value },
            SqlValue::Real(value) => Self::Real { value },
            SqlValue::Text(value) => Self::Text { value },
            SqlValue::Blob(value) => Self::Blob { value },
        }
    }
}

/// A row.
#[derive(Debug, uniffi::Record)]
pub struct RowRecord {
    /// Its cells.
    pub cells: Vec<Value>,
}

/// A database whose rows cross as records.
#[derive(Debug, uniffi::Object)]
pub struct RecordDatabase {
    runtime: Runtime,
    database: LocalDatabase,
}

#[uniffi::export]
impl RecordDatabase {
    /// Opens it.
    #[uniffi::constructor]
    pub fn open(path: String) -> Arc<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("the system gives two threads");
        let database = runtime.block_on(LocalDatabase::open(path)).expect("the bench's own file");
        Arc::new(Self { runtime, database })
    }

    /// Runs a statement.
    pub fn execute(&self, sql: String) {
        self.runtime.block_on(self.database.execute_script(&sql)).expect("the bench's own statement");
    }

    /// Reads all rows of a query, in one call.
    pub fn read(&self, sql: String) -> Vec<RowRecord> {
        let found = self.runtime.block_on(self.database.query(&sql, vec![])).expect("the bench's own query");
        let cells = |row: Vec<SqlValue>| row.into_iter().map(Value::from).collect();
        found.rows.into_iter().map(|row| RowRecord { cells: cells(row) }).collect()
    }
}
