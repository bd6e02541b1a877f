//! Memory over many runs: what a run allocates is gone with it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Runs before the memory is looked at first: caches and the allocator's own reserves are filled by then.
const WARM: u64 = 400;
/// Bytes that the process may grow by after that, however many runs follow: a leak of one client a run is a hundred times more.
const ALLOWED: u64 = 48 << 20;

/// Watches the memory of the process.
#[derive(Debug, Default)]
pub(crate) struct Growth {
    warm: AtomicU64,
}

impl Growth {
    /// To be called after each run, with how many there were.
    pub(crate) fn after(&self, runs: u64) {
        if runs == WARM {
            self.warm.store(resident().unwrap_or(0), Ordering::Relaxed);
        }
    }

    /// What must not be, once all runs have ended.
    pub(crate) fn failure(&self) -> Option<String> {
        let (warm, now) = (self.warm.load(Ordering::Relaxed), resident()?);
        (warm > 0 && now > warm + ALLOWED)
            .then(|| format!("memory grew from {} to {} MiB after {WARM} runs", warm >> 20, now >> 20))
    }
}

/// Bytes of the process in memory; `None` where the system does not tell.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes << 10)
}
