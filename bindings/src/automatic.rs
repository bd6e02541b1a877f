//! Options of the automatic loop.

use crate::report::milliseconds;
use std::time::Duration;

/// What the loop does over a metered connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum MeteredUse {
    /// Uploads and downloads.
    Everything,
    /// Uploads only.
    UploadsOnly,
    /// Nothing.
    Nothing,
}

/// Options of the automatic loop. Times are in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct LoopOptions {
    /// How long after a local commit its upload begins, so that a burst of writes goes up together. Writes that never
    /// pause are uploaded after ten times this.
    pub debounce_ms: i64,
    /// How often the server is asked for news while no watch stream is open.
    pub poll_interval_ms: i64,
    /// Whether the server's watch stream is used where it has one.
    pub watch: bool,
    /// A watch stream that is silent for so long is taken for dead; servers send a heartbeat every 25 seconds.
    pub watch_idle_ms: i64,
    /// The wait after a first failure; it doubles with each further one.
    pub backoff_least_ms: i64,
    /// The longest wait after a failure.
    pub backoff_most_ms: i64,
    /// What happens over a metered connection.
    pub metered: MeteredUse,
}

/// Options that suit an app in the foreground.
#[uniffi::export]
pub fn default_loop_options() -> LoopOptions {
    let count = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let options = rowtide::LoopOptions::default();
    LoopOptions {
        debounce_ms: count(options.debounce),
        poll_interval_ms: count(options.poll_interval),
        watch: options.watch == rowtide::WatchUse::Auto,
        watch_idle_ms: count(options.watch_idle),
        backoff_least_ms: count(options.backoff_least),
        backoff_most_ms: count(options.backoff_most),
        metered: MeteredUse::Everything,
    }
}

impl From<LoopOptions> for rowtide::LoopOptions {
    fn from(options: LoopOptions) -> Self {
        Self {
            debounce: milliseconds(options.debounce_ms),
            poll_interval: milliseconds(options.poll_interval_ms),
            watch: if options.watch { rowtide::WatchUse::Auto } else { rowtide::WatchUse::Off },
            watch_idle: milliseconds(options.watch_idle_ms),
            backoff_least: milliseconds(options.backoff_least_ms),
            backoff_most: milliseconds(options.backoff_most_ms),
            metered: match options.metered {
                MeteredUse::Everything => rowtide::MeteredUse::Everything,
                MeteredUse::UploadsOnly => rowtide::MeteredUse::UploadsOnly,
                MeteredUse::Nothing => rowtide::MeteredUse::Nothing,
            },
        }
    }
}
