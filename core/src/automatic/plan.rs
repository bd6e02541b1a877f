//! What the loop does next. Pure: inputs and the time go in, a step comes out.

use super::millis;
use super::options::{Direction, LoopOptions};
use super::signals::Inputs;

/// What to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Sync,
    Push,
    Pull,
}

/// The next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Run(Work),
    /// Until this time, in milliseconds, or a change of the inputs.
    WaitUntil(i64),
    /// Until the inputs change.
    WaitForChange,
}

/// Decides the next step; `poll_at_ms` is when the server is to be asked even without news.
pub(super) fn next(inputs: &Inputs, options: &LoopOptions, now_ms: i64, poll_at_ms: i64) -> Step {
    let upload_at = inputs.local.filter(|_| inputs.allows(Direction::Uploads)).map(|(first, last)| {
        let debounce = millis(options.debounce);
        (last.saturating_add(debounce)).min(first.saturating_add(debounce.saturating_mul(10)))
    });
    let download_at = inputs.allows(Direction::Downloads).then_some(match (inputs.news, inputs.watching) {
        (Some(_), _) => now_ms,
        // An open stream tells what is new.
        (None, true) => i64::MAX,
        (None, false) => poll_at_ms,
    });
    let held = |at: i64| at.max(inputs.not_before_ms.unwrap_or(i64::MIN));
    let due = |at: Option<i64>| at.is_some_and(|at| held(at) <= now_ms);
    match (due(upload_at), due(download_at)) {
        (true, _) if inputs.allows(Direction::Downloads) => Step::Run(Work::Sync),
        (true, _) => Step::Run(Work::Push),
        (false, true) if inputs.allows(Direction::Uploads) => Step::Run(Work::Sync),
        (false, true) => Step::Run(Work::Pull),
        (false, false) => {
            let next = [upload_at, download_at].into_iter().flatten().map(held).min();
            next.filter(|at| *at < i64::MAX).map_or(Step::WaitForChange, Step::WaitUntil)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::{Connectivity, MeteredUse};
    use super::super::signals::News;
    use super::*;
    use crate::protocol::ids::BundleSeq;
    use std::time::Duration;

    fn options() -> LoopOptions {
        LoopOptions { debounce: Duration::from_millis(500), ..LoopOptions::default() }
    }

    fn inputs() -> Inputs {
        Inputs { running: Some(options()), attached: true, ..Inputs::default() }
    }

    fn at(inputs: &Inputs, now_ms: i64) -> Step {
        let options = inputs.running.clone().unwrap();
        next(inputs, &options, now_ms, 60_000)
    }

    #[test]
    fn a_local_commit_is_uploaded_after_the_debounce_and_a_burst_not_later_than_ten_of_them() {
        let mut inputs = inputs();
        inputs.local = Some((1_000, 1_000));
        assert_eq!(at(&inputs, 1_200), Step::WaitUntil(1_500));
        assert_eq!(at(&inputs, 1_500), Step::Run(Work::Sync));
        inputs.local = Some((1_000, 5_900));
        assert_eq!(at(&inputs, 5_950), Step::WaitUntil(6_000));
    }

    #[test]
    fn the_poll_is_due_by_its_time_unless_a_stream_is_open() {
        let mut inputs = inputs();
        assert_eq!(at(&inputs, 0), Step::WaitUntil(60_000));
        assert_eq!(at(&inputs, 60_000), Step::Run(Work::Sync));
        inputs.watching = true;
        assert_eq!(at(&inputs, 60_000), Step::WaitForChange);
        inputs.news = Some(News::Bundle(BundleSeq(7)));
        assert_eq!(at(&inputs, 0), Step::Run(Work::Sync));
    }

    #[test]
    fn paused_directions_are_left_out() {
        let mut inputs = inputs();
        inputs.local = Some((0, 0));
        inputs.downloads_paused = true;
        assert_eq!(at(&inputs, 1_000), Step::Run(Work::Push));
        inputs.uploads_paused = true;
        assert_eq!(at(&inputs, 100_000), Step::WaitForChange);
        inputs.downloads_paused = false;
        assert_eq!(at(&inputs, 100_000), Step::Run(Work::Pull));
    }

    #[test]
    fn without_network_user_or_credentials_nothing_is_tried() {
        let hold: [fn(&mut Inputs); 3] = [
            |inputs| inputs.connectivity = Connectivity::None,
            |inputs| inputs.attached = false,
            |inputs| inputs.credentials_rejected = true,
        ];
        for hold in hold {
            let mut inputs = inputs();
            inputs.local = Some((0, 0));
            inputs.news = Some(News::Perhaps);
            hold(&mut inputs);
            assert_eq!(at(&inputs, 1_000_000), Step::WaitForChange);
        }
    }

    #[test]
    fn a_metered_connection_carries_what_the_options_say() {
        let mut inputs = inputs();
        inputs.connectivity = Connectivity::Metered;
        inputs.local = Some((0, 0));
        inputs.running = Some(LoopOptions { metered: MeteredUse::UploadsOnly, ..options() });
        assert_eq!(at(&inputs, 100_000), Step::Run(Work::Push));
        inputs.running = Some(LoopOptions { metered: MeteredUse::Nothing, ..options() });
        assert_eq!(at(&inputs, 100_000), Step::WaitForChange);
    }

    #[test]
    fn after_a_failure_everything_waits_for_the_backoff() {
        let mut inputs = inputs();
        inputs.local = Some((0, 0));
        inputs.news = Some(News::Perhaps);
        inputs.not_before_ms = Some(9_000);
        assert_eq!(at(&inputs, 8_999), Step::WaitUntil(9_000));
        assert_eq!(at(&inputs, 9_000), Step::Run(Work::Sync));
    }
}
