//! The inbox: what a server refuses for good, what goes with it, and what the host does about it.

use crate::{BOTH, converge, two_devices};
use rowtide::protocol::profile::WireGeneration;
use rowtide::{RefusedReason, RefusedRow, RowValues, SqlValue};
use rowtide_server::Limits;
use rowtide_tests::{Device, Endpoint, Notes, TestServer};

async fn inbox(device: &Device) -> Vec<RefusedRow> {
    device.client().refused_rows().await.unwrap()
}

fn keys(rows: &[RefusedRow], reason: RefusedReason) -> Vec<&str> {
    rows.iter().filter(|row| row.reason == reason).map(|row| row.key.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_server_refuses_without_naming_it_is_found_and_everything_else_goes_through() {
    for generation in BOTH {
        let (server, a, b) = two_devices(generation, "INSERT INTO notes (id) VALUES ('n1')").await;
        for index in 0..40 {
            a.exec(&format!("INSERT INTO notes (id, title) VALUES ('row-{index:02}', 'fine')")).await;
        }
        a.exec("UPDATE notes SET title = 'forbidden' WHERE id = 'row-17'").await;
        server.forbid(&["forbidden"]);
        server.take_exchanges();
        let report = a.sync().await;
        assert_eq!((report.pushed_rows, report.refused_rows), (39, 1));
        let refused = inbox(&a).await;
        assert_eq!(keys(&refused, RefusedReason::ServerRefused), ["row-17"]);
        let content = refused[0].content.as_ref().unwrap();
        assert_eq!((content["title"].clone(), refused[0].in_table), (SqlValue::from("forbidden"), true));
        let commits = server.take_exchanges().iter().filter(|x| x.endpoint == Endpoint::PushCommit).count();
        assert!(commits <= 3 + 2 * 6 + 1, "{commits} commits to halve 40 rows");
        b.sync().await;
        assert_eq!(b.text("SELECT count(*) FROM notes").await, "40");
        a.exec("UPDATE notes SET title = 'mended' WHERE id = 'row-17'").await;
        converge(&a, &b).await;
        assert_eq!(inbox(&a).await, vec![]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_refused_rows_are_found_and_the_search_survives_a_restart() {
    for generation in BOTH {
        let (server, mut a, b) = two_devices(generation, "INSERT INTO notes (id) VALUES ('n1')").await;
        for index in 0..24 {
            a.exec(&format!("INSERT INTO notes (id, title) VALUES ('row-{index:02}', 't{index:02}')")).await;
        }
        server.forbid(&["t03", "t04", "t20"]);
        // The third commit of the search never arrives, and the app is closed then.
        server.fail(Endpoint::PushCommit, 2, 30, rowtide_tests::Fault::DropRequest);
        a.client().sync().await.unwrap_err();
        server.heal();
        a.reopen().await;
        a.sync().await;
        let refused = inbox(&a).await;
        assert_eq!(keys(&refused, RefusedReason::ServerRefused), ["row-03", "row-04", "row-20"]);
        server.forbid(&[]);
        assert_eq!(a.client().retry_refused().await.unwrap(), 3);
        converge(&a, &b).await;
        assert_eq!(b.text("SELECT count(*) FROM notes").await, "25");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_refer_to_a_refused_row_or_were_written_with_it_go_with_it() {
    for generation in BOTH {
        let (server, a, b) = two_devices(generation, "INSERT INTO notes (id) VALUES ('n1')").await;
        a.exec("INSERT INTO notes (id, title) VALUES ('parent', 'forbidden')").await;
        a.exec("INSERT INTO tags (id, name, note_id) VALUES (x'00112233445566778899aabbccddeeff', 'child', 'parent')").await;
        // One local transaction: an order and its stock must not be seen one without the other.
        a.exec("INSERT INTO notes (id, title) VALUES ('order', 'forbidden'); UPDATE notes SET stars = 1 WHERE id = 'n1'")
            .await;
        a.exec("INSERT INTO notes (id) VALUES ('alone')").await;
        server.forbid(&["forbidden"]);
        let report = a.sync().await;
        assert_eq!(report.pushed_rows, 1);
        let refused = inbox(&a).await;
        let mut culprits = keys(&refused, RefusedReason::ServerRefused);
        let mut together = keys(&refused, RefusedReason::RefusedTogether);
        culprits.sort_unstable();
        together.sort_unstable();
        assert!(culprits.contains(&"parent"), "{culprits:?}");
        assert_eq!(culprits.len() + together.len(), 4, "{refused:?}");
        b.sync().await;
        assert_eq!(
            b.text("SELECT group_concat(id || ifnull(stars, '')) FROM (SELECT * FROM notes ORDER BY id)")
                .await,
            "alone,n1"
        );
        server.forbid(&[]);
        a.client().retry_refused().await.unwrap();
        converge(&a, &b).await;
        assert_eq!(b.text("SELECT count(*) FROM tags").await, "1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_nothing_is_not_blamed_on_the_rows() {
    for generation in BOTH {
        let (server, a, b) = two_devices(generation, "INSERT INTO notes (id) VALUES ('n1')").await;
        for index in 0..8 {
            a.exec(&format!("INSERT INTO notes (id, title) VALUES ('row-{index}', 'all of them')")).await;
        }
        server.forbid(&["all of them"]);
        for _ in 0..4 {
            let error = a.client().sync().await.unwrap_err();
            assert_eq!(error.code(), Some("push_session_commit_failed"));
            assert_eq!((inbox(&a).await, a.pending().await), (vec![], 8));
        }
        server.forbid(&[]);
        converge(&a, &b).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_pending_row_is_refused_after_three_runs_and_pulls_go_on_meanwhile() {
    for generation in BOTH {
        let (server, a, b) = two_devices(generation, "INSERT INTO notes (id) VALUES ('n1')").await;
        a.exec("INSERT INTO notes (id, title) VALUES ('poison', 'forbidden')").await;
        server.forbid(&["forbidden"]);
        b.exec("UPDATE notes SET title = 'from b' WHERE id = 'n1'").await;
        b.sync().await;
        for _ in 0..2 {
            a.client().sync().await.unwrap_err();
            assert_eq!(a.pending().await, 1);
        }
        assert_eq!(a.text("SELECT title FROM notes WHERE id = 'n1'").await, "from b");
        assert_eq!(a.sync().await.refused_rows, 1);
        assert_eq!(keys(&inbox(&a).await, RefusedReason::ServerRefused), ["poison"]);
        let blocked = a.client().detach().await.unwrap();
        assert_eq!(blocked.outcome, rowtide::Outcome::BlockedUnsyncedData { rows: 1 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_row_goes_to_the_inbox_at_once_and_can_be_edited_there() {
    let limits = Limits {
        max_bytes_per_snapshot_row: 2_000,
        max_bytes_per_snapshot_chunk: 4_000,
        default_bytes_per_snapshot_chunk: 4_000,
        ..Limits::default()
    };
    let server = TestServer::with_limits(WireGeneration::B, &Notes::TABLES, limits);
    let a = Device::notes(&server, "ada").await;
    a.attach().await;
    a.exec("INSERT INTO notes (id, title) VALUES ('fine', 'short')").await;
    a.exec("INSERT INTO notes (id, body) VALUES ('huge', zeroblob(4000))").await;
    let report = a.sync().await;
    assert_eq!((report.pushed_rows, report.refused_rows), (1, 1));
    let refused = inbox(&a).await;
    assert_eq!(keys(&refused, RefusedReason::ServerRefused), ["huge"]);
    assert!(refused[0].message.contains("max_bytes_per_snapshot_row 2000"), "{}", refused[0].message);
    let change = RowValues::from([("body".to_owned(), SqlValue::Blob(vec![1, 2]))]);
    assert!(a.client().retry_refused_row("notes", "huge", change).await.unwrap());
    assert_eq!(a.sync().await.pushed_rows, 1);
    let b = Device::notes(&server, "ada").await;
    b.attach().await;
    converge(&a, &b).await;
    assert_eq!(b.text("SELECT hex(body) FROM notes WHERE id = 'huge'").await, "0102");
}

#[tokio::test(flavor = "multi_thread")]
async fn discarding_brings_back_what_the_server_has_and_removes_what_it_never_had() {
    for generation in BOTH {
        let seed = "INSERT INTO notes (id, title) VALUES ('n1', 'old'), ('n2', 'old'), ('n3', 'old')";
        let (server, a, b) = two_devices(generation, seed).await;
        for change in [
            "UPDATE notes SET title = 'forbidden' WHERE id = 'n1'",
            "UPDATE notes SET title = 'forbidden' WHERE id = 'n3'",
            "INSERT INTO notes (id, title) VALUES ('new', 'forbidden')",
            "UPDATE notes SET title = 'fine' WHERE id = 'n2'",
        ] {
            a.exec(change).await;
        }
        server.forbid(&["forbidden"]);
        assert_eq!(a.sync().await.refused_rows, 3);
        b.exec("DELETE FROM notes WHERE id = 'n3'; UPDATE notes SET stars = 5 WHERE id = 'n1'").await;
        b.sync().await;
        assert!(a.client().discard_refused_row("notes", "new").await.unwrap());
        assert!(!a.client().discard_refused_row("notes", "new").await.unwrap());
        assert_eq!(a.client().discard_refused().await.unwrap(), 2);
        converge(&a, &b).await;
        assert_eq!(
            a.text("SELECT group_concat(id || title) FROM (SELECT * FROM notes ORDER BY id)").await,
            "n1old,n2fine"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inbox_and_the_state_of_rows_can_be_queried_in_sql() {
    for generation in BOTH {
        let (server, a, _b) = two_devices(generation, "INSERT INTO notes (id) VALUES ('n1'), ('n2')").await;
        a.exec("INSERT INTO notes (id, weight, stars) VALUES ('bad', 9e999, 7)").await;
        a.exec("INSERT INTO notes (id) VALUES ('flying')").await;
        server.fail(Endpoint::PushCommit, 0, 1, rowtide_tests::Fault::ApplyThenDropReply);
        server.fail(Endpoint::PushCreate, 1, 9, rowtide_tests::Fault::DropRequest);
        a.client().sync().await.unwrap_err();
        a.exec("UPDATE notes SET title = 'x' WHERE id = 'n1'").await;
        let states = "SELECT group_concat(n.id || ' ' || ifnull(s.state, 'synced'), ', ')
                      FROM (SELECT id FROM notes ORDER BY id) AS n LEFT JOIN _rowtide_row_status AS s ON s.table_name = 'notes' AND s.key = n.id";
        assert_eq!(a.text(states).await, "bad refused, flying inflight, n1 pending, n2 synced");
        let waiting = "SELECT count(*) FROM _rowtide_row_status WHERE since > 1700000000000";
        assert_eq!(a.text(waiting).await, "3");
        let content =
            "SELECT reason || ' ' || (content ->> '$.stars') FROM _rowtide_inbox WHERE table_name = 'notes'";
        assert_eq!(a.text(content).await, "invalid_value 7");
        let kept = inbox(&a).await[0].content.as_ref().unwrap()["weight"].clone();
        assert_eq!(kept, SqlValue::Real(f64::INFINITY));
    }
}
