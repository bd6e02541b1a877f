//! `rowtide-sim`: devices and a server in one process, on virtual time, with a seed.

mod crash_points;
mod device;
mod disk;
mod draw;
mod growth;
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
#[cfg(test)]
mod tests;
mod timeline;
mod witness;
mod world;

use crate::seeds::Plays;
use clap::Parser;
use rowtide::simulation::mutation::Mutation;
use serde_json::json;
use std::path::{Path, PathBuf};
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
    /// Play each seed twice; a run that is not the same, event by event, is a failure.
    #[arg(long)]
    twice: bool,
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
    /// Kill a device at every durable step of a fixed script, and print what becomes of it as a Markdown table.
    #[arg(long)]
    crash_points: bool,
    /// As `--crash-points`, and fail where a document does not carry this very table between its marks.
    #[arg(long, value_name = "FILE")]
    check_crash_points: Option<PathBuf>,
    /// As `--crash-points`, and write the table into a document.
    #[arg(long, value_name = "FILE")]
    update_crash_points: Option<PathBuf>,
    /// Draw the replayed seed as SVG.
    #[arg(long, value_name = "FILE")]
    timeline: Option<PathBuf>,
    /// Do not cut off requests and replies in what is printed.
    #[arg(long)]
    full: bool,
}

fn main() -> ExitCode {
    match act(&Options::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn act(options: &Options) -> Result<ExitCode, String> {
    if options.log || options.shrink || options.timeline.is_some() {
        return replay(options);
    }
    if let Some(mutation) = options.mutation {
        let verdict = mutations::hunt(mutation, options.first_seed, options.seeds);
        println!("{}", mutations::tell(&verdict));
        return Ok(ExitCode::from(u8::from(verdict.caught.is_none())));
    }
    if options.mutations {
        return Ok(check_mutations(options));
    }
    if options.crash_points || options.check_crash_points.is_some() || options.update_crash_points.is_some() {
        return crash_points(options);
    }
    Ok(run_seeds(options))
}

/// Plays one seed and shows it.
fn replay(options: &Options) -> Result<ExitCode, String> {
    let mut script = draw::draw(options.first_seed);
    if let Some(failure) = options.shrink.then(|| run::run(&script, options.mutation).failure).flatten() {
        (script, _) = shrink::shrink(&script, &failure, options.mutation);
    }
    println!("{script}");
    let run = run::run(&script, options.mutation);
    if options.log {
        for entry in &run.journal {
            let text = entry.to_string();
            let end = if options.full { text.len() } else { text.floor_char_boundary(200) };
            println!("{}", &text[..end]);
        }
    }
    let ending = run.failure.as_deref().unwrap_or("nothing is wrong");
    if let Some(file) = &options.timeline {
        let title = format!("seed {}: {ending}", options.first_seed);
        write(file, &timeline::draw(&title, &run.journal))?;
    }
    println!("{ending}");
    Ok(ExitCode::from(u8::from(run.failure.is_some())))
}

fn run_seeds(options: &Options) -> ExitCode {
    let plays = if options.twice { Plays::Twice } else { Plays::Once };
    let seeds::Outcome { failing, growth } =
        seeds::run_all(options.first_seed, options.seeds, plays, options.json);
    for failing in &failing {
        println!("seed {}: {}", failing.seed, failing.failure);
    }
    if let Some(first) = failing.first() {
        let script = draw::draw(first.seed);
        let (script, failure) = shrink::shrink(&script, &first.failure, None);
        println!("\nthe shortest script like seed {}: {failure}\n\n{script}", first.seed);
        println!("replay it: rowtide-sim --first-seed {} --shrink --log --timeline run.svg\n", first.seed);
    }
    if let Some(growth) = &growth {
        println!("{growth}");
    }
    if options.json {
        let seeds: Vec<u64> = failing.iter().map(|failing| failing.seed).collect();
        println!("{}", json!({ "seeds": options.seeds, "failed": seeds.len(), "failing_seeds": seeds }));
    } else if failing.is_empty() && growth.is_none() {
        println!("{} seeds from {} on: nothing is wrong", options.seeds, options.first_seed);
    } else {
        println!("{} of {} seeds failed", failing.len(), options.seeds);
    }
    ExitCode::from(u8::from(!failing.is_empty() || growth.is_some()))
}

fn crash_points(options: &Options) -> Result<ExitCode, String> {
    let table = crash_points::table()?;
    let read =
        |file: &Path| std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()));
    if let Some(file) = &options.update_crash_points {
        write(file, &crash_points::put(&read(file)?, &table)?)?;
    }
    if let Some(file) = &options.check_crash_points {
        let document = read(file)?;
        if crash_points::put(&document, &table)? != document {
            return Err(format!(
                "{0} does not carry the table of crash points as it is now; run rowtide-sim --update-crash-points {0}",
                file.display()
            ));
        }
    }
    if options.crash_points {
        print!("{table}");
    }
    Ok(ExitCode::SUCCESS)
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
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
