//! The server's watch stream (`docs/protocol.md` section 8): events that say that a pull is worth while.

use super::TransportError;
use crate::protocol::ids::BundleSeq;
use crate::protocol::message::WatchEvent;
use futures_util::{Stream, StreamExt};
use std::pin::Pin;

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

/// An open stream.
pub(crate) struct WatchStream {
    body: Parts,
    reader: EventReader,
    /// The part that is being read, and how far.
    part: Vec<u8>,
    at: usize,
    parts: u64,
}

impl WatchStream {
    pub(crate) fn new(body: Parts) -> Self {
        Self { body, reader: EventReader::default(), part: Vec::new(), at: 0, parts: 0 }
    }

    /// Parts that came in so far, heartbeats included: a stream that is alive counts on.
    pub(crate) fn parts(&self) -> u64 {
        self.parts
    }

    /// The next bundle that the server tells of; `None` when it ends the stream. Other events are passed over.
    pub(crate) async fn next(&mut self) -> Result<Option<BundleSeq>, WatchError> {
        loop {
            while let Some(byte) = self.part.get(self.at) {
                self.at += 1;
                if let Some(data) = self.reader.read(*byte)? {
                    return bundle(&data).map(Some);
                }
            }
            match self.body.next().await {
                Some(part) => (self.part, self.at) = (part?, 0),
                None => return Ok(None),
            }
            self.parts += 1;
        }
    }
}

fn bundle(data: &[u8]) -> Result<BundleSeq, WatchError> {
    let event: WatchEvent = serde_json::from_slice(data)
        .map_err(|_| WatchError::Malformed("a bundle event has no bundle_seq"))?;
    if event.bundle_seq.0 < 1 {
        return Err(WatchError::Malformed("a bundle event has a bundle_seq below 1"));
    }
    Ok(event.bundle_seq)
}

/// Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>), byte by byte and as little of
/// them as this needs: what the data of a `bundle` event is. Holds one event at most.
#[derive(Debug, Default)]
struct EventReader {
    line: Vec<u8>,
    after_return: bool,
    past_first_line: bool,
    name: Vec<u8>,
    data: Vec<u8>,
}

impl EventReader {
    /// Takes in a byte; answers the data of the `bundle` event that it ends.
    fn read(&mut self, byte: u8) -> Result<Option<Vec<u8>>, WatchError> {
        let second_half = byte == b'\n' && self.after_return;
        self.after_return = byte == b'\r';
        if second_half {
            return Ok(None);
        }
        if byte != b'\n' && byte != b'\r' {
            if self.line.len() + self.name.len() + self.data.len() >= EVENT_BYTES {
                return Err(TransportError::ResponseTooLarge(EVENT_BYTES as u64).into());
            }
            self.line.push(byte);
            return Ok(None);
        }
        let whole = std::mem::take(&mut self.line);
        let first = !std::mem::replace(&mut self.past_first_line, true);
        let line = whole.strip_prefix("\u{feff}".as_bytes()).filter(|_| first).unwrap_or(&whole);
        if line.is_empty() {
            let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
            return Ok((name == b"bundle" && !data.is_empty()).then_some(data));
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"event" => self.name = value.to_vec(),
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            _ => {}
        }
        Ok(None)
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
    async fn a_byte_order_mark_and_every_kind_of_line_end_are_taken() {
        let text = "\u{feff}event: bundle\r\ndata: {\"bundle_seq\":3}\r\n\r\nevent:bundle\rdata:{\"bundle_seq\":\rdata:4}\r\r";
        for cut in 1..text.len() {
            let (first, second) = text.as_bytes().split_at(cut);
            let parts: Vec<_> = [first, second].iter().map(|part| Ok(part.to_vec())).collect();
            let mut watch = WatchStream::new(Box::pin(stream::iter(parts)));
            assert_eq!(watch.next().await.unwrap(), Some(BundleSeq(3)));
            assert_eq!(watch.next().await.unwrap(), Some(BundleSeq(4)));
            assert_eq!(watch.next().await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn bytes_that_are_no_text_are_not_collected() {
        let part = [b": \xff", "x".repeat(1 << 16).as_bytes(), b"\n\n"].concat();
        let mut parts: Vec<_> = std::iter::repeat_with(|| Ok(part.clone())).take(40).collect();
        parts.push(Ok(b"event: bundle\ndata: {\"bundle_seq\":7}\n\n".to_vec()));
        let mut watch = WatchStream::new(Box::pin(stream::iter(parts)));
        assert_eq!(watch.next().await.unwrap(), Some(BundleSeq(7)));
        assert!(watch.reader.line.capacity() + watch.reader.data.capacity() < 1 << 18);
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
