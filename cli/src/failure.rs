//! Errors as the command line tells them: one line or one JSON object, and an exit code.

use rowtide::{Error, ErrorKind};
use std::process::ExitCode;

/// Anything that has no code of its own.
pub(crate) const EXIT_OTHER: u8 = 1;
/// Usage or configuration.
pub(crate) const EXIT_USAGE: u8 = 2;
/// An expected outcome that is not success.
pub(crate) const EXIT_NOT_NOW: u8 = 3;
/// Authentication.
pub(crate) const EXIT_AUTHENTICATION: u8 = 4;
/// Network.
pub(crate) const EXIT_NETWORK: u8 = 5;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: String,
    message: String,
    exit: u8,
}

impl Failure {
    pub(crate) fn new(kind: &str, message: impl Into<String>, exit: u8) -> Self {
        Self { kind: kind.to_owned(), message: message.into(), exit }
    }

    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self::new("configuration", message, EXIT_USAGE)
    }

    /// Writes the failure to standard error.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        if json {
            eprintln!("{}", serde_json::json!({ "error": self.kind, "message": self.message }));
        } else {
            eprintln!("rowtide: {}", self.message.replace('\n', " "));
        }
        ExitCode::from(self.exit)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error.kind() {
            ErrorKind::Configuration | ErrorKind::TableMismatch => EXIT_USAGE,
            ErrorKind::Authentication => EXIT_AUTHENTICATION,
            ErrorKind::Network => EXIT_NETWORK,
            _ => EXIT_OTHER,
        };
        Self::new(error.kind().as_str(), error.to_string(), exit)
    }
}
