//! Servers that lost something: history, a backup's worth of bundles, everything; and what is done with leases.

use crate::{BOTH, converge, two_devices};
use rowtide::{ErrorKind, Outcome, SyncTable};
use rowtide_tests::{Device, Endpoint, Fault, NOTES, Notes, TestServer};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lost_everything_is_seeded_again_by_the_next_attach() {
    for generation in BOTH {
        for pending in [false, true] {
            let (server, a, b) =
                two_devices(generation, "INSERT INTO notes (id, title) VALUES ('n1', 'x'), ('n2', 'y')")
                    .await;
            a.exec("UPDATE notes SET title = 'z' WHERE id = 'n2'").await;
            converge(&a, &b).await;
            let before = a.dump().await;
            server.service().reset().await.unwrap();
            if pending {
                a.exec("INSERT INTO notes (id, title) VALUES ('n3', 'pending')").await;
            }
            let error = a.client().sync().await.unwrap_err();
            assert_eq!((error.kind(), error.code()), (ErrorKind::Server, Some("scope_uninitialized")));
            let status = a.client().status().await.unwrap();
            assert_eq!((status.user, status.pending_rows), (None, if pending { 3 } else { 2 }));
            assert_eq!(a.attach().await.outcome, Outcome::Attached);
            a.sync().await;
            // The other device finds the server behind its checkpoint, and meets rows that are equal to its own.
            let report = b.sync().await;
            assert_eq!((report.conflicts, report.pushed_rows), (0, 0));
            converge(&a, &b).await;
            if !pending {
                assert_eq!(a.dump().await, before);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_restored_server_lost_go_up_again_from_whoever_has_them() {
    for generation in BOTH {
        let server = TestServer::with_file(generation, &Notes::TABLES);
        let a = Device::notes(&server, "ada").await;
        a.exec("INSERT INTO notes (id, title) VALUES ('n1', 'old'), ('n2', 'old')").await;
        a.attach().await;
        a.sync().await;
        let backup = server.backup().unwrap();
        let b = Device::notes(&server, "ada").await;
        b.attach().await;
        b.exec("INSERT INTO notes (id, title) VALUES ('n3', 'after the backup')").await;
        b.sync().await;
        b.exec("INSERT INTO tags (name, note_id) VALUES ('t', 'n3')").await;
        b.sync().await;
        a.sync().await;
        a.exec("UPDATE notes SET title = 'pending' WHERE id = 'n2'").await;
        server.restore(&backup).unwrap();
        let report = a.sync().await;
        assert_eq!(report.pushed_rows, 3, "the note, its tag, and what was pending");
        let c = Device::notes(&server, "ada").await;
        c.attach().await;
        for device in [&b, &c, &a] {
            device.sync().await;
        }
        for device in [&b, &c] {
            assert_eq!(device.dump().await, a.dump().await);
        }
        assert_eq!(
            a.text("SELECT group_concat(title) FROM (SELECT title FROM notes ORDER BY id)").await,
            "old,pending,after the backup"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_lost_to_another_device_is_no_dead_end_and_local_rows_are_rebased() {
    for generation in BOTH {
        let server = TestServer::new(generation, &Notes::TABLES);
        let a = Device::notes(&server, "ada").await;
        a.exec("INSERT INTO notes (id, title) VALUES ('mine', 'a')").await;
        a.attach().await;
        server.fail(Endpoint::PushCommit, 0, 9, Fault::DropRequest);
        a.client().sync().await.unwrap_err();
        server.heal();
        server.advance(901);
        let b = Device::notes(&server, "ada").await;
        b.exec("INSERT INTO notes (id, title) VALUES ('theirs', 'b')").await;
        b.attach().await;
        b.sync().await;
        // The bundle goes up without the lease, which is of no use any more.
        a.sync().await;
        converge(&a, &b).await;
        assert_eq!(b.text("SELECT count(*) FROM notes").await, "2");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_is_too_long_for_its_session_starts_a_new_one_and_keeps_writes_made_meanwhile() {
    for generation in BOTH {
        let (server, _a, _b) =
            two_devices(generation, "INSERT INTO notes (id) VALUES ('n1'), ('n2'), ('n3')").await;
        let c = Device::new(&server, "ada", NOTES, |config| {
            let limits = rowtide::TransferLimits { download_rows: 1, ..rowtide::TransferLimits::default() };
            config
                .limits(limits)
                .table(SyncTable::new("notes").key("id"))
                .table(SyncTable::new("tags").key("id"))
        })
        .await;
        let (client, runtime, clock) =
            (c.client().clone(), tokio::runtime::Handle::current(), server.clone());
        server.fail(
            Endpoint::SnapshotChunk,
            2,
            1,
            Fault::Answer(410, r#"{"error":"snapshot_session_expired","message":"expired"}"#.into()),
        );
        server.before(Endpoint::SnapshotChunk, move || {
            clock.advance(1);
            runtime.block_on(client.execute("INSERT INTO notes (id) VALUES ('meanwhile')", vec![])).unwrap();
        });
        let report = c.attach().await;
        assert_eq!((report.hydrated_rows, c.pending().await), (3, 1));
        assert_eq!(c.text("SELECT count(*) FROM notes").await, "4");
    }
}

/// A refusal of a push by which the source is of no use any more.
fn refusal(code: &str) -> Fault {
    Fault::Answer(409, format!(r#"{{"error":"{code}","message":"planned"}}"#))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_of_no_use_is_replaced_for_each_of_the_four_reasons_and_its_intent_goes_up() {
    for generation in BOTH {
        for (code, endpoint) in [
            ("history_pruned", Endpoint::PushCreate),
            ("source_sequence_out_of_order", Endpoint::PushCreate),
            ("source_sequence_changed", Endpoint::PushCommit),
            ("source_retired", Endpoint::PushCommit),
        ] {
            let (server, mut a, b) =
                two_devices(generation, "INSERT INTO notes (id, title) VALUES ('n1', 'x')").await;
            let before = a.client().source_info().await.unwrap().source_id;
            a.exec("UPDATE notes SET title = 'mine'; INSERT INTO notes (id) VALUES ('n2')").await;
            server.fail_next(endpoint, refusal(code));
            // The answer that the replacement was made is lost, and the app is closed.
            server.fail(Endpoint::SnapshotCreate, 0, 9, Fault::ApplyThenDropReply);
            a.client().sync().await.unwrap_err();
            server.heal();
            a.reopen().await;
            assert_eq!(a.client().status().await.unwrap().state.as_str(), "rebuilding");
            assert_eq!(a.sync().await.pushed_rows, 2, "{code}");
            let after = a.client().source_info().await.unwrap();
            assert_ne!(after.source_id, before);
            assert_eq!(after.next_source_bundle_id, 2, "the new source began at its first bundle");
            converge(&a, &b).await;
            assert_eq!(b.text("SELECT title FROM notes WHERE id = 'n1'").await, "mine");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_that_the_server_made_itself_is_adopted() {
    for generation in BOTH {
        let (server, a, b) =
            two_devices(generation, "INSERT INTO notes (id, title) VALUES ('n1', 'x')").await;
        let source = a.client().source_info().await.unwrap().source_id;
        a.exec("UPDATE notes SET title = 'mine'").await;
        // The source is retired for another one than the client reserves: by an operator, say.
        let chosen = "11111111-2222-4333-8444-555555555555";
        let body = format!(
            r#"{{"source_replacement":{{"previous_source_id":"{source}","new_source_id":"{chosen}","reason":"history_pruned"}}}}"#
        );
        let request = rowtide::Request {
            method: rowtide::Method::Post,
            url: "http://server.test/sync/snapshot-sessions".into(),
            headers: vec![
                ("authorization", format!("Bearer {}", server.token("ada"))),
                ("oversync-source-id", source.clone()),
            ],
            body: Some(body),
            max_response_bytes: 1 << 20,
        };
        let retired = rowtide::Transport::send(&server, request).await.unwrap();
        assert_eq!(retired.status, 200);
        server.fail_next(Endpoint::PushCreate, refusal("source_sequence_out_of_order"));
        assert_eq!(a.sync().await.pushed_rows, 1);
        assert_eq!(a.client().source_info().await.unwrap().source_id, chosen);
        converge(&a, &b).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_under_a_source_that_was_retired_meanwhile_goes_on_under_its_replacement() {
    for generation in BOTH {
        let (server, a, b) =
            two_devices(generation, "INSERT INTO notes (id, title) VALUES ('n1', 'x'), ('n2', 'y')").await;
        let source = a.client().source_info().await.unwrap().source_id;
        let replacement = server.retire_source("ada", &source).await.unwrap();
        b.exec("UPDATE notes SET title = 'from b' WHERE id = 'n1'").await;
        b.sync().await;
        a.exec("UPDATE notes SET title = 'pending' WHERE id = 'n2'").await;
        a.client().rebuild().await.unwrap();
        assert_eq!(a.client().source_info().await.unwrap().source_id, replacement);
        converge(&a, &b).await;
        assert_eq!(
            b.text("SELECT group_concat(title) FROM (SELECT title FROM notes ORDER BY id)").await,
            "from b,pending"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_never_got_a_bundle_outlives_the_loss_of_its_servers_data() {
    for generation in BOTH {
        // It starts empty, or seeds the server under a lease.
        for seeds in [false, true] {
            let server = TestServer::new(generation, &Notes::TABLES);
            let a = Device::notes(&server, "ada").await;
            let write = "INSERT INTO notes (id, title) VALUES ('n1', 'pending')";
            if seeds {
                a.exec(write).await;
                a.attach().await;
            } else {
                a.attach().await;
                a.exec(write).await;
            }
            server.service().reset().await.unwrap();
            let error = a.client().sync().await.unwrap_err();
            assert_eq!(error.code(), Some("scope_uninitialized"));
            let status = a.client().status().await.unwrap();
            assert_eq!((status.user, status.pending_rows), (None, 1));
            a.attach().await;
            assert_eq!(a.sync().await.pushed_rows, 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_from_a_server_that_lost_everything_is_given_up_for_the_next_attach() {
    for generation in BOTH {
        let (server, a, b) =
            two_devices(generation, "INSERT INTO notes (id, title) VALUES ('n1', 'x'), ('n2', 'y')").await;
        server.fail_next(Endpoint::SnapshotCreate, Fault::Answer(400, String::new()));
        a.client().rebuild().await.unwrap_err();
        let fresh = Device::notes(&server, "ada").await;
        server.fail_next(Endpoint::SnapshotCreate, Fault::Answer(400, String::new()));
        fresh.client().attach("ada").await.unwrap_err();
        server.service().reset().await.unwrap();
        for device in [&a, &fresh] {
            let ended = if device.client().status().await.unwrap().user.is_some() {
                device.client().sync().await
            } else {
                device.client().attach("ada").await
            };
            assert_eq!(ended.unwrap_err().code(), Some("scope_uninitialized"));
        }
        for device in [&a, &fresh] {
            assert_eq!(device.attach().await.outcome, Outcome::Attached);
            device.sync().await;
        }
        converge(&a, &b).await;
        converge(&a, &fresh).await;
        assert_eq!(a.rows("SELECT id FROM notes").await.len(), 2);
    }
}
