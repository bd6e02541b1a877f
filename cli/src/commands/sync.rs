//! The commands that run one operation of the core and print its report.

use crate::Device;
use crate::config;
use crate::failure::{EXIT_NOT_NOW, Failure};
use rowtide::{Outcome, Report, Status};
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

/// `rowtide open`.
pub(crate) async fn open(device: &Device, json: bool) -> Result<u8, Failure> {
    let status = config::open(device, json).await?.status().await?;
    print_status(&status, json);
    Ok(0)
}

/// `rowtide status`.
pub(crate) async fn status(device: &Device, json: bool) -> Result<u8, Failure> {
    open(device, json).await
}

fn print_status(status: &Status, json: bool) {
    if json {
        let object = json!({
            "user": status.user,
            "source_id": status.source_id,
            "generation": status.generation,
            "checkpoint": status.checkpoint.0,
            "pending_rows": status.pending_rows,
            "refused_rows": status.refused_rows,
            "state": status.state.as_str(),
            "last_error": status.last_error,
        });
        println!("{object}");
        return;
    }
    println!("user        {}", status.user.as_deref().unwrap_or("-"));
    println!("source      {}", status.source_id);
    println!("generation  {}", status.generation.unwrap_or("-"));
    println!("checkpoint  {}", status.checkpoint);
    println!("pending     {} rows", status.pending_rows);
    println!("refused     {} rows", status.refused_rows);
    println!("state       {}", status.state.as_str());
    println!("last error  {}", status.last_error.as_deref().unwrap_or("-"));
}

/// `rowtide source-info`.
pub(crate) async fn source_info(device: &Device, json: bool) -> Result<u8, Failure> {
    let info = config::open(device, json).await?.source_info().await?;
    if json {
        let object =
            json!({ "source_id": info.source_id, "next_source_bundle_id": info.next_source_bundle_id });
        println!("{object}");
    } else {
        println!("source {}, next bundle {}", info.source_id, info.next_source_bundle_id);
    }
    Ok(0)
}

/// `rowtide refused`.
pub(crate) async fn refused(device: &Device, retry: bool, discard: bool, json: bool) -> Result<u8, Failure> {
    let client = config::open(device, json).await?;
    if retry || discard {
        let rows = if retry { client.retry_refused().await? } else { client.discard_refused().await? };
        let done = if retry { "retried_rows" } else { "discarded_rows" };
        if json {
            println!("{}", json!({ done: rows }));
        } else {
            println!("{rows} rows {}", if retry { "are pending again" } else { "discarded" });
        }
        return Ok(0);
    }
    for row in client.refused_rows().await? {
        if json {
            let object = json!({
                "table": row.table,
                "key": row.key,
                "reason": row.reason.as_str(),
                "message": row.message,
                "refused_at_ms": row.refused_at_ms,
            });
            println!("{object}");
        } else {
            println!("{} {}: {} ({})", row.table, row.key, row.reason.as_str(), row.message);
        }
    }
    Ok(0)
}
