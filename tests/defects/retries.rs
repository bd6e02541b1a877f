//! 22, 30 and 38: sizes of requests, and failures that pass.

use crate::{BOTH, count, notes, two_devices};
use async_trait::async_trait;
use rowtide::protocol::profile::WireGeneration;
use rowtide::{Clock, ErrorKind, Request, Response, Rng, TransferLimits, Transport, TransportError};
use rowtide_server::Limits;
use rowtide_tests::{Device, Endpoint, Exchange, Fault, Notes, TestServer};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SEED: &str = "INSERT INTO notes (id) VALUES ('n1'), ('n2'), ('n3'), ('n4'), ('n5'), ('n6'), ('n7'), ('n8'), ('n9'), ('n10')";

fn asked(exchange: &Exchange, name: &str) -> i64 {
    let (_, query) = exchange.request.url.split_once('?').unwrap();
    let pair = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(found, _)| *found == name);
    pair.unwrap().1.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_22_no_request_asks_for_or_carries_more_rows_than_the_server_takes() {
    for generation in BOTH {
        let limits = Limits { default_rows_per_chunk: 3, max_rows_per_chunk: 3, ..Limits::default() };
        let server = TestServer::with_limits(generation, &Notes::TABLES, limits);
        let large = TransferLimits { upload_rows: 9_999, download_rows: 9_999, ..TransferLimits::default() };
        let a = notes(&server, move |config| config.limits(large)).await;
        a.exec(SEED).await;
        a.attach().await;
        a.sync().await;
        let b = notes(&server, move |config| config.limits(large)).await;
        b.attach().await;
        let sent = server.take_exchanges();
        assert_eq!((count(&sent, Endpoint::PushChunk), count(&sent, Endpoint::SnapshotChunk)), (4, 4));
        for exchange in &sent {
            match exchange.endpoint {
                Endpoint::PushChunk => {
                    let body: Value = serde_json::from_str(exchange.request.body.as_ref().unwrap()).unwrap();
                    assert!(body["rows"].as_array().unwrap().len() <= 3);
                }
                Endpoint::SnapshotChunk => assert!(asked(exchange, "max_rows") <= 3),
                _ => {}
            }
        }
        assert_eq!(a.dump().await, b.dump().await);
    }
}

const FAILURES: [u16; 4] = [500, 502, 503, 504];

#[tokio::test(flavor = "multi_thread")]
async fn defect_30_two_failures_of_the_server_at_any_step_of_a_download_are_not_told_the_host() {
    for generation in BOTH {
        for endpoint in
            [Endpoint::Capabilities, Endpoint::Connect, Endpoint::SnapshotCreate, Endpoint::SnapshotChunk]
        {
            for status in FAILURES {
                let (server, a, _) = two_devices(generation, SEED).await;
                let b = Device::notes(&server, "ada").await;
                server.fail(endpoint, 0, 2, Fault::Answer(status, String::new()));
                b.attach().await;
                assert_eq!(
                    (server.heal(), a.dump().await == b.dump().await),
                    (0, true),
                    "{endpoint:?} {status}"
                );
            }
        }
    }
}

/// A server at its capacity: refuses chunks of snapshots from one on, a few times.
#[derive(Clone)]
struct Busy {
    server: TestServer,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Clone, Copy, Default)]
struct Plan {
    skip: usize,
    refusals: usize,
    retry_after: i64,
}

#[async_trait]
impl Transport for Busy {
    async fn send(&self, mut request: Request) -> Result<Response, TransportError> {
        request.url = request.url.replacen("/base/", "/", 1);
        let endpoint = Endpoint::of(request.method, request.url.split('?').next().unwrap());
        if endpoint == Endpoint::SnapshotChunk {
            let mut plan = self.plan.lock().unwrap();
            if plan.skip > 0 {
                plan.skip -= 1;
            } else if plan.refusals > 0 {
                plan.refusals -= 1;
                let body = br#"{"error":"snapshot_chunk_capacity","message":""}"#.to_vec();
                return Ok(Response { status: 429, retry_after_seconds: Some(plan.retry_after), body });
            }
        }
        self.server.send(request).await
    }
}

/// Time that passes only where the client waits, and what it waited.
#[derive(Clone, Default)]
struct Waits(Arc<Mutex<Vec<Duration>>>);

