//! What goes over the wire: pages, limits, tokens, progress.

use crate::{BOTH, converge, two_devices};
use async_trait::async_trait;
use rowtide::protocol::profile::WireGeneration;
use rowtide::{ErrorKind, Outcome, Phase, SyncTable, TokenError, TokenProvider, TokenReason};
use rowtide_server::Limits;
use rowtide_tests::{Device, Endpoint, Fault, NOTES, Notes, TestServer};
use std::sync::{Arc, Mutex};

const NUMBERS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)";

#[tokio::test(flavor = "multi_thread")]
async fn small_limits_of_the_server_are_kept_in_every_direction() {
    for generation in BOTH {
        let limits = Limits {
            default_rows_per_chunk: 7,
            max_rows_per_chunk: 9,
            bytes_per_pull: 200,
            max_rows_per_bundle: 40,
            default_bytes_per_snapshot_chunk: 900,
            max_bytes_per_snapshot_chunk: 2_000,
            max_bytes_per_snapshot_row: 1_500,
            ..Limits::default()
        };
        let server = TestServer::with_limits(generation, &Notes::TABLES, limits);
        let a = Device::notes(&server, "ada").await;
        a.exec(&format!(
            "INSERT INTO notes (id, title) {NUMBERS} SELECT 'n' || i, hex(randomblob(20)) FROM n"
        ))
        .await;
        a.attach().await;
        assert_eq!(a.sync().await.pushed_rows, 500);
        let b = Device::notes(&server, "ada").await;
        assert_eq!(b.attach().await.hydrated_rows, 500);
        a.exec("UPDATE notes SET title = title || '!'; DELETE FROM notes WHERE id LIKE '%7'").await;
        converge(&a, &b).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_with_nothing_to_do_is_one_request() {
    for generation in BOTH {
        let (server, a, _) = two_devices(generation, "INSERT INTO notes (id) VALUES ('n1')").await;
        server.take_exchanges();
        let report = a.sync().await;
        assert_eq!((report.outcome, report.requests), (Outcome::NoChange, 1));
        assert_eq!(server.take_exchanges().len(), 1);
    }
}

/// Counts what it was asked for; the first token is one that the server rejects.
#[derive(Clone, Default)]
struct Counting(Arc<Mutex<Vec<TokenReason>>>, String);

#[async_trait]
impl TokenProvider for Counting {
    async fn token(&self, reason: TokenReason) -> Result<String, TokenError> {
        self.0.lock().unwrap().push(reason);
        Ok(if reason == TokenReason::Rejected { self.1.clone() } else { "stale".into() })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_token_is_replaced_once_and_kept() {
    let server = TestServer::new(BOTH[1], &Notes::TABLES);
    let tokens = Counting(Arc::default(), server.token("ada"));
    let provider = tokens.clone();
    let device = Device::new(&server, "ada", NOTES, move |config| {
        config
            .table(SyncTable::new("notes").key("id"))
            .table(SyncTable::new("tags").key("id"))
            .tokens(provider.clone())
    })
    .await;
    device.attach().await;
    device.sync().await;
    assert_eq!(*tokens.0.lock().unwrap(), [TokenReason::FirstUse, TokenReason::Rejected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_stays_rejected_is_an_authentication_error_and_loses_nothing() {
    let (server, a, _) = two_devices(BOTH[0], "INSERT INTO notes (id) VALUES ('n1')").await;
    a.exec("INSERT INTO notes (id) VALUES ('n2')").await;
    server.fail(Endpoint::Pull, 0, 2, Fault::Answer(401, "no".into()));
    let error = a.client().sync().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert!(!error.to_string().contains(&server.token("ada")), "tokens never reach an error text");
    let status = a.client().status().await.unwrap();
    assert_eq!((status.pending_rows, status.last_error.is_some()), (1, true));
    a.sync().await;
    assert_eq!(a.client().status().await.unwrap().last_error, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_names_phases_and_ends_at_the_known_totals() {
    let server = TestServer::new(WireGeneration::B, &Notes::TABLES);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let listener = seen.clone();
    let a = Device::new(&server, "ada", NOTES, move |config| {
        let seen = listener.clone();
        config
            .table(SyncTable::new("notes").key("id"))
            .table(SyncTable::new("tags").key("id"))
            .progress(move |progress| seen.lock().unwrap().push(progress))
    })
    .await;
    a.exec(&format!("INSERT INTO notes (id) {NUMBERS} SELECT 'n' || i FROM n")).await;
    a.attach().await;
    a.sync().await;
    a.client().rebuild().await.unwrap();
    let seen = seen.lock().unwrap().clone();
    for phase in [Phase::Upload, Phase::Download, Phase::Apply] {
        let last = seen.iter().rfind(|progress| progress.phase == phase).unwrap();
        assert_eq!((last.rows, last.total_rows), (500, Some(500)), "{phase:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_whose_hash_is_wrong_is_refused_and_nothing_of_it_applied() {
    for generation in BOTH {
        let (server, a, b) =
            two_devices(generation, "INSERT INTO notes (id, title) VALUES ('n1', 'old')").await;
        b.exec("UPDATE notes SET title = 'genuine'").await;
        b.sync().await;
        server.fail_next(Endpoint::Pull, Fault::Forge("genuine".into(), "forged!".into()));
        let error = a.client().sync().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().contains("bundle_hash"), "{error}");
        assert_eq!(a.text("SELECT title FROM notes").await, "old");
        converge(&a, &b).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_may_not_answer_is_refused_whole() {
    for (from, to, words) in [
        ("\"business\"", "\"elsewhere\"", "not configured"),
        ("\"weight\":", "\"height\":", "height"),
        ("\"title\":", "\"stars\":null,\"title\":", "stars twice"),
        ("\"row_version\":2", "\"row_version\":0", "must be positive"),
        ("\"bundle_seq\":2", "\"bundle_seq\":3", "gap"),
        ("\"op\":\"UPDATE\"", "\"op\":\"DELETE\"", "payload"),
    ] {
        let (server, a, b) =
            two_devices(WireGeneration::B, "INSERT INTO notes (id, title) VALUES ('n1', 'old')").await;
        b.exec("UPDATE notes SET title = 'new'").await;
        b.sync().await;
        // Without its hash the bundle has to be refused for what it holds.
        server.fail_next(Endpoint::Pull, Fault::Forge(from.into(), to.into()));
        let result = a.client().pull().await;
        match result {
            Err(error) => assert!(error.kind() == ErrorKind::Protocol, "{words}: {error}"),
            Ok(report) => assert!(report.hydrated_rows > 0, "{words}: a gap is answered by a rebuild"),
        }
        converge(&a, &b).await;
    }
}
