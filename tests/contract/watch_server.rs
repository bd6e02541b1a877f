//! A server whose watch streams are in the test's hand.

use crate::script::capabilities;
use async_trait::async_trait;
use futures_util::stream;
use rowtide::{Request, Response, StreamingResponse, Transport, TransportError};
use rowtide_tests::Endpoint;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// What the client did, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It asked for a stream after this bundle.
    Opened(i64),
    /// It let go of the answer to that.
    Closed,
    /// It pulled after this bundle.
    Pulled(i64),
}

/// The server. Clones share it.
#[derive(Clone)]
pub(crate) struct WatchServer(Arc<Mutex<State>>);

struct State {
    capabilities: Value,
    /// The newest bundle; all are of other devices and have no rows.
    newest: i64,
    /// Streams are refused with this.
    refusal: Option<(u16, Value)>,
    /// The way into the stream that was opened last.
    stream: Option<UnboundedSender<Vec<u8>>>,
    seen: Vec<Seen>,
}

impl WatchServer {
    /// A server with streams, at this bundle.
    pub(crate) fn new(newest: i64) -> Self {
        let mut capabilities = capabilities();
        capabilities["features"]["bundle_change_watch"] = json!(true);
        let state = State { capabilities, newest, refusal: None, stream: None, seen: Vec::new() };
        Self(Arc::new(Mutex::new(state)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn with_capabilities(self, capabilities: &Value) -> Self {
        self.lock().capabilities = capabilities.clone();
        self
    }

    /// A server that refuses streams with the case's `status` and `body`.
    pub(crate) fn refusing(response: &Value) -> Self {
        let server = Self::new(0);
        let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
        server.lock().refusal = Some((status, response["body"].clone()));
        server
    }

    pub(crate) fn allow(&self) {
        self.lock().refusal = None;
    }

    /// Another device commits up to this bundle.
    pub(crate) fn commit(&self, newest: i64) {
        self.lock().newest = newest;
    }

    /// Sends lines over the stream that was opened last; they are lost where the client has closed it.
    pub(crate) fn tell(&self, lines: &[&str]) {
        let mut text = lines.join("\n");
        text.push('\n');
        let _lost = self.lock().stream.as_ref().unwrap().send(text.into_bytes());
    }

    /// Takes what the client did so far.
    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.lock().seen)
    }
}

/// Tells the server when the client lets go of an answer.
struct Held(WatchServer);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.lock().seen.push(Seen::Closed);
    }
}

fn after(request: &Request) -> i64 {
    let query = request.url.split_once("after_bundle_seq=").unwrap().1;
    query.split('&').next().unwrap().parse().unwrap()
}

#[async_trait]
impl Transport for WatchServer {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let mut state = self.lock();
        let (status, body) = match Endpoint::of(request.method, request.url.split('?').next().unwrap()) {
            Endpoint::Capabilities => (200, state.capabilities.clone()),
            Endpoint::Connect => (200, json!({ "resolution": "remote_authoritative" })),
            Endpoint::SnapshotCreate => {
                let session = json!({
                    "snapshot_id": "s", "snapshot_bundle_seq": state.newest, "row_count": 0, "byte_count": 0,
                    "expires_at": "2099-01-01T00:00:00Z",
                });
                (200, session)
            }
            Endpoint::Pull => {
                state.seen.push(Seen::Pulled(after(&request)));
                let bundle = |seq: i64| {
                    json!({
                        "bundle_seq": seq, "source_id": "device-a", "source_bundle_id": seq, "rows": [],
                    })
                };
                let bundles: Vec<_> = (after(&request) + 1..=state.newest).map(bundle).collect();
                (200, json!({ "stable_bundle_seq": state.newest, "bundles": bundles, "has_more": false }))
            }
            _ => (204, Value::Null),
        };
        let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(&body).unwrap() };
        Ok(Response { status, retry_after_seconds: None, body })
    }

    async fn open(&self, request: Request) -> Result<StreamingResponse, TransportError> {
        let mut state = self.lock();
        state.seen.push(Seen::Opened(after(&request)));
        let held = Held(self.clone());
        let (sender, receiver) = unbounded_channel();
        let status = match &state.refusal {
            Some((status, body)) => {
                sender.send(serde_json::to_vec(body).unwrap()).unwrap();
                *status
            }
            None => {
                state.stream = Some(sender);
                200
            }
        };
        let body = stream::unfold((receiver, held), async |(mut receiver, held)| {
            let part = receiver.recv().await?;
            Some((Ok(part), (receiver, held)))
        });
        Ok(StreamingResponse { status, retry_after_seconds: None, body: Box::pin(body) })
    }
}
