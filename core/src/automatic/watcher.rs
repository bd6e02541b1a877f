//! The task that keeps a watch stream open while downloads are allowed, and tells the loop of news.

use super::driver::World;
use super::options::{Direction, WatchUse};
use super::signals::News;
use super::{Backoff, millis};
use crate::error::Error;
use crate::protocol::ids::BundleSeq;
use crate::protocol::problem::ProblemCode;
use crate::transport::WatchStream;
use crate::transport::api::Refusal;
use std::time::Duration;

/// How long a server that has no stream is polled before it is asked for one again, in longest backoffs.
const WITHOUT_STREAM: u32 = 15;

enum Opened {
    Stream(Box<WatchStream>),
    /// This server or transport has none.
    Unsupported,
    Failed(Error),
}

/// Runs until the loop is stopped or the client is dropped.
pub(crate) async fn watch(world: World) {
    let mut backoff = Backoff::new(&world.options);
    if world.options.watch == WatchUse::Off {
        return;
    }
    loop {
        let mut seen = world.signals.subscribe();
        if world.is_over() || world.client.strong_count() == 0 {
            return;
        }
        if !world.signals.inputs().allows(Direction::Downloads) {
            world.wait(&mut seen, None).await;
            continue;
        }
        let wait = match open(&world).await {
            Opened::Stream(stream) => {
                let heard = follow(&world, *stream).await;
                world.signals.change(|inputs| inputs.watching = false);
                if heard {
                    backoff.reset();
                }
                backoff.next(&*world.rng)
            }
            Opened::Unsupported => world.options.backoff_most * WITHOUT_STREAM,
            Opened::Failed(error) => {
                log::debug!("the watch stream could not be opened: {error}");
                backoff.next(&*world.rng)
            }
        };
        rest(&world, wait).await;
    }
}

/// Waits for a time while downloads stay allowed.
async fn rest(world: &World, wait: Duration) {
    let until = world.clock.now_ms().saturating_add(millis(wait));
    loop {
        let mut seen = world.signals.subscribe();
        let allowed = world.signals.inputs().allows(Direction::Downloads);
        if world.is_over() || !allowed || world.clock.now_ms() >= until || world.client.strong_count() == 0 {
            return;
        }
        world.wait(&mut seen, Some(until)).await;
    }
}

async fn open(world: &World) -> Opened {
    let Some(shared) = world.client.upgrade() else { return Opened::Unsupported };
    let engine = shared.engine.clone();
    drop(shared);
    let attachment = match engine.attachment().await {
        Ok(attachment) => attachment,
        Err(error) => return Opened::Failed(error),
    };
    match engine.negotiate(&attachment.source_id).await {
        Ok(negotiated) if !negotiated.watch => return Opened::Unsupported,
        Ok(_) => {}
        Err(error) => return Opened::Failed(error),
    }
    match engine.api.watch(&attachment.source_id, attachment.checkpoint).await {
        Ok(stream) => Opened::Stream(Box::new(stream)),
        // Forbidden for this user, not there, or switched off.
        Err(Refusal::Problem { status: 403 | 404 | 405 | 501, .. }) => Opened::Unsupported,
        Err(Refusal::Problem { code: Some(ProblemCode::BundleChangeWatchDisabled), .. }) => {
            Opened::Unsupported
        }
        Err(Refusal::Failure(error)) if error.is_streaming_unsupported() => Opened::Unsupported,
        Err(refusal) => Opened::Failed(refusal.into()),
    }
}

/// Follows a stream to its end; answers whether anything came. An end may hide news, so it counts as such.
async fn follow(world: &World, mut stream: WatchStream) -> bool {
    world.signals.change(|inputs| inputs.watching = true);
    let mut newest = BundleSeq(0);
    let (mut parts, mut heard_ms) = (0, world.clock.now_ms());
    loop {
        let mut seen = world.signals.subscribe();
        if world.is_over() || !world.signals.inputs().allows(Direction::Downloads) {
            return stream.parts() > 0;
        }
        let now_ms = world.clock.now_ms();
        if stream.parts() != parts {
            (parts, heard_ms) = (stream.parts(), now_ms);
        }
        let silent = Duration::from_millis(u64::try_from(now_ms - heard_ms).unwrap_or(0));
        let Some(left) = world.options.watch_idle.checked_sub(silent).filter(|left| !left.is_zero()) else {
            log::debug!("the watch stream is silent for too long");
            break;
        };
        tokio::select! {
            biased;
            next = stream.next() => match next {
                Ok(Some(seq)) => {
                    newest = newest.max(seq);
                    world.signals.news(News::Bundle(newest));
                }
                Ok(None) => break,
                Err(error) => {
                    log::debug!("the watch stream ended: {error}");
                    break;
                }
            },
            _ = seen.changed() => {}
            () = world.clock.sleep(left) => {}
        }
    }
    let heard = stream.parts() > 0;
    // Closed before the pull, so that a server never holds both.
    drop(stream);
    world.signals.news(News::Perhaps);
    heard
}
