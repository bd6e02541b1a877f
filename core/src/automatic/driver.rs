//! The task that uploads and downloads when the plan says so.

use super::plan::{self, Step, Work};
use super::signals::{News, Signals};
use super::{Backoff, LoopOptions, millis};
use crate::client::{Operation, Shared};
use crate::clock::{Clock, Rng};
use crate::error::{Error, ErrorKind};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Waits after a failure that only an update of the app or the server mends, in longest backoffs.
const LONG_WAIT: u32 = 15;

/// What the tasks of the loop work with. They hold the client weakly: one that is dropped ends them.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) client: Weak<Shared>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) options: LoopOptions,
    /// The start that the tasks belong to.
    pub(crate) run: u64,
}

impl World {
    /// Whether the loop was stopped or started anew since.
    pub(super) fn is_over(&self) -> bool {
        let inputs = self.signals.inputs();
        inputs.run != self.run || inputs.running.is_none()
    }

    /// Waits for a time, or for a change of the inputs after `seen` was taken.
    pub(super) async fn wait(&self, seen: &mut tokio::sync::watch::Receiver<u64>, until_ms: Option<i64>) {
        let Some(until_ms) = until_ms else {
            // An error means that the client is gone, which the caller sees.
            let _ = seen.changed().await;
            return;
        };
        let left = u64::try_from(until_ms - self.clock.now_ms()).unwrap_or(0);
        tokio::select! {
            biased;
            _ = seen.changed() => {}
            () = self.clock.sleep(Duration::from_millis(left)) => {}
        }
    }
}

/// Runs until the loop is stopped or the client is dropped.
pub(crate) async fn drive(world: World) {
    let mut backoff = Backoff::new(&world.options);
    let mut poll_at_ms = world.clock.now_ms();
    loop {
        let mut seen = world.signals.subscribe();
        if world.is_over() || world.client.strong_count() == 0 {
            return;
        }
        let inputs = world.signals.inputs();
        match plan::next(&inputs, &world.options, world.clock.now_ms(), poll_at_ms) {
            Step::WaitForChange => world.wait(&mut seen, None).await,
            Step::WaitUntil(at) => world.wait(&mut seen, Some(at)).await,
            Step::Run(work) => {
                run(&world, work, &mut backoff).await;
                poll_at_ms = world.clock.now_ms().saturating_add(millis(world.options.poll_interval));
            }
        }
    }
}

async fn run(world: &World, work: Work, backoff: &mut Backoff) {
    let Some(shared) = world.client.upgrade() else { return };
    // Taken before the run: what is written or told meanwhile is for the next one.
    let (local, news) = world.signals.change(|inputs| {
        let local = if work == Work::Pull { None } else { inputs.local.take() };
        (local, if work == Work::Push { None } else { inputs.news.take() })
    });
    if let (Work::Sync | Work::Pull, None, Some(News::Bundle(seq))) = (work, local, news)
        && shared.engine.attachment().await.is_ok_and(|attachment| attachment.checkpoint >= seq)
    {
        return;
    }
    let operation = match work {
        Work::Sync => Operation::Sync,
        Work::Push => Operation::Push,
        Work::Pull => Operation::Pull,
    };
    let Err(error) = shared.begin(operation).wait().await else {
        backoff.reset();
        world.signals.change(|inputs| inputs.not_before_ms = None);
        return;
    };
    let wait = wait_after(&error, backoff, world);
    log::info!(
        "the automatic sync failed ({}), next attempt in {} ms",
        error.kind().as_str(),
        wait.as_millis()
    );
    let now_ms = world.clock.now_ms();
    world.signals.change(|inputs| {
        inputs.local = inputs.local.or(local);
        inputs.news = inputs.news.or(news);
        if matches!(error.kind(), ErrorKind::NotAttached) {
            inputs.attached = false;
        } else if !error.is_auth() {
            // Without credentials the loop waits for the host, not for a time.
            inputs.not_before_ms = Some(now_ms.saturating_add(millis(wait)));
        }
    });
}

fn wait_after(error: &Error, backoff: &mut Backoff, world: &World) -> Duration {
    let wait = backoff.next(&*world.rng);
    match error.kind() {
        ErrorKind::TableMismatch | ErrorKind::ServerTooOld | ErrorKind::Configuration => {
            world.options.backoff_most * LONG_WAIT
        }
        _ => {
            let asked = error.retry_after_seconds().and_then(|seconds| u64::try_from(seconds).ok());
            wait.max(Duration::from_secs(asked.unwrap_or(0)))
        }
    }
}
