//! Apps of several versions at one server: columns and tables come and go, and nothing is lost.

use crate::BOTH;
use rowtide::protocol::profile::WireGeneration;
use rowtide::{Client, Config, ErrorKind, SqlValue, SyncTable, UnknownColumns};
use rowtide_tests::{Device, Endpoint, Fault, FixedTokens, TestServer, open_local};
use std::path::Path;

const OLD: &str =
    "CREATE TABLE notes (id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL DEFAULT '', stars INTEGER);";
const UPGRADE: &str = "ALTER TABLE notes ADD COLUMN labels TEXT NOT NULL DEFAULT 'none';
                       ALTER TABLE notes ADD COLUMN priority INTEGER;
                       ALTER TABLE notes ADD COLUMN attachment BLOB;";

const TABLES: [(&str, &str); 1] = [("notes", "id")];

fn keeping(config: Config) -> Config {
    config.table(SyncTable::new("notes").key("id")).unknown_columns(UnknownColumns::Keep)
}

/// Closes the device, changes its schema, and opens it again with another configuration.
async fn upgrade(
    device: &mut Device,
    server: &TestServer,
    sql: &str,
    change: impl FnOnce(Config) -> Config,
) -> Client {
    device.close().await;
    let database = open_local(&device.path()).await;
    database.migrate(sql).await.unwrap();
    drop(database);
    open(&device.path(), server, change).await
}

async fn open(path: &Path, server: &TestServer, change: impl FnOnce(Config) -> Config) -> Client {
    let config = Config::new(path, "http://server.test", "business")
        .unwrap()
        .transport(server.clone())
        .tokens(FixedTokens(server.token("ada")));
    rowtide_tests::open(&change(config)).await.unwrap()
}

async fn all(client: &Client) -> Vec<Vec<SqlValue>> {
    let columns = "SELECT id, title, stars, labels, priority, hex(attachment) FROM notes ORDER BY id";
    client.query(columns, vec![]).await.unwrap().rows
}

