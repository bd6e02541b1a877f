//! Faults as they cross: signed numbers, milliseconds.

use crate::{TestServerError, invalid};
use std::time::Duration;

/// An endpoint of the protocol.
pub type Endpoint = rowtide_testing::Endpoint;

/// An endpoint of the protocol.
#[uniffi::remote(Enum)]
pub enum Endpoint {
    Capabilities,
    Connect,
    PushCreate,
    PushChunk,
    PushCommit,
    CommittedRows,
    Pull,
    SnapshotCreate,
    SnapshotChunk,
    SnapshotDelete,
    Watch,
    Other,
}

/// What goes wrong with one call.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Fault {
    /// The request never reaches the server; the connection breaks.
    DropRequest,
    /// The server acts, the reply is lost: the connection breaks.
    ApplyThenDropReply,
    /// The server acts, and the connection breaks in the middle of the reply's body.
    ApplyThenTruncateReply,
    /// The server answers this and does nothing.
    Answer {
        /// HTTP status, 200 to 599.
        status: i32,
        /// The body.
        body: String,
    },
    /// The server answers this status with a `Retry-After` header and no body, and does nothing.
    AnswerRetryAfter {
        /// HTTP status, 200 to 599; 429 and 503 are usual.
        status: i32,
        /// What the header says.
        seconds: i64,
    },
    /// The request waits that long before the server sees it.
    Delay {
        /// How long.
        milliseconds: i64,
    },
}

/// A fault that struck.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct StruckFault {
    /// Where.
    pub endpoint: Endpoint,
    /// What.
    pub fault: Fault,
}

fn status(status: i32) -> Result<u16, TestServerError> {
    let code = u16::try_from(status).ok().filter(|code| (200..600).contains(code));
    code.ok_or_else(|| invalid(format!("a server answers a status from 200 to 599, not {status}")))
}

impl TryFrom<Fault> for rowtide_testing::Fault {
    type Error = TestServerError;

    fn try_from(fault: Fault) -> Result<Self, TestServerError> {
        Ok(match fault {
            Fault::DropRequest => Self::DropRequest,
            Fault::ApplyThenDropReply => Self::ApplyThenDropReply,
            Fault::ApplyThenTruncateReply => Self::ApplyThenTruncateReply,
            Fault::Answer { status: code, body } => Self::Answer(status(code)?, body),
            Fault::AnswerRetryAfter { status: code, seconds } => {
                Self::AnswerRetryAfter { status: status(code)?, seconds }
            }
            Fault::Delay { milliseconds } => {
                let milliseconds =
                    u64::try_from(milliseconds).map_err(|_| invalid("a delay is not negative"))?;
                Self::Delay(Duration::from_millis(milliseconds))
            }
        })
    }
}

impl StruckFault {
    /// `None` for a fault that cannot be planned from here.
    pub(crate) fn of(struck: rowtide_testing::Struck) -> Option<Self> {
        use rowtide_testing::Fault as Inner;
        let fault = match struck.fault {
            Inner::DropRequest => Fault::DropRequest,
            Inner::ApplyThenDropReply => Fault::ApplyThenDropReply,
            Inner::ApplyThenTruncateReply => Fault::ApplyThenTruncateReply,
            Inner::Answer(status, body) => Fault::Answer { status: i32::from(status), body },
            Inner::AnswerRetryAfter { status, seconds } => {
                Fault::AnswerRetryAfter { status: i32::from(status), seconds }
            }
            Inner::Delay(duration) => {
                Fault::Delay { milliseconds: i64::try_from(duration.as_millis()).unwrap_or(i64::MAX) }
            }
            Inner::Forge(..) => return None,
        };
        Some(Self { endpoint: struck.endpoint, fault })
    }
}
