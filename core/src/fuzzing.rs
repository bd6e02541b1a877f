//! What fuzz targets need beyond the public API. Not part of it: only with the feature `fuzzing`, and without promises.

use crate::transport::WatchStream;
use futures_util::{FutureExt, stream};

/// Reads a watch stream that comes in these parts: the sequences it tells of, and why it was given up, where it was.
pub fn watch_events(parts: Vec<Vec<u8>>) -> (Vec<i64>, Option<String>) {
    let mut watch = WatchStream::new(Box::pin(stream::iter(parts.into_iter().map(Ok))));
    let mut found = Vec::new();
    let whole = async {
        loop {
            match watch.next().await {
                Ok(Some(seq)) => found.push(seq.0),
                Ok(None) => return None,
                Err(error) => return Some(error.to_string()),
            }
        }
    };
    let ended = whole.now_or_never().expect("the parts are all there");
    (found, ended)
}
