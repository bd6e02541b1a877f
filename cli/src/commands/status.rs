//! Where a database stands: `open`, `status`, `source-info`.

use crate::Device;
use crate::config;
use crate::failure::Failure;
use rowtide::{Connectivity, Direction, Health, Status};
use serde_json::{Value, json};

/// `rowtide open` and `rowtide status`.
pub(crate) async fn status(device: &Device, json: bool) -> Result<u8, Failure> {
    let status = config::open(device, json).await?.status().await?;
    if json {
        println!("{}", json_of(&status));
    } else {
        print(&status);
    }
    Ok(0)
}

/// A status as the JSON object that `status` and `run` print.
pub(crate) fn json_of(status: &Status) -> Value {
    let blocked_by = match status.health {
        Health::Blocked(kind) => Some(kind.as_str()),
        _ => None,
    };
    let automatic = &status.automatic;
    json!({
        "user": status.user,
        "source_id": status.source_id,
        "generation": status.generation,
        "checkpoint": status.checkpoint.0,
        "pending_rows": status.pending_rows,
        "refused_rows": status.refused_rows,
        "state": status.state.as_str(),
        "health": status.health.as_str(),
        "blocked_by": blocked_by,
        "last_error": status.last_error,
        "last_success_ms": status.last_success_ms,
        "automatic": {
            "running": automatic.running,
            "paused": automatic.paused.iter().copied().map(direction).collect::<Vec<_>>(),
            "connectivity": connectivity(automatic.connectivity),
            "watching": automatic.watching,
            "next_attempt_ms": automatic.next_attempt_ms,
        },
        "host_transaction_open": status.host_transaction_open,
    })
}

fn print(status: &Status) {
    let automatic = match (status.automatic.running, status.automatic.watching) {
        (false, _) => "off",
        (true, false) => "polling",
        (true, true) => "watching",
    };
    println!("user              {}", status.user.as_deref().unwrap_or("-"));
    println!("source            {}", status.source_id);
    println!("generation        {}", status.generation.unwrap_or("-"));
    println!("checkpoint        {}", status.checkpoint);
    println!("pending           {} rows", status.pending_rows);
    println!("refused           {} rows", status.refused_rows);
    println!("state             {}", status.state.as_str());
    println!("health            {}", health(status.health));
    println!("last success      {}", status.last_success_ms.map_or("-".into(), time));
    println!("last error        {}", status.last_error.as_deref().unwrap_or("-"));
    println!("automatic         {automatic}");
    println!("host transaction  {}", if status.host_transaction_open { "open" } else { "-" });
}

/// The health in words, with what blocks.
pub(crate) fn health(health: Health) -> String {
    match health {
        Health::Blocked(kind) => format!("blocked by {}", kind.as_str()),
        health => health.as_str().replace('_', " "),
    }
}

/// A time in UTC.
pub(crate) fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Uploads => "uploads",
        Direction::Downloads => "downloads",
    }
}

fn connectivity(connectivity: Connectivity) -> &'static str {
    match connectivity {
        Connectivity::None => "none",
        Connectivity::Metered => "metered",
        Connectivity::Unmetered => "unmetered",
    }
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
