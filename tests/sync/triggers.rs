//! Triggers of the app: they fire for remote rows too, and what they change elsewhere is a local change.

use crate::BOTH;
use rowtide::SyncTable;
use rowtide_tests::{Device, TestServer};

const TABLES: [(&str, &str); 2] = [("notes", "id"), ("counts", "id")];

async fn device(server: &TestServer, schema: &str) -> Device {
    let device = Device::new(server, "ada", schema, |config| {
        config.table(SyncTable::new("counts").key("id")).table(SyncTable::new("notes").key("id"))
    })
    .await;
    device.attach().await;
    device
}

const PLAIN: &str = "CREATE TABLE counts (id TEXT PRIMARY KEY NOT NULL, number INTEGER NOT NULL);
                     CREATE TABLE notes (id TEXT PRIMARY KEY NOT NULL, title TEXT);";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_text_index_follows_pulls_deletes_and_rebuilds() {
    for generation in BOTH {
        let schema = format!(
            "{PLAIN}
             CREATE VIRTUAL TABLE words USING fts5 (title, content = '', contentless_delete = 1);
             CREATE TRIGGER add_words AFTER INSERT ON notes BEGIN
                 INSERT INTO words (rowid, title) VALUES (NEW.rowid, NEW.title); END;
             CREATE TRIGGER change_words AFTER UPDATE ON notes BEGIN
                 DELETE FROM words WHERE rowid = OLD.rowid;
                 INSERT INTO words (rowid, title) VALUES (NEW.rowid, NEW.title); END;
             CREATE TRIGGER remove_words AFTER DELETE ON notes BEGIN DELETE FROM words WHERE rowid = OLD.rowid; END;"
        );
        let server = TestServer::new(generation, &TABLES);
        let (a, b) = (device(&server, &schema).await, device(&server, &schema).await);
        a.exec("INSERT INTO notes VALUES ('n1', 'red apples'), ('n2', 'green pears')").await;
        a.sync().await;
        b.sync().await;
        let found = |word: &str| format!("SELECT count(*) FROM words WHERE words MATCH '{word}'");
        assert_eq!(b.text(&found("apples")).await, "1");
        a.exec("UPDATE notes SET title = 'yellow plums' WHERE id = 'n1'; DELETE FROM notes WHERE id = 'n2'")
            .await;
        a.sync().await;
        b.sync().await;
        for (word, count) in [("apples", "0"), ("plums", "1"), ("pears", "0")] {
            assert_eq!(b.text(&found(word)).await, count, "{word}");
        }
        assert_eq!(b.pending().await, 0, "an index is no managed table");
        a.exec("UPDATE notes SET title = 'blue plums'").await;
        a.sync().await;
        b.client().rebuild().await.unwrap();
        assert_eq!((b.text(&found("blue")).await, b.text(&found("yellow")).await), ("1".into(), "0".into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_trigger_changes_in_another_managed_row_goes_up_unless_the_server_sent_that_row_too() {
    for generation in BOTH {
        let counting = format!(
            "{PLAIN}
             CREATE TRIGGER count_notes AFTER INSERT ON notes BEGIN
                 INSERT INTO counts VALUES ('notes', 1) ON CONFLICT (id) DO UPDATE SET number = number + 1; END;"
        );
        let server = TestServer::new(generation, &TABLES);
        // A older app without the trigger, and two that count.
        let plain = device(&server, PLAIN).await;
        let (a, b) = (device(&server, &counting).await, device(&server, &counting).await);
        plain.exec("INSERT INTO notes VALUES ('n1', 'x')").await;
        plain.sync().await;
        assert_eq!(a.sync().await.pushed_rows, 1, "the count is a local change here");
        plain.sync().await;
        assert_eq!(plain.text("SELECT number FROM counts").await, "1");
        // Both rows come in one bundle: counted there, not again here.
        b.sync().await;
        a.exec("INSERT INTO notes VALUES ('n2', 'y'), ('n3', 'z')").await;
        a.sync().await;
        let report = b.sync().await;
        assert_eq!((report.pushed_rows, b.text("SELECT number FROM counts").await.as_str()), (0, "3"));
        for device in [&a, &b, &plain] {
            device.sync().await;
            assert_eq!(device.text("SELECT number FROM counts").await, "3");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_touches_its_own_row_does_not_bounce_between_devices() {
    for generation in BOTH {
        let touching = format!(
            "{PLAIN}
             CREATE TRIGGER touch AFTER UPDATE OF title ON notes WHEN NEW.title NOT LIKE '%!' BEGIN
                 UPDATE notes SET title = NEW.title || '!' WHERE id = NEW.id; END;"
        );
        let server = TestServer::new(generation, &TABLES);
        let (a, b) = (device(&server, &touching).await, device(&server, &touching).await);
        a.exec("INSERT INTO notes VALUES ('n1', 'x')").await;
        a.sync().await;
        b.sync().await;
        a.exec("UPDATE notes SET title = 'y'").await;
        a.sync().await;
        assert_eq!(b.sync().await.pushed_rows, 0);
        assert_eq!(
            (a.text("SELECT title FROM notes").await, b.text("SELECT title FROM notes").await),
            ("y!".into(), "y!".into())
        );
        assert_eq!(a.sync().await.pulled_rows, 0);
    }
}
