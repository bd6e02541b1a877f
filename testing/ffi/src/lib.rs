//! UniFFI bindings of the test server ([`rowtide_testing`]) for Kotlin and Swift.
//!
//! Each method is one delegation; the hand-written layers above it are what tests see. Calls block, and run on a
//! runtime that the server brings along. Numbers are signed, rows are JSON text.

mod faults;
mod server;

pub use faults::{Endpoint, Fault, StruckFault};
pub use server::{TestBackup, TestServer, TestServerOptions, TestStore, TestTable, WireGeneration};

uniffi::setup_scaffolding!();

/// What a test asked for and cannot have. Nothing was changed.
#[derive(Debug, thiserror::Error, uniffi::Error)]
pub enum TestServerError {
    /// An argument is of no use.
    #[error("{reason}")]
    Invalid {
        /// Which, why, and what to do.
        reason: String,
    },
    /// The server refused the rows that were to be written for a user.
    #[error("the server answered {status} {code}: {reason}")]
    Refused {
        /// HTTP status.
        status: i32,
        /// Code of the protocol.
        code: String,
        /// In words.
        reason: String,
    },
    /// The store, a file or the loopback port failed.
    #[error("{reason}")]
    Failed {
        /// What failed.
        reason: String,
    },
}

impl From<rowtide_testing::TestServerError> for TestServerError {
    fn from(error: rowtide_testing::TestServerError) -> Self {
        use rowtide_testing::TestServerError as Error;
        match error {
            Error::Refused { status, code, message } => {
                Self::Refused { status: i32::from(status), code, reason: message }
            }
            Error::Tables(_) | Error::InMemory | Error::Rows(_) => {
                Self::Invalid { reason: error.to_string() }
            }
            Error::Store(_) | Error::System { .. } => Self::Failed { reason: error.to_string() },
        }
    }
}

pub(crate) fn invalid(reason: impl Into<String>) -> TestServerError {
    TestServerError::Invalid { reason: reason.into() }
}
