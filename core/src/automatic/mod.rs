//! The automatic loop (design D8): local commits and the server's watch stream wake it, connectivity and pauses
//! hold it, failures make it wait.

mod driver;
mod options;
mod plan;
mod signals;
mod watcher;

pub use options::{Connectivity, Direction, LoopOptions, MeteredUse, WatchUse};

pub(crate) use driver::{World, drive};
pub(crate) use signals::{News, Signals};
pub(crate) use watcher::watch;

use crate::clock::Rng;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::time::Duration;

/// Waits between failures: doubling, with jitter, from the least again after a success.
struct Backoff {
    least: Duration,
    most: Duration,
    waits: ExponentialBackoff,
}

impl Backoff {
    fn new(options: &LoopOptions) -> Self {
        let (least, most) = (options.backoff_least, options.backoff_most);
        Self { least, most, waits: waits(least, most) }
    }

    fn reset(&mut self) {
        self.waits = waits(self.least, self.most);
    }

    /// Between half of the next wait and all of it, so that devices do not come back together.
    fn next(&mut self, rng: &dyn Rng) -> Duration {
        self.waits.next().unwrap_or(self.most).mul_f64(0.5 + 0.5 * rng.fraction())
    }
}

fn waits(least: Duration, most: Duration) -> ExponentialBackoff {
    ExponentialBuilder::default().with_min_delay(least).with_max_delay(most).without_max_times().build()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
