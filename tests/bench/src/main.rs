//! What the core costs: each kind of work beside its limit (the same bytes and rows with nothing around them) and, where
//! its figures are given, a peer, in one run. `scripts/bench core` builds and starts it.
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // figures to read

mod case;
mod counted;
mod data;
mod limits;
mod local;
mod measure;
mod plot;
mod server;
mod suite;
mod table;
mod transfer;
mod waits;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};

/// Measures the core beside its limits.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures everything, and prints a table.
    Run(Run),
    /// One measurement, in this process.
    #[command(hide = true)]
    Case(case::Case),
    /// A script for an instrument that counts instructions.
    #[command(hide = true)]
    Counted {
        /// How far it goes.
        stage: counted::Stage,
        /// An empty folder.
        folder: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct Run {
    /// The command `rowtide`, for the server.
    #[arg(long)]
    rowtide: PathBuf,
    /// Writes the rows as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// A peer's figures: rows of name, value and unit.
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Draws curves of time and memory over rows into this folder.
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Rows of the large cases.
    #[arg(long, default_value_t = 1_000_000)]
    large: usize,
    /// Bytes of the library of an app, stripped and gzipped.
    #[arg(long, num_args = 2)]
    library: Vec<f64>,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(options) => on_threads().block_on(run(options)),
        Command::Case(case) => on_threads().block_on(case.run()).map(|usage| {
            println!("{}", serde_json::to_string(&usage).expect("figures are JSON"));
            true
        }),
        Command::Counted { stage, folder } => {
            on_one_thread().block_on(counted::run(stage, folder)).map(|()| true)
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("rowtide-bench: {error}");
            ExitCode::from(2)
        }
    }
}

fn on_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads can be started")
}

fn on_one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("the runtime needs no thread")
}

/// Answers whether every goal was reached.
async fn run(options: Run) -> Result<bool, Box<dyn std::error::Error>> {
    let mut suite = suite::Suite::new(&options.rowtide, options.large);
    suite.run().await?;
    if let Some(folder) = &options.plot {
        let sizes = [1_000, 10_000, 100_000, options.large];
        plot::draw(folder, &suite.curve(&sizes).await?)?;
    }
    suite.progress.finish_and_clear();
    let mut rows = suite.rows;
    if let [stripped, gzipped] = options.library[..] {
        rows.push(table::Row::at_most("library of an app, stripped", stripped / 1e6, "MB", 3.2));
        rows.push(table::Row::at_most("library of an app, gzipped", gzipped / 1e6, "MB", 1.7));
    }
    if let Some(path) = &options.peer {
        table::beside_peer(&mut rows, &table::read_peer(path)?, &suite::PEER_GOALS);
    }
    table::print(&rows);
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string_pretty(&serde_json::json!({ "rows": rows }))?)?;
    }
    Ok(rows.iter().all(|row| row.ok))
}
