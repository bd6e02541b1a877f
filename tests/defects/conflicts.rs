//! 25, 33, 37 and 38: commits that are refused.

use crate::ruled::{Mishap, RuledServer, row};
use crate::{BOTH, converge, count, syncs_during, two_devices, with_policy};
use rowtide::{ConflictPolicy, ErrorKind};
use rowtide_tests::Endpoint;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn defect_25_more_conflicting_rows_than_retries_are_resolved_by_one_sync() {
    for generation in BOTH {
        for policy in [ConflictPolicy::ClientWins, ConflictPolicy::ServerWins] {
            let seed = "INSERT INTO notes (id) VALUES ('n1'), ('n2'), ('n3'), ('n4'), ('n5'), ('n6'), ('n7')";
            let (server, _, b) = two_devices(generation, seed).await;
            let a = with_policy(&server, policy).await;
            a.exec("UPDATE notes SET title = 'mine'").await;
            b.exec("UPDATE notes SET title = 'theirs' WHERE id <> 'n7'").await;
            syncs_during(&server, Endpoint::PushCommit, &b);
            assert_eq!(a.sync().await.conflicts, 6);
            assert_eq!(a.pending().await, 0);
            converge(&a, &b).await;
            let won = if policy == ConflictPolicy::ClientWins { "7" } else { "1" };
            assert_eq!(b.text("SELECT count(*) FROM notes WHERE title = 'mine'").await, won);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_25_a_thousand_conflicts_among_ten_thousand_rows_cost_at_most_two_more_pushes() {
    for generation in BOTH {
        let numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)";
        let seed = format!("INSERT INTO notes (id, stars) {numbers} SELECT printf('n%05d', i), 0 FROM n");
        let (server, _, b) = two_devices(generation, &seed).await;
        let a = with_policy(&server, ConflictPolicy::ClientWins).await;
        a.exec("UPDATE notes SET stars = 1").await;
        b.exec("UPDATE notes SET stars = 2 WHERE id <= 'n01000'").await;
        syncs_during(&server, Endpoint::PushCommit, &b);
        server.take_exchanges();
        assert_eq!(a.sync().await.conflicts, 1_000);
        let (commits, by_b) = (count(&server.take_exchanges(), Endpoint::PushCommit), 1);
        assert!(commits - by_b <= 3, "{commits} commits");
        converge(&a, &b).await;
        assert_eq!(b.text("SELECT count(*) FROM notes WHERE stars = 1").await, "10000");
    }
}

const INSERT: &str = "INSERT INTO notes (id, title) VALUES ('n1', 'mine')";

#[tokio::test(flavor = "multi_thread")]
async fn defect_33_an_insert_on_a_tombstone_that_the_server_has_lost_goes_up_as_a_new_row() {
    for generation in BOTH {
        let server = RuledServer::new(generation, |_| {});
        let a = server.device(ConflictPolicy::ClientWins).await;
        for change in [INSERT, "DELETE FROM notes"] {
            a.exec(change).await;
            a.sync().await;
        }
        server.lose_history_of("notes", "n1");
        a.exec(INSERT).await;
        assert_eq!((a.sync().await.conflicts, a.pending().await), (0, 0));
        let sent = server.sent();
        let last = sent.last().unwrap();
        assert_eq!((&last["op"], &last["base_row_version"]), (&json!("INSERT"), &json!(0)));
        assert_eq!((a.text("SELECT title FROM notes").await.as_str(), server.bundles()), ("mine", 3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_37_accepting_that_a_row_never_existed_leaves_no_tombstone_of_version_zero() {
    for generation in BOTH {
        let server = RuledServer::new(generation, |_| {});
        let a = server.device(ConflictPolicy::ServerWins).await;
        a.exec(INSERT).await;
        a.sync().await;
        server.lose_history_of("notes", "n1");
        a.exec("UPDATE notes SET title = 'edited'").await;
        assert_eq!((a.sync().await.conflicts, a.pending().await), (1, 0));
        assert_eq!(a.text("SELECT count(*) FROM notes").await, "0");
        assert_eq!(a.text("SELECT count(*) FROM _rowtide_row_state").await, "0");
        let commits = server.calls(Endpoint::PushCommit);
        a.exec(INSERT).await;
        let report = a.sync().await;
        assert_eq!((report.pushed_rows, report.conflicts), (1, 0));
        assert_eq!(server.calls(Endpoint::PushCommit), commits + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_37_keeping_a_local_change_settles_every_pair_of_operations_in_two_commits() {
    const UPDATE: &str = "UPDATE notes SET title = 'mine' WHERE id = 'n1'";
    const DELETE: &str = "DELETE FROM notes WHERE id = 'n1'";
    for generation in BOTH {
        for (seed, mine, theirs, expected) in [
            ("n1", UPDATE, "UPDATE notes SET title = 'theirs' WHERE id = 'n1'", "mine"),
            ("n1", UPDATE, DELETE, "mine"),
            ("n1", DELETE, "UPDATE notes SET title = 'theirs' WHERE id = 'n1'", "gone"),
            ("n1", DELETE, DELETE, "gone"),
            ("n2", INSERT, "INSERT INTO notes (id, title) VALUES ('n1', 'theirs')", "mine"),
        ] {
            let (server, _, b) =
                two_devices(generation, &format!("INSERT INTO notes (id) VALUES ('{seed}')")).await;
            let a = with_policy(&server, ConflictPolicy::ClientWins).await;
            let context = format!("{generation:?}: {mine} / {theirs}");
            a.exec(mine).await;
            b.exec(theirs).await;
            syncs_during(&server, Endpoint::PushCommit, &b);
            server.take_exchanges();
            a.sync().await;
            let commits = count(&server.take_exchanges(), Endpoint::PushCommit);
            assert!(commits <= 3, "{context}: {commits} commits, one of them by the other device");
            assert_eq!(a.pending().await, 0, "{context}");
            let title = "SELECT ifnull(max(title), 'gone') FROM notes WHERE id = 'n1'";
            converge(&a, &b).await;
            assert_eq!(b.text(title).await, expected, "{context}");
            // What is known of the row is right: the next change meets no conflict.
            a.exec("REPLACE INTO notes (id, title) VALUES ('n1', 'next')").await;
            server.take_exchanges();
            let report = a.sync().await;
            let commits = count(&server.take_exchanges(), Endpoint::PushCommit);
            assert_eq!((report.conflicts, report.pushed_rows, commits), (0, 1, 1), "{context}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_37_keeping_an_insert_over_a_tombstone_that_no_pull_brings_settles_in_two_commits() {
    for generation in BOTH {
        let (server, _, b) = two_devices(generation, INSERT).await;
        b.exec("DELETE FROM notes").await;
        b.sync().await;
        // A fresh device has no tombstone.
        let a = with_policy(&server, ConflictPolicy::ClientWins).await;
        a.exec(INSERT).await;
        server.take_exchanges();
        a.sync().await;
        assert_eq!(count(&server.take_exchanges(), Endpoint::PushCommit), 2);
        converge(&a, &b).await;
        assert_eq!(b.text("SELECT title FROM notes").await, "mine");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_38_a_conflict_about_a_row_that_was_not_sent_is_met_and_the_push_goes_on() {
    for generation in BOTH {
        let server = RuledServer::new(generation, |_| {});
        let a = server.device(ConflictPolicy::ServerWins).await;
        let theirs = json!({ "id": "other", "title": "theirs", "flag": null, "filled": null });
        a.exec(INSERT).await;
        let conflict = json!({
            "schema": "business", "table": "notes", "key": { "id": "other" }, "op": "UPDATE",
            "base_row_version": 0, "server_row_version": 1, "server_row_deleted": false, "server_row": theirs,
        });
        let refused = json!({ "error": "push_conflict", "message": "", "conflict": conflict });
        server.mishap(Endpoint::PushCommit, 1, Mishap::Answer(409, refused));
        server.publish(vec![row("business", "notes", "other", "INSERT", theirs)]);
        assert_eq!(a.client().push().await.unwrap().pushed_rows, 1);
        assert_eq!((a.pending().await, a.text("SELECT count(*) FROM notes").await.as_str()), (0, "2"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_38_a_conflict_about_a_table_that_is_not_configured_is_an_error_and_the_rows_stay_pending() {
    for generation in BOTH {
        let server = RuledServer::new(generation, |_| {});
        let a = server.device(ConflictPolicy::ServerWins).await;
        a.exec(INSERT).await;
        let conflict = json!({
            "schema": "business", "table": "elsewhere", "key": { "id": "n1" }, "op": "UPDATE",
            "base_row_version": 1, "server_row_version": 2, "server_row_deleted": true, "server_row": null,
        });
        let refused = json!({ "error": "push_conflict", "message": "", "conflict": conflict });
        server.mishap(Endpoint::PushCommit, 1, Mishap::Answer(409, refused));
        assert_eq!(a.client().sync().await.unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(a.pending().await, 1);
        assert_eq!((a.sync().await.pushed_rows, a.pending().await), (1, 0));
    }
}
