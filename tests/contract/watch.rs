//! `watch/basic.json`: when the automatic loop opens a stream, what it does about each event, and about none.
//!
//! An event is a hint that names a bundle, so that it is seen in what the client pulls: one that has read everything
//! before this bundle pulls, and one that has the bundle does not. Time is the test's.

use crate::ledger::Findings;
use crate::replica::{USER, USERS};
use crate::watch_server::{Seen, WatchServer};
use rowtide::protocol::problem::Problem;
use rowtide::{Client, Clock, Config, Health, LocalDatabase, LoopOptions, Rng, Status, SyncTable};
use rowtide_tests::{FixedTokens, VirtualClock, open};
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;

const SECOND: Duration = Duration::from_secs(1);
/// The first wait after a failure, with the chance of [`Half`].
const BACKOFF: Duration = Duration::from_millis(750);
/// How long a server that has no streams is not asked for one.
const WITHOUT_STREAM: Duration = Duration::from_secs(900);

struct Half;

impl Rng for Half {
    fn fraction(&self) -> f64 {
        0.5
    }
}

/// A client attached to the server; it has read everything that the server has.
struct Scene {
    server: WatchServer,
    clock: VirtualClock,
    client: Client,
    _folder: TempDir,
}

impl Scene {
    async fn new(server: WatchServer) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("app.db");
        let database = LocalDatabase::open(&path).await.unwrap();
        database.execute_script(USERS).await.unwrap();
        drop(database);
        let clock = VirtualClock::default();
        let config = || {
            Config::new(&path, "https://sync.test", "main")
                .unwrap()
                .table(SyncTable::new("users").key("id"))
                .tokens(FixedTokens("token".into()))
                .transport(server.clone())
                .clock(clock.clone())
                .rng(Half)
        };
        let client = open(&config()).await.unwrap();
        client.attach(USER).await.unwrap();
        Self { server, clock, client, _folder: folder }
    }

    /// Starts the loop, and waits for its first sync.
    async fn start(&self) {
        self.clock.advance(SECOND);
        self.client.start(LoopOptions::default());
        self.synced().await;
    }

    /// The same, with a stream open.
    async fn watching(server: WatchServer) -> Self {
        let scene = Self::new(server).await;
        scene.start().await;
        scene.until(|status| status.automatic.watching).await;
        scene.server.take_seen();
        scene.clock.advance(SECOND);
        scene
    }

    async fn until(&self, wanted: impl Fn(&Status) -> bool) -> Status {
        let mut changes = self.client.observe_status();
        loop {
            let status = changes.next().await.unwrap();
            if wanted(&status) {
                return status;
            }
        }
    }

    /// Moves the time to the next poll, and waits for it.
    async fn polled(&self) {
        let interval = LoopOptions::default().poll_interval;
        self.clock.until_somebody_sleeps(interval).await;
        self.clock.advance(interval);
        self.synced().await;
    }

    /// Waits until a sync has succeeded at this moment.
    async fn synced(&self) {
        let now_ms = self.clock.now_ms();
        self.until(|status| status.last_success_ms == Some(now_ms)).await;
    }

    /// Waits until the loop has a stream, or waits for the time to ask for one; answers that wait.
    async fn settled(&self) -> Option<Duration> {
        tokio::select! {
            _ = self.until(|status| status.automatic.watching) => None,
            () = self.clock.until_somebody_sleeps(BACKOFF) => Some(BACKOFF),
            () = self.clock.until_somebody_sleeps(WITHOUT_STREAM) => Some(WITHOUT_STREAM),
        }
    }
}

fn pulls(seen: &[Seen]) -> Vec<Seen> {
    seen.iter().filter(|seen| matches!(seen, Seen::Pulled(_))).copied().collect()
}

pub(crate) async fn capabilities(_: &str, case: &Value) -> Findings {
    let mut findings = Findings::default();
    assert_eq!(case["response"]["status"], 200, "the case is one of an answer");
    let scene = Scene::new(WatchServer::new(7).with_capabilities(&case["response"]["body"])).await;
    scene.start().await;
    let wait = scene.settled().await;
    let expected = &case["expectedBundleChangeWatchSupported"];
    let opened = scene.server.take_seen().contains(&Seen::Opened(7));
    findings.check("stream opened", expected, &json!(opened));
    findings.check("stream open", expected, &json!(wait.is_none()));
    findings
}

