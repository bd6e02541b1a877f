//! A case runs in a process of its own, so that its memory and processor time are its own.

use cpu_time::ProcessTime;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// What a case cost.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Seconds of processor time, user and system, of the measured part.
    pub(crate) cpu: f64,
    /// Seconds that the measured part took.
    pub(crate) wall: f64,
    /// Bytes of memory at most, of the whole process.
    pub(crate) peak: f64,
    /// HTTP requests of the measured part.
    pub(crate) requests: i64,
    /// What the case itself measured: milliseconds, or bytes.
    pub(crate) own: f64,
}

/// Measures from its beginning on.
pub(crate) struct Meter {
    cpu: ProcessTime,
    wall: Instant,
}

impl Meter {
    pub(crate) fn begin() -> Self {
        Self { cpu: ProcessTime::now(), wall: Instant::now() }
    }

    pub(crate) fn end(self) -> Usage {
        let (cpu, wall) = (self.cpu.elapsed().as_secs_f64(), self.wall.elapsed().as_secs_f64());
        Usage { cpu, wall, peak: status_bytes("VmHWM"), ..Usage::default() }
    }
}

/// A line of `/proc/self/status`, in bytes; 0 where the system has none.
pub(crate) fn status_bytes(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    let kibibytes: f64 = line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).unwrap_or(0.0);
    kibibytes * 1024.0
}

/// Where a case works.
#[derive(Debug, Clone)]
pub(crate) struct Place<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) url: &'a str,
    pub(crate) token: &'a str,
}

/// Runs a case in a process of its own.
///
/// # Panics
/// The case fails; it said why on standard error.
pub(crate) fn run(place: &Place<'_>, case: &str, device: &str, rows: usize) -> Usage {
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program)
        .args(["case", case, "--device", device, "--rows", &rows.to_string(), "--url", place.url])
        .arg("--folder")
        .arg(place.folder)
        .env("ROWTIDE_BENCH_TOKEN", place.token)
        .stderr(Stdio::inherit())
        .output()
        .expect("the case starts");
    assert!(output.status.success(), "the case {case} failed");
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).expect("a case ends with its figures")
}
