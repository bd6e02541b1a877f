//! One listener a process: tells of bundles that any process, or SQL, commits.

use super::connection::tls;
use crate::store::StoreChange;
use rowtide::protocol::ids::{BundleSeq, SourceBundleId, SourceId};
use rowtide::protocol::message::WatchEvent;
use serde::Deserialize;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio_postgres::{AsyncMessage, Config};

/// Waits between attempts to listen again, in milliseconds.
const FIRST_WAIT_MS: u64 = 100;
const LONGEST_WAIT_MS: u64 = 2_000;

#[derive(Deserialize)]
struct Notification {
    user: String,
    bundle_seq: i64,
    source_id: String,
    source_bundle_id: i64,
}

/// Listens until nobody wants to know any more.
pub(super) fn start(config: Config) -> broadcast::Sender<StoreChange> {
    let (sender, _) = broadcast::channel(1_024);
    let weak = sender.downgrade();
    tokio::spawn(async move {
        let mut wait = FIRST_WAIT_MS;
        while weak.strong_count() > 0 {
            match listen(&config, &weak).await {
                Ok(()) => wait = FIRST_WAIT_MS,
                Err(error) => log::warn!("watch: the listener lost PostgreSQL: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(wait)).await;
            wait = (wait * 2).min(LONGEST_WAIT_MS);
        }
    });
    sender
}

/// Listens on one connection until it ends.
async fn listen(
    config: &Config,
    sender: &broadcast::WeakSender<StoreChange>,
) -> Result<(), tokio_postgres::Error> {
    let (client, mut connection) = config.connect(tls()).await?;
    let (messages, mut inbox) = tokio::sync::mpsc::unbounded_channel();
    let driver = tokio::spawn(async move {
        loop {
            match std::future::poll_fn(|context| connection.poll_message(context)).await {
                Some(Ok(AsyncMessage::Notification(notification))) => {
                    if messages.send(notification.payload().to_owned()).is_err() {
                        return;
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            }
        }
    });
    client.batch_execute("LISTEN rowtide_bundles").await?;
    // What was committed while nobody listened is found by looking.
    publish(sender, StoreChange::Unknown);
    let mut alive = tokio::time::interval(Duration::from_secs(5));
    loop {
        tokio::select! {
            payload = inbox.recv() => match payload {
                Some(payload) => {
                    if let Ok(found) = serde_json::from_str::<Notification>(&payload) {
                        publish(sender, change(found));
                    }
                }
                None => break,
            },
            _ = alive.tick() => if sender.strong_count() == 0 { break },
        }
    }
    driver.abort();
    Ok(())
}

fn change(found: Notification) -> StoreChange {
    let event = WatchEvent {
        bundle_seq: BundleSeq(found.bundle_seq),
        source_id: SourceId::parse(&found.source_id),
        source_bundle_id: Some(SourceBundleId(found.source_bundle_id)),
    };
    StoreChange::Committed { user: found.user, event }
}

fn publish(sender: &broadcast::WeakSender<StoreChange>, change: StoreChange) {
    if let Some(sender) = sender.upgrade() {
        // Nobody may be watching.
        let _ = sender.send(change);
    }
}
