//! Conflicts: policies, the resolver, races, and what SQLite would take away by itself.

use crate::{BOTH, converge, two_devices};
use async_trait::async_trait;
use rowtide::protocol::profile::WireGeneration;
use rowtide::{ConflictPolicy, Decision, Resolver, ResolverError, RowConflict, SqlValue, SyncTable};
use rowtide_tests::{Device, Endpoint, NOTES, TestServer};
use std::sync::{Arc, Mutex};

async fn with_policy(server: &TestServer, policy: ConflictPolicy) -> Device {
    let device = Device::new(server, "ada", NOTES, move |config| {
        config
            .table(SyncTable::new("notes").key("id").policy(policy))
            .table(SyncTable::new("tags").key("id").policy(policy))
    })
    .await;
    device.attach().await;
    device
}

/// B has changed `change_b` and pushed it; A has `change_a` pending and syncs.
async fn collide(
    generation: WireGeneration,
    policy: ConflictPolicy,
    change_a: &str,
    change_b: &str,
) -> (Device, Device, i64) {
    let (server, _, b) = two_devices(generation, "INSERT INTO notes (id, title) VALUES ('n1', 'old')").await;
    let a = with_policy(&server, policy).await;
    b.exec(change_b).await;
    b.sync().await;
    a.exec(change_a).await;
    let conflicts = a.sync().await.conflicts;
    converge(&a, &b).await;
    (a, b, conflicts)
}

const EDIT: &str = "UPDATE notes SET title = 'mine' WHERE id = 'n1'";
const OTHER_EDIT: &str = "UPDATE notes SET title = 'theirs' WHERE id = 'n1'";
const REMOVE: &str = "DELETE FROM notes WHERE id = 'n1'";
const TITLES: &str = "SELECT ifnull(group_concat(title), 'gone') FROM notes";

