//! Every fault at every endpoint, then a restart: nothing lost, nothing twice, nothing half-visible.
#![allow(clippy::unwrap_used)]

use rowtide::protocol::profile::WireGeneration;
use rowtide_server::Limits;
use rowtide_tests::{Device, Endpoint, Fault, Notes, TestServer};

const BOTH: [WireGeneration; 2] = [WireGeneration::A, WireGeneration::B];

fn faults() -> Vec<Fault> {
    vec![
        Fault::DropRequest,
        Fault::ApplyThenDropReply,
        Fault::ApplyThenTruncateReply,
        Fault::Answer(500, String::new()),
        Fault::Answer(503, "{\"error\":\"service_unavailable\",\"message\":\"draining\"}".into()),
        Fault::Answer(200, "<html>a captive portal</html>".into()),
        Fault::Answer(200, "{}".into()),
    ]
}

/// Small pages, so that each transfer has several steps to fail in.
fn server(generation: WireGeneration) -> TestServer {
    let limits =
        Limits { default_rows_per_chunk: 4, max_rows_per_chunk: 4, bytes_per_pull: 300, ..Limits::default() };
    TestServer::with_limits(generation, &Notes::TABLES, limits)
}

const SEED: &str = "INSERT INTO notes (id, title) VALUES
    ('n1', 'a'), ('n2', 'a'), ('n3', 'a'), ('n4', 'a'), ('n5', 'a'), ('n6', 'a'), ('n7', 'a'), ('n8', 'a'), ('n9', 'a')";

/// A server and the device that seeded it.
async fn seeded(generation: WireGeneration) -> (TestServer, Device) {
    let server = server(generation);
    let a = Device::notes(&server, "ada").await;
    a.exec(SEED).await;
    a.attach().await;
    a.sync().await;
    (server, a)
}

/// Attaches and syncs until it works, reopening the database after each failure.
async fn persist(device: &mut Device, user: &str) {
    for _ in 0..12 {
        let attached = device.client().attach(user).await;
        let done = match attached {
            Ok(_) => device.client().sync().await.is_ok(),
            Err(_) => false,
        };
        if done {
            return;
        }
        device.reopen().await;
    }
    panic!("the device never recovered: {:?}", device.client().sync().await);
}

