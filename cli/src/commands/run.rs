//! `rowtide run`: syncs by itself until interrupted.

use super::interrupted;
use super::status::{health, json_of, time};
use crate::Device;
use crate::config;
use crate::failure::{EXIT_OTHER, Failure};
use clap::Args;
use rowtide::{Client, ErrorKind, Health, LoopOptions, State, Status, WatchUse};
use std::io::Write;
use std::time::Duration;

/// Options of the automatic loop.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How often the server is asked for news while no watch stream is open.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    poll: u64,
    /// Poll only, even where the server has a watch stream.
    #[arg(long)]
    no_watch: bool,
}

impl Options {
    fn of_loop(&self) -> LoopOptions {
        LoopOptions {
            poll_interval: Duration::from_secs(self.poll),
            watch: if self.no_watch { WatchUse::Off } else { WatchUse::Auto },
            ..LoopOptions::default()
        }
    }
}

/// What a line is printed for.
#[derive(PartialEq)]
struct Shown {
    state: State,
    health: Health,
    pending_rows: i64,
    refused_rows: i64,
    checkpoint: i64,
    watching: bool,
    next_attempt_ms: Option<i64>,
}

impl Shown {
    fn of(status: &Status) -> Self {
        Self {
            state: status.state,
            health: status.health,
            pending_rows: status.pending_rows,
            refused_rows: status.refused_rows,
            checkpoint: status.checkpoint.0,
            watching: status.automatic.watching,
            next_attempt_ms: status.automatic.next_attempt_ms,
        }
    }
}

/// Runs until interrupted.
pub(crate) async fn run(device: &Device, options: &Options, json: bool) -> Result<u8, Failure> {
    let client = config::open(device, json).await?;
    if client.status().await?.user.is_none() {
        let text = "no user is attached; attach one first, with `rowtide attach USER`";
        return Err(Failure::new(ErrorKind::NotAttached.as_str(), text, EXIT_OTHER));
    }
    client.start(options.of_loop());
    let ended = tokio::select! {
        ended = show_changes(&client, json) => ended,
        () = interrupted() => Ok(()),
    };
    client.close().await;
    ended.map(|()| 0)
}

/// Prints the status whenever it has changed; ends with an error only.
async fn show_changes(client: &Client, json: bool) -> Result<(), Failure> {
    let mut changes = client.observe_status();
    let mut last = None;
    loop {
        let status = changes.next().await?;
        let shown = Shown::of(&status);
        if last.as_ref() == Some(&shown) {
            continue;
        }
        last = Some(shown);
        let line = if json { json_of(&status).to_string() } else { text_of(&status) };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}")
            .and_then(|()| out.flush())
            .map_err(|error| Failure::new("output", error.to_string(), EXIT_OTHER))?;
    }
}

fn text_of(status: &Status) -> String {
    let mut line = format!(
        "{}, {}: {} pending, {} refused, bundle {}",
        status.state.as_str(),
        health(status.health),
        status.pending_rows,
        status.refused_rows,
        status.checkpoint
    );
    if status.automatic.watching {
        line += ", watching";
    }
    if let Some(at) = status.automatic.next_attempt_ms {
        line += &format!(", next attempt {}", time(at));
    }
    if let (true, Some(error)) = (status.health != Health::Well, &status.last_error) {
        line += &format!(": {}", error.replace('\n', " "));
    }
    line
}
