//! Many seeds on several threads.

use crate::draw::draw;
use crate::growth::Growth;
use crate::journal::Entry;
use crate::run::run;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// A seed whose run ended as it must not.
#[derive(Debug)]
pub(crate) struct Failing {
    pub(crate) seed: u64,
    pub(crate) failure: String,
}

/// How often each seed is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plays {
    Once,
    /// The second time must be like the first, event by event.
    Twice,
}

impl Plays {
    fn failure(self, seed: u64) -> Option<String> {
        let script = draw(seed);
        let first = run(&script, None);
        if self == Self::Once || first.failure.is_some() {
            return first.failure;
        }
        let second = run(&script, None);
        let text = |entry: Option<&Entry>| entry.map_or_else(|| "nothing".to_owned(), ToString::to_string);
        let events = first.journal.len().max(second.journal.len());
        (0..events)
            .map(|event| (text(first.journal.get(event)), text(second.journal.get(event))))
            .find(|(first, second)| first != second)
            .map(|(first, second)| format!("it is not the same twice: {first} became {second}"))
    }
}

/// How many runs ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Those that failed, in the order of their seeds.
    pub(crate) failing: Vec<Failing>,
    /// What is wrong with all of them together.
    pub(crate) growth: Option<String>,
}

/// Runs seeds, as many threads at once as there are processors.
pub(crate) fn run_all(first: u64, count: u64, plays: Plays, quiet: bool) -> Outcome {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, failing, growth) = (AtomicU64::new(0), Mutex::new(Vec::new()), Growth::default());
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(count) };
    bar.set_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {per_sec}, {msg}")
            .expect("the template is valid"),
    );
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let seed = first + number;
                    if let Some(failure) = plays.failure(seed) {
                        let mut failing = failing.lock().expect("no run panics while it holds the list");
                        failing.push(Failing { seed, failure });
                        bar.set_message(format!("{} failed", failing.len()));
                    }
                    growth.after(number);
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    let mut failing = failing.into_inner().expect("all threads ended");
    failing.sort_by_key(|failing| failing.seed);
    Outcome { failing, growth: growth.failure() }
}
