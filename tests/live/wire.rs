//! A transport over TCP that ends at a chosen request, or lets something happen before one.

use crate::World;
use async_trait::async_trait;
use rowtide::{Clock, Config, HttpTransport, Request, Response, Transport, TransportError};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Hook = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The request does not reach the server.
    BeforeRequest,
    /// The server has done its work, and nobody hears of it.
    BeforeReply,
}

impl Cut {
    pub(crate) const BOTH: [Self; 2] = [Self::BeforeRequest, Self::BeforeReply];
}

#[derive(Default)]
struct Script {
    /// Requests to let through before the cut.
    cut: Option<(usize, Cut)>,
    down: bool,
    before: Option<(&'static str, Hook)>,
}

/// Clones share the script.
#[derive(Clone)]
pub(crate) struct Wire {
    http: HttpTransport,
    script: Arc<Mutex<Script>>,
}

impl Wire {
    pub(crate) fn new(world: &World) -> Self {
        Self { http: world.http.clone(), script: Arc::default() }
    }

    /// Lets some requests through, and no further one.
    pub(crate) fn cut_after(&self, requests: usize, cut: Cut) {
        *self.script.lock().unwrap() = Script { cut: Some((requests, cut)), ..Script::default() };
    }

    /// The connection is there again, for good.
    pub(crate) fn heal(&self) {
        *self.script.lock().unwrap() = Script::default();
    }

    /// Lets something happen before the next request to a path that ends so.
    pub(crate) fn before(&self, path: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.script.lock().unwrap().before = Some((path, Box::pin(work)));
    }

    /// Whether what [`before`](Self::before) was given is still to happen.
    pub(crate) fn waits(&self) -> bool {
        self.script.lock().unwrap().before.is_some()
    }

    /// A configuration that uses this wire, and gives up without waiting.
    pub(crate) fn used_by(&self, config: Config) -> Config {
        config.transport(self.clone()).clock(Impatient)
    }

    fn hook(&self, url: &str) -> Option<Hook> {
        let path = url.split('?').next().unwrap_or_default();
        let mut script = self.script.lock().unwrap();
        match script.before.take() {
            Some((end, work)) if path.ends_with(end) => Some(work),
            other => {
                script.before = other;
                None
            }
        }
    }

    /// Whether the request is sent, and whether its reply is heard.
    fn fate(&self) -> (bool, bool) {
        let mut script = self.script.lock().unwrap();
        if script.down {
            return (false, false);
        }
        match &mut script.cut {
            None => (true, true),
            Some((0, cut)) => {
                let sent = *cut == Cut::BeforeReply;
                script.down = true;
                (sent, false)
            }
            Some((left, _)) => {
                *left -= 1;
                (true, true)
            }
        }
    }
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        if let Some(work) = self.hook(&request.url) {
            work.await;
        }
        let lost = || TransportError::Connection("the connection is cut (planned)".into());
        match self.fate() {
            (true, true) => self.http.send(request).await,
            (true, false) => {
                self.http.send(request).await?;
                Err(lost())
            }
            _ => Err(lost()),
        }
    }
}

/// Real time, without waiting.
#[derive(Debug, Clone, Copy)]
struct Impatient;

#[async_trait]
impl Clock for Impatient {
    fn now_ms(&self) -> i64 {
        rowtide::SystemClock.now_ms()
    }

    async fn sleep(&self, _: Duration) {
        tokio::task::yield_now().await;
    }
}
