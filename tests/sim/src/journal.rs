//! What happened, in virtual time: the same for the same script, byte by byte.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

/// Who an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    Server,
    Device(usize),
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server => f.write_str("server"),
            Self::Device(number) => write!(f, "d{number}"),
        }
    }
}

/// What kind of event it is: how the timeline draws it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The script or the host acts.
    Act,
    /// How an operation or a statement ended.
    Outcome,
    /// A request is sent, and arrives.
    Sent(u64),
    Arrived(u64),
    /// A reply is sent, and arrives.
    Replied(u64),
    Received(u64),
    /// Something was made to fail.
    Fault,
    /// A device died, or opened its database again.
    Killed,
    Opened,
}

/// An event.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) at_ms: u128,
    pub(crate) lane: Lane,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9} {:<6} {}", self.at_ms, self.lane.to_string(), self.text)
    }
}

/// The events of one run, and the first thing that must not be.
#[derive(Debug)]
pub(crate) struct Journal {
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: Vec<Entry>,
    failure: Option<String>,
}

impl Journal {
    pub(crate) fn begin() -> Self {
        Self { start: Instant::now(), state: Mutex::default() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Virtual milliseconds since the run began.
    pub(crate) fn now_ms(&self) -> u128 {
        self.start.elapsed().as_millis()
    }

    pub(crate) fn note(&self, lane: Lane, kind: Kind, text: impl Into<String>) {
        let at_ms = self.now_ms();
        self.lock().entries.push(Entry { at_ms, lane, kind, text: text.into() });
    }

    /// Something is wrong. The first finding is the one that is told.
    pub(crate) fn fail(&self, text: impl Into<String>) {
        let text = text.into();
        self.note(Lane::Server, Kind::Fault, format!("WRONG: {text}"));
        self.lock().failure.get_or_insert(text);
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    pub(crate) fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut self.lock().entries)
    }
}
