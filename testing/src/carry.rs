//! The way of a request through the faults to the service, and back.

use crate::endpoint::Endpoint;
use crate::fault::Fault;
use crate::server::{Exchange, Hook, TestServer};
use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response as Reply};
use futures_util::{StreamExt, TryStreamExt};
use rowtide::{Clock, Method, Request, Response, StreamingResponse, Transport, TransportError};
use tower::ServiceExt;

/// What comes back.
pub(crate) enum Carried {
    /// The reply.
    Whole(Reply),
    /// Only half of this body.
    Half(Vec<u8>, Reply),
    /// Nothing: the connection broke.
    Lost,
}

impl TestServer {
    /// Carries a request as a network would.
    pub(crate) async fn carry(&self, request: Request) -> Carried {
        let endpoint = Endpoint::of(request.method, request.url.split('?').next().unwrap_or_default());
        if let Some(work) = self.arrive(endpoint, &request) {
            // The hook may run another device to its end, which needs threads of its own.
            tokio::task::block_in_place(work);
        }
        if self.forbids(endpoint, &request) {
            let body = r#"{"error":"push_session_commit_failed","message":"Failed to commit push session"}"#;
            return Carried::Whole((StatusCode::INTERNAL_SERVER_ERROR, body).into_response());
        }
        let fault = self.lock().faults.next(endpoint);
        let Some(fault) = fault else { return Carried::Whole(self.answer(request).await) };
        match fault {
            Fault::DropRequest => Carried::Lost,
            Fault::Answer(status, body) => Carried::Whole((status_of(status), body).into_response()),
            Fault::AnswerRetryAfter { status, seconds } => {
                let after = [(header::RETRY_AFTER, HeaderValue::from(seconds))];
                Carried::Whole((status_of(status), after).into_response())
            }
            Fault::Delay(duration) => {
                self.founding.clock.sleep(duration).await;
                Carried::Whole(self.answer(request).await)
            }
            Fault::ApplyThenDropReply => {
                self.answer(request).await;
                Carried::Lost
            }
            // A stream has no end that half of it could be counted from.
            Fault::ApplyThenTruncateReply | Fault::Forge(..) if endpoint == Endpoint::Watch => Carried::Lost,
            Fault::ApplyThenTruncateReply => {
                let (head, body) = self.answer(request).await.into_parts();
                Carried::Half(whole(body).await, Reply::from_parts(head, Body::empty()))
            }
            Fault::Forge(from, to) => {
                let (mut head, body) = self.answer(request).await.into_parts();
                let text = String::from_utf8(whole(body).await).expect("responses are text");
                assert!(text.contains(&from), "nothing to forge: {from}");
                head.headers.remove(header::CONTENT_LENGTH);
                Carried::Whole(Reply::from_parts(head, text.replacen(&from, &to, 1).into()))
            }
        }
    }

    /// Notes the request; answers what is to run before it goes on.
    fn arrive(&self, endpoint: Endpoint, request: &Request) -> Option<Hook> {
        let mut state = self.lock();
        state.exchanges.push(Exchange { endpoint, request: request.clone() });
        let (_, work) = state.before.take_if(|(at, _)| *at == endpoint)?;
        Some(work)
    }

    fn forbids(&self, endpoint: Endpoint, request: &Request) -> bool {
        let mut state = self.lock();
        let session = || {
            let tail = request.url.split("/push-sessions/").nth(1).unwrap_or_default();
            tail.split('/').next().unwrap_or_default().to_owned()
        };
        match endpoint {
            Endpoint::PushChunk => {
                let body = request.body.as_deref().unwrap_or_default();
                if state.forbidden.iter().any(|text| body.contains(text)) {
                    state.forbidden_sessions.push(session());
                }
                false
            }
            Endpoint::PushCommit => state.forbidden_sessions.contains(&session()),
            _ => false,
        }
    }

    /// The service's own answer, past all faults. A watch stream ends when streams are broken.
    pub(crate) async fn answer(&self, request: Request) -> Reply {
        let streams = Endpoint::of(request.method, request.url.split('?').next().unwrap_or_default())
            == Endpoint::Watch;
        let mut broken = self.lock().streams.subscribe();
        let method = match request.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        };
        let mut builder = axum::http::Request::builder().method(method).uri(&request.url);
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        let body = request.body.map_or_else(Body::empty, Body::from);
        let Ok(request) = builder.body(body) else { return StatusCode::BAD_REQUEST.into_response() };
        let router = self.running().router.clone();
        let Ok(reply) = router.oneshot(request).await;
        if !streams {
            return reply;
        }
        let end = Box::pin(async move {
            let _ = broken.changed().await;
        });
        reply.map(|body| Body::from_stream(body.into_data_stream().take_until(end)))
    }
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("a planned status has three digits")
}

async fn whole(body: Body) -> Vec<u8> {
    to_bytes(body, usize::MAX).await.expect("the service's bodies do not fail").to_vec()
}

fn lost() -> TransportError {
    TransportError::Connection("the connection broke (planned)".into())
}

fn retry_after(reply: &Reply) -> Option<i64> {
    reply.headers().get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()
}

/// For clients in the same process. Bodies are whole or, where a fault cut them, half; sizes are not limited.
#[async_trait]
impl Transport for TestServer {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let (reply, half) = match self.carry(request).await {
            Carried::Lost => return Err(lost()),
            Carried::Half(body, head) => (head, Some(body)),
            Carried::Whole(reply) => (reply, None),
        };
        let retry_after_seconds = retry_after(&reply);
        let status = reply.status().as_u16();
        let body = match half {
            Some(mut body) => {
                body.truncate(body.len() / 2);
                body
            }
            None => whole(reply.into_body()).await,
        };
        Ok(Response { status, retry_after_seconds, body })
    }

    async fn open(&self, request: Request) -> Result<StreamingResponse, TransportError> {
        let Carried::Whole(reply) = self.carry(request).await else { return Err(lost()) };
        let retry_after_seconds = retry_after(&reply);
        let status = reply.status().as_u16();
        let broke = |_| TransportError::Connection("the connection broke".into());
        let body = reply.into_body().into_data_stream().map_ok(|part| part.to_vec()).map_err(broke);
        Ok(StreamingResponse { status, retry_after_seconds, body: Box::pin(body) })
    }
}