#[async_trait]
impl Clock for Waits {
    fn now_ms(&self) -> i64 {
        i64::try_from(self.0.lock().unwrap().iter().sum::<Duration>().as_millis()).unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        self.0.lock().unwrap().push(duration);
    }
}

struct Chance(f64);

impl Rng for Chance {
    fn fraction(&self) -> f64 {
        self.0
    }
}

/// A server whose snapshots come in five chunks, and a device of it that has nothing yet.
async fn busy(plan: Plan, chance: f64) -> (Busy, Waits, Device) {
    let limits = Limits { default_rows_per_chunk: 2, max_rows_per_chunk: 2, ..Limits::default() };
    let server = TestServer::with_limits(WireGeneration::B, &Notes::TABLES, limits);
    let a = Device::notes(&server, "ada").await;
    a.exec(SEED).await;
    a.attach().await;
    a.sync().await;
    server.take_exchanges();
    let busy = Busy { server: server.clone(), plan: Arc::new(Mutex::new(plan)) };
    let (transport, waits) = (busy.clone(), Waits::default());
    let clock = waits.clone();
    let b = notes(&server, move |config| {
        config.transport(transport.clone()).clock(clock.clone()).rng(Chance(chance))
    })
    .await;
    (busy, waits, b)
}

/// The cursors of the chunks that were answered.
fn cursors(sent: &[Exchange]) -> Vec<i64> {
    let chunks = sent.iter().filter(|exchange| exchange.endpoint == Endpoint::SnapshotChunk);
    chunks.map(|exchange| asked(exchange, "after_row_ordinal")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_30_a_server_at_capacity_in_the_middle_of_a_download_is_waited_for_and_nothing_begins_anew() {
    let (busy, waits, b) = busy(Plan { skip: 2, refusals: 2, retry_after: 5 }, 0.0).await;
    b.attach().await;
    let sent = busy.server.take_exchanges();
    assert_eq!(cursors(&sent), [0, 2, 4, 6, 8]);
    assert_eq!((count(&sent, Endpoint::Connect), count(&sent, Endpoint::SnapshotCreate)), (1, 1));
    assert_eq!(*waits.0.lock().unwrap(), [Duration::from_secs(5); 2]);
    assert_eq!(b.text("SELECT count(*) FROM notes").await, "10");
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_30_a_wait_of_thirty_seconds_is_waited() {
    // Whatever chance adds, what the server asks for and the budget allows is waited.
    for (seconds, chance, waited) in [(30, 0.0, 30), (30, 0.05, 30), (20, 0.6, 30), (16, 0.5, 24)] {
        let (_busy, waits, b) = busy(Plan { skip: 0, refusals: 1, retry_after: seconds }, chance).await;
        b.attach().await;
        assert_eq!(*waits.0.lock().unwrap(), [Duration::from_secs(waited)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_30_a_wait_beyond_the_patience_of_a_call_is_told_with_its_length_and_the_download_goes_on_later()
 {
    let (busy, _, b) = busy(Plan { skip: 3, refusals: 1, retry_after: 40 }, 0.5).await;
    let error = b.client().attach("ada").await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after_seconds()), (ErrorKind::Server, Some(40)));
    assert!(error.is_retryable());
    b.attach().await;
    let sent = busy.server.take_exchanges();
    assert_eq!(cursors(&sent), [0, 2, 4, 6, 8]);
    assert_eq!(count(&sent, Endpoint::SnapshotCreate), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_38_two_failures_at_any_step_of_a_sync_are_not_told_the_host() {
    for generation in BOTH {
        for endpoint in [Endpoint::PushCreate, Endpoint::PushChunk, Endpoint::PushCommit, Endpoint::Pull] {
            for fault in [Fault::DropRequest, Fault::Answer(503, String::new())] {
                let (server, a, b) = two_devices(generation, SEED).await;
                b.exec("UPDATE notes SET title = 'theirs' WHERE id = 'n2'").await;
                b.sync().await;
                a.exec("UPDATE notes SET title = 'mine' WHERE id = 'n1'").await;
                server.fail(endpoint, 0, 2, fault.clone());
                let report = a.sync().await;
                assert_eq!((server.heal(), report.pushed_rows), (0, 1), "{endpoint:?} {fault:?}");
                b.sync().await;
                assert_eq!(a.dump().await, b.dump().await);
            }
        }
    }
}
