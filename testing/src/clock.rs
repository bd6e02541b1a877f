//! The server's time: a clock that the test gave, moved on by the test.

use async_trait::async_trait;
use rowtide::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

#[derive(Clone)]
pub(crate) struct ServerClock {
    base: Arc<dyn Clock>,
    ahead_ms: Arc<AtomicI64>,
}

impl ServerClock {
    pub(crate) fn new(base: Arc<dyn Clock>) -> Self {
        Self { base, ahead_ms: Arc::default() }
    }

    pub(crate) fn advance(&self, milliseconds: i64) {
        self.ahead_ms.fetch_add(milliseconds, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for ServerClock {
    fn now_ms(&self) -> i64 {
        self.base.now_ms().saturating_add(self.ahead_ms.load(Ordering::SeqCst))
    }

    async fn sleep(&self, duration: Duration) {
        self.base.sleep(duration).await;
    }
}
