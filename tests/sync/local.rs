//! The host's SQL: transactions, deadlines, capture.

use crate::BOTH;
use rowtide::{ErrorKind, SqlValue};
use rowtide_tests::{Device, Notes, TestServer};
use std::time::Duration;

async fn device() -> Device {
    Device::notes(&TestServer::new(BOTH[1], &Notes::TABLES), "ada").await
}

const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn a_transaction_is_whole_or_not_at_all() {
    let device = device().await;
    let transaction = device.client().transaction(LONG).await.unwrap();
    transaction
        .execute("INSERT INTO notes (id, title) VALUES (?1, ?2)", vec!["n1".into(), "t".into()])
        .await
        .unwrap();
    let seen = transaction.query("SELECT title FROM notes", vec![]).await.unwrap();
    assert_eq!(seen.rows, [[SqlValue::from("t")]]);
    assert_eq!(device.text("SELECT count(*) FROM notes").await, "0", "others do not see it yet");
    transaction.commit().await.unwrap();
    assert_eq!(device.text("SELECT count(*) FROM notes").await, "1");
    let dropped = device.client().transaction(LONG).await.unwrap();
    dropped.execute("DELETE FROM notes", vec![]).await.unwrap();
    drop(dropped);
    assert_eq!(device.pending().await, 1);
    assert_eq!(device.text("SELECT count(*) FROM notes").await, "1");
}

#[tokio::test]
async fn a_commit_reaches_the_disk_before_it_is_acknowledged() {
    let device = device().await;
    let transaction = device.client().transaction(LONG).await.unwrap();
    let level = transaction.query("PRAGMA synchronous", vec![]).await.unwrap();
    assert_eq!(level.rows, [[SqlValue::Integer(2)]], "2 is FULL: with a WAL it is flushed at every commit");
}

#[tokio::test]
async fn a_transaction_past_its_deadline_is_rolled_back_and_says_so() {
    let device = device().await;
    let transaction = device.client().transaction(Duration::ZERO).await.unwrap();
    // The writer is free again only after the rollback.
    device.exec("INSERT INTO notes (id) VALUES ('n1')").await;
    let error = transaction.execute("DELETE FROM notes", vec![]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Database);
    assert!(error.to_string().contains("deadline"), "{error}");
}

#[tokio::test]
async fn a_failing_statement_undoes_its_script() {
    let device = device().await;
    let script = "INSERT INTO notes (id) VALUES ('n1'); INSERT INTO notes (id) VALUES ('n1')";
    assert_eq!(device.client().execute_script(script).await.unwrap_err().kind(), ErrorKind::Database);
    assert_eq!((device.pending().await, device.text("SELECT count(*) FROM notes").await.as_str()), (0, "0"));
}

#[tokio::test]
async fn replace_upsert_rename_and_cascade_are_captured() {
    let device = device().await;
    device
        .exec(
            "CREATE UNIQUE INDEX by_title ON notes (title) WHERE title <> '';
             INSERT INTO notes (id, title) VALUES ('n1', 'a'), ('n2', 'b'), ('n3', 'c');
             INSERT INTO tags (id, name, note_id) VALUES (x'00112233445566778899aabbccddeeff', 't', 'n3')",
        )
        .await;
    device.attach().await;
    device.sync().await;
    device.exec("INSERT OR REPLACE INTO notes (id, title) VALUES ('n4', 'a')").await;
    assert_eq!(device.pending().await, 2, "the evicted row is captured too");
    device
        .exec("INSERT INTO notes (id, title) VALUES ('n2', 'x') ON CONFLICT (id) DO UPDATE SET title = 'y'")
        .await;
    assert_eq!(device.pending().await, 3);
    device.exec("DELETE FROM notes WHERE id = 'n3'").await;
    assert_eq!(device.pending().await, 5, "the cascaded delete is captured");
    device.exec("UPDATE notes SET id = 'renamed' WHERE id = 'n2'").await;
    assert_eq!(device.pending().await, 6, "a new key is a delete and an insert");
    device.exec("INSERT INTO notes (id) VALUES ('brief'); DELETE FROM notes WHERE id = 'brief'").await;
    assert_eq!(device.pending().await, 6, "what came and went has no effect");
}

#[tokio::test]
async fn rows_that_were_there_before_are_captured_once() {
    let server = TestServer::new(BOTH[1], &Notes::TABLES);
    let schema = format!("{} INSERT INTO notes (id) VALUES ('before')", rowtide_tests::NOTES);
    let mut device = Device::new(&server, "ada", &schema, |config| {
        config
            .table(rowtide::SyncTable::new("notes").key("id"))
            .table(rowtide::SyncTable::new("tags").key("id"))
    })
    .await;
    assert_eq!(device.pending().await, 1);
    let source = device.client().source_info().await.unwrap();
    device.reopen().await;
    assert_eq!(device.pending().await, 1);
    assert_eq!(device.client().source_info().await.unwrap(), source, "the source identity is kept");
}

#[tokio::test]
async fn closing_leaves_one_file_without_a_journal_beside_it() {
    let mut device = device().await;
    device.exec("INSERT INTO notes (id) VALUES ('n1')").await;
    let journal = device.path().with_extension("db-wal");
    assert!(journal.exists());
    device.close().await;
    assert!(!journal.exists(), "the journal was moved into the database");
}