/// A device seeds, another hydrates, both edit and sync; one endpoint fails on the way.
async fn live(generation: WireGeneration, endpoint: Endpoint, skip: usize, times: usize, fault: Fault) {
    let server = server(generation);
    server.fail(endpoint, skip, times, fault.clone());
    let mut a = Device::notes(&server, "ada").await;
    let mut b = Device::notes(&server, "ada").await;
    a.exec(SEED).await;
    persist(&mut a, "ada").await;
    persist(&mut b, "ada").await;
    a.exec("UPDATE notes SET title = 'by a' WHERE id IN ('n1', 'n2'); DELETE FROM notes WHERE id = 'n9'")
        .await;
    b.exec("UPDATE notes SET stars = 5 WHERE id IN ('n3', 'n4', 'n5', 'n6', 'n7'); INSERT INTO notes (id) VALUES ('m1')").await;
    for _ in 0..2 {
        persist(&mut a, "ada").await;
        persist(&mut b, "ada").await;
    }
    let context = format!("{generation:?} {endpoint:?} skip {skip} times {times} {fault:?}");
    assert_eq!(a.dump().await, b.dump().await, "{context}");
    let summary =
        "SELECT group_concat(id || title || ifnull(stars, ''), ' ') FROM (SELECT * FROM notes ORDER BY id)";
    let expected = "m1 n1by a n2by a n3a5 n4a5 n5a5 n6a5 n7a5 n8a";
    assert_eq!(a.text(summary).await, expected, "{context}");
    assert_eq!((a.pending().await, b.pending().await), (0, 0), "{context}");
    // The server's history has every change once.
    let c = Device::notes(&server, "ada").await;
    server.heal();
    c.attach().await;
    assert_eq!(c.dump().await, a.dump().await, "{context}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_fault_at_any_call_of_any_endpoint_is_recovered_from() {
    for generation in BOTH {
        for endpoint in Endpoint::ALL {
            for fault in faults() {
                for skip in 0..3 {
                    live(generation, endpoint, skip, 1, fault.clone()).await;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_many_times_is_recovered_from() {
    for generation in BOTH {
        for endpoint in Endpoint::ALL {
            for fault in [Fault::DropRequest, Fault::ApplyThenDropReply, Fault::Answer(502, String::new())] {
                live(generation, endpoint, 0, 8, fault).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_to_the_very_first_commit_is_found_committed_and_not_sent_again() {
    for generation in BOTH {
        let server = server(generation);
        let mut a = Device::notes(&server, "ada").await;
        a.exec(SEED).await;
        a.attach().await;
        server.fail(Endpoint::PushCommit, 0, 1, Fault::ApplyThenDropReply);
        server.fail(Endpoint::PushCreate, 1, 99, Fault::DropRequest);
        assert!(a.client().sync().await.is_err());
        a.reopen().await;
        server.heal();
        server.take_exchanges();
        a.sync().await;
        let sent = server.take_exchanges();
        assert!(
            sent.iter().all(|exchange| exchange.endpoint != Endpoint::PushChunk),
            "nothing is uploaded twice"
        );
        assert_eq!(a.pending().await, 0);
        assert_eq!(a.client().status().await.unwrap().checkpoint.0, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_goes_on_where_it_stopped() {
    for generation in BOTH {
        let (server, _a) = seeded(generation).await;
        let mut b = Device::notes(&server, "ada").await;
        server.fail(Endpoint::SnapshotChunk, 1, 99, Fault::DropRequest);
        assert!(b.client().attach("ada").await.is_err());
        b.reopen().await;
        server.heal();
        server.take_exchanges();
        b.exec("INSERT INTO notes (id, title) VALUES ('own', 'written during the download')").await;
        b.attach().await;
        let calls: Vec<_> = server.take_exchanges().into_iter().map(|exchange| exchange.endpoint).collect();
        assert_eq!(calls.iter().filter(|call| **call == Endpoint::SnapshotChunk).count(), 2, "{calls:?}");
        assert!(!calls.contains(&Endpoint::SnapshotCreate), "{calls:?}");
        assert_eq!((b.pending().await, b.text("SELECT count(*) FROM notes").await.as_str()), (1, "10"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_source_is_replaced_and_its_intent_goes_up_under_the_new_one() {
    for generation in BOTH {
        let (server, a) = seeded(generation).await;
        let before = a.client().source_info().await.unwrap();
        a.exec("UPDATE notes SET title = 'kept' WHERE id = 'n1'").await;
        server.fail_next(
            Endpoint::PushCreate,
            Fault::Answer(409, "{\"error\":\"source_sequence_out_of_order\",\"message\":\"\"}".into()),
        );
        a.sync().await;
        let after = a.client().source_info().await.unwrap();
        assert_ne!(after.source_id, before.source_id);
        assert_eq!(after.next_source_bundle_id, 2);
        let b = Device::notes(&server, "ada").await;
        b.attach().await;
        assert_eq!(a.dump().await, b.dump().await);
        assert_eq!(b.text("SELECT title FROM notes WHERE id = 'n1'").await, "kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_initialisation_lease_makes_the_database_anonymous_and_keeps_every_row() {
    for generation in BOTH {
        for lost in ["initialization_expired", "initialization_stale"] {
            let server = server(generation);
            let a = Device::notes(&server, "ada").await;
            a.exec(SEED).await;
            a.attach().await;
            let answer = |status, code: &str| {
                Fault::Answer(status, format!("{{\"error\":\"{code}\",\"message\":\"\"}}"))
            };
            server.fail_next(Endpoint::PushCreate, answer(410, lost));
            server.fail_next(Endpoint::PushCreate, answer(409, "scope_uninitialized"));
            let error = a.client().sync().await.unwrap_err();
            assert_eq!(error.code(), Some("scope_uninitialized"));
            let status = a.client().status().await.unwrap();
            assert_eq!((status.user, status.pending_rows), (None, 9));
            a.attach().await;
            assert_eq!(a.sync().await.pushed_rows, 9);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_lost_to_a_device_that_seeded_is_no_dead_end() {
    for generation in BOTH {
        let server = server(generation);
        let a = Device::notes(&server, "ada").await;
        a.exec(SEED).await;
        a.attach().await;
        // The lease expires, another device seeds, and both happen to have made the same rows.
        server.advance(901);
        let b = Device::notes(&server, "ada").await;
        b.exec("INSERT INTO notes (id, title) VALUES ('n1', 'by b'), ('m1', 'by b')").await;
        b.attach().await;
        b.sync().await;
        assert_eq!(a.sync().await.conflicts, 1);
        b.sync().await;
        a.sync().await;
        assert_eq!(a.dump().await, b.dump().await);
        assert_eq!((a.pending().await, a.text("SELECT count(*) FROM notes").await.as_str()), (0, "10"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_the_server_does_not_take_holds_up_no_pull_and_can_be_mended_by_an_edit() {
    for generation in BOTH {
        let (server, a) = seeded(generation).await;
        let b = Device::notes(&server, "ada").await;
        b.attach().await;
        a.exec("INSERT INTO notes (id, title) VALUES ('poison', 'refused by a constraint')").await;
        let failed =
            "{\"error\":\"push_session_commit_failed\",\"message\":\"Failed to commit push session\"}";
        server.fail(Endpoint::PushCommit, 0, 3, Fault::Answer(500, failed.into()));
        let error = a.client().sync().await.unwrap_err();
        assert_eq!(error.code(), Some("push_session_commit_failed"));
        assert_eq!(a.pending().await, 1);
        b.exec("UPDATE notes SET title = 'from b' WHERE id = 'n1'").await;
        b.sync().await;
        server.fail(Endpoint::PushCommit, 0, 3, Fault::Answer(500, failed.into()));
        a.client().sync().await.unwrap_err();
        assert_eq!(a.text("SELECT title FROM notes WHERE id = 'n1'").await, "from b");
        a.exec("UPDATE notes SET title = 'mended' WHERE id = 'poison'").await;
        a.sync().await;
        b.sync().await;
        assert_eq!(a.dump().await, b.dump().await);
        assert_eq!(b.text("SELECT title FROM notes WHERE id = 'poison'").await, "mended");
    }
}
