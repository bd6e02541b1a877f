//! 17, 26 and 38: what is written while rows come down.

use crate::ruled::{RuledServer, row};
use crate::{BOTH, converge, count, notes, two_devices, with_policy, writes_during};
use rowtide::{AnonymousRows, ConflictPolicy, ErrorKind};
use rowtide_tests::{Device, Endpoint, Fault};
use serde_json::json;

const SEED: &str =
    "INSERT INTO notes (id, title) VALUES ('n1', 'old'), ('n2', 'old'), ('n3', 'old'), ('n4', 'old')";
const WRITES: &str = "UPDATE notes SET title = 'mine' WHERE id = 'n2'; DELETE FROM notes WHERE id = 'n3';
    INSERT INTO notes (id, title) VALUES ('n5', 'mine')";
const ALL: &str = "SELECT group_concat(id || title) FROM (SELECT * FROM notes ORDER BY id)";

#[tokio::test(flavor = "multi_thread")]
async fn defect_17_rows_written_during_a_pull_are_still_pending_after_it() {
    for generation in BOTH {
        let (server, a, b) = two_devices(generation, SEED).await;
        b.exec("UPDATE notes SET title = 'theirs' WHERE id = 'n1'").await;
        b.sync().await;
        writes_during(&server, Endpoint::Pull, &a, WRITES);
        a.client().pull().await.unwrap();
        assert_eq!((a.pending().await, a.text(ALL).await.as_str()), (3, "n1theirs,n2mine,n4old,n5mine"));
        converge(&a, &b).await;
        assert_eq!(b.text(ALL).await, "n1theirs,n2mine,n4old,n5mine");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_17_rows_written_during_a_rebuild_or_a_source_recovery_are_still_pending_after_it() {
    for generation in BOTH {
        for recovers in [false, true] {
            let (server, a, b) = two_devices(generation, SEED).await;
            b.exec("UPDATE notes SET title = 'theirs' WHERE id = 'n1'").await;
            b.sync().await;
            writes_during(&server, Endpoint::SnapshotChunk, &a, WRITES);
            if recovers {
                a.exec("UPDATE notes SET stars = 5 WHERE id = 'n4'").await;
                let answer = r#"{"error":"source_retired","message":""}"#;
                server.fail_next(Endpoint::PushCreate, Fault::Answer(409, answer.into()));
                a.sync().await;
            } else {
                a.client().rebuild().await.unwrap();
                assert_eq!(a.pending().await, 3);
            }
            assert_eq!(a.text(ALL).await, "n1theirs,n2mine,n4old,n5mine");
            converge(&a, &b).await;
            assert_eq!(b.text(ALL).await, "n1theirs,n2mine,n4old,n5mine");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_17_rows_written_during_a_first_download_are_pending_after_it() {
    for generation in BOTH {
        let (server, _, b) = two_devices(generation, SEED).await;
        let c = notes(&server, |config| config).await;
        writes_during(&server, Endpoint::SnapshotChunk, &c, "INSERT INTO notes (id) VALUES ('n5')");
        c.attach().await;
        assert_eq!((c.pending().await, c.text("SELECT count(*) FROM notes").await.as_str()), (1, "5"));
        converge(&c, &b).await;
    }
}

async fn edits_a_row_that_is_being_pulled(policy: ConflictPolicy, expected: &str) {
    for generation in BOTH {
        let (server, _, b) = two_devices(generation, SEED).await;
        let a = with_policy(&server, policy).await;
        b.exec("UPDATE notes SET title = 'theirs' WHERE id IN ('n1', 'n2')").await;
        b.sync().await;
        let edit =
            "UPDATE notes SET title = 'mine' WHERE id IN ('n1', 'n4'); DELETE FROM notes WHERE id = 'n2'";
        writes_during(&server, Endpoint::Pull, &a, edit);
        assert_eq!(a.client().pull().await.unwrap().conflicts, 2);
        converge(&a, &b).await;
        assert_eq!(b.text(ALL).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_26_a_row_written_while_its_update_comes_down_is_decided_and_not_dropped() {
    edits_a_row_that_is_being_pulled(ConflictPolicy::ClientWins, "n1mine,n3old,n4mine").await;
    edits_a_row_that_is_being_pulled(ConflictPolicy::ServerWins, "n1theirs,n2theirs,n3old,n4mine").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_26_rows_of_a_schema_or_table_that_is_not_configured_are_refused_whole() {
    for generation in BOTH {
        for (schema, table) in [("elsewhere", "notes"), ("business", "elsewhere")] {
            let server = RuledServer::new(generation, |_| {});
            let a = server.device(ConflictPolicy::ServerWins).await;
            let payload = |id: &str| json!({ "id": id, "title": "theirs", "flag": null, "filled": null });
            server.publish(vec![
                row("business", "notes", "n1", "INSERT", payload("n1")),
                row(schema, table, "n2", "INSERT", payload("n2")),
            ]);
            let error = a.client().pull().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol);
            assert!(error.to_string().contains("elsewhere"), "{error}");
            assert_eq!(a.text("SELECT count(*) FROM notes").await, "0");
            assert_eq!(a.client().status().await.unwrap().checkpoint.0, 0);
        }
    }
}

async fn discarding(server: &rowtide_tests::TestServer) -> Device {
    let device = notes(server, |config| config.anonymous_rows(AnonymousRows::Discard)).await;
    device.exec("INSERT INTO notes (id, title) VALUES ('anonymous', 'mine'), ('n1', 'mine')").await;
    device
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_38_rows_that_a_first_download_discards_do_not_stay_pending_not_even_when_it_is_interrupted() {
    for generation in BOTH {
        let (server, _, b) = two_devices(generation, SEED).await;
        let mut a = discarding(&server).await;
        server.fail(Endpoint::SnapshotChunk, 0, 99, Fault::DropRequest);
        a.client().attach("ada").await.unwrap_err();
        a.reopen().await;
        server.heal();
        a.attach().await;
        assert_eq!(a.pending().await, 0);
        server.take_exchanges();
        a.sync().await;
        assert_eq!(count(&server.take_exchanges(), Endpoint::PushCreate), 0);
        assert_eq!(a.dump().await, b.dump().await);
    }
}
