//! What wakes and holds the loop: one place that everything writes to and the loop reads.

use super::options::{Connectivity, Direction, LoopOptions, MeteredUse};
use crate::protocol::ids::BundleSeq;
use crate::report::Health;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The state of the inputs at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inputs {
    /// The loop's options while it runs.
    pub(crate) running: Option<LoopOptions>,
    /// Counts starts and stops, so that a task knows when it was replaced.
    pub(crate) run: u64,
    pub(crate) attached: bool,
    pub(crate) uploads_paused: bool,
    pub(crate) downloads_paused: bool,
    pub(crate) connectivity: Connectivity,
    /// First and last local commit that was not uploaded yet, in milliseconds.
    pub(crate) local: Option<(i64, i64)>,
    /// A bundle that the server told of, or that there may be one.
    pub(crate) news: Option<News>,
    pub(crate) watching: bool,
    /// Nothing is sent until the host says that there are new credentials.
    pub(crate) credentials_rejected: bool,
    pub(crate) health: Health,
    pub(crate) last_success_ms: Option<i64>,
    /// Before this, in milliseconds, the loop tries nothing.
    pub(crate) not_before_ms: Option<i64>,
}

/// What the server may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// A bundle.
    Bundle(BundleSeq),
    /// Nobody knows: a stream ended.
    Perhaps,
}

impl Inputs {
    /// Whether the loop may send in a direction at all, as long as nothing failed.
    pub(crate) fn allows(&self, direction: Direction) -> bool {
        let Some(options) = &self.running else { return false };
        let paused = match direction {
            Direction::Uploads => self.uploads_paused,
            Direction::Downloads => self.downloads_paused,
        };
        let network = match (self.connectivity, options.metered) {
            (Connectivity::None, _) | (Connectivity::Metered, MeteredUse::Nothing) => false,
            (Connectivity::Metered, MeteredUse::UploadsOnly) => direction == Direction::Uploads,
            _ => true,
        };
        self.attached && network && !paused && !self.credentials_rejected
    }

    /// The directions that the host paused.
    pub(crate) fn paused(&self) -> Vec<Direction> {
        let paused =
            [(Direction::Uploads, self.uploads_paused), (Direction::Downloads, self.downloads_paused)];
        paused.into_iter().filter(|(_, paused)| *paused).map(|(direction, _)| direction).collect()
    }
}

/// The inputs, and who waits for a change of them.
#[derive(Debug)]
pub(crate) struct Signals {
    inputs: Mutex<Inputs>,
    version: watch::Sender<u64>,
}

impl Signals {
    pub(crate) fn new() -> Self {
        Self { inputs: Mutex::default(), version: watch::channel(0).0 }
    }

    fn lock(&self) -> MutexGuard<'_, Inputs> {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The inputs now.
    pub(crate) fn inputs(&self) -> Inputs {
        self.lock().clone()
    }

    /// Changes the inputs and wakes who waits.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Inputs) -> T) -> T {
        let result = change(&mut self.lock());
        self.version.send_modify(|version| *version += 1);
        result
    }

    /// A receiver that is told of every change after this call.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Managed rows were changed by the host.
    pub(crate) fn local_commit(&self, now_ms: i64) {
        self.change(|inputs| {
            let first = inputs.local.map_or(now_ms, |(first, _)| first);
            inputs.local = Some((first, now_ms));
        });
    }

    /// There may be something to download.
    pub(crate) fn news(&self, news: News) {
        self.change(|inputs| {
            inputs.news = match (inputs.news, news) {
                (Some(News::Bundle(known)), News::Bundle(seq)) => Some(News::Bundle(known.max(seq))),
                (Some(News::Perhaps), _) => Some(News::Perhaps),
                (_, news) => Some(news),
            };
        });
    }
}
