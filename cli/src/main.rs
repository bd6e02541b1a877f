//! The `rowtide` command: a server, and a sync client on any SQLite file. Prints the core's reports, decides
//! nothing.

mod commands;
mod config;
mod failure;
mod progress;
mod tokens;

use clap::{Args, Parser, Subcommand};
use failure::{EXIT_USAGE, Failure};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(
    name = "rowtide",
    version,
    about = "Offline-first sync: a server, and a client on any SQLite file."
)]
struct Cli {
    /// Print one JSON object with the report; errors as one JSON object on standard error.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    device: Device,
    #[command(subcommand)]
    command: Command,
}

/// The database and its configuration.
#[derive(Debug, Clone, Args)]
struct Device {
    /// The SQLite file.
    #[arg(long, global = true, value_name = "FILE")]
    db: Option<PathBuf>,
    /// The configuration: url, schema, tables, and how to get a token.
    #[arg(long, global = true, value_name = "FILE", default_value = "rowtide.toml")]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a server with an embedded store.
    Serve(commands::serve::Options),
    /// Checks the configuration and starts capturing writes.
    Open,
    /// Runs SQL statements in one transaction.
    Exec {
        /// One or more statements.
        #[arg(allow_hyphen_values = true)]
        sql: String,
    },
    /// Prints the rows of a query, one JSON object each.
    Query {
        /// One statement that only reads.
        #[arg(allow_hyphen_values = true)]
        sql: String,
    },
    /// Inserts the rows of an NDJSON file in one transaction.
    Import {
        /// The table.
        table: String,
        /// One JSON object a line; BLOB columns as UUID or base64.
        file: PathBuf,
    },
    /// Attaches the database to a user; downloads what the server has.
    Attach {
        /// The user that the token belongs to.
        user: String,
    },
    /// Uploads pending rows.
    Push,
    /// Downloads other devices' changes.
    Pull,
    /// Downloads and uploads.
    Sync,
    /// Syncs by itself until interrupted, and prints each change of the status.
    Run(commands::run::Options),
    /// Downloads everything anew and writes what differs.
    Rebuild,
    /// Tells where the database stands.
    Status,
    /// Tells the database's identity at the server.
    SourceInfo,
    /// Lists rows that cannot be synchronised as they are.
    Refused(commands::inbox::Options),
    /// Empties the managed tables and leaves the user, unless rows are unsynced.
    Detach,
    /// Syncs, then detaches.
    SyncThenDetach,
    /// Drops Rowtide's tables and triggers from the database; the rows stay, pending ones are never uploaded.
    Uninstall,
    /// Says in plain words what works, what is pending and what would happen next.
    Doctor,
}

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Programs that asked for JSON get usage errors in it, too; help and version are no errors.
        Err(error) if error.use_stderr() && std::env::args().any(|argument| argument == "--json") => {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            return Failure::new("usage", first, EXIT_USAGE).report(true);
        }
        Err(error) => error.exit(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return Failure::new("internal", format!("no runtime: {error}"), EXIT_USAGE).report(cli.json);
        }
    };
    let json = cli.json;
    match runtime.block_on(run(cli)) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => failure.report(json),
    }
}

async fn run(cli: Cli) -> Result<u8, Failure> {
    use commands::{database, doctor, inbox, run, serve, status, sync};
    let (json, device) = (cli.json, cli.device);
    match cli.command {
        Command::Serve(options) => serve::run(options, json).await,
        Command::Exec { sql } => database::exec(&device, &sql, json).await,
        Command::Query { sql } => database::query(&device, &sql).await,
        Command::Import { table, file } => database::import(&device, &table, &file, json).await,
        Command::Open | Command::Status => status::status(&device, json).await,
        Command::Attach { user } => sync::attach(&device, &user, json).await,
        Command::Push => sync::push(&device, json).await,
        Command::Pull => sync::pull(&device, json).await,
        Command::Sync => sync::sync(&device, json).await,
        Command::Run(options) => run::run(&device, &options, json).await,
        Command::Rebuild => sync::rebuild(&device, json).await,
        Command::SourceInfo => status::source_info(&device, json).await,
        Command::Refused(options) => inbox::run(&device, options, json).await,
        Command::Detach => sync::detach(&device, json).await,
        Command::SyncThenDetach => sync::sync_then_detach(&device, json).await,
        Command::Uninstall => database::uninstall(&device, json).await,
        Command::Doctor => doctor::run(&device, json).await,
    }
}
