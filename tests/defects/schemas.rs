//! 23 and 34: tables as apps have them.

use crate::BOTH;
use rowtide::{AnonymousRows, Client, Config, ErrorKind, LocalDatabase, Outcome, SyncTable};
use rowtide_tests::{Device, TestServer};
use tempfile::TempDir;

#[tokio::test]
async fn defect_23_a_second_column_of_the_key_is_noticed_before_anything_is_written() {
    for sql in [
        "CREATE TABLE t (id TEXT NOT NULL, part TEXT NOT NULL, PRIMARY KEY (id, part))",
        "CREATE TABLE t (part TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (part, id))",
        "CREATE TABLE t (id BLOB NOT NULL, part INTEGER NOT NULL, PRIMARY KEY (id, part)) WITHOUT ROWID",
    ] {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("app.db");
        LocalDatabase::open(&path).await.unwrap().execute_script(sql).await.unwrap();
        let config = Config::new(&path, "http://server.test", "business").unwrap();
        let opened = Client::open(config.table(SyncTable::new("t").key("id"))).await;
        let error = opened.expect_err("half a key is no key");
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("id") && error.to_string().contains("part"), "{error}");
        let left = LocalDatabase::open(&path).await.unwrap();
        let objects = left
            .query("SELECT count(*) FROM sqlite_schema WHERE name LIKE '\\_rowtide%' ESCAPE '\\'", vec![]);
        assert_eq!(objects.await.unwrap().rows, [[0_i64.into()]]);
    }
}

const RESTRICTED: &str = "
    CREATE TABLE albums (id TEXT PRIMARY KEY NOT NULL, name TEXT);
    CREATE TABLE songs (id TEXT PRIMARY KEY NOT NULL, album TEXT NOT NULL REFERENCES albums (id) ON DELETE RESTRICT);
    CREATE TABLE plays (id TEXT PRIMARY KEY NOT NULL, song TEXT NOT NULL REFERENCES songs (id) ON DELETE RESTRICT);";
const ROWS: &str =
    "INSERT INTO albums VALUES ('a1', 'x'), ('a2', 'x'); INSERT INTO songs VALUES ('s1', 'a1'), ('s2', 'a2');
    INSERT INTO plays VALUES ('p1', 's1'), ('p2', 's2')";
const COUNT: &str =
    "SELECT (SELECT count(*) FROM albums) + (SELECT count(*) FROM songs) + (SELECT count(*) FROM plays)";

async fn restricted(server: &TestServer, order: [&'static str; 3]) -> Device {
    Device::new(server, "ada", RESTRICTED, move |config| {
        config
            .tables(order.map(|table| SyncTable::new(table).key("id")))
            .anonymous_rows(AnonymousRows::Discard)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_34_tables_whose_references_restrict_deletes_are_cleared_children_first() {
    for generation in BOTH {
        for order in
            [["albums", "songs", "plays"], ["plays", "songs", "albums"], ["songs", "albums", "plays"]]
        {
            let server = TestServer::new(generation, &[("albums", "id"), ("songs", "id"), ("plays", "id")]);
            let a = restricted(&server, order).await;
            a.exec(ROWS).await;
            a.attach().await;
            a.sync().await;
            // Rows that were written before are discarded, all of them parents or children.
            let b = restricted(&server, order).await;
            b.exec("INSERT INTO albums VALUES ('own', ''); INSERT INTO songs VALUES ('own', 'own')").await;
            b.attach().await;
            assert_eq!(b.text(COUNT).await, "6");
            b.exec("DELETE FROM plays WHERE id = 'p1'; DELETE FROM songs WHERE id = 's1'; DELETE FROM albums WHERE id = 'a1'").await;
            b.sync().await;
            a.client().rebuild().await.unwrap();
            assert_eq!(a.text(COUNT).await, "3");
            b.exec("DELETE FROM plays; DELETE FROM songs; INSERT INTO albums VALUES ('a3', '')").await;
            b.sync().await;
            a.sync().await;
            assert_eq!(a.text(COUNT).await, "2");
            for device in [&a, &b] {
                assert_eq!(device.client().detach().await.unwrap().outcome, Outcome::Detached);
                assert_eq!(device.text(COUNT).await, "0");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_34_a_table_that_restricts_deletes_of_its_own_rows_is_cleared() {
    const SCHEMA: &str = "CREATE TABLE nodes (id TEXT PRIMARY KEY NOT NULL, parent TEXT REFERENCES nodes (id) ON DELETE RESTRICT)";
    for generation in BOTH {
        let server = TestServer::new(generation, &[("nodes", "id")]);
        let a = Device::new(&server, "ada", SCHEMA, |config| config.table(SyncTable::new("nodes").key("id")))
            .await;
        a.exec("INSERT INTO nodes VALUES ('root', NULL), ('leaf', 'root'), ('a-leaf', 'leaf')").await;
        a.attach().await;
        a.sync().await;
        assert_eq!(a.client().detach().await.unwrap().outcome, Outcome::Detached);
        assert_eq!(a.text("SELECT count(*) FROM nodes").await, "0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_34_triggers_and_tables_of_the_app_keep_their_names_and_their_work() {
    const SCHEMA: &str = "
        CREATE TABLE items (id TEXT PRIMARY KEY NOT NULL, title TEXT);
        CREATE TABLE items_au (id TEXT PRIMARY KEY NOT NULL);
        CREATE TABLE _sync_dirty_rows (what TEXT);
        CREATE TRIGGER trg_items_ai AFTER INSERT ON items BEGIN INSERT INTO _sync_dirty_rows VALUES ('ai'); END;
        CREATE TRIGGER trg_items_au AFTER UPDATE ON items BEGIN INSERT INTO _sync_dirty_rows VALUES ('au'); END;
        CREATE TRIGGER trg_items_ad AFTER DELETE ON items BEGIN INSERT INTO _sync_dirty_rows VALUES ('ad'); END;
        CREATE TRIGGER trg_items_bi_guard BEFORE INSERT ON items BEGIN INSERT INTO _sync_dirty_rows VALUES ('bi'); END;";
    for generation in BOTH {
        let server = TestServer::new(generation, &[("items", "id"), ("items_au", "id")]);
        let mut a = Device::new(&server, "ada", SCHEMA, |config| {
            config.tables(["items", "items_au"].map(|table| SyncTable::new(table).key("id")))
        })
        .await;
        a.reopen().await;
        a.attach().await;
        a.exec("INSERT INTO items VALUES ('i1', ''), ('i2', ''); INSERT INTO items_au VALUES ('x')").await;
        assert_eq!(a.sync().await.pushed_rows, 3);
        a.exec("UPDATE items SET title = 'new' WHERE id = 'i1'; DELETE FROM items WHERE id = 'i2'").await;
        assert_eq!(a.sync().await.pushed_rows, 2);
        let fired = "SELECT group_concat(what, ' ') FROM _sync_dirty_rows";
        assert_eq!(a.text(fired).await, "bi ai bi ai au ad");
        let names = "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'trg%'";
        assert_eq!(a.text(names).await, "4");
    }
}
