//! The check of the simulator itself: bugs that were put in on purpose, each of which it has to find.

use crate::draw::draw;
use crate::run::run;
use crate::shrink::shrink;
use indicatif::{ProgressBar, ProgressStyle};
use rowtide::simulation::mutation::Mutation;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A bug, and the seed that found it.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) mutation: Mutation,
    /// The first seed that failed, and how; `None` where the bug escaped.
    pub(crate) caught: Option<(u64, String)>,
}

/// The bug of a name.
pub(crate) fn named(name: &str) -> Result<Mutation, String> {
    let found = Mutation::ALL.iter().copied().find(|mutation| mutation.as_str() == name);
    found.ok_or_else(|| {
        let names: Vec<_> = Mutation::ALL.iter().map(|mutation| mutation.as_str()).collect();
        format!("there is no bug {name}; these are: {}", names.join(", "))
    })
}

/// Runs seeds with a bug until one fails.
pub(crate) fn hunt(mutation: Mutation, first: u64, count: u64) -> Verdict {
    let caught = (first..first + count).find_map(|seed| {
        let script = draw(seed);
        let failure = run(&script, Some(mutation)).failure?;
        // A seed that fails anyway finds nothing.
        run(&script, None).failure.is_none().then_some((seed, failure))
    });
    Verdict { mutation, caught }
}

/// Hunts for all bugs, each with the same seeds.
pub(crate) fn hunt_all(first: u64, count: u64, quiet: bool) -> Vec<Verdict> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, verdicts) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(Mutation::ALL.len() as u64) };
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} bugs").expect("the template is valid"));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(mutation) = Mutation::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = hunt(*mutation, first, count);
                    verdicts.lock().expect("no hunt panics while it holds the list").push(verdict);
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    let mut verdicts = verdicts.into_inner().expect("all threads ended");
    verdicts.sort_by_key(|verdict| Mutation::ALL.iter().position(|mutation| *mutation == verdict.mutation));
    verdicts
}

/// Tells how one bug was caught, with the shortest script that shows it.
pub(crate) fn tell(verdict: &Verdict) -> String {
    let Some((seed, failure)) = &verdict.caught else {
        return format!("{} was not caught", verdict.mutation.as_str());
    };
    let (script, failure) = shrink(&draw(*seed), failure, Some(verdict.mutation));
    format!("{} is caught by seed {seed}: {failure}\n\n{script}", verdict.mutation.as_str())
}