#[tokio::test(flavor = "multi_thread")]
async fn policies_decide_edit_against_edit_and_delete_in_both_directions() {
    use ConflictPolicy::{ClientWins, ServerWins};
    for generation in BOTH {
        for (policy, mine, theirs, expected) in [
            (ServerWins, EDIT, OTHER_EDIT, "theirs"),
            (ClientWins, EDIT, OTHER_EDIT, "mine"),
            (ServerWins, EDIT, REMOVE, "gone"),
            (ClientWins, EDIT, REMOVE, "mine"),
            (ServerWins, REMOVE, OTHER_EDIT, "theirs"),
            (ClientWins, REMOVE, OTHER_EDIT, "gone"),
        ] {
            let (a, _, conflicts) = collide(generation, policy, mine, theirs).await;
            assert_eq!(
                (a.text(TITLES).await.as_str(), conflicts),
                (expected, 1),
                "{policy:?}: {mine} / {theirs}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_change_on_both_sides_is_no_conflict() {
    for generation in BOTH {
        for change in [EDIT, REMOVE] {
            let (_, _, conflicts) = collide(generation, ConflictPolicy::Callback, change, change).await;
            assert_eq!(conflicts, 0);
        }
    }
}

/// Keeps the higher number of stars, and remembers what it was asked.
struct MoreStars(Arc<Mutex<Vec<Vec<RowConflict>>>>);

#[async_trait]
impl Resolver for MoreStars {
    async fn resolve(&self, conflicts: &[RowConflict]) -> Result<Vec<Decision>, ResolverError> {
        self.0.lock().unwrap().push(conflicts.to_vec());
        let merged = conflicts.iter().map(|conflict| {
            let (Some(local), Some(server)) = (&conflict.local, &conflict.server) else {
                return Decision::KeepLocal;
            };
            let stars = |row: &rowtide::RowValues| match row["stars"] {
                SqlValue::Integer(stars) => stars,
                _ => 0,
            };
            let mut row = server.clone();
            row.insert("stars".into(), SqlValue::Integer(stars(local).max(stars(server))));
            Decision::KeepMerged(row)
        });
        Ok(merged.collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_resolver_gets_all_conflicts_of_a_round_at_once_with_typed_values() {
    for generation in BOTH {
        let seed =
            "INSERT INTO notes (id, stars, body) VALUES ('n1', 1, x'00ff'), ('n2', 1, NULL), ('n3', 1, NULL)";
        let (server, _, b) = two_devices(generation, seed).await;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let resolver = asked.clone();
        let a = Device::new(&server, "ada", NOTES, move |config| {
            config
                .table(SyncTable::new("notes").key("id").policy(ConflictPolicy::Callback))
                .table(SyncTable::new("tags").key("id"))
                .resolver(MoreStars(resolver.clone()))
        })
        .await;
        a.attach().await;
        // Each row moves in a bundle of its own, and the first one twice.
        for change in
            ["stars = 5 WHERE id = 'n1'", "stars = 2 WHERE id = 'n2'", "title = 'again' WHERE id = 'n1'"]
        {
            b.exec(&format!("UPDATE notes SET {change}")).await;
            b.sync().await;
        }
        a.exec("UPDATE notes SET stars = 3 WHERE id IN ('n1', 'n2')").await;
        let report = a.sync().await;
        let asked = asked.lock().unwrap().clone();
        assert_eq!(asked.len(), 1, "one call for the round");
        let keys: Vec<_> = asked[0].iter().map(|conflict| conflict.key.as_str()).collect();
        assert_eq!(keys, ["n2", "n1"]);
        let newest = asked[0][1].server.as_ref().unwrap();
        assert_eq!(newest["title"], SqlValue::from("again"));
        assert_eq!(newest["body"], SqlValue::Blob(vec![0, 255]));
        assert!(report.conflicts >= 2);
        converge(&a, &b).await;
        assert_eq!(a.text("SELECT group_concat(id || stars || title) FROM notes").await, "n15again,n23,n31");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_resolver_gets_all_conflicts_of_a_first_download_at_once() {
    for generation in BOTH {
        let seed = "INSERT INTO notes (id, stars) VALUES ('n1', 1), ('n2', 9), ('n3', 1)";
        let (server, b, _) = two_devices(generation, seed).await;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let resolver = asked.clone();
        let a = Device::new(&server, "ada", NOTES, move |config| {
            config
                .table(SyncTable::new("notes").key("id").policy(ConflictPolicy::Callback))
                .table(SyncTable::new("tags").key("id"))
                .resolver(MoreStars(resolver.clone()))
        })
        .await;
        a.exec("INSERT INTO notes (id, stars) VALUES ('n1', 5), ('n2', 5), ('own', 5)").await;
        a.attach().await;
        let calls: Vec<usize> = asked.lock().unwrap().iter().map(Vec::len).collect();
        assert_eq!(calls, [2]);
        converge(&a, &b).await;
        assert_eq!(b.text("SELECT group_concat(id || stars) FROM notes").await, "n15,n29,n31,own5");
    }
}

struct Broken;

#[async_trait]
impl Resolver for Broken {
    async fn resolve(&self, conflicts: &[RowConflict]) -> Result<Vec<Decision>, ResolverError> {
        let incomplete = [("id".to_owned(), SqlValue::from(conflicts[0].key.as_str()))];
        Ok(vec![Decision::KeepMerged(incomplete.into_iter().collect())])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_decision_sends_the_row_to_the_inbox_and_names_the_column() {
    let (server, _, b) = two_devices(BOTH[1], "INSERT INTO notes (id, title) VALUES ('n1', 'old')").await;
    let a = Device::new(&server, "ada", NOTES, |config| {
        config
            .table(SyncTable::new("notes").key("id").policy(ConflictPolicy::Callback))
            .table(SyncTable::new("tags").key("id"))
            .resolver(Broken)
    })
    .await;
    a.attach().await;
    b.exec(OTHER_EDIT).await;
    b.sync().await;
    a.exec(EDIT).await;
    assert_eq!(a.sync().await.refused_rows, 1);
    let refused = a.client().refused_rows().await.unwrap().remove(0);
    assert!(refused.message.contains("table notes lacks column body"), "{}", refused.message);
    assert_eq!(refused.content.unwrap()["title"], SqlValue::from("mine"));
    assert_eq!((a.pending().await, a.text(TITLES).await.as_str()), (0, "theirs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_rows_changed_during_a_push_of_ten_thousand_cost_at_most_twenty_requests_more() {
    for generation in BOTH {
        let numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)";
        let seed = format!("INSERT INTO notes (id, stars) {numbers} SELECT printf('n%05d', i), 0 FROM n");
        let (server, a, b) = two_devices(generation, &seed).await;
        a.exec("UPDATE notes SET stars = 1").await;
        server.take_exchanges();
        a.sync().await;
        let clean = server.take_exchanges().len();
        b.sync().await;

        a.exec("UPDATE notes SET stars = 2").await;
        b.exec("UPDATE notes SET stars = 3 WHERE id < 'n00101'").await;
        let (other, runtime) = (b.client().clone(), tokio::runtime::Handle::current());
        server.before(Endpoint::PushCommit, move || {
            runtime.block_on(other.sync()).unwrap();
        });
        server.take_exchanges();
        let report = a.sync().await;
        let by_b = 5;
        let raced = server.take_exchanges().len() - by_b;
        assert!(raced <= clean + 20, "{raced} requests, {clean} without the race");
        assert_eq!(report.conflicts, 100);
        converge(&a, &b).await;
        assert_eq!(
            a.text("SELECT group_concat(n) FROM (SELECT count(*) n FROM notes GROUP BY stars)").await,
            "9900,100"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_made_during_a_push_stays_and_goes_up_with_the_next() {
    for generation in BOTH {
        let (server, a, b) =
            two_devices(generation, "INSERT INTO notes (id, title) VALUES ('n1', 'old'), ('n2', 'old')")
                .await;
        a.exec("UPDATE notes SET title = 'first'; INSERT INTO notes (id) VALUES ('n3')").await;
        let (writer, runtime) = (a.client().clone(), tokio::runtime::Handle::current());
        server.before(Endpoint::PushCommit, move || {
            let edit = "UPDATE notes SET title = 'second' WHERE id = 'n1'; DELETE FROM notes WHERE id = 'n3'";
            runtime.block_on(writer.execute_script(edit)).unwrap();
        });
        a.sync().await;
        assert_eq!(a.text("SELECT group_concat(title) FROM notes").await, "second,first");
        assert_eq!(a.pending().await, 2);
        converge(&a, &b).await;
        assert_eq!(b.text("SELECT group_concat(title) FROM notes").await, "second,first");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dirty_child_of_a_parent_deleted_elsewhere_goes_to_the_inbox_and_can_be_retried() {
    for generation in BOTH {
        let (_server, a, b) = two_devices(generation, "INSERT INTO notes (id) VALUES ('n1'), ('n2')").await;
        b.exec("DELETE FROM notes WHERE id = 'n1'").await;
        b.sync().await;
        a.exec("INSERT INTO tags (name, note_id) VALUES ('mine', 'n1')").await;
        let report = a.sync().await;
        assert_eq!(report.refused_rows, 1);
        let refused = a.client().refused_rows().await.unwrap();
        assert_eq!((refused[0].table.as_str(), refused[0].reason.as_str()), ("tags", "parent_missing"));
        assert!(matches!(
            a.client().detach().await.unwrap().outcome,
            rowtide::Outcome::BlockedUnsyncedData { rows: 1 }
        ));
        converge(&a, &b).await;
        assert!(a.client().retry_refused().await.is_err(), "the parent is still missing");
        a.exec("INSERT INTO notes (id) VALUES ('n1')").await;
        assert_eq!(a.client().retry_refused().await.unwrap(), 1);
        converge(&a, &b).await;
        assert_eq!(b.text("SELECT name FROM tags").await, "mine");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dirty_branch_below_a_deleted_row_goes_to_the_inbox_whole_and_comes_back_whole() {
    const SCHEMA: &str = "
        CREATE TABLE roots (id TEXT PRIMARY KEY NOT NULL);
        CREATE TABLE twigs (id TEXT PRIMARY KEY NOT NULL, name TEXT, root TEXT NOT NULL REFERENCES roots (id) ON DELETE CASCADE);
        CREATE TABLE leaves (id TEXT PRIMARY KEY NOT NULL, name TEXT, twig TEXT NOT NULL REFERENCES twigs (id) ON DELETE CASCADE);";
    for generation in BOTH {
        let server = TestServer::new(generation, &[("roots", "id"), ("twigs", "id"), ("leaves", "id")]);
        let device = async || {
            let device = Device::new(&server, "ada", SCHEMA, |config| {
                config.tables(["leaves", "roots", "twigs"].map(|table| SyncTable::new(table).key("id")))
            })
            .await;
            device.attach().await;
            device
        };
        let a = device().await;
        a.exec(
            "INSERT INTO roots VALUES ('r'); INSERT INTO twigs VALUES ('t', 'old', 'r'), ('u', 'old', 'r')",
        )
        .await;
        a.exec("INSERT INTO leaves VALUES ('l', 'old', 't')").await;
        a.sync().await;
        let b = device().await;
        // Only the root is deleted at the server: what falls with it there arrives in the same bundle.
        b.exec("DELETE FROM roots").await;
        b.sync().await;
        a.exec("INSERT INTO twigs VALUES ('v', 'mine', 'r'); INSERT INTO leaves VALUES ('m', 'mine', 'v')")
            .await;
        a.sync().await;
        assert_eq!(a.text("SELECT (SELECT count(*) FROM roots) + (SELECT count(*) FROM twigs) + (SELECT count(*) FROM leaves)").await, "0");
        let refused: Vec<_> =
            a.client().refused_rows().await.unwrap().into_iter().map(|row| row.key).collect();
        assert_eq!(refused.len(), 2, "{refused:?}");
        a.exec("INSERT INTO roots VALUES ('r')").await;
        assert_eq!(a.client().retry_refused().await.unwrap(), 2);
        a.sync().await;
        b.sync().await;
        let branch = "SELECT r.id || v.name || l.name FROM roots r JOIN twigs v ON v.root = r.id JOIN leaves l ON l.twig = v.id";
        assert_eq!((a.text(branch).await, b.text(branch).await), ("rminemine".into(), "rminemine".into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_that_make_the_same_unique_value_keep_both_rows_one_in_the_inbox() {
    const SCHEMA: &str = "CREATE TABLE labels (id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL UNIQUE)";
    for generation in BOTH {
        let server = TestServer::new(generation, &[("labels", "id")]);
        let device = async || {
            let device = Device::new(&server, "ada", SCHEMA, |config| {
                config.table(SyncTable::new("labels").key("id"))
            })
            .await;
            device.attach().await;
            device
        };
        let (a, b) = (device().await, device().await);
        a.exec("INSERT INTO labels VALUES ('from-a', 'urgent')").await;
        b.exec("INSERT INTO labels VALUES ('from-b', 'urgent')").await;
        a.sync().await;
        assert_eq!(b.sync().await.refused_rows, 1);
        assert_eq!(b.text("SELECT id FROM labels").await, "from-a");
        assert_eq!(b.client().refused_rows().await.unwrap()[0].key, "from-b");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unique_values_that_are_swapped_or_cycled_in_one_bundle_arrive() {
    const SCHEMA: &str =
        "CREATE TABLE seats (id TEXT PRIMARY KEY NOT NULL, place INTEGER NOT NULL UNIQUE, guest TEXT UNIQUE)";
    for generation in BOTH {
        let server = TestServer::new(generation, &[("seats", "id")]);
        let device = async || {
            let device =
                Device::new(&server, "ada", SCHEMA, |config| config.table(SyncTable::new("seats").key("id")))
                    .await;
            device.attach().await;
            device.sync().await;
            device
        };
        let a = device().await;
        a.exec("INSERT INTO seats VALUES ('a', 1, 'x'), ('b', 2, 'y'), ('c', 3, NULL)").await;
        a.sync().await;
        let b = device().await;
        a.exec("UPDATE seats SET place = -place; UPDATE seats SET place = 1 + (-place) % 3, guest = guest || '!'").await;
        a.exec("DELETE FROM seats WHERE id = 'b'; INSERT INTO seats VALUES ('d', 3, 'x')").await;
        a.sync().await;
        assert_eq!(b.sync().await.refused_rows, 0);
        let all = "SELECT * FROM seats ORDER BY id";
        assert_eq!(a.rows(all).await, b.rows(all).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_another_devices_new_reference_forbids_is_undone() {
    const SCHEMA: &str = "
        CREATE TABLE albums (id TEXT PRIMARY KEY NOT NULL, name TEXT);
        CREATE TABLE songs (id TEXT PRIMARY KEY NOT NULL, album TEXT NOT NULL REFERENCES albums (id));";
    for generation in BOTH {
        let server = TestServer::new(generation, &[("albums", "id"), ("songs", "id")]);
        let device = async || {
            let device = Device::new(&server, "ada", SCHEMA, |config| {
                config.table(SyncTable::new("songs").key("id")).table(SyncTable::new("albums").key("id"))
            })
            .await;
            device.attach().await;
            device
        };
        let a = device().await;
        a.exec("INSERT INTO albums VALUES ('one', 'kept')").await;
        a.sync().await;
        let b = device().await;
        b.exec("INSERT INTO songs VALUES ('s', 'one')").await;
        b.sync().await;
        a.exec("DELETE FROM albums").await;
        a.sync().await;
        b.sync().await;
        for device in [&a, &b] {
            assert_eq!(device.text("SELECT name FROM albums").await, "kept");
            assert_eq!(
                (device.text("SELECT album FROM songs").await.as_str(), device.pending().await),
                ("one", 0)
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_that_reaches_the_server_after_its_parent_is_gone_ends_as_its_foreign_key_says() {
    for generation in BOTH {
        let (server, a, b) = two_devices(generation, "INSERT INTO notes (id) VALUES ('n1'), ('n2')").await;
        b.exec("DELETE FROM notes WHERE id = 'n1'").await;
        a.exec("INSERT INTO tags (name, note_id) VALUES ('late', 'n1')").await;
        a.exec("INSERT INTO notes (id, parent) VALUES ('child', 'n1')").await;
        let (other, runtime) = (b.client().clone(), tokio::runtime::Handle::current());
        server.before(Endpoint::PushCommit, move || {
            runtime.block_on(other.sync()).unwrap();
        });
        a.client().push().await.unwrap();
        // This server enforces no references, so it has both rows now, and no parent.
        let c = Device::notes(&server, "ada").await;
        c.attach().await;
        converge(&a, &b).await;
        converge(&c, &a).await;
        assert_eq!(c.text("SELECT count(*) FROM tags").await, "0");
        assert_eq!(c.text("SELECT group_concat(id || ifnull(parent, '')) FROM notes").await, "child,n2");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resurrecting_a_row_on_an_old_tombstone_converges() {
    for generation in BOTH {
        let (server, a, b) =
            two_devices(generation, "INSERT INTO notes (id, title) VALUES ('n1', 'old')").await;
        a.exec(REMOVE).await;
        converge(&a, &b).await;
        // A fresh device has no tombstone: the server answers its insert with a conflict that no pull brings.
        let c = Device::new(&server, "ada", NOTES, |config| {
            config
                .table(SyncTable::new("notes").key("id").policy(ConflictPolicy::ClientWins))
                .table(SyncTable::new("tags").key("id"))
        })
        .await;
        c.exec("INSERT INTO notes (id, title) VALUES ('n1', 'new')").await;
        c.attach().await;
        converge(&c, &a).await;
        assert_eq!(a.text(TITLES).await, "new");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_written_again_where_the_server_has_tombstones_are_no_conflicts() {
    const ROWS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12)";
    for generation in BOTH {
        let insert = format!("{ROWS} INSERT INTO notes (id, title) SELECT 'n' || i, 'again' FROM n");
        let (server, a, b) = two_devices(generation, &insert).await;
        a.exec("DELETE FROM notes").await;
        a.sync().await;
        // One that knows the tombstones, and downloads everything anew before it uploads.
        a.exec("INSERT INTO notes (id, title) VALUES ('n1', 'mine')").await;
        a.client().rebuild().await.expect("the server answers");
        let report = a.sync().await;
        assert_eq!((report.conflicts, report.pushed_rows), (0, 1));
        // One that has never heard of them: a snapshot has none.
        let fresh = with_policy(&server, ConflictPolicy::ServerWins).await;
        fresh.exec("DELETE FROM notes").await;
        fresh.exec(&insert).await;
        let report = fresh.sync().await;
        assert_eq!((report.conflicts, report.pushed_rows), (0, 12));
        converge(&a, &fresh).await;
        converge(&b, &fresh).await;
        assert_eq!(a.text("SELECT count(*) FROM notes WHERE title = 'again'").await, "12");
    }
}
