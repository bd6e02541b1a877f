//! Three-way merges by column, from the row that the local change was made on.

use crate::{BOTH, converge};
use async_trait::async_trait;
use rowtide::protocol::profile::WireGeneration;
use rowtide::{
    ColumnRule, ConflictPolicy, Decision, ErrorKind, RefusedReason, Resolver, ResolverError, RowConflict,
    SqlValue, SyncTable,
};
use rowtide_tests::{Device, Endpoint, Fault, NOTES, Notes, TestServer};
use std::sync::{Arc, Mutex};

async fn merging(server: &TestServer) -> Device {
    let device = Device::new(server, "ada", NOTES, |config| {
        config
            .table(
                SyncTable::new("notes")
                    .key("id")
                    .merge("stars", ColumnRule::SumOfDeltas)
                    .merge("title", ColumnRule::Mine)
                    .merge("weight", ColumnRule::Max),
            )
            .table(SyncTable::new("tags").key("id"))
    })
    .await;
    device.attach().await;
    device
}

async fn two_merging(generation: WireGeneration) -> (TestServer, Device, Device) {
    let server = TestServer::new(generation, &Notes::TABLES);
    let a = merging(&server).await;
    a.exec(
        "INSERT INTO notes (id, title, stars, weight) VALUES ('n1', 'old', 10, 1.0), ('n2', 'old', 0, 0.0)",
    )
    .await;
    a.sync().await;
    let b = merging(&server).await;
    (server, a, b)
}

