//! The error of the public API: few kinds, and the data that an app acts on.

use crate::protocol::payload::PayloadError;
use crate::protocol::problem::{Problem, ProblemCode};
use crate::storage::StorageError;
use crate::transport::TransportError;
use std::fmt;
use std::sync::Arc;

/// Result of the public API.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed. No acknowledged local write is lost by any of them; what is pending stays pending.
#[derive(Clone)]
pub struct Error {
    inner: Arc<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: String,
    retry_after_seconds: Option<i64>,
    code: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Kinds of errors, by what the app does about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The configuration, or the schema it names, cannot be synchronised. The message names table, column and mend.
    Configuration,
    /// The database is open elsewhere. Close that client first.
    AlreadyOwned,
    /// SQLite, the disk, or SQL of the host.
    Database,
    /// The server could not be reached or broke off. Try again later.
    Network,
    /// No valid token. Sign in again.
    Authentication,
    /// The server refused or failed; `code` has its word for it.
    Server,
    /// The server answered against the protocol; nothing of it was applied.
    Protocol,
    /// The server does not speak this protocol, or an earlier state of it. Update the server, or check its URL.
    ServerTooOld,
    /// The server's tables are not the configured ones. Update the app or the server.
    TableMismatch,
    /// The database is not attached to a user. Call `attach`.
    NotAttached,
    /// The database is attached to another user. Detach first.
    AttachedToAnother,
    /// Conflicts kept coming for too many rounds; the rows are still pending. Call `sync` again.
    ConflictsRemain,
    /// The resolver failed or answered with something that is not a row of the table; the rows are still pending.
    Resolver,
    /// This source's numbering does not match the server's. Another copy of the database may be in use.
    SourceMismatch,
    /// The host cancelled the operation; it stopped between two durable steps, and the next one goes on from there.
    Cancelled,
    /// The client was closed, or a bug inside.
    Internal,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            inner: Arc::new(Inner {
                kind,
                message: message.into(),
                retry_after_seconds: None,
                code: None,
                source: None,
            }),
        }
    }

    /// What a stopped operation ends with.
    pub(crate) fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "the operation was cancelled; what was done is durable")
    }

    pub(crate) fn with_source(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        let source: Option<Box<dyn std::error::Error + Send + Sync>> = Some(Box::new(source));
        Self {
            inner: Arc::new(Inner {
                kind,
                message: message.into(),
                retry_after_seconds: None,
                code: None,
                source,
            }),
        }
    }

    pub(crate) fn server(
        endpoint: &str,
        status: u16,
        problem: &Problem,
        retry_after_seconds: Option<i64>,
    ) -> Self {
        let message = match (problem.error.as_str(), problem.code()) {
            ("", _) => format!("{endpoint}: the server answered HTTP {status}"),
            // Servers name the row's key in this one, and keys are row contents.
            (code, Some(ProblemCode::PushConflict)) => {
                format!("{endpoint}: the server answered {code} ({status})")
            }
            (code, _) => format!("{endpoint}: the server answered {code} ({status}): {}", problem.message),
        };
        Self {
            inner: Arc::new(Inner {
                kind: ErrorKind::Server,
                message,
                retry_after_seconds,
                code: (!problem.error.is_empty()).then(|| problem.error.clone()),
                source: None,
            }),
        }
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The server's error code, where it gave one (`docs/protocol.md` section 4).
    pub fn code(&self) -> Option<&str> {
        self.inner.code.as_deref()
    }

    pub(crate) fn problem_code(&self) -> Option<ProblemCode> {
        self.code().and_then(ProblemCode::parse)
    }

    /// Seconds that the server asked to wait.
    pub fn retry_after_seconds(&self) -> Option<i64> {
        self.inner.retry_after_seconds
    }

    /// Whether the same call may succeed later without anything being changed.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind(), ErrorKind::Network | ErrorKind::ConflictsRemain)
            || (self.kind() == ErrorKind::Server && self.retry_after_seconds().is_some())
    }

    /// Whether the transport has no way to read a response while it comes in.
    pub(crate) fn is_streaming_unsupported(&self) -> bool {
        let source = self.inner.source.as_deref().and_then(|source| source.downcast_ref::<TransportError>());
        matches!(source, Some(TransportError::StreamingUnsupported))
    }

    /// Whether the user has to sign in again.
    pub fn is_auth(&self) -> bool {
        self.kind() == ErrorKind::Authentication
    }
}

impl ErrorKind {
    /// The kind in one lowercase word, as the command line prints it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::AlreadyOwned => "already_owned",
            Self::Database => "database",
            Self::Network => "network",
            Self::Authentication => "authentication",
            Self::Server => "server",
            Self::Protocol => "protocol",
            Self::ServerTooOld => "server_too_old",
            Self::TableMismatch => "table_mismatch",
            Self::NotAttached => "not_attached",
            Self::AttachedToAnother => "attached_to_another",
            Self::ConflictsRemain => "conflicts_remain",
            Self::Resolver => "resolver",
            Self::SourceMismatch => "source_mismatch",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.inner.kind)
            .field("message", &self.inner.message)
            .field("source", &self.inner.source)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_deref().map(|source| source as _)
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        let kind = match &error {
            StorageError::AlreadyOwned => ErrorKind::AlreadyOwned,
            StorageError::Schema(_)
            | StorageError::NewerLayout(..)
            | StorageError::Input(_)
            | StorageError::OtherPath { .. } => ErrorKind::Configuration,
            StorageError::Payload {
                source: PayloadError::UnknownColumn(_) | PayloadError::MissingColumn(_),
                ..
            } => ErrorKind::TableMismatch,
            StorageError::Payload { .. }
            | StorageError::UnknownTable(_)
            | StorageError::Violation(_)
            | StorageError::ParentsDeletedHere(_) => ErrorKind::Protocol,
            StorageError::Sqlite(_)
            | StorageError::File { .. }
            | StorageError::TransactionExpired(_)
            | StorageError::QueryExpired(_) => ErrorKind::Database,
            StorageError::Undecided | StorageError::Panicked | StorageError::Closed => ErrorKind::Internal,
        };
        Self::with_source(kind, error.to_string(), error)
    }
}
