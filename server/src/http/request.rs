//! What is common to requests: identity, source, bounded body, typed parse errors.

use super::App;
use crate::refusal::Refusal;
use crate::service::Service;
use crate::store::Scope;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use http_body_util::LengthLimitError;
use rowtide::protocol::ids::SourceId;
use rowtide::protocol::problem::ProblemCode;
use rowtide::protocol::profile::WireGeneration;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Who calls, and from which database.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) scope: Scope,
    pub(crate) source: SourceId,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let user = app
            .authenticator
            .authenticate(&parts.headers)
            .await
            .map_err(|error| Refusal::new(ProblemCode::AuthenticationFailed, error.0))?;
        let scope = app.service.scope(&user);
        let source = source(parts, scope.generation)?;
        Ok(Self { scope, source })
    }
}

fn source(parts: &Parts, generation: WireGeneration) -> Result<SourceId, Refusal> {
    let invalid =
        |text: &str| Refusal::new(ProblemCode::InvalidRequest, format!("{} header {text}", SourceId::HEADER));
    let header = parts.headers.get(SourceId::HEADER).ok_or_else(|| invalid("is required"))?;
    let text = header.to_str().map_err(|_| invalid("must be visible ASCII"))?;
    let text = match generation {
        WireGeneration::A => text.trim(),
        WireGeneration::B => text,
    };
    if text.is_empty() {
        return Err(invalid("is required"));
    }
    SourceId::parse(text).ok_or_else(|| invalid("must be visible ASCII without spaces"))
}

/// A request whose body has not been read yet.
pub(crate) struct Gate(Body);

impl FromRequest<App> for Gate {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &App) -> Result<Self, Refusal> {
        Ok(Self(request.into_body()))
    }
}

impl Gate {
    /// Reads the body, up to the stated limit.
    pub(crate) async fn body(self, service: &Service) -> Result<Bytes, Refusal> {
        let limit = service.shared.config.limits.request_bytes;
        axum::body::to_bytes(self.0, limit).await.map_err(|error| {
            // What a compressed body says is counted as it unfolds.
            if std::error::Error::source(&error).is_some_and(<dyn std::error::Error>::is::<LengthLimitError>)
            {
                let text = format!("a request body has at most {limit} bytes");
                return Refusal::new(ProblemCode::RequestTooLarge, text);
            }
            Refusal::new(ProblemCode::InvalidRequest, "the request body broke off, or is not gzip as it says")
        })
    }
}

/// Parses a body; the text of the refusal names a place, never what was there.
pub(crate) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8], code: ProblemCode) -> Result<T, Refusal> {
    // serde reads a struct from an array as well; the protocol has objects only.
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Refusal::new(code, "the request body must be a JSON object"));
    }
    serde_json::from_slice(body).map_err(|error| {
        let text = format!(
            "the request body is not what the protocol says, at line {} column {}",
            error.line(),
            error.column()
        );
        Refusal::new(code, text)
    })
}

/// Parses a query string.
pub(crate) fn query<T: DeserializeOwned>(uri: &axum::http::Uri, code: ProblemCode) -> Result<T, Refusal> {
    let parsed = Query::<T>::try_from_uri(uri);
    parsed.map(|Query(found)| found).map_err(|_| Refusal::new(code, "a query parameter is not a number"))
}

/// A number of a query within its bounds.
pub(crate) fn bounded(
    name: &str,
    asked: Option<i64>,
    default: i64,
    max: i64,
    code: ProblemCode,
) -> Result<i64, Refusal> {
    let value = asked.unwrap_or(default);
    if (1..=max).contains(&value) {
        return Ok(value);
    }
    Err(Refusal::new(code, format!("{name} must be between 1 and {max}")))
}
