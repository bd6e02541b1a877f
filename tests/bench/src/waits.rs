//! How long a write of the app waits at most, milliseconds, while a million rows arrive.

use crate::case::Case;
use crate::data;
use crate::measure::{Meter, Usage};
use crate::transfer::USER;
use rowtide::{Client, Hydrate, Operation};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Between two writes of the app.
const PAUSE: Duration = Duration::from_millis(2);
/// Of a write; a hydrate at once of a million rows takes a while.
const DEADLINE: Duration = Duration::from_secs(600);

pub(crate) async fn progressive(case: &Case) -> rowtide::Result<Usage> {
    during(data::client(case, Hydrate::Progressive).await?, Operation::Attach { user: USER.into() }).await
}

pub(crate) async fn at_once(case: &Case) -> rowtide::Result<Usage> {
    during(data::client(case, Hydrate::AtOnce).await?, Operation::Attach { user: USER.into() }).await
}

pub(crate) async fn rebuild(case: &Case) -> rowtide::Result<Usage> {
    during(data::client(case, Hydrate::AtOnce).await?, Operation::Rebuild).await
}

async fn during(client: Client, operation: Operation) -> rowtide::Result<Usage> {
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write_until(client.clone(), done.clone()));
    let meter = Meter::begin();
    let report = client.begin(operation).wait().await?;
    let usage = meter.end();
    done.store(true, Ordering::Release);
    let longest = writer.await.expect("the writer does not panic")?;
    Ok(Usage { requests: report.requests, own: longest.as_secs_f64() * 1000.0, ..usage })
}

/// Writes rows that are not synchronised; answers how long one waited at most until it was its turn. What its own commit
/// takes then is the disk's, which the server of this run keeps busy too.
async fn write_until(client: Client, done: Arc<AtomicBool>) -> rowtide::Result<Duration> {
    let (database, mut longest) = (client.database(), Duration::ZERO);
    while !done.load(Ordering::Acquire) {
        let begun = Instant::now();
        let transaction = database.transaction(DEADLINE).await?;
        longest = longest.max(begun.elapsed());
        transaction.execute("INSERT INTO drafts (text) VALUES ('a line')", vec![]).await?;
        transaction.commit().await?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(longest)
}
