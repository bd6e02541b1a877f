//! The way to the server. [`Transport`] carries requests, [`TokenProvider`] authorises them, `api` alone
//! knows paths and statuses.

pub(crate) mod api;
mod auth;
#[cfg(feature = "http")]
mod http;
mod watch;

pub use auth::{TokenError, TokenProvider, TokenReason};
#[cfg(feature = "http")]
pub use http::HttpTransport;

pub(crate) use auth::Authorizer;
pub(crate) use watch::WatchStream;

use async_trait::async_trait;
use futures_util::Stream;
use std::pin::Pin;

/// Methods that the protocol uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Post,
    Delete,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method.
    pub method: Method,
    /// Absolute URL.
    pub url: String,
    /// Headers, names in lowercase. One of them is the token: never log them.
    pub headers: Vec<(&'static str, String)>,
    /// JSON body.
    pub body: Option<String>,
    /// Largest acceptable response body in bytes, decompressed.
    pub max_response_bytes: u64,
}

/// A response.
#[derive(Debug, Clone, Default)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Seconds of a `Retry-After` header.
    pub retry_after_seconds: Option<i64>,
    /// The body, decompressed.
    pub body: Vec<u8>,
}

/// Why no response came.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The server could not be reached, or the connection broke.
    #[error("{0}")]
    Connection(String),
    /// The response body is larger than the request allows.
    #[error("the response is larger than {0} bytes")]
    ResponseTooLarge(u64),
    /// This transport cannot read a response while it comes in; the server is polled instead.
    #[error("the transport does not stream responses")]
    StreamingUnsupported,
}

/// A response whose body is read while it comes in, decompressed.
pub struct StreamingResponse {
    /// HTTP status.
    pub status: u16,
    /// Seconds of a `Retry-After` header.
    pub retry_after_seconds: Option<i64>,
    /// Parts of the body as they come; dropping it closes the connection.
    pub body: Pin<Box<dyn Stream<Item = Result<Vec<u8>, TransportError>> + Send>>,
}

impl std::fmt::Debug for StreamingResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamingResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Carries requests to the server. Implement it to bring your own HTTP stack, or a simulator.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends one request and reads its whole response, up to `max_response_bytes`.
    async fn send(&self, request: Request) -> Result<Response, TransportError>;

    /// Sends one request and reads its response while it comes in, for the server's watch stream. Without it the
    /// server is polled.
    async fn open(&self, request: Request) -> Result<StreamingResponse, TransportError> {
        let _ = request;
        Err(TransportError::StreamingUnsupported)
    }
}
