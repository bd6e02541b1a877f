//! Makes a failing script short: steps are left out as long as the same thing goes wrong.

use crate::run::run;
use crate::script::{Script, Step};
use rowtide::simulation::mutation::Mutation;

/// Runs that one script may cost.
const MOST_RUNS: usize = 600;

/// The shortest script that was found to fail alike, and its failure.
pub(crate) fn shrink(script: &Script, failure: &str, mutation: Option<Mutation>) -> (Script, String) {
    let (mut best, mut told) = (script.clone(), failure.to_owned());
    let wanted = class(failure);
    let mut runs = 0;
    let mut fails = |candidate: &Script| {
        runs += 1;
        let failure = (runs <= MOST_RUNS).then(|| run(candidate, mutation).failure)??;
        (class(&failure) == wanted).then_some(failure)
    };
    loop {
        let before = best.steps.len();
        let mut size = (before / 2).max(1);
        loop {
            let mut start = 0;
            while start < best.steps.len() {
                let candidate = Script { steps: without(&best.steps, start, size), ..best.clone() };
                match fails(&candidate) {
                    Some(failure) => (best, told) = (candidate, failure),
                    None => start += size,
                }
            }
            if size == 1 {
                break;
            }
            size /= 2;
        }
        if best.steps.len() == before {
            return (best, told);
        }
    }
}

/// Steps without some of them; what comes after keeps its time where that is possible.
fn without(steps: &[Step], start: usize, count: usize) -> Vec<Step> {
    let end = (start + count).min(steps.len());
    let skipped: u64 = steps[start..end].iter().map(|step| step.after_ms).sum();
    let mut rest = [&steps[..start], &steps[end..]].concat();
    if let Some(next) = rest.get_mut(start) {
        next.after_ms += skipped;
    }
    rest
}

/// What kind of failure it is: its text without numbers and names.
fn class(failure: &str) -> String {
    let words = failure.split(|character: char| !character.is_ascii_alphabetic());
    words.filter(|word| word.len() > 3).take(7).collect::<Vec<_>>().join(" ")
}
