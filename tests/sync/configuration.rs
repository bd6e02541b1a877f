//! What cannot be synchronised is refused before anything is written, with what to do about it.

use crate::BOTH;
use rowtide::{Client, Config, ErrorKind, LocalDatabase, SyncTable, annotated_tables};
use rowtide_tests::{Device, TestServer};
use tempfile::TempDir;

async fn refusal(sql: &str, tables: Vec<SyncTable>) -> String {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("app.db");
    let database = LocalDatabase::open(&path).await.unwrap();
    database.execute_script(sql).await.unwrap();
    drop(database);
    let config = Config::new(&path, "http://server.test", "business").unwrap().tables(tables);
    let error = Client::open(config).await.expect_err("the configuration is refused");
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let left = LocalDatabase::open(&path).await.unwrap();
    let found = left.query("SELECT name FROM sqlite_schema WHERE name = '_rowtide_layout'", vec![]).await;
    assert!(found.unwrap().rows.is_empty(), "nothing was written");
    error.to_string()
}

fn one(name: &str) -> Vec<SyncTable> {
    vec![SyncTable::new(name).key("id")]
}

#[tokio::test]
async fn each_refusal_names_the_table_the_column_and_the_mend() {
    for (sql, tables, words) in [
        (
            "CREATE TABLE t (id INTEGER PRIMARY KEY)",
            one("t"),
            vec!["t.id", "INTEGER", "TEXT PRIMARY KEY or BLOB PRIMARY KEY"],
        ),
        (
            "CREATE TABLE t (id TEXT, b TEXT, PRIMARY KEY (id, b))",
            one("t"),
            vec!["t.id", "sole primary key", "(id, b)"],
        ),
        ("CREATE TABLE t (id TEXT PRIMARY KEY, x)", one("t"), vec!["t.x", "no declared type"]),
        ("CREATE TABLE t (id TEXT PRIMARY KEY, _sync_scope_id TEXT)", one("t"), vec!["t", "_sync_scope_id"]),
        ("CREATE TABLE _rowtide_x (id TEXT PRIMARY KEY)", one("_rowtide_X"), vec!["_rowtide_X", "rename"]),
        ("CREATE VIEW t AS SELECT 'a' AS id", one("t"), vec!["t", "view"]),
        ("CREATE TABLE other (id TEXT PRIMARY KEY)", one("t"), vec!["t", "create it"]),
        (
            "CREATE TABLE p (id TEXT PRIMARY KEY); CREATE TABLE t (id TEXT PRIMARY KEY, p TEXT REFERENCES p (id))",
            one("t"),
            vec!["not FK-closed", "t.p -> p.id", "configure table p"],
        ),
        ("CREATE TABLE t (id TEXT PRIMARY KEY)", vec![SyncTable::new("t")], vec!["t", "explicitly"]),
        (
            "CREATE TABLE t (id TEXT PRIMARY KEY)",
            vec![SyncTable::new("t").key("a").key("b")],
            vec!["exactly one sync key"],
        ),
        (
            "CREATE TABLE t (id TEXT PRIMARY KEY)",
            vec![SyncTable::new("t").key("id"), SyncTable::new("T").key("id")],
            vec!["twice"],
        ),
        ("CREATE TABLE t (id TEXT PRIMARY KEY)", vec![], vec!["no table"]),
    ] {
        let text = refusal(sql, tables).await;
        for word in words {
            assert!(text.contains(word), "{text:?} should mention {word:?}");
        }
    }
}

#[tokio::test]
async fn a_null_key_is_refused_at_the_write_and_a_nullable_key_column_is_accepted() {
    let server = TestServer::new(BOTH[1], &[("t", "id"), ("b", "id")]);
    let schema =
        "CREATE TABLE t (id TEXT PRIMARY KEY); CREATE TABLE b (id BLOB PRIMARY KEY DEFAULT (randomblob(16)))";
    let device = Device::new(&server, "ada", schema, |config| {
        config.table(SyncTable::new("t").key("id")).table(SyncTable::new("b").key("id"))
    })
    .await;
    for (sql, words) in [
        ("INSERT INTO t VALUES (NULL)", "t.id is a sync key"),
        ("INSERT INTO b VALUES (NULL)", "b.id is a sync key"),
        ("INSERT INTO b VALUES (x'00')", "16-byte UUID"),
        ("INSERT INTO t VALUES (x'00')", "TEXT value"),
    ] {
        let error = device.client().execute(sql, vec![]).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    device.exec("INSERT INTO b DEFAULT VALUES; INSERT INTO t VALUES ('x')").await;
    let error = device.client().execute("UPDATE t SET id = NULL", vec![]).await.unwrap_err();
    assert!(error.to_string().contains("t.id"));
    assert_eq!(device.pending().await, 2);
}

#[tokio::test]
async fn a_second_open_of_the_same_database_gets_already_owned_at_once() {
    let server = TestServer::new(BOTH[0], &[("t", "id")]);
    let device = Device::new(&server, "ada", "CREATE TABLE t (id TEXT PRIMARY KEY)", |config| {
        config.table(SyncTable::new("t").key("id"))
    })
    .await;
    assert_eq!(Client::open(device.config()).await.unwrap_err().kind(), ErrorKind::AlreadyOwned);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_differ_from_the_servers_are_named_before_anything_is_sent() {
    for (generation, tables) in
        [(BOTH[0], vec![("other", "id")]), (BOTH[1], vec![("t", "id"), ("more", "id")])]
    {
        let server = TestServer::new(generation, &tables);
        let device = Device::new(&server, "ada", "CREATE TABLE t (id TEXT PRIMARY KEY)", |config| {
            config.table(SyncTable::new("t").key("id"))
        })
        .await;
        let error = device.client().attach("ada").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TableMismatch);
        let expected =
            if generation == BOTH[0] { "only here: business.t" } else { "only at the server: business.more" };
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn annotated_sql_configures_the_tables() {
    let sql = "-- @@{ enableSync=true }\nCREATE TABLE docs (doc_id TEXT PRIMARY KEY NOT NULL, title TEXT);";
    let server = TestServer::new(BOTH[1], &[("docs", "doc_id")]);
    let tables = annotated_tables(sql).unwrap();
    let device = Device::new(&server, "ada", sql, move |config| config.tables(tables.clone())).await;
    device.exec("INSERT INTO docs VALUES ('d', 't')").await;
    device.attach().await;
    assert_eq!(device.sync().await.pushed_rows, 1);
}