#[tokio::test(flavor = "multi_thread")]
async fn old_and_new_versions_share_a_user_for_a_week_and_lose_no_column() {
    for generation in BOTH {
        let server = TestServer::new(generation, &TABLES);
        let mut old = Device::new(&server, "ada", OLD, keeping).await;
        let new = Device::new(&server, "ada", &format!("{OLD}{UPGRADE}"), keeping).await;
        old.exec("INSERT INTO notes (id, title) VALUES ('n0', 'from the old app')").await;
        old.attach().await;
        old.sync().await;
        new.attach().await;
        for day in 1..=7 {
            new.exec(&format!(
                "INSERT INTO notes VALUES ('new{day}', 'day {day}', {day}, '\"quoted\" \u{e9}', -9007199254740993, x'00ff0{day}');
                 UPDATE notes SET labels = labels || ',{day}', priority = {day} WHERE id = 'n0'"
            ))
            .await;
            new.sync().await;
            old.sync().await;
            old.exec(&format!(
                "INSERT INTO notes (id, title) VALUES ('old{day}', 'day {day}');
                 UPDATE notes SET title = 'edited on day {day}', stars = {day} WHERE id IN ('n0', 'new{day}')"
            ))
            .await;
            if day == 3 {
                // A lost answer, so that the rows are compared with what was sent.
                server.fail(Endpoint::PushCommit, 0, 1, Fault::ApplyThenDropReply);
            }
            if day == 5 {
                old.reopen().await;
                old.client().rebuild().await.unwrap();
            }
            old.sync().await;
            new.sync().await;
        }
        let seen = all(new.client()).await;
        assert_eq!(seen.len(), 15);
        let n0: Vec<SqlValue> = ["n0", "edited on day 7"].map(SqlValue::from).into();
        assert_eq!(seen[0][..2], n0);
        assert_eq!(seen[0][3..5], [SqlValue::from("none,1,2,3,4,5,6,7"), SqlValue::Integer(7)]);
        // The old app is updated at last, with a change pending: everything that it carried through is there.
        old.exec("UPDATE notes SET stars = 100 WHERE id = 'new1'").await;
        let old = upgrade(&mut old, &server, UPGRADE, keeping).await;
        let pending = old.status().await.unwrap().pending_rows;
        assert_eq!(pending, 1, "the update itself is no change of rows");
        let mut expected = seen.clone();
        expected.iter_mut().find(|row| row[0] == SqlValue::from("new1")).unwrap()[2] = SqlValue::Integer(100);
        assert_eq!(all(&old).await, expected);
        old.sync().await.unwrap();
        new.sync().await;
        assert_eq!(all(new.client()).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_the_app_lacks_is_refused_with_a_clear_state_unless_it_is_kept() {
    for generation in BOTH {
        let server = TestServer::new(generation, &TABLES);
        let new = Device::new(&server, "ada", &format!("{OLD}{UPGRADE}"), keeping).await;
        new.exec("INSERT INTO notes (id, priority) VALUES ('n1', 1)").await;
        new.attach().await;
        new.sync().await;
        let plain = |config: Config| config.table(SyncTable::new("notes").key("id"));
        let old = Device::new(&server, "ada", OLD, plain).await;
        let error = old.client().attach("ada").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TableMismatch);
        for word in ["notes", "attachment", "unknown_columns"] {
            assert!(error.to_string().contains(word), "{error}");
        }
        assert_eq!(old.client().status().await.unwrap().health, rowtide::Health::TableMismatch);
        assert_eq!(old.text("SELECT count(*) FROM notes").await, "0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_the_server_lacks_is_a_clear_error_at_the_first_sync() {
    for generation in BOTH {
        let server = TestServer::new(generation, &TABLES);
        let plain = |config: Config| config.table(SyncTable::new("notes").key("id"));
        let old = Device::new(&server, "ada", OLD, plain).await;
        old.exec("INSERT INTO notes (id) VALUES ('n1')").await;
        old.attach().await;
        old.sync().await;
        server.tables_are_final();
        let new = Device::new(&server, "ada", &format!("{OLD}{UPGRADE}"), plain).await;
        let error = new.client().attach("ada").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TableMismatch);
        assert!(error.to_string().contains("lacks column attachment"), "{error}");
    }
}

const TAGS: &str = "CREATE TABLE tags (id TEXT PRIMARY KEY NOT NULL, name TEXT);";

fn with_tags(config: Config) -> Config {
    config.table(SyncTable::new("notes").key("id")).table(SyncTable::new("tags").key("id"))
}

/// The server has both tables from the start; the first app version knows only one of them.
async fn later(generation: WireGeneration, tags: &str) -> (TestServer, Device, Device) {
    let server = TestServer::new(generation, &[("notes", "id"), ("tags", "id")]);
    let plain = |config: Config| config.table(SyncTable::new("notes").key("id"));
    let old = Device::new(&server, "ada", OLD, plain).await;
    let new = Device::new(&server, "ada", &format!("{OLD}{tags}"), with_tags).await;
    (server, old, new)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_configured_later_is_hydrated_alone_and_its_local_rows_are_kept() {
    let (server, mut old, new) = later(WireGeneration::A, TAGS).await;
    new.exec("INSERT INTO notes (id) VALUES ('n1'), ('n2'), ('n3')").await;
    new.exec("INSERT INTO tags VALUES ('t1', 'server'), ('both', 'server')").await;
    new.attach().await;
    new.sync().await;
    old.attach().await;
    new.exec("INSERT INTO tags VALUES ('t2', 'server'); UPDATE notes SET title = 'x' WHERE id = 'n1'").await;
    new.sync().await;
    // Rows of a table that is not configured are passed over.
    assert_eq!(old.sync().await.pulled_rows, 1);
    let tags = format!("{TAGS} INSERT INTO tags VALUES ('mine', 'local'), ('both', 'local');");
    let old = upgrade(&mut old, &server, &tags, with_tags).await;
    new.exec("UPDATE notes SET title = 'y' WHERE id = 'n2'").await;
    new.sync().await;
    server.take_exchanges();
    let report = old.sync().await.unwrap();
    assert_eq!(report.hydrated_rows, 3, "the rows of the new table alone");
    let sessions = server.take_exchanges().iter().filter(|x| x.endpoint == Endpoint::SnapshotCreate).count();
    assert_eq!(sessions, 1);
    new.sync().await;
    let rows = "SELECT group_concat(id || name) FROM (SELECT * FROM tags ORDER BY id)";
    assert_eq!(new.text(rows).await, "bothserver,minelocal,t1server,t2server");
    let mine = old.query(rows, vec![]).await.unwrap().rows;
    assert_eq!(mine[0][0], SqlValue::from("bothserver,minelocal,t1server,t2server"));
    assert_eq!(
        old.query("SELECT title FROM notes WHERE id = 'n2'", vec![]).await.unwrap().rows[0][0],
        "y".into()
    );
    // It is done once.
    server.take_exchanges();
    old.sync().await.unwrap();
    assert!(server.take_exchanges().iter().all(|x| x.endpoint != Endpoint::SnapshotCreate));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_added_later_that_others_refer_to_comes_with_a_rebuild_and_breaks_no_reference() {
    let tags = "CREATE TABLE tags (id TEXT PRIMARY KEY NOT NULL, name TEXT, parent TEXT REFERENCES tags (id) ON DELETE CASCADE);";
    let (server, mut old, new) = later(WireGeneration::A, tags).await;
    new.exec("INSERT INTO notes (id) VALUES ('n1')").await;
    new.exec("INSERT INTO tags VALUES ('t1', 'root', NULL), ('t2', 'child', 't1')").await;
    new.attach().await;
    new.sync().await;
    old.attach().await;
    new.exec("INSERT INTO tags VALUES ('t3', 'grandchild', 't2')").await;
    new.sync().await;
    let old = upgrade(&mut old, &server, tags, with_tags).await;
    let report = old.sync().await.unwrap();
    assert_eq!((report.hydrated_rows, report.pushed_rows), (4, 0));
    assert_eq!(
        old.query("SELECT count(*) FROM tags", vec![]).await.unwrap().rows[0][0],
        SqlValue::Integer(3)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_table_stops_syncing_and_keeps_its_rows_and_other_pending_rows_go_up() {
    for generation in BOTH {
        let (server, _, mut new) = later(generation, TAGS).await;
        let other = Device::new(&server, "ada", &format!("{OLD}{TAGS}"), with_tags).await;
        new.exec("INSERT INTO notes (id) VALUES ('n1'); INSERT INTO tags VALUES ('t1', 'x')").await;
        new.attach().await;
        new.sync().await;
        other.attach().await;
        new.exec("UPDATE notes SET title = 'pending'; UPDATE tags SET name = 'given up'").await;
        server.fail(Endpoint::PushCommit, 0, 9, Fault::DropRequest);
        new.client().sync().await.unwrap_err();
        server.heal();
        other.exec("UPDATE tags SET name = 'other'").await;
        other.sync().await;
        let plain = |config: Config| config.table(SyncTable::new("notes").key("id"));
        let smaller = upgrade(&mut new, &server, "SELECT 1", plain).await;
        assert_eq!(smaller.sync().await.unwrap().pushed_rows, 1);
        smaller.execute("UPDATE tags SET name = name || '!'", vec![]).await.unwrap();
        assert_eq!(smaller.status().await.unwrap().pending_rows, 0);
        let name = smaller.query("SELECT name FROM tags", vec![]).await.unwrap().rows[0][0].clone();
        assert_eq!(name, SqlValue::from("given up!"));
        other.sync().await;
        assert_eq!(other.text("SELECT title || (SELECT name FROM tags) FROM notes").await, "pendingother");
        // It comes back with what the server has.
        smaller.close().await;
        let again = open(&new.path(), &server, with_tags).await;
        again.sync().await.unwrap();
        let name = again.query("SELECT name FROM tags", vec![]).await.unwrap().rows[0][0].clone();
        assert_eq!(name, SqlValue::from("other"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuilt_table_keeps_its_capture_and_takes_nothing_along() {
    let schema = "CREATE TABLE notes (id TEXT PRIMARY KEY NOT NULL, title TEXT);
                  CREATE TABLE tags (id TEXT PRIMARY KEY NOT NULL, note TEXT REFERENCES notes (id) ON DELETE CASCADE);";
    let server = TestServer::new(WireGeneration::B, &[("notes", "id"), ("tags", "id")]);
    let mut a = Device::new(&server, "ada", schema, with_tags).await;
    a.exec("INSERT INTO notes VALUES ('n1', 'x'); INSERT INTO tags VALUES ('t1', 'n1')").await;
    a.attach().await;
    a.sync().await;
    let rebuild = "CREATE TABLE rebuilt (id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL DEFAULT '' CHECK (length(title) < 100));
                   INSERT INTO rebuilt SELECT id, ifnull(title, '') FROM notes;
                   DROP TABLE notes;
                   ALTER TABLE rebuilt RENAME TO notes;";
    a.close().await;
    let database = open_local(&a.path()).await;
    database.migrate(rebuild).await.unwrap();
    database.execute_script("UPDATE notes SET title = 'captured before the next open'").await.unwrap();
    let broken = database.migrate("DELETE FROM notes").await.unwrap_err();
    assert!(broken.to_string().contains("tags"), "{broken}");
    drop(database);
    a.reopen().await;
    assert_eq!((a.pending().await, a.text("SELECT count(*) FROM tags").await.as_str()), (1, "1"));
    assert_eq!(a.sync().await.pushed_rows, 1);
}
