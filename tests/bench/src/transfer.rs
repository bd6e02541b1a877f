//! Up, down, and nothing to do.

use crate::case::{Case, prepared};
use crate::data;
use crate::measure::{Meter, Usage};
use rowtide::{Hydrate, Report};

/// The user of all devices.
pub(crate) const USER: &str = "bench";
/// Rows of a bundle where there are many.
const BUNDLE: usize = 100;
/// How often a sync without work is done.
const SYNCS: u32 = 200;

fn with(usage: Usage, report: &Report) -> Usage {
    Usage { requests: report.requests, ..usage }
}

/// Attached, with `rows` dirty rows.
pub(crate) async fn fill(case: &Case) -> rowtide::Result<Usage> {
    let client = data::client(case, Hydrate::AtOnce).await?;
    data::insert(&client.database(), 0, case.rows).await?;
    client.attach(USER).await?;
    client.close().await;
    Ok(prepared())
}

/// A first attach: of a server that has rows, a hydrate.
pub(crate) async fn attach(case: &Case) -> rowtide::Result<Usage> {
    let client = data::client(case, Hydrate::AtOnce).await?;
    let meter = Meter::begin();
    let report = client.attach(USER).await?;
    Ok(with(meter.end(), &report))
}

pub(crate) async fn push(case: &Case) -> rowtide::Result<Usage> {
    let client = data::client(case, Hydrate::AtOnce).await?;
    let meter = Meter::begin();
    let report = client.push().await?;
    Ok(with(meter.end(), &report))
}

/// Commits `rows` new rows in bundles.
pub(crate) async fn push_bundles(case: &Case) -> rowtide::Result<Usage> {
    let client = data::client(case, Hydrate::AtOnce).await?;
    for bundle in 0..case.rows / BUNDLE {
        // Far from the numbers of other rows.
        data::insert(&client.database(), 5_000_000 + bundle * BUNDLE, BUNDLE).await?;
        client.push().await?;
    }
    client.close().await;
    Ok(prepared())
}

pub(crate) async fn pull(case: &Case) -> rowtide::Result<Usage> {
    let client = data::client(case, Hydrate::AtOnce).await?;
    let meter = Meter::begin();
    let report = client.pull().await?;
    Ok(with(meter.end(), &report))
}

/// Milliseconds of a sync that has nothing to do; the requests of one.
pub(crate) async fn nothing(case: &Case) -> rowtide::Result<Usage> {
    let client = data::client(case, Hydrate::AtOnce).await?;
    client.sync().await?;
    let mut requests = 0;
    let meter = Meter::begin();
    for _ in 0..SYNCS {
        requests = client.sync().await?.requests;
    }
    let usage = meter.end();
    Ok(Usage { requests, own: usage.cpu * 1000.0 / f64::from(SYNCS), ..usage })
}

/// Changes the first `rows` rows.
pub(crate) async fn touch(case: &Case) -> rowtide::Result<Usage> {
    let client = data::client(case, Hydrate::AtOnce).await?;
    change(&client.database(), case.rows, &case.name).await?;
    client.close().await;
    Ok(prepared())
}

/// Changes the first `rows` rows, and sends them.
pub(crate) async fn touch_and_push(case: &Case) -> rowtide::Result<Usage> {
    let client = data::client(case, Hydrate::AtOnce).await?;
    change(&client.database(), case.rows, &case.name).await?;
    client.sync().await?;
    client.close().await;
    Ok(prepared())
}

async fn change(database: &rowtide::LocalDatabase, rows: usize, text: &str) -> rowtide::Result<()> {
    let text = text.to_owned();
    let keys = (0..rows).map(move |number| Ok(vec![data::key(1, number).into(), text.clone().into()]));
    database.execute_rows("UPDATE users SET name = ?2 WHERE id = ?1", keys).await?;
    Ok(())
}
