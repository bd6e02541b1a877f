//! The vocabulary of faults, and when they strike: as planned, or by chance with a seed.

use crate::endpoint::Endpoint;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::collections::HashMap;
use std::time::Duration;

/// What goes wrong with one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The request never reaches the server; the connection breaks.
    DropRequest,
    /// The server acts, the reply is lost: the connection breaks.
    ApplyThenDropReply,
    /// The server acts, half of the reply's body arrives. Over HTTP the connection breaks there; a watch stream breaks
    /// at once.
    ApplyThenTruncateReply,
    /// The server answers this status and body and does nothing.
    Answer(u16, String),
    /// The server answers this status with a `Retry-After` header and no body, and does nothing.
    AnswerRetryAfter {
        /// The status; 429 and 503 are usual.
        status: u16,
        /// What the header says.
        seconds: i64,
    },
    /// The request waits that long on the server's clock before the server sees it.
    Delay(Duration),
    /// The server acts, and the reply's text is changed: the first becomes the second. A reply without the first
    /// panics, because such a test tests nothing.
    Forge(String, String),
}

/// Faults by chance, the same for the same seed.
///
/// The fault of a call follows from the seed, the endpoint and the number of the call at that endpoint since
/// [`TestServer::fail_randomly`](crate::TestServer::fail_randomly), and from nothing else. A test whose calls to
/// each endpoint come in the same order meets the same faults again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomFaults {
    /// Print it when a test fails: it is all that a replay needs.
    pub seed: u64,
    /// How many calls of a hundred fail; more than 100 is 100.
    pub percent: u8,
}

impl RandomFaults {
    /// The fault of a call. None of them waits, and a client may try again after each.
    fn at(self, endpoint: Endpoint, call: u64) -> Option<Fault> {
        const BLOCK: u128 = 16;
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(endpoint as u64);
        random.set_word_pos(u128::from(call) * BLOCK);
        if random.next_u32() % 100 >= u32::from(self.percent) {
            return None;
        }
        Some(match random.next_u32() % 6 {
            0 => Fault::DropRequest,
            1 => Fault::ApplyThenDropReply,
            2 => Fault::ApplyThenTruncateReply,
            3 => Fault::Answer(500, String::new()),
            4 => Fault::AnswerRetryAfter { status: 429, seconds: 1 },
            _ => Fault::AnswerRetryAfter { status: 503, seconds: 1 },
        })
    }
}

/// A fault that struck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Struck {
    /// Where.
    pub endpoint: Endpoint,
    /// What.
    pub fault: Fault,
}

#[derive(Debug)]
struct Planned {
    endpoint: Endpoint,
    /// Calls to let through first.
    skip: usize,
    /// Calls to fail after that.
    times: usize,
    fault: Fault,
}

#[derive(Debug)]
struct Chance {
    faults: RandomFaults,
    calls: HashMap<Endpoint, u64>,
}

/// All faults that are to come, and those that came.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    planned: Vec<Planned>,
    chance: Option<Chance>,
    /// The network is down: nothing reaches the server.
    pub(crate) disconnected: bool,
    pub(crate) struck: Vec<Struck>,
}

impl Faults {
    pub(crate) fn plan(&mut self, endpoint: Endpoint, skip: usize, times: usize, fault: Fault) {
        self.planned.push(Planned { endpoint, skip, times, fault });
    }

    pub(crate) fn plan_randomly(&mut self, faults: RandomFaults) {
        self.chance = Some(Chance { faults, calls: HashMap::new() });
    }

    /// Forgets what is to come; answers how many planned calls were still to fail.
    pub(crate) fn heal(&mut self) -> usize {
        self.chance = None;
        self.disconnected = false;
        std::mem::take(&mut self.planned).iter().map(|planned| planned.times).sum()
    }

    /// The fault of the next call of an endpoint. A planned one comes before one by chance.
    pub(crate) fn next(&mut self, endpoint: Endpoint) -> Option<Fault> {
        if self.disconnected {
            return Some(Fault::DropRequest);
        }
        let chance = self.chance.as_mut().and_then(|chance| {
            let call = chance.calls.entry(endpoint).or_default();
            *call += 1;
            chance.faults.at(endpoint, *call)
        });
        let fault = self.next_planned(endpoint).or(chance)?;
        self.struck.push(Struck { endpoint, fault: fault.clone() });
        Some(fault)
    }

    fn next_planned(&mut self, endpoint: Endpoint) -> Option<Fault> {
        let planned =
            self.planned.iter_mut().find(|planned| planned.endpoint == endpoint && planned.times > 0)?;
        if planned.skip > 0 {
            planned.skip -= 1;
            return None;
        }
        planned.times -= 1;
        Some(planned.fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: u64, percent: u8, endpoint: Endpoint) -> Vec<Option<Fault>> {
        let mut faults = Faults::default();
        faults.plan_randomly(RandomFaults { seed, percent });
        (0..1_000).map(|_| faults.next(endpoint)).collect()
    }

    #[test]
    fn a_seed_replays_whatever_is_called_in_between() {
        let mut mixed = Faults::default();
        mixed.plan_randomly(RandomFaults { seed: 7, percent: 30 });
        let pulls: Vec<_> = (0..1_000)
            .map(|_| {
                mixed.next(Endpoint::Connect);
                mixed.next(Endpoint::Pull)
            })
            .collect();
        assert_eq!(pulls, drawn(7, 30, Endpoint::Pull));
        assert_ne!(pulls, drawn(8, 30, Endpoint::Pull));
        assert_ne!(pulls, drawn(7, 30, Endpoint::Connect));
    }

    #[test]
    fn as_many_calls_fail_as_asked_for() {
        let failed = |percent| drawn(1, percent, Endpoint::Pull).iter().flatten().count();
        assert_eq!((failed(0), failed(100), failed(255)), (0, 1_000, 1_000));
        assert!((250..350).contains(&failed(30)), "{}", failed(30));
    }

    #[test]
    fn a_seed_means_the_same_in_every_version() {
        let first: Vec<_> = drawn(42, 50, Endpoint::PushCommit).into_iter().take(6).collect();
        let pinned = "[None, Some(Answer(500, \"\")), None, None, None, Some(ApplyThenDropReply)]";
        assert_eq!(format!("{first:?}"), pinned);
    }

    #[test]
    fn planned_faults_strike_after_the_calls_that_are_let_through() {
        let mut faults = Faults::default();
        faults.plan(Endpoint::Pull, 1, 2, Fault::DropRequest);
        let seen: Vec<_> = (0..4).map(|_| faults.next(Endpoint::Pull).is_some()).collect();
        assert_eq!(seen, [false, true, true, false]);
        assert_eq!(faults.heal(), 0);
    }
}
