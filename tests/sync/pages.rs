//! The database as drivers use it: shared with a client, read by pages.

use crate::BOTH;
use rowtide::{Client, ErrorKind, LocalDatabase, PackedRows, Paging, SqlValue};
use rowtide_tests::{Device, NOTES, Notes, TestServer};
use std::time::Duration;

const SMALL: Paging = Paging { bytes: 200, idle: Duration::from_secs(600) };

async fn device_with_notes(count: usize) -> Device {
    let device = Device::notes(&TestServer::new(BOTH[1], &Notes::TABLES), "ada").await;
    let rows = (0..count).map(|index| vec![SqlValue::from(format!("n{index:04}"))]).collect();
    device.client().execute_batch("INSERT INTO notes (id) VALUES (?1)", rows).await.unwrap();
    device
}

fn cells(packed: PackedRows) -> Vec<SqlValue> {
    packed.into_cells().collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn a_query_is_read_by_pages_of_one_state_while_the_app_writes() {
    let device = device_with_notes(100).await;
    let database = device.client().database();
    let mut pages = database.query_pages("SELECT id FROM notes ORDER BY id", vec![], SMALL).await.unwrap();
    assert_eq!(pages.columns(), ["id"]);
    device.exec("DELETE FROM notes").await;
    let (mut ids, mut count) = (Vec::new(), 0);
    while let Some(page) = pages.next().await.unwrap() {
        let read = cells(page.packed);
        assert_eq!(i64::try_from(read.len()).unwrap(), page.rows);
        ids.extend(read);
        count += 1;
    }
    assert!(count > 3, "{count} pages");
    assert_eq!(ids.len(), 100, "all pages are of the state before the delete");
    assert_eq!(ids[99], SqlValue::from("n0099"));
    assert_eq!(pages.next().await.unwrap(), None, "nothing follows the last page");
}

#[tokio::test]
async fn more_queries_than_usual_are_read_at_the_same_time() {
    let device = device_with_notes(100).await;
    let database = device.client().database();
    let mut open = Vec::new();
    for _ in 0..10 {
        open.push(database.query_pages("SELECT id FROM notes", vec![], SMALL).await.unwrap());
    }
    assert_eq!(device.text("SELECT count(*) FROM notes").await, "100");
    for pages in &mut open {
        assert!(pages.next().await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_transaction_reads_pages_of_what_it_wrote_and_goes_on() {
    let device = device_with_notes(0).await;
    let transaction = device.client().transaction(Duration::from_secs(600)).await.unwrap();
    let written = transaction.execute("INSERT INTO notes (id) VALUES (?1)", vec!["n1".into()]).await.unwrap();
    assert_eq!((written.changed_rows, written.last_insert_rowid), (1, 1));
    let sql = "INSERT INTO notes (id) VALUES ('n2'), ('n3') RETURNING id";
    let mut pages = transaction.query_pages(sql, vec![], SMALL).await.unwrap();
    transaction.execute("DELETE FROM notes WHERE id = 'n3'", vec![]).await.unwrap();
    let page = pages.next().await.unwrap().unwrap();
    assert_eq!(cells(page.packed), [SqlValue::from("n2"), SqlValue::from("n3")]);
    transaction.commit().await.unwrap();
    assert_eq!(device.pending().await, 2);
}

#[tokio::test]
async fn a_bad_query_says_why_and_leaves_the_reader_usable() {
    let device = device_with_notes(1).await;
    let database = device.client().database();
    for sql in ["SELECT nothing FROM notes", "DELETE FROM notes"] {
        let error = database.query_pages(sql, vec![], SMALL).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Database, "{sql}");
    }
    assert_eq!(device.text("SELECT count(*) FROM notes").await, "1");
}

#[tokio::test]
async fn a_client_comes_and_goes_on_a_database_that_stays_open() {
    let mut device = device_with_notes(0).await;
    device.close().await;
    let elsewhere = device.path().with_file_name("other.db");
    let database = LocalDatabase::open(&elsewhere).await.unwrap();
    database.execute_script(NOTES).await.unwrap();
    let error = Client::open_in(&database, device.config()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("other.db"), "{error}");
    drop(database);

    let database = LocalDatabase::open(device.path()).await.unwrap();
    let client = Client::open_in(&database, device.config()).await.unwrap();
    let error = Client::open_in(&database, device.config()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyOwned);
    assert_eq!(database.uninstall_sync().await.unwrap_err().kind(), ErrorKind::AlreadyOwned);
    database.execute("INSERT INTO notes (id) VALUES ('n1')", vec![]).await.unwrap();
    assert_eq!(client.status().await.unwrap().pending_rows, 1, "what the database writes is captured");
    client.close().await;
    let client = Client::open_in(&database, device.config()).await.unwrap();
    assert_eq!(client.status().await.unwrap().pending_rows, 1);
    client.close().await;
    database.close().await;
    // Closed means closed: the next owner does not have to wait.
    let database = LocalDatabase::open(device.path()).await.unwrap();
    assert!(database.uninstall_sync().await.unwrap());
}
