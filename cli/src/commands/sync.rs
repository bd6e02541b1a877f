//! The commands that run one operation of the core and print its report.

use crate::Device;
use crate::config;
use crate::failure::{EXIT_NOT_NOW, Failure};
use rowtide::{Outcome, Report};
use serde_json::{Value, json};

/// Prints a report; expected endings that are no success have an exit code of their own.
fn print(report: &Report, json: bool) -> u8 {
    let (waits, blocked) = match report.outcome {
        Outcome::RetryLater { seconds } => (Some(seconds), None),
        Outcome::BlockedUnsyncedData { rows } => (None, Some(rows)),
        _ => (None, None),
    };
    if json {
        let mut object = json!({
            "outcome": report.outcome.as_str(),
            "pushed_rows": report.pushed_rows,
            "pulled_rows": report.pulled_rows,
            "pulled_bundles": report.pulled_bundles,
            "hydrated_rows": report.hydrated_rows,
            "conflicts": report.conflicts,
            "refused_rows": report.refused_rows,
            "requests": report.requests,
            "bytes_up": report.bytes_up,
            "bytes_down": report.bytes_down,
        });
        if let Some(seconds) = waits {
            object["retry_after_seconds"] = Value::from(seconds);
        }
        if let Some(rows) = blocked {
            object["unsynced_rows"] = Value::from(rows);
        }
        println!("{object}");
    } else {
        let ending = match report.outcome {
            Outcome::RetryLater { seconds } => {
                format!("another device is seeding the server; try again in {seconds} s")
            }
            Outcome::BlockedUnsyncedData { rows } => {
                format!("blocked: {rows} rows are unsynced; run sync first")
            }
            ref outcome => outcome.as_str().replace('_', " "),
        };
        println!(
            "{ending}: pushed {}, pulled {} in {} bundles, hydrated {}, conflicts {}, refused {}; \
             {} requests, {} bytes up, {} bytes down",
            report.pushed_rows,
            report.pulled_rows,
            report.pulled_bundles,
            report.hydrated_rows,
            report.conflicts,
            report.refused_rows,
            report.requests,
            report.bytes_up,
            report.bytes_down
        );
    }
    if waits.is_some() || blocked.is_some() { EXIT_NOT_NOW } else { 0 }
}

macro_rules! operation {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub(crate) async fn $name(device: &Device, json: bool) -> Result<u8, Failure> {
            let report = config::open(device, json).await?.$name().await?;
            Ok(print(&report, json))
        }
    };
}

operation! {
    /// `rowtide push`.
    push
}
operation! {
    /// `rowtide pull`.
    pull
}
operation! {
    /// `rowtide sync`.
    sync
}
operation! {
    /// `rowtide rebuild`.
    rebuild
}
operation! {
    /// `rowtide detach`.
    detach
}
operation! {
    /// `rowtide sync-then-detach`.
    sync_then_detach
}

/// `rowtide attach USER`.
pub(crate) async fn attach(device: &Device, user: &str, json: bool) -> Result<u8, Failure> {
    let report = config::open(device, json).await?.attach(user).await?;
    Ok(print(&report, json))
}
