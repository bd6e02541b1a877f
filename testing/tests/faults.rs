//! Faults strike where they were planned, the same in process and over HTTP.

use crate::{App, BOTH, TABLES};
use rowtide::{Clock, Method, Request, Transport, TransportError};
use rowtide_testing::{Endpoint, Fault, RandomFaults, TestServer, TestServerOptions, VirtualClock};
use std::sync::Arc;
use std::time::Duration;

fn every_fault() -> Vec<Fault> {
    vec![
        Fault::DropRequest,
        Fault::ApplyThenDropReply,
        Fault::ApplyThenTruncateReply,
        Fault::Answer(500, String::new()),
        Fault::AnswerRetryAfter { status: 503, seconds: 1 },
        Fault::Delay(Duration::ZERO),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_over_http_meets_each_fault_once_and_recovers_from_it() {
    for generation in BOTH {
        let server = TestServer::new(generation, &TABLES);
        let loopback = server.serve().await.unwrap();
        let app = App::open(loopback.url(), server.tokens("ada"), |config| config).await;
        app.client.attach("ada").await.unwrap();
        for (number, fault) in every_fault().into_iter().enumerate() {
            app.exec(&format!("INSERT INTO notes (id, title) VALUES ('n{number}', 'over HTTP')")).await;
            server.fail_next(Endpoint::PushCommit, fault.clone());
            server.take_exchanges();
            while app.client.sync().await.is_err() {}
            let struck = server.take_struck();
            assert_eq!(struck.len(), 1, "{fault:?}: {struck:?}");
            let rows = server.rows("ada", "notes").await.unwrap();
            assert_eq!(rows.len(), number + 1, "{generation:?} {fault:?}");
        }
        assert_eq!(app.client.status().await.unwrap().pending_rows, 0);
    }
}

fn capabilities(server: &TestServer, url: &str) -> Request {
    Request {
        method: Method::Get,
        url: format!("{url}/sync/capabilities"),
        headers: vec![
            ("authorization", format!("Bearer {}", server.token("ada"))),
            ("oversync-source-id", "a-source".to_owned()),
        ],
        body: None,
        max_response_bytes: 1 << 20,
    }
}

#[tokio::test]
async fn http_carries_what_a_fault_answers_and_breaks_where_it_loses_something() {
    let server = TestServer::new(BOTH[1], &TABLES);
    let loopback = server.serve().await.unwrap();
    let http = rowtide::HttpTransport::new().unwrap();
    let mut seen = Vec::new();
    for fault in every_fault() {
        server.fail_next(Endpoint::Capabilities, fault);
        seen.push(match http.send(capabilities(&server, loopback.url())).await {
            Ok(reply) => format!("{} {:?}", reply.status, reply.retry_after_seconds),
            Err(TransportError::Connection(_)) => "broken".to_owned(),
            Err(other) => panic!("{other}"),
        });
    }
    assert_eq!(seen, ["broken", "broken", "broken", "500 None", "503 Some(1)", "200 None"]);
    assert_eq!(
        server.take_exchanges().len(),
        seen.len(),
        "no HTTP client tries again behind the test's back"
    );
}

#[tokio::test]
async fn a_port_that_is_dropped_answers_no_more() {
    let server = TestServer::new(BOTH[1], &TABLES);
    let loopback = server.serve().await.unwrap();
    let http = rowtide::HttpTransport::new().unwrap();
    let request = capabilities(&server, loopback.url());
    assert_eq!(http.send(request.clone()).await.unwrap().status, 200);
    drop(loopback);
    tokio::task::yield_now().await;
    assert!(matches!(http.send(request).await, Err(TransportError::Connection(_))));
}

#[tokio::test]
async fn a_delay_passes_on_the_clock_of_the_test() {
    let clock = VirtualClock::default();
    let options =
        TestServerOptions { clock: Arc::new(clock.clone()), ..TestServerOptions::new(BOTH[1], &TABLES) };
    let server = TestServer::start(options).unwrap();
    let delay = Duration::from_secs(3600);
    server.fail_next(Endpoint::Capabilities, Fault::Delay(delay));
    let sent = tokio::spawn({
        let (server, request) = (server.clone(), capabilities(&server, TestServer::URL));
        async move { server.send(request).await.unwrap().status }
    });
    clock.until_somebody_sleeps(delay).await;
    assert!(!sent.is_finished());
    let before = clock.now_ms();
    clock.advance(delay);
    assert_eq!(sent.await.unwrap(), 200);
    assert_eq!(clock.now_ms() - before, 3_600_000);
}

/// What an app meets that writes and syncs until all is there.
async fn stormy(seed: u64) -> (Vec<String>, Vec<String>) {
    let server = TestServer::new(BOTH[1], &TABLES);
    let app = App::attached(&server, "ada").await;
    server.fail_randomly(RandomFaults { seed, percent: 30 });
    for number in 0..10 {
        app.exec(&format!("INSERT INTO notes (id, title) VALUES ('n{number}', 'in a storm')")).await;
        while app.client.sync().await.is_err() {}
    }
    let struck = server.take_struck().iter().map(|struck| format!("{struck:?}")).collect();
    let rows = server.rows("ada", "notes").await.unwrap();
    (struck, rows.into_iter().map(|row| row.key).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_meets_the_same_faults_again_and_another_one_others() {
    let first = stormy(11).await;
    assert_eq!(first.1.len(), 10);
    assert!(first.0.len() > 5, "{first:?}");
    assert_eq!(stormy(11).await, first);
    assert_ne!(stormy(12).await.0, first.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_down_loses_everything_until_it_is_healed() {
    let server = TestServer::new(BOTH[1], &TABLES);
    let app = App::attached(&server, "ada").await;
    app.exec("INSERT INTO notes (id, title) VALUES ('n1', 'offline')").await;
    server.disconnect();
    app.client.sync().await.unwrap_err();
    assert_eq!(server.rows("ada", "notes").await.unwrap(), []);
    server.heal();
    app.client.sync().await.unwrap();
    assert_eq!(server.rows("ada", "notes").await.unwrap().len(), 1);
}
