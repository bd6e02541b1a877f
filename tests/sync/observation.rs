//! Observation: after the commit, whoever wrote, coalesced.

use crate::{BOTH, two_devices};
use rowtide::SyncTable;
use rowtide_tests::{Device, NOTES, Notes, TestServer};
use std::collections::BTreeSet;

fn tables(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn local_writes_are_told_after_the_commit_and_rolled_back_ones_are_not() {
    let server = TestServer::new(BOTH[0], &Notes::TABLES);
    let schema = format!(
        "{NOTES} CREATE TABLE settings (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
                          CREATE TABLE drafts (id INTEGER PRIMARY KEY, text TEXT);"
    );
    let a = Device::new(&server, "ada", &schema, |config| {
        config.table(SyncTable::new("notes").key("id")).table(SyncTable::new("tags").key("id"))
    })
    .await;
    let all = ["notes", "tags", "settings", "drafts"];
    let mut changes = a.client().observe_tables(all);
    assert_eq!(changes.next().await.unwrap(), tables(&all), "the first change is all of them");
    for (sql, told) in [
        ("INSERT INTO notes (id) VALUES ('n1')", vec!["notes"]),
        (
            "INSERT INTO tags (name, note_id) VALUES ('t', 'n1'); INSERT INTO drafts (text) VALUES ('d')",
            vec!["tags", "drafts"],
        ),
        ("INSERT INTO settings VALUES ('a', 1)", vec!["settings"]),
        ("DELETE FROM drafts", vec!["drafts"]),
        ("DELETE FROM settings", vec!["settings"]),
        ("DELETE FROM notes", vec!["notes", "tags"]),
    ] {
        a.exec(sql).await;
        assert_eq!(changes.next().await.unwrap(), tables(&told), "{sql}");
    }
    let transaction = a.client().transaction(std::time::Duration::from_secs(60)).await.unwrap();
    transaction.execute("INSERT INTO notes (id) VALUES ('lost')", vec![]).await.unwrap();
    drop(transaction);
    a.exec("UPDATE drafts SET text = 'nothing there'").await;
    a.exec("INSERT INTO drafts (text) VALUES ('x')").await;
    assert_eq!(changes.next().await.unwrap(), tables(&["drafts"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_rebuilds_and_detaches_are_told_and_metadata_and_skipped_rows_are_not() {
    for generation in BOTH {
        let (server, a, b) = two_devices(generation, "INSERT INTO notes (id) VALUES ('n1'), ('n2')").await;
        let mut changes = b.client().observe_tables(["notes", "tags"]);
        changes.next().await.unwrap();
        a.exec("UPDATE notes SET title = 'x' WHERE id = 'n1'").await;
        a.sync().await;
        b.sync().await;
        assert_eq!(changes.next().await.unwrap(), tables(&["notes"]));
        // Nothing new, a clean push, and a rebuild that finds nothing different: metadata only.
        b.sync().await;
        b.exec("INSERT INTO tags (name, note_id) VALUES ('t', 'n1')").await;
        assert_eq!(changes.next().await.unwrap(), tables(&["tags"]));
        b.sync().await;
        b.client().rebuild().await.unwrap();
        a.sync().await;
        a.exec("UPDATE notes SET title = 'y' WHERE id = 'n2'").await;
        a.sync().await;
        b.client().rebuild().await.unwrap();
        assert_eq!(changes.next().await.unwrap(), tables(&["notes"]));
        b.client().detach().await.unwrap();
        assert_eq!(changes.next().await.unwrap(), tables(&["notes", "tags"]));
        drop(server);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_observer_gets_what_it_missed_in_one_and_a_closed_client_ends_it() {
    let server = TestServer::new(BOTH[1], &Notes::TABLES);
    let mut a = Device::notes(&server, "ada").await;
    let mut changes = a.client().observe_tables(["notes"]);
    changes.next().await.unwrap();
    for index in 0..100 {
        a.exec(&format!("INSERT INTO notes (id) VALUES ('n{index}')")).await;
    }
    assert_eq!(changes.next().await.unwrap(), tables(&["notes"]));
    a.close().await;
    assert_eq!(changes.next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_observed_up_to_the_totals() {
    for generation in BOTH {
        let (server, _a, _b) = two_devices(generation, "INSERT INTO notes (id) VALUES ('n1'), ('n2')").await;
        let c = Device::notes(&server, "ada").await;
        let mut progress = c.client().observe_progress();
        c.attach().await;
        let newest = progress.next().await.unwrap();
        assert_eq!((newest.activity.as_str(), newest.phase.as_str()), ("attach", "apply"));
        assert_eq!((newest.rows, newest.total_rows), (2, Some(2)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_managed_table_without_rowid_is_told_too() {
    for generation in BOTH {
        let schema = "CREATE TABLE notes (id TEXT PRIMARY KEY NOT NULL, title TEXT) WITHOUT ROWID";
        let server = TestServer::new(generation, &[("notes", "id")]);
        let open =
            || Device::new(&server, "ada", schema, |config| config.table(SyncTable::new("notes").key("id")));
        let (a, b) = (open().await, open().await);
        a.attach().await;
        b.attach().await;
        let mut changes = b.client().observe_tables(["notes"]);
        changes.next().await.unwrap();
        a.exec("INSERT INTO notes VALUES ('n1', 'x')").await;
        a.sync().await;
        b.sync().await;
        assert_eq!(changes.next().await.unwrap(), tables(&["notes"]));
        assert_eq!(b.text("SELECT title FROM notes").await, "x");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_does_not_wait_for_a_transaction_of_the_host_and_says_that_sync_does() {
    let server = TestServer::new(BOTH[1], &Notes::TABLES);
    let a = Device::notes(&server, "ada").await;
    a.attach().await;
    let transaction = a.client().transaction(std::time::Duration::from_secs(600)).await.unwrap();
    transaction.execute("INSERT INTO notes (id) VALUES ('n1')", vec![]).await.unwrap();
    let status = a.client().status().await.unwrap();
    assert_eq!((status.host_transaction_open, status.pending_rows), (true, 0));
    assert!(a.client().why_stuck().await.unwrap().unwrap().contains("transaction of the app"));
    transaction.commit().await.unwrap();
    assert_eq!(a.client().status().await.unwrap().pending_rows, 1);
    // A row that came and went is nothing to send.
    a.exec("INSERT INTO notes (id) VALUES ('n2'); DELETE FROM notes WHERE id = 'n2'").await;
    assert_eq!(a.client().status().await.unwrap().pending_rows, 1);
}
