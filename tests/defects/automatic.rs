//! 18, 22 and 31: the automatic loop.

use crate::{BOTH, count, notes};
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use futures_util::{StreamExt, stream};
use rowtide::{Clock, Direction, HttpTransport, LoopOptions, Method, Request, Rng, Status, Transport};
use rowtide_tests::{Device, Endpoint, Fault, Notes, TestServer, VirtualClock};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Virtual time that counts how often it is looked at, and remembers who wanted to sleep how long.
#[derive(Clone)]
struct Watched {
    time: VirtualClock,
    looks: Arc<AtomicUsize>,
    naps: Arc<watch::Sender<Vec<Duration>>>,
}

impl Watched {
    fn new() -> Self {
        let naps = Arc::new(watch::channel(Vec::new()).0);
        Self { time: VirtualClock::default(), looks: Arc::default(), naps }
    }

    /// Waits for the first sleep after so many that is none of these.
    async fn nap_after(&self, known: usize, other_than: &[Duration]) -> Duration {
        let mut naps = self.naps.subscribe();
        loop {
            let wanted = |nap: &&Duration| !other_than.contains(nap);
            let found = naps.borrow_and_update().iter().skip(known).find(wanted).copied();
            match found {
                Some(nap) => return nap,
                None => naps.changed().await.unwrap(),
            }
        }
    }
}

#[async_trait]
impl Clock for Watched {
    fn now_ms(&self) -> i64 {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.time.now_ms()
    }

    async fn sleep(&self, duration: Duration) {
        self.naps.send_modify(|naps| naps.push(duration));
        self.time.sleep(duration).await;
    }
}

/// No jitter: every wait is half of the full one.
struct Lowest;

impl Rng for Lowest {
    fn fraction(&self) -> f64 {
        0.0
    }
}

async fn device(server: &TestServer, clock: &Watched) -> Device {
    let clock = clock.clone();
    let device = notes(server, move |config| config.clock(clock.clone()).rng(Lowest)).await;
    device.attach().await;
    device
}

async fn until(device: &Device, wanted: impl Fn(&Status) -> bool) {
    let mut changes = device.client().observe_status();
    while !wanted(&changes.next().await.unwrap()) {}
}

async fn until_rows(device: &Device, wanted: &str) {
    let mut changes = device.client().observe_tables(["notes"]);
    while changes.next().await.is_some() {
        if device.text("SELECT count(*) FROM notes").await == wanted {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_18_a_paused_download_neither_spins_nor_asks_and_goes_on_when_it_is_resumed() {
    for generation in BOTH {
        let server = TestServer::new(generation, &Notes::TABLES);
        let clock = Watched::new();
        let a = device(&server, &clock).await;
        let b = Device::notes(&server, "ada").await;
        b.attach().await;
        b.exec("INSERT INTO notes (id) VALUES ('theirs')").await;
        b.sync().await;
        server.take_exchanges();
        let before = clock.looks.load(Ordering::SeqCst);
        a.client().pause(Direction::Downloads);
        a.client().start(LoopOptions::default());
        for _ in 0..600 {
            clock.time.advance(SECOND);
            tokio::task::yield_now().await;
            a.text("SELECT count(*) FROM notes").await;
        }
        let looks = clock.looks.load(Ordering::SeqCst) - before;
        assert!(looks <= 20, "the loop woke up {looks} times for nothing");
        assert_eq!(server.take_exchanges().len(), 0);
        a.client().resume(Direction::Downloads);
        until_rows(&a, "1").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_31_a_stream_that_was_healthy_is_opened_again_after_the_shortest_wait() {
    let server = TestServer::new(BOTH[1], &Notes::TABLES);
    let clock = Watched::new();
    let a = device(&server, &clock).await;
    let b = Device::notes(&server, "ada").await;
    b.attach().await;
    server.fail(Endpoint::Watch, 0, 5, Fault::DropRequest);
    let options = LoopOptions::default();
    // The loop itself waits for the next poll, or for a stream to say something.
    let others = [options.poll_interval, options.watch_idle];
    a.client().start(options);
    let mut known = 0;
    for wait in [500, 1_000, 2_000, 4_000, 8_000].map(Duration::from_millis) {
        let polls: Vec<Duration> = (0..=60_000).step_by(500).map(Duration::from_millis).collect();
        let polls: Vec<Duration> = polls.into_iter().filter(|poll| *poll != wait).collect();
        assert_eq!(clock.nap_after(known, &polls).await, wait);
        known = clock.naps.borrow().len();
        clock.time.until_somebody_sleeps(wait).await;
        clock.time.advance(wait);
    }
    until(&a, |status| status.automatic.watching).await;
    b.exec("INSERT INTO notes (id) VALUES ('heard')").await;
    b.sync().await;
    until_rows(&a, "1").await;
    let known = clock.naps.borrow().len();
    server.break_streams();
    assert_eq!(clock.nap_after(known, &others).await, Duration::from_millis(500));
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_31_nothing_is_polled_while_a_stream_is_open() {
    for generation in BOTH {
        let server = TestServer::new(generation, &Notes::TABLES);
        let clock = Watched::new();
        let a = device(&server, &clock).await;
        let b = Device::notes(&server, "ada").await;
        b.attach().await;
        server.take_exchanges();
        a.client().start(LoopOptions { watch_idle: MINUTE * 600, ..LoopOptions::default() });
        until(&a, |status| status.automatic.watching).await;
        for _ in 0..60 {
            clock.time.advance(MINUTE);
            tokio::task::yield_now().await;
            a.text("SELECT count(*) FROM notes").await;
        }
        b.exec("INSERT INTO notes (id) VALUES ('told')").await;
        b.sync().await;
        until_rows(&a, "1").await;
        // One by the other device, one for what the stream told, and one at the start unless the stream was faster.
        let pulls = count(&server.take_exchanges(), Endpoint::Pull);
        assert!(pulls <= 3, "{pulls} pulls in an hour without news");
    }
}

/// A watch stream that tells of a bundle after three minutes and a half of heartbeats. Its time is the runtime's, which
/// is moved on wherever nothing is to be done.
async fn answer() -> Body {
    let parts = stream::iter(1..).then(|part| async move {
        tokio::time::sleep(Duration::from_secs(21)).await;
        let event = "event: bundle\ndata: {\"bundle_seq\":1}\n\n";
        let text = if part == 10 { event } else { ": still here\n\n" };
        Ok::<_, std::convert::Infallible>(Bytes::from_static(text.as_bytes()))
    });
    Body::from_stream(parts)
}

#[tokio::test(start_paused = true)]
async fn defect_22_the_watch_stream_is_not_ended_by_the_timeout_of_a_request() {
    let router = Router::new().fallback(answer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/sync/watch", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let request =
        Request { method: Method::Get, url, headers: Vec::new(), body: None, max_response_bytes: 9 };
    let stream = HttpTransport::new().unwrap().open(request).await.unwrap();
    let parts: Vec<_> = stream.body.take(10).map(Result::unwrap).collect().await;
    assert!(parts[9].starts_with(b"event: bundle"));
    server.abort();
}
