//! What needs no server: capture, opening, resting.

use crate::case::Case;
use crate::data;
use crate::measure::{Meter, Usage, status_bytes};
use rowtide::{Client, Hydrate, LoopOptions};
use std::time::{Duration, Instant};

/// How often opening is timed.
const OPENINGS: usize = 21;
/// After which a client without work has given back what it needed for some.
const REST: Duration = Duration::from_secs(4);

/// The same inserts with nothing of Rowtide in the database.
pub(crate) async fn insert_plain(case: &Case) -> rowtide::Result<Usage> {
    let database = data::database(case).await?;
    let meter = Meter::begin();
    data::insert(&database, 0, case.rows).await?;
    Ok(meter.end())
}

pub(crate) async fn insert(case: &Case) -> rowtide::Result<Usage> {
    let client = data::client(case, Hydrate::AtOnce).await?;
    let database = client.database();
    let meter = Meter::begin();
    data::insert(&database, 0, case.rows).await?;
    Ok(meter.end())
}

const UPDATE: [&str; 2] = ["UPDATE users SET age = age + 1", "UPDATE posts SET title = title || '.'"];

pub(crate) async fn update_plain(case: &Case) -> rowtide::Result<Usage> {
    let database = data::database(case).await?;
    let meter = Meter::begin();
    for sql in UPDATE {
        database.execute(sql, vec![]).await?;
    }
    Ok(meter.end())
}

/// All of them are dirty already.
pub(crate) async fn update(case: &Case) -> rowtide::Result<Usage> {
    let client = data::client(case, Hydrate::AtOnce).await?;
    let database = client.database();
    let meter = Meter::begin();
    for sql in UPDATE {
        database.execute(sql, vec![]).await?;
    }
    Ok(meter.end())
}

/// Milliseconds that opening takes beyond opening the file and reading its schema; the database gets 20 tables.
pub(crate) async fn open(case: &Case) -> Result<Usage, Box<dyn std::error::Error>> {
    let database = data::database(case).await?;
    for table in 0..18 {
        database
            .execute_script(&format!(
                "CREATE TABLE IF NOT EXISTS t{table} (id TEXT PRIMARY KEY NOT NULL, a TEXT)"
            ))
            .await?;
    }
    database.close().await;
    let config = || -> rowtide::Result<_> {
        let tables = (0..18).map(|table| rowtide::SyncTable::new(format!("t{table}")).key("id"));
        Ok(data::config(case, Hydrate::AtOnce)?.tables(tables))
    };
    Client::open(config()?).await?.close().await;
    let meter = Meter::begin();
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..OPENINGS {
        let begun = Instant::now();
        let connection = rusqlite::Connection::open(case.file())?;
        let _: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        plain.push(begun.elapsed().as_secs_f64() * 1000.0);
        drop(connection);
        let begun = Instant::now();
        let client = Client::open(config()?).await?;
        ours.push(begun.elapsed().as_secs_f64() * 1000.0);
        client.close().await;
    }
    Ok(Usage { own: median(ours) - median(plain), ..meter.end() })
}

/// Bytes that an attached client adds to the process while it runs by itself and has nothing to do, once it has rested: by
/// `RssAnon` its own memory, by `VmRSS` with the pages of the program that were never needed before.
pub(crate) async fn idle(case: &Case, counted: &str) -> rowtide::Result<Usage> {
    let meter = Meter::begin();
    let before = status_bytes(counted);
    let client = data::client(case, Hydrate::AtOnce).await?;
    client.start(LoopOptions::default());
    let mut changes = client.observe_status();
    loop {
        let status = changes.next().await?;
        if status.automatic.watching && status.last_success_ms.is_some() {
            break;
        }
    }
    tokio::time::sleep(REST).await;
    Ok(Usage { own: status_bytes(counted) - before, ..meter.end() })
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
