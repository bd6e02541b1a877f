//! A documented refusal: code, message and what the code carries.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rowtide::protocol::problem::{Problem, ProblemCode};

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
