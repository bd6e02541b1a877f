//! `rowtide doctor`: what works, what is pending, what would happen next, in plain words.

use crate::Device;
use crate::config;
use crate::failure::Failure;
use rowtide::{ErrorKind, State, Status};
use serde_json::json;

/// Looks at the configuration, the database and the server.
pub(crate) async fn run(device: &Device, json: bool) -> Result<u8, Failure> {
    let client = config::open(device, json).await?;
    let status = client.status().await?;
    let server = client.check_server().await;
    let (reachable, tables_match, server_text) = match &server {
        Ok(generation) => (
            true,
            Some(true),
            format!(
                "The server answers, speaks wire generation {generation}, and has the configured tables."
            ),
        ),
        Err(error) => {
            let answered = !matches!(error.kind(), ErrorKind::Network | ErrorKind::Authentication);
            let mismatch = (error.kind() == ErrorKind::TableMismatch).then_some(false);
            (answered, mismatch, format!("The server is of no use now: {error}."))
        }
    };
    let stuck = client.why_stuck().await?;
    let next = next_step(&status, server.is_ok());
    if json {
        let object = json!({
            "server_reachable": reachable,
            "generation": server.as_ref().ok().copied().or(status.generation),
            "tables_match": tables_match,
            "pending_rows": status.pending_rows,
            "refused_rows": status.refused_rows,
            "state": status.state.as_str(),
            "health": status.health.as_str(),
            "stuck": stuck,
            "server": server_text,
            "next": next,
        });
        println!("{object}");
        return Ok(0);
    }
    println!("The configuration fits the database: every table can be synchronised.");
    println!("{server_text}");
    match &status.user {
        Some(user) => {
            println!("The database is attached to {user}, and has read up to bundle {}.", status.checkpoint)
        }
        None => println!("The database is not attached to a user; writes are captured for later."),
    }
    match stuck {
        Some(reasons) => println!("{reasons}"),
        None => println!("Nothing waits to be uploaded, and nothing is stuck."),
    }
    if let Some(error) = &status.last_error {
        println!("The last operation failed: {error}");
    }
    println!("Next: {next}");
    Ok(0)
}

fn next_step(status: &Status, server_works: bool) -> String {
    if !server_works {
        return "mend what the line about the server says; local work goes on meanwhile.".into();
    }
    let text = match status.state {
        State::Anonymous if status.pending_rows > 0 => {
            "`attach USER` either seeds the server with the local rows, or downloads the server's and keeps the local ones on top."
        }
        State::Anonymous => "`attach USER` downloads what the server has.",
        State::Hydrating => "`attach USER` goes on with the download where it stopped.",
        State::Seeding => "`sync` seeds the server with the local rows.",
        State::Uploading => "`sync` first settles the upload that was interrupted.",
        State::Rebuilding => "`sync` first finishes the rebuild that was interrupted.",
        _ if status.pending_rows > 0 => {
            "`sync` downloads other devices' changes and uploads the pending rows."
        }
        _ => "`sync` asks for other devices' changes; there is nothing to upload.",
    };
    text.into()
}