pub(crate) async fn events(_: &str, case: &Value) -> Findings {
    let mut findings = Findings::default();
    let lines: Vec<&str> =
        case["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    if case["expectError"] == true {
        refused_event(&lines, &mut findings).await;
        return findings;
    }
    let expected = case["expectedEvents"].as_array().unwrap();
    assert!(expected.len() <= 1, "a case has one event at most");
    let told = expected.first().map_or(7, |event| event["bundle_seq"].as_i64().unwrap());
    if !expected.is_empty() {
        // One bundle behind: the event alone makes the client pull it.
        let scene = Scene::watching(WatchServer::new(told - 1)).await;
        scene.server.commit(told);
        scene.server.tell(&lines);
        scene.synced().await;
        let seen = scene.server.take_seen();
        findings.demand("pulled once after what was read", seen == [Seen::Pulled(told - 1)]);
        let checkpoint = scene.client.status().await.unwrap().checkpoint.0;
        findings.check("bundle_seq", &json!(told), &json!(checkpoint));
    }
    // Up to date: the lines lead to nothing, and the stream goes on to what comes next.
    let scene = Scene::watching(WatchServer::new(told)).await;
    scene.server.commit(told + 1);
    let next = format!("data: {{\"bundle_seq\":{}}}", told + 1);
    scene.server.tell(&lines);
    scene.server.tell(&["event: bundle", &next, ""]);
    scene.synced().await;
    findings.demand("nothing but the next event", scene.server.take_seen() == [Seen::Pulled(told)]);
    findings
}

/// A malformed event: the stream is closed, one pull finds what it may have meant, and a new stream is opened.
async fn refused_event(lines: &[&str], findings: &mut Findings) {
    let scene = Scene::watching(WatchServer::new(7)).await;
    scene.server.commit(8);
    scene.server.tell(lines);
    // What follows on that stream is not read any more.
    scene.server.tell(&["event: bundle", "data: {\"bundle_seq\":8}", ""]);
    scene.synced().await;
    let ended = scene.server.take_seen() == [Seen::Closed, Seen::Pulled(7)];
    findings.demand("closed, then pulled once", ended);
    if !ended {
        return;
    }
    scene.clock.until_somebody_sleeps(BACKOFF).await;
    scene.clock.advance(BACKOFF);
    let status = scene.until(|status| status.automatic.watching).await;
    findings.demand("opened again", scene.server.take_seen() == [Seen::Opened(8)]);
    findings.demand("no failure", status.health == Health::Well && status.last_error.is_none());
}

pub(crate) async fn setup_error(_: &str, case: &Value) -> Findings {
    let mut findings = Findings::default();
    let problem: Problem = serde_json::from_value(case["body"].clone()).unwrap();
    let code = problem.code();
    findings.check("code", &case["expectedError"], &json!(code.map(|code| code.as_str())));
    findings.check("status", &case["status"], &json!(code.map(|code| code.status())));

    let scene = Scene::new(WatchServer::refusing(case)).await;
    scene.start().await;
    let wait = scene.settled().await;
    let for_good = ["bundle_change_watch_forbidden", "bundle_change_watch_disabled"];
    let expected = if for_good.contains(&problem.error.as_str()) { WITHOUT_STREAM } else { BACKOFF };
    findings.demand("waits before it asks again", wait == Some(expected));
    let seen = scene.server.take_seen();
    findings.demand("asked", seen.contains(&Seen::Opened(0)));
    findings.demand("pulled at the start alone", pulls(&seen).len() == 1);

    scene.server.commit(1);
    scene.polled().await;
    findings.demand("polled", pulls(&scene.server.take_seen()) == [Seen::Pulled(0)]);

    scene.server.allow();
    let status = loop {
        let status = scene.client.status().await.unwrap();
        if status.automatic.watching {
            break status;
        }
        scene.clock.advance(SECOND);
        tokio::task::yield_now().await;
    };
    findings.demand("no failure", status.health == Health::Well && status.last_error.is_none());
    findings
}

pub(crate) async fn runtime(_: &str, case: &Value) -> Findings {
    let mut findings = Findings::default();
    let scene = Scene::new(WatchServer::refusing(&case["response"])).await;
    scene.start().await;
    findings.demand("no stream", scene.settled().await.is_some());
    let seen = scene.server.take_seen();
    let closed = seen.iter().filter(|seen| **seen == Seen::Closed).count();
    findings.check("expectedCloseCount", &case["expectedCloseCount"], &json!(closed));
    scene.polled().await;
    let pulled = pulls(&scene.server.take_seen()).len();
    let at_least = case["expectedFallbackPullsAtLeast"].as_u64().unwrap();
    findings.demand("expectedFallbackPullsAtLeast", pulled as u64 >= at_least);
    findings
}
