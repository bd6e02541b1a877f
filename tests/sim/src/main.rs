//! `rowtide-sim`: devices and a server in one process, on virtual time, with a seed.

mod device;
mod disk;
mod draw;
mod journal;
mod ledger;
mod mutations;
mod network;
mod oracle;
mod run;
mod schema;
mod script;
mod seeds;
mod shrink;
mod witness;
mod world;

use clap::Parser;
use rowtide::simulation::mutation::Mutation;
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
    /// Replay the first seed and print everything that happens.
    #[arg(long)]
    log: bool,
    /// Shorten the script of the first seed, which must fail, before it is replayed.
    #[arg(long)]
    shrink: bool,
    /// Put in a bug, and run seeds until one of them fails.
    #[arg(long, value_name = "NAME", value_parser = mutations::named)]
    mutation: Option<Mutation>,
    /// Put in each of the bugs in turn; a bug that escapes is a failure.
    #[arg(long)]
    mutations: bool,
    /// Do not cut off requests and replies in what is printed.
    #[arg(long)]
    full: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.log || options.shrink {
        let mut script = draw::draw(options.first_seed);
        if let Some(failure) = options.shrink.then(|| run::run(&script, None).failure).flatten() {
            (script, _) = shrink::shrink(&script, &failure, None);
        }
        print!("{script}");
        let run = run::run(&script, None);
        for entry in &run.journal {
            let text = entry.to_string();
            let end = if options.full { text.len() } else { text.floor_char_boundary(200) };
            println!("{}", &text[..end]);
        }
        println!("{}", run.failure.as_deref().unwrap_or("nothing is wrong"));
        return ExitCode::from(u8::from(run.failure.is_some()));
    }
    if let Some(mutation) = options.mutation {
        let verdict = mutations::hunt(mutation, options.first_seed, options.seeds);
        println!("{}", mutations::tell(&verdict));
        return ExitCode::from(u8::from(verdict.caught.is_none()));
    }
    if options.mutations {
        return check_mutations(&options);
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

fn check_mutations(options: &Options) -> ExitCode {
    let verdicts = mutations::hunt_all(options.first_seed, options.seeds, options.json);
    let mut escaped = Vec::new();
    for verdict in &verdicts {
        let name = verdict.mutation.as_str();
        match &verdict.caught {
            Some((seed, failure)) => println!("{name:<30} seed {seed:<5} {failure}"),
            None => {
                println!("{name:<30} NOT CAUGHT by {} seeds", options.seeds);
                escaped.push(name);
            }
        }
    }
    if options.json {
        println!("{}", json!({ "mutations": verdicts.len(), "escaped": escaped }));
    }
    ExitCode::from(u8::from(!escaped.is_empty()))
}
