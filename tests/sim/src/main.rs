//! `rowtide-sim`: devices and a server in one process, on virtual time, with a seed.

mod device;
mod disk;
mod draw;
mod journal;
mod ledger;
mod network;
mod oracle;
mod run;
mod schema;
mod script;
mod seeds;
mod witness;
mod world;

use clap::Parser;
use serde_json::json;
use std::process::ExitCode;

/// Runs the real client core and the real server under faults, and checks that nothing is lost.
#[derive(Debug, Parser)]
struct Options {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// Print one JSON object as the last line: `seeds`, `failed`, `failing_seeds`.
    #[arg(long)]
    json: bool,
    /// Print everything that happens with the first seed.
    #[arg(long)]
    log: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.log {
        let script = draw::draw(options.first_seed);
        print!("{script}");
        let run = run::run(&script, None);
        for entry in &run.journal {
            println!("{entry}");
        }
        println!("{}", run.failure.as_deref().unwrap_or("nothing is wrong"));
        return ExitCode::from(u8::from(run.failure.is_some()));
    }
    let failing = seeds::run_all(options.first_seed, options.seeds, options.json);
    for failing in &failing {
        println!("seed {}: {}", failing.seed, failing.failure);
    }
    if options.json {
        let seeds: Vec<u64> = failing.iter().map(|failing| failing.seed).collect();
        println!("{}", json!({ "seeds": options.seeds, "failed": seeds.len(), "failing_seeds": seeds }));
    }
    ExitCode::from(u8::from(!failing.is_empty()))
}
