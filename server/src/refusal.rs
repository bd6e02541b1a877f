//! A documented refusal: code, message and what the code carries.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rowtide::protocol::problem::{Conflict, Problem, ProblemCode};

/// An answer that says no, and changes nothing.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Status and body.
    pub code: ProblemCode,
    /// The body.
    pub problem: Box<Problem>,
    /// Seconds for `Retry-After`.
    pub retry_after_seconds: Option<i64>,
}

impl Refusal {
    /// A refusal with a code and a message that holds no row contents.
    pub fn new(code: ProblemCode, message: impl Into<String>) -> Self {
        Self { code, problem: Box::new(Problem::new(code, message)), retry_after_seconds: None }
    }

    /// The conflicts of a commit: the first one where every client reads it, and all of them, as far as an answer may
    /// be long, where newer ones do.
    pub(crate) fn conflicts(conflicts: Vec<Conflict>) -> Self {
        /// What the answer may be long, with room for its first conflict: clients read 64 KiB.
        const BYTES: usize = 24 << 10;
        let Some(first) = conflicts.first().cloned() else {
            return Self::new(ProblemCode::PushConflict, "a row of the bundle has another version");
        };
        let text = format!(
            "{} conflict on {}.{} {}: expected version {}, got {}",
            first.op.as_str().to_lowercase(),
            first.schema,
            first.table,
            first.key.value,
            first.server_row_version,
            first.base_row_version
        );
        let mut bytes = 0;
        let fits = |conflict: &Conflict| {
            let row = conflict.server_row.as_ref().map_or(0, |row| row.get().len());
            bytes += row + conflict.key.value.len() + 200;
            bytes <= BYTES
        };
        let all: Vec<Conflict> = conflicts.into_iter().take_while(fits).collect();
        Self::new(ProblemCode::PushConflict, text).with(|problem| {
            problem.conflict = Some(first);
            problem.conflicts = all;
        })
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Problem)) -> Self {
        change(&mut self.problem);
        self
    }

    pub(crate) fn retry_after(mut self, seconds: i64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&*self.problem)).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
