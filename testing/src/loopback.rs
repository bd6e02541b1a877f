//! The server on a loopback port, for apps in any language. A fault that loses something breaks the connection.

use crate::carry::Carried;
use crate::options::TestServerError;
use crate::server::TestServer;
use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response as Reply};
use futures_util::{FutureExt, StreamExt, stream};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rowtide::{Method, Request};
use std::net::Ipv4Addr;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Headers that the protocol has.
const HEADERS: [&str; 3] = ["authorization", "oversync-source-id", "content-type"];

/// A port of this machine on which a [`TestServer`] answers until this is dropped, and its connections with it.
#[derive(Debug)]
pub struct Loopback {
    url: String,
    accepting: JoinHandle<()>,
}

impl Loopback {
    /// Where it is: `http://127.0.0.1:PORT`, to configure a client with.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The connection is to break.
#[derive(Debug, thiserror::Error)]
#[error("the connection broke (planned)")]
struct Broken;

impl TestServer {
    /// Answers on a free loopback port over HTTP 1.1, through the same faults as in process: a lost request or reply
    /// closes the connection without an answer, a truncated one closes it in the middle of the body. Every answer
    /// closes its connection, because HTTP clients try again by themselves where a connection that they kept breaks,
    /// and would hide the fault.
    ///
    /// Must be called on a tokio runtime, which must go on running.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn serve(&self) -> Result<Loopback, TestServerError> {
        let failed = |cause| TestServerError::System { what: "cannot listen on a loopback port", cause };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let url = format!("http://{}", listener.local_addr().map_err(failed)?);
        let accepting = tokio::spawn(accept(self.clone(), listener));
        Ok(Loopback { url, accepting })
    }
}

/// Dropping this future drops the connections.
async fn accept(server: TestServer, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(converse(server.clone(), stream))),
                // A connection that its client gave up before it was accepted.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(server: TestServer, stream: TcpStream) {
    let service = service_fn(|request| reply(server.clone(), request));
    // It ends with the error of a planned break, or with that of a client who went away: neither is ours to report.
    let _ended =
        http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service).await;
}

async fn reply(server: TestServer, request: hyper::Request<Incoming>) -> Result<Reply, Broken> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(Body::new(body), usize::MAX).await.map_err(|_| Broken)?;
    let Some(method) = method(&parts) else { return Ok(StatusCode::METHOD_NOT_ALLOWED.into_response()) };
    let Ok(body) = String::from_utf8(body.into()) else { return Ok(StatusCode::BAD_REQUEST.into_response()) };
    let request = Request {
        method,
        url: parts.uri.to_string(),
        headers: headers(&parts),
        body: Some(body).filter(|body| !body.is_empty()),
        max_response_bytes: u64::MAX,
    };
    match server.carry(request).await {
        Carried::Whole(reply) => Ok(reply),
        Carried::Half(body, head) => Ok(cut(&body, head)),
        Carried::Lost => Err(Broken),
    }
}

fn method(parts: &Parts) -> Option<Method> {
    [("GET", Method::Get), ("POST", Method::Post), ("DELETE", Method::Delete)]
        .into_iter()
        .find_map(|(name, method)| (parts.method == *name).then_some(method))
}

fn headers(parts: &Parts) -> Vec<(&'static str, String)> {
    let text = |name: &'static str| Some((name, parts.headers.get(name)?.to_str().ok()?.to_owned()));
    HEADERS.into_iter().filter_map(text).collect()
}

/// Promises the whole body, sends half of it, and breaks off.
fn cut(body: &[u8], mut head: Reply) -> Reply {
    let half = Ok(body[..body.len() / 2].to_vec());
    // hyper sends what it has while it waits for more, and drops it where an error comes at once.
    let broken = tokio::task::yield_now().map(|()| Err(Broken));
    head.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    head.map(|_| Body::from_stream(stream::iter([half]).chain(stream::once(broken))))
}
