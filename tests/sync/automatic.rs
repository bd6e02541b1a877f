//! The automatic loop: what wakes it, what holds it, and what it does about failures. Time is the test's.

use crate::BOTH;
use async_trait::async_trait;
use rowtide::protocol::profile::WireGeneration;
use rowtide::{
    Budget, Connectivity, Direction, ErrorKind, Health, LoopOptions, Outcome, Status, SyncTable, TokenError,
    TokenProvider, TokenReason, WatchUse,
};
use rowtide_tests::{Device, Endpoint, Fault, NOTES, Notes, TestServer, VirtualClock};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// An attached device on virtual time, its loop not started.
async fn device(server: &TestServer, clock: &VirtualClock) -> Device {
    let clock = clock.clone();
    let device = Device::new(server, "ada", NOTES, move |config| {
        config
            .clock(clock.clone())
            .table(SyncTable::new("notes").key("id"))
            .table(SyncTable::new("tags").key("id"))
    })
    .await;
    device.attach().await;
    device
}

fn options() -> LoopOptions {
    LoopOptions { debounce: Duration::from_millis(500), ..LoopOptions::default() }
}

fn polling() -> LoopOptions {
    LoopOptions { watch: WatchUse::Off, ..options() }
}

/// Waits until the status is as wanted.
async fn until(device: &Device, wanted: impl Fn(&Status) -> bool) -> Status {
    let mut changes = device.client().observe_status();
    loop {
        let status = changes.next().await.unwrap();
        if wanted(&status) {
            return status;
        }
    }
}

