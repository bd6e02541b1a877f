//! Time and chance, injected (design D10).

use async_trait::async_trait;
use std::time::Duration;

/// Where the core takes the time from.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970 UTC.
    fn now_ms(&self) -> i64;
    /// Waits.
    async fn sleep(&self, duration: Duration);
}

/// The system's clock, on the tokio runtime.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        jiff::Timestamp::now().as_millisecond()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Where the core takes chance from: jitter, nothing secret.
pub trait Rng: Send + Sync + 'static {
    /// A fraction from 0 to below 1.
    fn fraction(&self) -> f64;
}

/// The system's random numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    fn fraction(&self) -> f64 {
        rand::random()
    }
}
