//! The server's watch stream (`docs/protocol.md` section 8): events that say that a pull is worth while.

use super::TransportError;
use crate::protocol::ids::BundleSeq;
use crate::protocol::message::WatchEvent;
use eventsource_stream::{EventStream, EventStreamError, Eventsource};
use futures_util::{Stream, StreamExt};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Bytes that an event may have; a stream that sends more without ending one is broken.
const EVENT_BYTES: usize = 1 << 20;

type Parts = Pin<Box<dyn Stream<Item = Result<Vec<u8>, TransportError>> + Send>>;

/// Why the stream is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    /// The connection broke.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// What came is no event stream of this protocol.
    #[error("GET /sync/watch: {0}")]
    Malformed(&'static str),
}

/// Counts of what came in, shared with the part that is inside the parser.
#[derive(Debug, Default)]
struct Counters {
    since_event: AtomicUsize,
    parts: AtomicU64,
}

/// An open stream.
pub(crate) struct WatchStream {
    events: EventStream<Parts>,
    counters: Arc<Counters>,
}

impl WatchStream {
    pub(crate) fn new(body: Parts) -> Self {
        let counters = Arc::new(Counters::default());
        let seen = counters.clone();
        let counted = body.map(move |part| {
            let part = part?;
            seen.parts.fetch_add(1, Ordering::Relaxed);
            // Comments end with an empty line too, and are no part of an event.
            let rest = part.windows(2).rposition(|two| two == b"\n\n").map(|end| part.len() - end - 2);
            let before = seen.since_event.load(Ordering::Relaxed);
            let size = rest.unwrap_or(before + part.len());
            seen.since_event.store(size, Ordering::Relaxed);
            if size > EVENT_BYTES || part.len() > EVENT_BYTES {
                return Err(TransportError::ResponseTooLarge(EVENT_BYTES as u64));
            }
            Ok(part)
        });
        let parts: Parts = Box::pin(counted);
        Self { events: parts.eventsource(), counters }
    }

    /// Parts that came in so far, heartbeats included: a stream that is alive counts on.
    pub(crate) fn parts(&self) -> u64 {
        self.counters.parts.load(Ordering::Relaxed)
    }

    /// The next bundle that the server tells of; `None` when it ends the stream. Other events are passed over.
    pub(crate) async fn next(&mut self) -> Result<Option<BundleSeq>, WatchError> {
        loop {
            let event = match self.events.next().await {
                None => return Ok(None),
                Some(Ok(event)) => {
                    self.counters.since_event.store(0, Ordering::Relaxed);
                    event
                }
                Some(Err(EventStreamError::Transport(error))) => return Err(error.into()),
                Some(Err(EventStreamError::Utf8(_) | EventStreamError::Parser(_))) => {
                    return Err(WatchError::Malformed("the stream is not a stream of events"));
                }
            };
            if event.event != "bundle" {
                continue;
            }
            let event: WatchEvent = serde_json::from_str(&event.data)
                .map_err(|_| WatchError::Malformed("a bundle event has no bundle_seq"))?;
            if event.bundle_seq.0 < 1 {
                return Err(WatchError::Malformed("a bundle event has a bundle_seq below 1"));
            }
            return Ok(Some(event.bundle_seq));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    fn stream_of(parts: &[&str]) -> WatchStream {
        let parts: Vec<_> = parts.iter().map(|part| Ok(part.as_bytes().to_vec())).collect();
        WatchStream::new(Box::pin(stream::iter(parts)))
    }

    #[tokio::test]
    async fn events_come_out_however_the_bytes_are_cut_and_other_events_are_passed_over() {
        let whole = ": heartbeat\n\nevent: other\ndata: {not-json\n\nevent: bundle\ndata: {\"bundle_seq\":\ndata: 125}\n\n";
        for cut in 1..whole.len() {
            let mut watch = stream_of(&[&whole[..cut], &whole[cut..]]);
            assert_eq!(watch.next().await.unwrap(), Some(BundleSeq(125)));
            assert_eq!(watch.next().await.unwrap(), None);
            assert_eq!(watch.parts(), 2);
        }
    }

    #[tokio::test]
    async fn a_malformed_event_ends_the_stream() {
        for data in ["{\"bundle_seq\":0}", "{\"source_id\":\"a\"}", "{\"bundle_seq\":", "[]"] {
            let text = format!("event: bundle\ndata: {data}\n\n");
            assert!(matches!(stream_of(&[&text]).next().await, Err(WatchError::Malformed(_))), "{data}");
        }
    }

    #[tokio::test]
    async fn an_endless_event_is_cut_off_and_endless_heartbeats_are_not() {
        let long = "x".repeat(1 << 16);
        let mut parts = vec!["event: bundle\ndata: "];
        parts.extend(std::iter::repeat_n(long.as_str(), 17));
        assert!(matches!(stream_of(&parts).next().await, Err(WatchError::Transport(_))));
        let comment = format!(": {}\n\n", &long[..1 << 15]);
        let mut parts = vec![comment.as_str(); 100];
        parts.push("event: bundle\ndata: {\"bundle_seq\":7}\n\n");
        assert_eq!(stream_of(&parts).next().await.unwrap(), Some(BundleSeq(7)));
    }
}
