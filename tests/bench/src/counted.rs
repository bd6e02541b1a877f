//! A script whose instructions are counted (`scripts/instructions`): client and server in one process, on one thread and a
//! thread for each database. Each stage adds to the one before it, so that the difference is its own.

use crate::data;
use rowtide::protocol::profile::WireGeneration;
use rowtide::{Client, Config, LocalDatabase, SyncTable};
use rowtide_testing::TestServer;
use std::path::PathBuf;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
const USER: &str = "bench";
const ROWS: usize = 1_000;

/// How far the script goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Stage {
    /// Two devices and a server are there.
    Open,
    /// The first device inserts its rows.
    Capture,
    /// It attaches and pushes them.
    Push,
    /// The second device hydrates.
    Hydrate,
    /// The first one changes every row, and pushes.
    Update,
    /// The second one pulls.
    Pull,
}

/// Runs the script up to a stage, in an empty folder.
pub(crate) async fn run(stage: Stage, folder: PathBuf) -> Outcome<()> {
    let server = TestServer::new(WireGeneration::B, &[("users", "id"), ("posts", "id")]);
    let (a, b) = (device(&server, folder.join("a.db")).await?, device(&server, folder.join("b.db")).await?);
    if stage >= Stage::Capture {
        data::insert(&a.database(), 0, ROWS).await?;
    }
    if stage >= Stage::Push {
        a.attach(USER).await?;
        assert_eq!(a.push().await?.pushed_rows, ROWS as i64);
    }
    if stage >= Stage::Hydrate {
        assert_eq!(b.attach(USER).await?.hydrated_rows, ROWS as i64);
    }
    if stage >= Stage::Update {
        a.execute_script("UPDATE users SET age = age + 1; UPDATE posts SET title = title || '.'").await?;
        assert_eq!(a.push().await?.pushed_rows, ROWS as i64);
    }
    if stage >= Stage::Pull {
        assert_eq!(b.pull().await?.pulled_rows, ROWS as i64);
    }
    a.close().await;
    b.close().await;
    Ok(())
}

async fn device(server: &TestServer, file: PathBuf) -> rowtide::Result<Client> {
    let database = LocalDatabase::open(&file).await?;
    database.execute_script(data::SCHEMA).await?;
    database.close().await;
    let config = Config::new(file, "http://server.test", "business")?
        .table(SyncTable::new("users").key("id"))
        .table(SyncTable::new("posts").key("id"))
        .transport(server.clone())
        .tokens(server.tokens(USER));
    Client::open(config).await
}