/// Waits until a query answers this text, looking again after each change of the table.
async fn until_text(device: &Device, sql: &str, wanted: &str) {
    let mut changes = device.client().observe_tables(["notes"]);
    while changes.next().await.is_some() {
        if device.text(sql).await == wanted {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_commit_goes_up_after_the_debounce_and_comes_down_elsewhere_by_the_watch_stream() {
    for generation in BOTH {
        let server = TestServer::new(generation, &Notes::TABLES);
        let (mine, theirs) = (VirtualClock::default(), VirtualClock::default());
        let (a, b) = (device(&server, &mine).await, device(&server, &theirs).await);
        for clock in [&mine, &theirs] {
            clock.advance(SECOND);
        }
        let started = rowtide::Clock::now_ms(&mine);
        a.client().start(options());
        b.client().start(options());
        for device in [&a, &b] {
            until(device, |status| status.automatic.watching && status.last_success_ms == Some(started))
                .await;
        }
        a.exec("INSERT INTO notes (id, title) VALUES ('n1', 'by itself')").await;
        mine.until_somebody_sleeps(Duration::from_millis(500)).await;
        assert_eq!(a.pending().await, 1);
        mine.advance(Duration::from_millis(500));
        until_text(&b, "SELECT ifnull(group_concat(title), '') FROM notes", "by itself").await;
        until(&a, |status| status.pending_rows == 0).await;
        assert_eq!(a.dump().await, b.dump().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_stream_the_server_is_polled_at_the_interval_and_a_broken_stream_means_one_pull() {
    for generation in BOTH {
        let server = TestServer::new(generation, &Notes::TABLES);
        let clock = VirtualClock::default();
        let (a, b) = (device(&server, &clock).await, Device::notes(&server, "ada").await);
        b.attach().await;
        a.client().start(polling());
        clock.until_somebody_sleeps(Duration::from_secs(60)).await;
        b.exec("INSERT INTO notes (id, title) VALUES ('n1', 'polled')").await;
        b.sync().await;
        assert_eq!(a.text("SELECT count(*) FROM notes").await, "0");
        clock.advance(Duration::from_secs(60));
        until_text(&a, "SELECT ifnull(group_concat(title), '') FROM notes", "polled").await;
        a.client().stop();

        a.client().start(options());
        until(&a, |status| status.automatic.watching).await;
        server.fail_next(Endpoint::Watch, Fault::DropRequest);
        server.break_streams();
        until(&a, |status| !status.automatic.watching).await;
        b.exec("UPDATE notes SET title = 'after the break'").await;
        b.sync().await;
        // The next try fails, the one after it opens a stream, which tells of what was missed.
        while !until(&a, |_| true).await.automatic.watching {
            clock.advance(SECOND);
            tokio::task::yield_now().await;
        }
        until_text(&a, "SELECT ifnull(group_concat(title), '') FROM notes", "after the break").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_is_replaced() {
    let server = TestServer::new(WireGeneration::B, &Notes::TABLES);
    let clock = VirtualClock::default();
    let a = device(&server, &clock).await;
    a.client().start(options());
    clock.until_somebody_sleeps(Duration::from_secs(75)).await;
    server.take_exchanges();
    clock.advance(Duration::from_secs(75));
    until(&a, |status| !status.automatic.watching).await;
    // The wait for the next stream begins a moment after the status says that there is none.
    while !until(&a, |_| true).await.automatic.watching {
        clock.advance(SECOND);
        tokio::task::yield_now().await;
    }
    let opened = server.take_exchanges().iter().filter(|x| x.endpoint == Endpoint::Watch).count();
    assert_eq!(opened, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_no_stream_or_forbids_it_is_polled() {
    for answer in [
        Fault::Answer(403, r#"{"error":"bundle_change_watch_forbidden","message":"no"}"#.into()),
        Fault::Answer(503, r#"{"error":"bundle_change_watch_disabled","message":"no"}"#.into()),
        Fault::Answer(404, String::new()),
    ] {
        let server = TestServer::new(WireGeneration::A, &Notes::TABLES);
        let clock = VirtualClock::default();
        let a = device(&server, &clock).await;
        server.fail(Endpoint::Watch, 0, 99, answer);
        a.client().start(options());
        clock.until_somebody_sleeps(Duration::from_secs(60)).await;
        // A quarter of an hour without asking again.
        clock.until_somebody_sleeps(Duration::from_secs(900)).await;
        let asked = server.take_exchanges().iter().filter(|x| x.endpoint == Endpoint::Watch).count();
        assert_eq!(asked, 1);
        assert_eq!(until(&a, |_| true).await.health, Health::Well);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_directions_wait_while_explicit_calls_work_and_say_so() {
    for generation in BOTH {
        let server = TestServer::new(generation, &Notes::TABLES);
        let clock = VirtualClock::default();
        let a = device(&server, &clock).await;
        a.client().pause(Direction::Uploads);
        a.client().pause(Direction::Downloads);
        a.client().start(polling());
        a.exec("INSERT INTO notes (id) VALUES ('n1')").await;
        clock.advance(Duration::from_secs(600));
        assert_eq!(a.pending().await, 1);
        let why = a.client().why_stuck().await.unwrap().unwrap();
        assert!(why.contains("paused uploads") && why.contains("paused downloads"), "{why}");
        let report = a.sync().await;
        assert_eq!((report.pushed_rows, report.paused), (1, vec![Direction::Uploads, Direction::Downloads]));
        a.exec("INSERT INTO notes (id) VALUES ('n2')").await;
        server.take_exchanges();
        clock.advance(SECOND);
        a.client().resume(Direction::Uploads);
        until(&a, |status| status.pending_rows == 0).await;
        assert!(server.take_exchanges().iter().all(|x| x.endpoint != Endpoint::Pull), "downloads are paused");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_network_nothing_is_tried_and_its_return_is_used_at_once() {
    let server = TestServer::new(WireGeneration::B, &Notes::TABLES);
    let clock = VirtualClock::default();
    let a = device(&server, &clock).await;
    a.client().set_connectivity(Connectivity::None);
    server.take_exchanges();
    a.client().start(options());
    a.exec("INSERT INTO notes (id) VALUES ('n1')").await;
    clock.advance(Duration::from_secs(3_600));
    assert!(a.client().why_stuck().await.unwrap().unwrap().contains("no network"));
    assert!(server.take_exchanges().is_empty());
    a.client().set_connectivity(Connectivity::Unmetered);
    until(&a, |status| status.pending_rows == 0 && status.automatic.watching).await;
    assert_eq!(a.client().why_stuck().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_a_state_with_the_time_of_the_next_attempt_and_backs_off_until_it_passes() {
    let server = TestServer::new(WireGeneration::A, &Notes::TABLES);
    let clock = VirtualClock::default();
    let a = device(&server, &clock).await;
    server.fail(Endpoint::PushCreate, 0, 10_000, Fault::DropRequest);
    a.client().start(polling());
    a.exec("INSERT INTO notes (id) VALUES ('n1')").await;
    let mut waits = Vec::new();
    let mut last = 0;
    while waits.len() < 8 {
        // Retries inside an operation wait on the same clock.
        clock.advance(Duration::from_millis(100));
        tokio::task::yield_now().await;
        let status = until(&a, |_| true).await;
        if let Some(at) = status.automatic.next_attempt_ms.filter(|at| *at != last) {
            last = at;
            assert_eq!(status.health, Health::Offline);
            waits.push(at - rowtide::Clock::now_ms(&clock));
            clock.advance(Duration::from_millis(u64::try_from(waits[waits.len() - 1]).unwrap()));
        }
    }
    assert!(waits[7] > 25_000 && waits[7] <= 60_000, "{waits:?}");
    assert!(waits[0] <= 1_000, "{waits:?}");
    server.heal();
    while a.pending().await > 0 {
        clock.advance(SECOND);
        tokio::task::yield_now().await;
    }
    until(&a, |status| status.health == Health::Well && status.automatic.next_attempt_ms.is_none()).await;
}

/// Tokens that can be withdrawn.
struct Wallet(Arc<Mutex<Option<String>>>);

#[async_trait]
impl TokenProvider for Wallet {
    async fn token(&self, _: TokenReason) -> Result<String, TokenError> {
        self.0.lock().unwrap().clone().ok_or_else(|| TokenError::Denied("signed out".into()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_token_stops_the_loop_until_the_host_says_that_there_is_a_new_one() {
    let server = TestServer::new(WireGeneration::B, &Notes::TABLES);
    let clock = VirtualClock::default();
    let wallet = Arc::new(Mutex::new(Some(server.token("ada"))));
    let (time, tokens) = (clock.clone(), wallet.clone());
    let a = Device::new(&server, "ada", NOTES, move |config| {
        config
            .clock(time.clone())
            .tokens(Wallet(tokens.clone()))
            .table(SyncTable::new("notes").key("id"))
            .table(SyncTable::new("tags").key("id"))
    })
    .await;
    a.attach().await;
    *wallet.lock().unwrap() = None;
    server.fail(Endpoint::Pull, 0, 99, Fault::Answer(401, String::new()));
    a.client().start(polling());
    until(&a, |status| status.health == Health::AuthRequired).await;
    server.take_exchanges();
    a.exec("INSERT INTO notes (id) VALUES ('n1')").await;
    clock.advance(Duration::from_secs(3_600));
    assert!(a.client().why_stuck().await.unwrap().unwrap().contains("Sign in again"));
    assert!(server.take_exchanges().is_empty());
    server.heal();
    *wallet.lock().unwrap() = Some(server.token("ada"));
    a.client().credentials_changed();
    until(&a, |status| status.health == Health::Well && status.pending_rows == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_differ_are_a_state_and_an_updated_server_ends_it() {
    let server = TestServer::new(WireGeneration::B, &[("notes", "id")]);
    let clock = VirtualClock::default();
    let time = clock.clone();
    let a = Device::new(&server, "ada", NOTES, move |config| {
        config
            .clock(time.clone())
            .table(SyncTable::new("notes").key("id"))
            .table(SyncTable::new("tags").key("id"))
    })
    .await;
    let error = a.client().attach("ada").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TableMismatch);
    assert_eq!(until(&a, |_| true).await.health, Health::TableMismatch);
    let why = a.client().why_stuck().await.unwrap();
    assert_eq!(why, None, "nothing is pending and nobody is attached");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_stops_between_durable_steps_and_says_what_is_left() {
    for generation in BOTH {
        let server = TestServer::new(generation, &Notes::TABLES);
        let a = Device::new(&server, "ada", NOTES, |config| {
            let limits = rowtide::TransferLimits { upload_rows: 10, ..rowtide::TransferLimits::default() };
            config
                .limits(limits)
                .table(SyncTable::new("notes").key("id"))
                .table(SyncTable::new("tags").key("id"))
        })
        .await;
        a.attach().await;
        for index in 0..50 {
            a.exec(&format!("INSERT INTO notes (id, title) VALUES ('n{index}', 'some text to send')")).await;
        }
        let report = a.client().sync_for(Budget { bytes: Some(2_000), time: None }).await.unwrap();
        let Outcome::BudgetSpent { pending_rows: 50, .. } = report.outcome else { panic!("{report:?}") };
        assert_eq!(a.client().status().await.unwrap().state.as_str(), "uploading");
        assert_eq!(a.sync().await.pushed_rows, 50);
        let report =
            a.client().sync_for(Budget { bytes: Some(1 << 20), time: Some(SECOND * 3600) }).await.unwrap();
        assert_eq!(report.outcome, Outcome::NoChange);
        let spent = a.client().sync_for(Budget { time: Some(Duration::ZERO), bytes: None }).await.unwrap();
        assert!(matches!(spent.outcome, Outcome::BudgetSpent { pending_rows: 0, .. }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_operation_ends_at_a_boundary_and_the_next_one_goes_on() {
    for generation in BOTH {
        let server = TestServer::new(generation, &Notes::TABLES);
        let a = Device::notes(&server, "ada").await;
        a.attach().await;
        a.exec("INSERT INTO notes (id) VALUES ('n1')").await;
        let client = a.client().clone();
        server.before(Endpoint::PushCreate, move || client.cancel());
        assert_eq!(a.client().sync().await.unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!(a.sync().await.pushed_rows, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_syncs_share_runs_and_each_includes_what_was_written_before_it() {
    let server = TestServer::new(WireGeneration::A, &Notes::TABLES);
    let a = Device::notes(&server, "ada").await;
    a.attach().await;
    a.sync().await;
    server.take_exchanges();
    let calls = (0..20).map(|index| {
        let client = a.client().clone();
        async move {
            client.execute(&format!("INSERT INTO notes (id) VALUES ('n{index}')"), vec![]).await.unwrap();
            client.sync().await.unwrap();
            client
                .query(&format!("SELECT state FROM _rowtide_row_status WHERE key = 'n{index}'"), vec![])
                .await
                .unwrap()
        }
    });
    let states = futures_util::future::join_all(calls).await;
    assert!(states.iter().all(|rows| rows.rows.is_empty()), "{states:?}");
    let pulls = server.take_exchanges().iter().filter(|x| x.endpoint == Endpoint::Pull).count();
    assert!(pulls < 20, "{pulls} runs for 20 calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_client_ends_its_loop_and_gives_the_database_free() {
    let server = TestServer::new(WireGeneration::B, &Notes::TABLES);
    let clock = VirtualClock::default();
    let mut a = device(&server, &clock).await;
    a.client().start(options());
    until(&a, |status| status.automatic.watching).await;
    // Opening waits until the former owner is gone.
    a.reopen().await;
    assert!(!a.client().status().await.unwrap().automatic.running);
}
