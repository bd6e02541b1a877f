//! How the automatic loop behaves, and what the host tells it.

use std::time::Duration;

/// Options of the automatic loop; the defaults suit an app in the foreground.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoopOptions {
    /// How long after a local commit its upload begins, so that a burst of writes goes up together. Writes that
    /// never pause are uploaded after ten times this.
    pub debounce: Duration,
    /// How often the server is asked for news while no watch stream is open.
    pub poll_interval: Duration,
    /// Whether the server's watch stream is used where it has one.
    pub watch: WatchUse,
    /// A watch stream that is silent for so long is taken for dead; servers send a heartbeat every 25 seconds.
    pub watch_idle: Duration,
    /// The wait after a first failure; it doubles with each further one.
    pub backoff_least: Duration,
    /// The longest wait after a failure.
    pub backoff_most: Duration,
    /// What happens over a metered connection.
    pub metered: MeteredUse,
}

impl Default for LoopOptions {
    fn default() -> Self {
        Self {
            debounce: Duration::from_millis(500),
            poll_interval: Duration::from_secs(60),
            watch: WatchUse::Auto,
            watch_idle: Duration::from_secs(75),
            backoff_least: Duration::from_secs(1),
            backoff_most: Duration::from_secs(60),
            metered: MeteredUse::Everything,
        }
    }
}

/// Whether the server's watch stream is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WatchUse {
    /// Where the server and the transport have it.
    #[default]
    Auto,
    /// Never; the server is polled.
    Off,
}

/// What the loop does over a metered connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MeteredUse {
    /// Uploads and downloads.
    #[default]
    Everything,
    /// Uploads only.
    UploadsOnly,
    /// Nothing.
    Nothing,
}

/// The network, as the host's platform tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Connectivity {
    /// There is none; the loop waits.
    None,
    /// One that costs.
    Metered,
    /// One that does not; also assumed until the host says otherwise.
    #[default]
    Unmetered,
}

/// The two ways that rows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From here to the server.
    Uploads,
    /// From the server to here.
    Downloads,
}