const ROW: &str = "SELECT title || ' ' || stars || ' ' || weight || ' ' || ifnull(hex(body), '-') FROM notes WHERE id = 'n1'";

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_one_side_changed_are_kept_and_those_that_both_changed_follow_their_rules() {
    for generation in BOTH {
        let (_server, a, b) = two_merging(generation).await;
        b.exec("UPDATE notes SET title = 'b', stars = stars + 5, weight = 2.5, body = x'bb' WHERE id = 'n1'")
            .await;
        b.sync().await;
        a.exec("UPDATE notes SET title = 'a', stars = stars - 3 WHERE id = 'n1'").await;
        a.exec("UPDATE notes SET weight = 2.0 WHERE id = 'n1'").await;
        let report = a.sync().await;
        assert_eq!(report.conflicts, 1);
        assert_eq!(a.text(ROW).await, "a 12 2.5 BB");
        converge(&a, &b).await;
        assert_eq!(b.text(ROW).await, "a 12 2.5 BB");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_counts_every_increment_of_both_devices_over_many_rounds() {
    for generation in BOTH {
        let (server, a, b) = two_merging(generation).await;
        for round in 0..6 {
            a.exec("UPDATE notes SET stars = stars + 1 WHERE id = 'n2'").await;
            b.exec("UPDATE notes SET stars = stars + 10 WHERE id = 'n2'").await;
            if round % 2 == 0 {
                // The answer to the commit is lost, and the row is edited again before the next try.
                server.fail(Endpoint::PushCommit, 0, 3, Fault::ApplyThenDropReply);
                server.fail(Endpoint::PushCreate, 1, 9, Fault::DropRequest);
                let _lost = a.client().sync().await;
                server.heal();
                a.exec("UPDATE notes SET stars = stars + 100 WHERE id = 'n2'").await;
            }
            a.sync().await;
            b.sync().await;
        }
        converge(&a, &b).await;
        assert_eq!(a.text("SELECT stars FROM notes WHERE id = 'n2'").await, "366");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_that_count_the_same_number_up_count_twice() {
    for generation in BOTH {
        let (_server, a, b) = two_merging(generation).await;
        // The rows are alike in every column, and mean two increments all the same.
        for device in [&a, &b] {
            device.exec("UPDATE notes SET stars = stars + 1 WHERE id = 'n2'").await;
        }
        b.sync().await;
        assert_eq!(a.sync().await.conflicts, 1);
        // Here another column differs.
        for (device, title) in [(&a, "a"), (&b, "b")] {
            device
                .exec(&format!("UPDATE notes SET stars = stars + 7, title = '{title}' WHERE id = 'n1'"))
                .await;
        }
        b.sync().await;
        a.sync().await;
        converge(&a, &b).await;
        for device in [&a, &b] {
            assert_eq!(device.text("SELECT stars FROM notes WHERE id = 'n2'").await, "2");
            assert_eq!(device.text("SELECT stars FROM notes WHERE id = 'n1'").await, "24");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_survives_a_delete_of_the_other_side_in_both_directions() {
    for generation in BOTH {
        let (_server, a, b) = two_merging(generation).await;
        b.exec("DELETE FROM notes WHERE id = 'n1'; UPDATE notes SET title = 'b' WHERE id = 'n2'").await;
        b.sync().await;
        a.exec("UPDATE notes SET title = 'kept' WHERE id = 'n1'; DELETE FROM notes WHERE id = 'n2'").await;
        a.sync().await;
        converge(&a, &b).await;
        assert_eq!(
            b.text("SELECT group_concat(id || title) FROM (SELECT * FROM notes ORDER BY id)").await,
            "n1kept,n2b"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_base_image_outlives_the_change_that_it_was_kept_for() {
    for generation in BOTH {
        let (_server, a, b) = two_merging(generation).await;
        a.exec("UPDATE notes SET stars = 1; INSERT INTO notes (id) VALUES ('x'); DELETE FROM notes WHERE id = 'x'").await;
        let images = "SELECT count(*) FROM _rowtide_base_1";
        assert_eq!(a.text(images).await, "3");
        a.exec("REPLACE INTO notes (id, title, stars, weight) VALUES ('n1', 'replaced', 1, 1.0)").await;
        assert_eq!(a.text("SELECT title FROM _rowtide_base_1 WHERE _rowtide_key = 'n1'").await, "old");
        converge(&a, &b).await;
        assert_eq!(a.text(images).await, "0");
    }
}

/// Remembers the bases that it is shown, and answers one row that is no row of the table.
struct Recorder(Arc<Mutex<Vec<RowConflict>>>);

#[async_trait]
impl Resolver for Recorder {
    async fn resolve(&self, conflicts: &[RowConflict]) -> Result<Vec<Decision>, ResolverError> {
        self.0.lock().unwrap().extend(conflicts.to_vec());
        let answer = |conflict: &RowConflict| match (conflict.key.as_str(), &conflict.local) {
            ("n2", Some(local)) => {
                let mut row = local.clone();
                row.remove("title");
                Decision::KeepMerged(row)
            }
            _ => Decision::KeepLocal,
        };
        Ok(conflicts.iter().map(answer).collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolver_sees_the_base_and_its_invalid_answer_sends_that_row_alone_to_the_inbox() {
    for generation in BOTH {
        let (server, _a, b) = two_merging(generation).await;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let recorder = seen.clone();
        let c = Device::new(&server, "ada", NOTES, move |config| {
            config
                .table(SyncTable::new("notes").key("id").policy(ConflictPolicy::Callback).keep_base())
                .table(SyncTable::new("tags").key("id"))
                .resolver(Recorder(recorder.clone()))
        })
        .await;
        c.attach().await;
        b.exec("UPDATE notes SET title = 'b'").await;
        b.sync().await;
        c.exec("UPDATE notes SET title = 'c'").await;
        let report = c.sync().await;
        assert_eq!((report.pushed_rows, report.refused_rows), (1, 1));
        let conflict = seen.lock().unwrap()[0].clone();
        assert_eq!(conflict.base.unwrap()["title"], SqlValue::from("old"));
        let refused = &c.client().refused_rows().await.unwrap()[0];
        assert_eq!((refused.key.as_str(), refused.reason), ("n2", RefusedReason::InvalidResolution));
        assert_eq!(refused.content.as_ref().unwrap()["title"], SqlValue::from("c"));
        assert!(refused.message.contains("lacks column title"), "{}", refused.message);
        converge(&b, &c).await;
        assert_eq!(
            b.text("SELECT group_concat(id || title) FROM (SELECT * FROM notes ORDER BY id)").await,
            "n1c,n2b"
        );
    }
}

#[tokio::test]
async fn a_rule_for_a_column_that_cannot_follow_it_is_refused_at_open() {
    let server = TestServer::new(BOTH[0], &Notes::TABLES);
    let device = Device::notes(&server, "ada").await;
    for (column, rule, word) in [
        ("title", ColumnRule::SumOfDeltas, "number"),
        ("stars", ColumnRule::SetUnion, "JSON array"),
        ("nothing", ColumnRule::Mine, "nothing"),
        ("id", ColumnRule::Mine, "key"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        rowtide::LocalDatabase::open(&path).await.unwrap().execute_script(NOTES).await.unwrap();
        let table = SyncTable::new("notes").key("id").merge(column, rule);
        let config = rowtide::Config::new(&path, "http://server.test", "business").unwrap();
        let opened = rowtide::Client::open(config.table(table)).await;
        let error = opened.expect_err("the rule does not fit");
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(word), "{error}");
    }
    drop(device);
}
