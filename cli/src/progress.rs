//! Progress of long work: a bar on a terminal, a few plain lines otherwise, nothing with `--json`.

use indicatif::{ProgressBar, ProgressStyle};
use rowtide::{Phase, Progress as Report};
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

pub(crate) struct Progress {
    state: Mutex<State>,
}

struct State {
    bar: Option<ProgressBar>,
    phase: Option<Phase>,
    next_line: i64,
}

impl Progress {
    pub(crate) fn new(json: bool) -> Option<Self> {
        let terminal = std::io::stderr().is_terminal();
        if json {
            return None;
        }
        let bar = terminal.then(ProgressBar::no_length);
        Some(Self { state: Mutex::new(State { bar, phase: None, next_line: 0 }) })
    }

    pub(crate) fn show(&self, now: Report) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = state.phase.replace(now.phase) != Some(now.phase);
        let count = |rows: i64| u64::try_from(rows).unwrap_or_default();
        let State { bar, next_line, .. } = &mut *state;
        let Some(bar) = bar else {
            // One line a phase, then one for each tenth of a known total.
            if changed {
                *next_line = 0;
            }
            if now.rows >= *next_line {
                *next_line = now.rows + now.total_rows.map_or(100_000, |total| (total / 10).max(1_000));
                eprintln!("{}: {}", now.phase.as_str(), text(&now));
            }
            return;
        };
        if changed {
            bar.reset();
            let template = "{prefix:>8} {bar:30} {msg} {elapsed}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_prefix(now.phase.as_str());
        }
        if let Some(total) = now.total_rows {
            bar.set_length(count(total));
        }
        bar.set_position(count(now.rows));
        let rate = bar.per_sec();
        bar.set_message(format!("{} ({rate:.0} rows/s)", text(&now)));
        if now.total_rows == Some(now.rows) {
            bar.finish_and_clear();
        }
    }
}

fn text(now: &Report) -> String {
    let rows = match now.total_rows {
        Some(total) => format!("{} of {total} rows", now.rows),
        None => format!("{} rows", now.rows),
    };
    match now.bytes {
        0 => rows,
        bytes => format!("{rows}, {}", indicatif::HumanBytes(u64::try_from(bytes).unwrap_or_default())),
    }
}
