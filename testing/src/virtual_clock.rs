//! Time that moves only when the test moves it.

use async_trait::async_trait;
use rowtide::Clock;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// A clock for one test. Clones share it.
#[derive(Clone)]
pub struct VirtualClock {
    state: Arc<Mutex<State>>,
    sleeping: Arc<watch::Sender<usize>>,
}

struct State {
    now_ms: i64,
    sleepers: Vec<(i64, oneshot::Sender<()>)>,
}

impl Default for VirtualClock {
    fn default() -> Self {
        let state = State { now_ms: 1_800_000_000_000, sleepers: Vec::new() };
        Self { state: Arc::new(Mutex::new(state)), sleeping: Arc::new(watch::channel(0).0) }
    }
}

impl VirtualClock {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the time on, and wakes who waited for it.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.lock();
        state.now_ms += i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let now_ms = state.now_ms;
        let (due, waiting) =
            std::mem::take(&mut state.sleepers).into_iter().partition(|(at, _)| *at <= now_ms);
        state.sleepers = waiting;
        drop(state);
        let due: Vec<(i64, oneshot::Sender<()>)> = due;
        for (_, wake) in due {
            let _gone = wake.send(());
        }
    }

    /// Waits until somebody sleeps until exactly this long from now.
    pub async fn until_somebody_sleeps(&self, duration: Duration) {
        let mut sleeping = self.sleeping.subscribe();
        loop {
            {
                let state = self.lock();
                let at = state.now_ms + i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
                if state.sleepers.iter().any(|(until, wake)| *until == at && !wake.is_closed()) {
                    return;
                }
            }
            let _ = sleeping.changed().await;
        }
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now_ms(&self) -> i64 {
        self.lock().now_ms
    }

    async fn sleep(&self, duration: Duration) {
        let (wake, woken) = oneshot::channel();
        {
            let mut state = self.lock();
            let at = state.now_ms.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX));
            if at <= state.now_ms {
                return;
            }
            state.sleepers.retain(|(_, wake)| !wake.is_closed());
            state.sleepers.push((at, wake));
        }
        self.sleeping.send_modify(|count| *count += 1);
        let _ = woken.await;
    }
}
