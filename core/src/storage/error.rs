//! What can go wrong below, with the cause kept and no row contents in the text.

use crate::protocol::payload::PayloadError;
use crate::protocol::value::SqlValue;
use crate::schema::{SchemaError, TableId};

/// A failure of the database or of what is stored in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageError {
    /// Another client has the database open.
    #[error("the database is already open in another client; close that one first, or share its instance")]
    AlreadyOwned,
    /// The configuration does not fit the database.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The layout is of a newer version.
    #[error("the database has Rowtide layout {0}, this version knows up to layout {1}; update the app")]
    NewerLayout(i64, i64),
    /// SQLite refused.
    #[error("SQLite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The lock file or the database file.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
    /// A row of the server that the local table cannot take.
    #[error("the server's row for table {table} does not fit: {source}{}", advice(source))]
    Payload {
        /// Which table.
        table: String,
        /// Cause.
        source: PayloadError,
    },
    /// The server names a table that is not managed here.
    #[error("the server sent a row of table {0}, which is not configured for sync")]
    UnknownTable(String),
    /// The server's rows break the protocol.
    #[error("{0}")]
    Violation(String),
    /// The rows changed while a decision about them was made elsewhere.
    #[error("a conflict needs the resolver's decision first")]
    Undecided,
    /// What the host gave to write.
    #[error("{0}")]
    Input(String),
    /// Rows of the server refer to rows that were deleted here, where the reference forbids that.
    #[error("rows of other devices refer to {} rows that were deleted here; the deletes have to be undone", .0.len())]
    ParentsDeletedHere(Vec<(TableId, SqlValue)>),
    /// A job on the database thread panicked; its transaction was rolled back.
    #[error("internal error on the database thread; the transaction was rolled back")]
    Panicked,
    /// The database thread is gone.
    #[error("the client is closed")]
    Closed,
    /// A host transaction outlived its deadline.
    #[error("the transaction passed its deadline of {0} ms and was rolled back")]
    TransactionExpired(u128),
    /// A query was not read on for too long.
    #[error(
        "the query was not read on for {0} ms and was ended; read its pages without a pause, or allow more"
    )]
    QueryExpired(u128),
    /// Another client works on this database.
    #[error("the configuration is of {configured}, the database of {opened}; give both the same path")]
    OtherPath {
        /// The configuration's.
        configured: String,
        /// The database's.
        opened: String,
    },
}

fn advice(error: &PayloadError) -> &'static str {
    match error {
        PayloadError::UnknownColumn(_) => {
            "; update the app, or set unknown_columns to keep, which carries such values through"
        }
        PayloadError::MissingColumn(_) => {
            "; update the server, or set unknown_columns to keep, which fills in the column's default"
        }
        _ => "",
    }
}

pub(crate) type Result<T, E = StorageError> = std::result::Result<T, E>;
