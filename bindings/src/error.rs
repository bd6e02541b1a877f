//! The error of everything that is exported.

use rowtide::ErrorKind;

/// Why a call failed. No acknowledged local write is lost by any of them; what is pending stays pending.
#[derive(Debug, Clone, thiserror::Error, uniffi::Error)]
pub enum RowtideError {
    /// The configuration, the arguments, or the schema they name cannot be used. The reason names table, column and mend.
    #[error("{reason}")]
    Configuration {
        /// What, and what to do.
        reason: String,
    },
    /// The database is open elsewhere. Close that one first.
    #[error("{reason}")]
    AlreadyOwned {
        /// What, and what to do.
        reason: String,
    },
    /// SQLite, the disk, or SQL of the app.
    #[error("{reason}")]
    Database {
        /// What, and what to do.
        reason: String,
    },
    /// The server could not be reached or broke off. Try again later.
    #[error("{reason}")]
    Network {
        /// What, and what to do.
        reason: String,
    },
    /// No valid token. Sign in again.
    #[error("{reason}")]
    Authentication {
        /// What, and what to do.
        reason: String,
    },
    /// The server refused or failed.
    #[error("{reason}")]
    Server {
        /// What, and what to do.
        reason: String,
        /// The server's word for it, where it gave one (`docs/protocol.md` section 4).
        code: Option<String>,
        /// Seconds that the server asked to wait.
        retry_after_seconds: Option<i64>,
    },
    /// The server answered against the protocol, or this database's numbering is not the server's. Nothing was applied.
    #[error("{reason}")]
    Protocol {
        /// What, and what to do.
        reason: String,
    },
    /// The server does not speak this protocol, or its tables are not the configured ones. Update the app or the server.
    #[error("{reason}")]
    Incompatible {
        /// What, and what to do.
        reason: String,
    },
    /// The database is attached to no user, or to another one. Attach, or detach first.
    #[error("{reason}")]
    Attachment {
        /// What, and what to do.
        reason: String,
    },
    /// Conflicts are not decided: they kept coming, or the resolver failed. The rows are pending; sync again.
    #[error("{reason}")]
    Undecided {
        /// What, and what to do.
        reason: String,
    },
    /// The app cancelled the operation; it stopped between two durable steps, and the next one goes on from there.
    #[error("{reason}")]
    Cancelled {
        /// What, and what to do.
        reason: String,
    },
    /// The object was closed, or a bug inside.
    #[error("{reason}")]
    Internal {
        /// What, and what to do.
        reason: String,
    },
}

impl RowtideError {
    pub(crate) fn closed(what: &str) -> Self {
        Self::Internal { reason: format!("the {what} is closed") }
    }

    pub(crate) fn panicked() -> Self {
        Self::Internal { reason: "the call ended abnormally; what was durable stays".to_owned() }
    }
}

impl From<rowtide::Error> for RowtideError {
    fn from(error: rowtide::Error) -> Self {
        let reason = error.to_string();
        match error.kind() {
            ErrorKind::Configuration => Self::Configuration { reason },
            ErrorKind::AlreadyOwned => Self::AlreadyOwned { reason },
            ErrorKind::Database => Self::Database { reason },
            ErrorKind::Network => Self::Network { reason },
            ErrorKind::Authentication => Self::Authentication { reason },
            ErrorKind::Server => Self::Server {
                reason,
                code: error.code().map(str::to_owned),
                retry_after_seconds: error.retry_after_seconds(),
            },
            ErrorKind::Protocol | ErrorKind::SourceMismatch => Self::Protocol { reason },
            ErrorKind::ServerTooOld | ErrorKind::TableMismatch => Self::Incompatible { reason },
            ErrorKind::NotAttached | ErrorKind::AttachedToAnother => Self::Attachment { reason },
            ErrorKind::ConflictsRemain | ErrorKind::Resolver => Self::Undecided { reason },
            ErrorKind::Cancelled => Self::Cancelled { reason },
            ErrorKind::Internal => Self::Internal { reason },
        }
    }
}

/// What a callback of the app threw. It is logged or told as the operation's error; nothing is lost by it.
#[derive(Debug, Clone, thiserror::Error, uniffi::Error)]
pub enum CallbackError {
    /// It failed.
    #[error("{reason}")]
    Failed {
        /// Why, without secrets.
        reason: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for CallbackError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed { reason: error.reason }
    }
}
