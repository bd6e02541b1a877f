//! 21, 28 and 35: what the server committed is not what was sent.

use crate::BOTH;
use crate::ruled::{Mishap, RuledServer, row};
use rowtide::ConflictPolicy;
use rowtide_tests::Endpoint;
use serde_json::{Value, json};

const NOTES: &str =
    "INSERT INTO notes VALUES ('n1', 'one', 1, NULL), ('n2', 'two', 0, NULL), ('n3', 'three', NULL, NULL)";
const TITLES: &str = "SELECT group_concat(id || title) FROM (SELECT * FROM notes ORDER BY id)";
const AUDITS: &str = "SELECT ifnull(group_concat(id || note), '') FROM (SELECT * FROM audits ORDER BY id)";

/// A trigger of the server writes an audit row for each note.
fn audited(rows: &mut Vec<Value>) {
    for note in rows.clone().iter().filter(|row| row["table"] == "notes" && row["op"] == "INSERT") {
        let key = note["key"]["id"].as_str().unwrap();
        let payload = json!({ "id": format!("audit-{key}"), "note": key });
        rows.insert(0, row("business", "audits", &format!("audit-{key}"), "INSERT", payload));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_21_a_lost_commit_reply_is_settled_although_the_server_added_rows() {
    for generation in BOTH {
        let server = RuledServer::new(generation, audited);
        let a = server.device(ConflictPolicy::ServerWins).await;
        let source = a.client().source_info().await.unwrap().source_id;
        a.exec(NOTES).await;
        server.mishap(Endpoint::PushCommit, 1, Mishap::ReplyLost);
        assert_eq!(a.sync().await.pushed_rows, 3);
        assert_eq!((a.pending().await, server.bundles(), server.sent().len()), (0, 1, 3));
        assert_eq!(a.text(AUDITS).await, "audit-n1n1,audit-n2n2,audit-n3n3");
        assert_eq!(a.client().source_info().await.unwrap().source_id, source, "the bundle is its own");
    }
}

/// Booleans come back as booleans.
fn booleans(rows: &mut Vec<Value>) {
    for row in rows {
        let flag = &mut row["payload"]["flag"];
        if !flag.is_null() {
            *flag = json!(*flag == json!(1) || *flag == json!("1"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_21_a_lost_commit_reply_is_settled_although_a_boolean_came_back_as_true() {
    for generation in BOTH {
        let server = RuledServer::new(generation, booleans);
        let a = server.device(ConflictPolicy::ServerWins).await;
        let source = a.client().source_info().await.unwrap().source_id;
        a.exec(NOTES).await;
        server.mishap(Endpoint::PushCommit, 1, Mishap::ReplyLost);
        a.sync().await;
        assert_eq!((a.pending().await, server.bundles(), server.sent().len()), (0, 1, 3));
        assert_eq!(a.text("SELECT group_concat(ifnull(flag, '-')) FROM notes").await, "1,0,-");
        assert_eq!(a.client().source_info().await.unwrap().source_id, source, "the bundle is its own");
    }
}

/// A column of the server has a default.
fn defaulted(rows: &mut Vec<Value>) {
    for row in rows {
        row["payload"]["filled"] = json!("default");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_21_a_lost_commit_reply_is_settled_although_a_column_was_filled_in() {
    for generation in BOTH {
        let server = RuledServer::new(generation, defaulted);
        let a = server.device(ConflictPolicy::ServerWins).await;
        a.exec(NOTES).await;
        server.mishap(Endpoint::PushCommit, 1, Mishap::ReplyLost);
        a.sync().await;
        assert_eq!((a.pending().await, server.bundles()), (0, 1), "nothing sticks and nothing goes up twice");
        assert_eq!(a.text("SELECT group_concat(DISTINCT filled) FROM notes").await, "default");
        a.exec("UPDATE notes SET title = 'again' WHERE id = 'n1'").await;
        assert_eq!((a.sync().await.pushed_rows, a.pending().await, server.bundles()), (1, 0, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_28_a_restart_between_commit_and_replay_fetches_all_rows_that_the_server_committed() {
    for generation in BOTH {
        let server = RuledServer::new(generation, audited);
        let mut a = server.device(ConflictPolicy::ServerWins).await;
        a.exec(NOTES).await;
        server.mishap(Endpoint::CommittedRows, 99, Mishap::Lost);
        a.client().sync().await.unwrap_err();
        assert_eq!((a.pending().await, a.text(AUDITS).await.as_str()), (3, ""));
        a.reopen().await;
        server.heal();
        assert_eq!(a.sync().await.pushed_rows, 3);
        assert_eq!(a.text(AUDITS).await, "audit-n1n1,audit-n2n2,audit-n3n3");
        assert_eq!((a.pending().await, server.bundles(), server.calls(Endpoint::PushCommit)), (0, 1, 1));
        assert_eq!(a.client().status().await.unwrap().checkpoint.0, 1);
    }
}

/// The server commits in an order of its own, and changes every row.
fn reversed(rows: &mut Vec<Value>) {
    rows.reverse();
    for row in rows.iter_mut().filter(|row| row["op"] != "DELETE") {
        let title = row["payload"]["title"].as_str().unwrap_or_default().to_uppercase();
        row["payload"]["title"] = json!(title);
    }
    audited(rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_35_committed_rows_in_another_order_are_paired_by_key() {
    for generation in BOTH {
        let server = RuledServer::new(generation, reversed);
        let a = server.device(ConflictPolicy::ServerWins).await;
        a.exec(NOTES).await;
        a.sync().await;
        assert_eq!(a.text(TITLES).await, "n1ONE,n2TWO,n3THREE");
        // Each row's version is known too: the next changes meet no conflict.
        a.exec("DELETE FROM audits; UPDATE notes SET title = 'last' WHERE id = 'n2'; DELETE FROM notes WHERE id = 'n3'").await;
        let report = a.sync().await;
        assert_eq!((report.conflicts, server.calls(Endpoint::PushCommit)), (0, 2));
        assert_eq!(a.text(TITLES).await, "n1ONE,n2LAST");
    }
}
