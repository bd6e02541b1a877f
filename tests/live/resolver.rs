//! Conflicts that the host's resolver decides.

use crate::device::{BUSINESS, Device, tables};
use crate::{World, converge, worlds};
use async_trait::async_trait;
use rowtide::{ConflictPolicy, Decision, ErrorKind, Resolver, ResolverError, RowConflict, SqlValue};
use std::sync::{Arc, Mutex};

const SEED: &str = "
    INSERT INTO typed_rows (id, name, note, count_value)
    VALUES (@1, 'first', 'old', 1), (@2, 'second', 'old', 1), (@3, 'third', 'old', 1)";

type Decide = fn(&RowConflict) -> Option<Decision>;

/// Decides by a function, and remembers how much it was asked at once.
#[derive(Clone)]
struct By {
    decide: Decide,
    asked: Arc<Mutex<Vec<Vec<RowConflict>>>>,
}

#[async_trait]
impl Resolver for By {
    async fn resolve(&self, conflicts: &[RowConflict]) -> Result<Vec<Decision>, ResolverError> {
        self.asked.lock().unwrap().push(conflicts.to_vec());
        let decisions: Option<Vec<_>> = conflicts.iter().map(self.decide).collect();
        decisions.ok_or_else(|| ResolverError("undecided".into()))
    }
}

/// Device A, attached, whose conflicts are decided by the function.
async fn deciding(world: &World, decide: Decide) -> (Device, By) {
    let by = By { decide, asked: Arc::default() };
    let used = by.clone();
    let change =
        move |config: rowtide::Config| config.tables(tables(ConflictPolicy::Callback)).resolver(used.clone());
    let device = Device::create(world, BUSINESS, change).await;
    device.attach().await;
    (device, by)
}

fn integer(value: &SqlValue) -> i64 {
    match value {
        SqlValue::Integer(number) => *number,
        other => panic!("not an integer: {other:?}"),
    }
}

/// The server's row with the sum of both counts.
fn sum(conflict: &RowConflict) -> Option<Decision> {
    let (Some(local), Some(server)) = (&conflict.local, &conflict.server) else {
        return Some(Decision::KeepLocal);
    };
    let mut merged = server.clone();
    let both = integer(&local["count_value"]) + integer(&server["count_value"]);
    merged.insert("count_value".into(), SqlValue::Integer(both));
    Some(Decision::KeepMerged(merged))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_resolver_merges_rows_and_the_merged_rows_arrive_everywhere() {
    for world in worlds() {
        let (_, b) = world.pair(SEED).await;
        let (a, by) = deciding(&world, sum).await;
        b.exec("UPDATE typed_rows SET count_value = 10, note = 'b' WHERE id IN (@1, @2)").await;
        b.sync().await;
        a.exec("UPDATE typed_rows SET count_value = 5, note = 'a'").await;
        assert_eq!(a.sync().await.conflicts, 2);
        let asked = by.asked.lock().unwrap().clone();
        assert_eq!(asked.iter().map(Vec::len).collect::<Vec<_>>(), [2], "asked once for both");
        assert!(asked[0].iter().all(|conflict| conflict.table == "typed_rows"));
        converge(&[&a, &b]).await;
        let all = "SELECT group_concat(note || count_value) FROM (SELECT * FROM typed_rows ORDER BY id)";
        assert_eq!(b.text(all).await, "b15,b15,a5");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_resolver_keeps_one_side_or_the_other_row_by_row() {
    fn even_is_mine(conflict: &RowConflict) -> Option<Decision> {
        let mine = conflict.key.ends_with('2');
        Some(if mine { Decision::KeepLocal } else { Decision::AcceptServer })
    }
    for world in worlds() {
        let (_, b) = world.pair(SEED).await;
        let (a, _) = deciding(&world, even_is_mine).await;
        b.exec("UPDATE typed_rows SET note = 'b'").await;
        b.sync().await;
        a.exec("UPDATE typed_rows SET note = 'a'").await;
        let report = a.sync().await;
        assert_eq!((report.conflicts, report.pushed_rows), (3, 1));
        converge(&[&a, &b]).await;
        assert_eq!(
            b.text("SELECT group_concat(note) FROM (SELECT * FROM typed_rows ORDER BY id)").await,
            "b,a,b"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_resolver_sees_deletes_of_either_side_and_can_undo_them() {
    fn whoever_has_it(conflict: &RowConflict) -> Option<Decision> {
        Some(if conflict.local.is_some() { Decision::KeepLocal } else { Decision::AcceptServer })
    }
    for world in worlds() {
        let (_, b) = world.pair(SEED).await;
        let (a, by) = deciding(&world, whoever_has_it).await;
        b.exec("DELETE FROM typed_rows WHERE id = @1; UPDATE typed_rows SET note = 'b' WHERE id = @2").await;
        b.sync().await;
        a.exec("UPDATE typed_rows SET note = 'a' WHERE id = @1; DELETE FROM typed_rows WHERE id = @2").await;
        assert_eq!(a.sync().await.conflicts, 2);
        for conflict in by.asked.lock().unwrap().iter().flatten() {
            assert_eq!(conflict.local.is_some(), conflict.server.is_none());
        }
        converge(&[&a, &b]).await;
        assert_eq!(
            b.text("SELECT group_concat(note) FROM (SELECT * FROM typed_rows ORDER BY id)").await,
            "a,b,old"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_conflicts_are_put_to_the_resolver_at_once() {
    for world in worlds() {
        let rows = "
            INSERT INTO typed_rows (id, name, count_value)
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
            SELECT printf('00000000-0000-4000-8000-%012d', i), 'row', i FROM n";
        let (_, b) = world.pair(rows).await;
        let (a, by) = deciding(&world, sum).await;
        b.exec("UPDATE typed_rows SET count_value = count_value + 1000").await;
        b.sync().await;
        a.exec("UPDATE typed_rows SET count_value = count_value + 5000").await;
        let report = a.sync().await;
        assert_eq!((report.conflicts, report.pushed_rows), (200, 200));
        assert_eq!(by.asked.lock().unwrap().iter().map(Vec::len).collect::<Vec<_>>(), [200]);
        converge(&[&a, &b]).await;
        assert_eq!(b.count("typed_rows WHERE count_value % 2 = 0 AND count_value > 6000").await, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolver_that_cannot_decide_keeps_the_rows_pending_until_another_one_can() {
    for world in worlds() {
        let (_, b) = world.pair(SEED).await;
        let (a, _) = deciding(&world, |_| None).await;
        b.exec("UPDATE typed_rows SET note = 'b'").await;
        b.sync().await;
        a.exec("UPDATE typed_rows SET note = 'a' WHERE id = @1").await;
        let error = a.client().sync().await.unwrap_err();
        assert_eq!((error.kind(), a.pending().await), (ErrorKind::Resolver, 1));
        assert_eq!(a.text("SELECT note FROM typed_rows WHERE id = @1").await, "a");
        assert!(a.client().status().await.unwrap().last_error.is_some());
        let by = By { decide: |_| Some(Decision::KeepLocal), asked: Arc::default() };
        let a = a
            .configured(move |config| config.tables(tables(ConflictPolicy::Callback)).resolver(by.clone()))
            .await;
        assert_eq!(a.sync().await.conflicts, 1);
        converge(&[&a, &b]).await;
        assert_eq!(
            b.text("SELECT group_concat(note) FROM (SELECT * FROM typed_rows ORDER BY id)").await,
            "a,b,b"
        );
    }
}
