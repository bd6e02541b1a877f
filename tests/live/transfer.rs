//! Rows go up and come down: one by one, many at once, from several devices.

use crate::{Wire, agree, converge, worlds};
use rowtide::{Outcome, State, TransferLimits};
use std::time::Duration;

const THREE: &str = "INSERT INTO categories VALUES (@1, 'one', NULL), (@2, 'two', NULL), (@3, 'three', NULL)";
const THOUSANDS: &str = "
    INSERT INTO typed_rows (id, name, note, count_value, enabled_flag)
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
    SELECT printf('00000000-0000-4000-8000-%012d', i), 'row ' || i, NULL, i, i % 2 FROM n";

fn small_pages() -> TransferLimits {
    TransferLimits { upload_rows: 700, download_rows: 700, ..TransferLimits::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_an_update_and_a_delete_arrive_in_each_direction() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        for (from, to, change, expected) in [
            (&a, &b, "INSERT INTO categories VALUES (@4, 'four', @1)", "one,two,three,four"),
            (&b, &a, "INSERT INTO categories VALUES (@5, 'five', @4)", "one,two,three,four,five"),
            (&a, &b, "UPDATE categories SET name = 'ONE' WHERE id = @1", "ONE,two,three,four,five"),
            (&b, &a, "UPDATE categories SET name = 'TWO' WHERE id = @2", "ONE,TWO,three,four,five"),
            (&a, &b, "DELETE FROM categories WHERE id = @3", "ONE,TWO,four,five"),
            (&b, &a, "DELETE FROM categories WHERE id = @5", "ONE,TWO,four"),
        ] {
            from.exec(change).await;
            assert_eq!(from.sync().await.pushed_rows, 1, "{change}");
            let report = to.sync().await;
            assert_eq!((report.pulled_rows, report.pulled_bundles), (1, 1), "{change}");
            agree(&[&a, &b]).await;
            assert_eq!(to.names("categories").await, expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_made_offline_on_both_sides_meet_without_loss() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        a.exec("UPDATE categories SET name = 'a' WHERE id = @1; INSERT INTO categories VALUES (@4, 'new a', NULL)").await;
        b.exec("DELETE FROM categories WHERE id = @2; INSERT INTO categories VALUES (@5, 'new b', @3)").await;
        a.sync().await;
        let report = b.sync().await;
        assert_eq!((report.conflicts, report.pulled_rows, report.pushed_rows), (0, 2, 2));
        converge(&[&a, &b]).await;
        assert_eq!(a.names("categories").await, "a,three,new a,new b");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_came_and_went_between_two_syncs_does_not_travel() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        a.exec("INSERT INTO categories VALUES (@4, 'brief', NULL)").await;
        a.exec("UPDATE categories SET name = 'still brief' WHERE id = @4").await;
        assert_eq!(a.pending().await, 1);
        a.exec("DELETE FROM categories WHERE id = @4").await;
        assert_eq!(a.pending().await, 0);
        assert_eq!(a.sync().await.outcome, Outcome::NoChange);
        converge(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_deleted_and_inserted_again_between_two_syncs_arrives_with_its_last_content() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        a.exec("DELETE FROM categories WHERE id = @2; INSERT INTO categories VALUES (@2, 'again', @1)").await;
        assert_eq!(a.sync().await.pushed_rows, 1);
        converge(&[&a, &b]).await;
        assert_eq!(b.names("categories").await, "one,again,three");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_deleted_in_one_sync_comes_back_with_a_later_one() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        b.exec("DELETE FROM categories WHERE id = @2").await;
        converge(&[&b, &a]).await;
        a.exec("INSERT INTO categories VALUES (@2, 'back', NULL)").await;
        assert_eq!(a.sync().await.conflicts, 0);
        converge(&[&a, &b]).await;
        assert_eq!(b.names("categories").await, "one,back,three");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_edits_of_one_row_travel_as_one_row() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        for edit in 1..=100 {
            a.exec(&format!("UPDATE categories SET name = 'edit {edit}' WHERE id = @1")).await;
        }
        assert_eq!(a.pending().await, 1);
        assert_eq!(a.sync().await.pushed_rows, 1);
        assert_eq!(b.sync().await.pulled_rows, 1);
        agree(&[&a, &b]).await;
        assert_eq!(b.names("categories").await, "edit 100,two,three");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_whose_key_is_changed_is_deleted_and_inserted_elsewhere() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        a.exec("UPDATE categories SET id = @9 WHERE id = @1").await;
        assert_eq!(a.sync().await.pushed_rows, 2);
        converge(&[&a, &b]).await;
        assert_eq!(b.names("categories").await, "two,three,one");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_travels_whole_or_not_at_all() {
    const LONG: Duration = Duration::from_secs(600);
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        let dropped = a.client().transaction(LONG).await.unwrap();
        dropped.execute("DELETE FROM categories", Vec::new()).await.unwrap();
        drop(dropped);
        assert_eq!(a.sync().await.pushed_rows, 0);
        let kept = a.client().transaction(LONG).await.unwrap();
        kept.execute("UPDATE categories SET name = name || '!'", Vec::new()).await.unwrap();
        kept.execute("UPDATE categories SET name = name || ?1", vec!["?".into()]).await.unwrap();
        kept.commit().await.unwrap();
        let report = a.sync().await;
        assert_eq!(report.pushed_rows, 3);
        assert_eq!(b.sync().await.pulled_bundles, 1);
        agree(&[&a, &b]).await;
        assert_eq!(b.names("categories").await, "one!?,two!?,three!?");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_thousand_rows_go_up_in_chunks_and_hydrate_in_pages() {
    for world in worlds() {
        let a = world.device_with(|config| config.limits(small_pages())).await;
        a.exec(THOUSANDS).await;
        a.attach().await;
        let report = a.sync().await;
        assert_eq!(report.pushed_rows, 3000);
        assert!(report.requests >= 7, "five chunks, create and commit: {}", report.requests);
        let b = world.device_with(|config| config.limits(small_pages())).await;
        let report = b.attach().await;
        assert_eq!(report.hydrated_rows, 3000);
        assert!(report.requests >= 7, "five pages, connect and create: {}", report.requests);
        agree(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_thousand_rows_are_pulled_edited_and_deleted_by_a_device_that_was_there_before() {
    for world in worlds() {
        let (a, b) = (world.attached().await, world.attached().await);
        a.exec(THOUSANDS).await;
        assert_eq!(a.sync().await.pushed_rows, 3000);
        assert_eq!(b.sync().await.pulled_rows, 3000);
        agree(&[&a, &b]).await;
        b.exec("UPDATE typed_rows SET note = 'edited' WHERE count_value % 3 = 0; DELETE FROM typed_rows WHERE count_value % 3 = 1").await;
        assert_eq!(b.sync().await.pushed_rows, 2000);
        assert_eq!(a.sync().await.pulled_rows, 2000);
        agree(&[&a, &b]).await;
        assert_eq!(a.count("typed_rows WHERE note = 'edited'").await, 1000);
        assert_eq!(a.count("typed_rows").await, 2000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_with_nothing_to_do_is_one_request() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        for device in [&a, &b] {
            device.sync().await;
            let report = device.sync().await;
            assert_eq!((report.outcome, report.requests), (Outcome::NoChange, 1));
        }
        agree(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn push_brings_nothing_down_and_pull_sends_nothing_up() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        b.exec("UPDATE categories SET name = 'b' WHERE id = @2").await;
        b.sync().await;
        a.exec("UPDATE categories SET name = 'a' WHERE id = @1").await;
        let pulled = a.client().pull().await.unwrap();
        assert_eq!((pulled.pulled_rows, pulled.pushed_rows, a.pending().await), (1, 0, 1));
        assert_eq!(a.names("categories").await, "a,b,three");
        let pushed = a.client().push().await.unwrap();
        assert_eq!((pushed.pulled_rows, pushed.pushed_rows, a.pending().await), (0, 1, 0));
        assert_eq!(b.client().push().await.unwrap().outcome, Outcome::NoChange);
        assert_eq!(b.names("categories").await, "one,b,three");
        converge(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_that_take_turns_for_twenty_rounds_agree_after_each() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        for round in 1..=20_i64 {
            let (from, to) = if round % 2 == 0 { (&a, &b) } else { (&b, &a) };
            from.exec(&format!(
                "INSERT INTO categories VALUES (@{0}, 'round {round}', @1);
                 UPDATE categories SET name = name || ' {round}' WHERE id = @2;
                 DELETE FROM categories WHERE id = @{1}",
                100 + round,
                98 + round
            ))
            .await;
            from.sync().await;
            to.sync().await;
            agree(&[&a, &b]).await;
        }
        let counted = (1..=20).map(|round| round.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(a.text("SELECT name FROM categories WHERE id = @2").await, format!("two {counted}"));
        assert_eq!(a.count("categories").await, 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_devices_that_sync_at_the_same_moment_agree_in_the_end() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        let c = world.attached().await;
        for round in 0..5 {
            for (number, device) in [&a, &b, &c].into_iter().enumerate() {
                let key = 10 * (round + 1) + number;
                device
                    .exec(&format!(
                        "INSERT INTO categories VALUES (@{key}, '{number} in {round}', NULL);
                         UPDATE categories SET name = '{number} in {round}' WHERE id = @1"
                    ))
                    .await;
            }
            let together = tokio::join!(a.client().sync(), b.client().sync(), c.client().sync());
            for result in [together.0, together.1, together.2] {
                result.unwrap();
            }
        }
        converge(&[&a, &b, &c]).await;
        assert_eq!(a.count("categories").await, 3 + 15);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_reports_count_what_happened() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        a.exec("UPDATE categories SET name = name || '!'; INSERT INTO files VALUES ($1, 'f', x'01')").await;
        let before = a.client().status().await.unwrap();
        assert_eq!((before.pending_rows, before.refused_rows, before.state), (4, 0, State::Attached));
        assert_eq!(before.user.as_deref(), Some(world.user.as_str()));
        let report = a.sync().await;
        assert_eq!((report.outcome, report.pushed_rows, report.conflicts), (Outcome::Done, 4, 0));
        assert!(report.bytes_up > 0 && report.bytes_down > 0 && report.requests >= 4);
        let after = a.client().status().await.unwrap();
        assert_eq!((after.pending_rows, after.checkpoint.0), (0, before.checkpoint.0 + 1));
        let report = b.sync().await;
        assert_eq!((report.outcome, report.pulled_rows, report.pulled_bundles), (Outcome::Done, 4, 1));
        assert_eq!(b.client().status().await.unwrap().checkpoint, after.checkpoint);
        agree(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_during_a_sync_stays_and_goes_up_with_the_next() {
    for world in worlds() {
        let (_, b) = world.pair(THREE).await;
        let wire = Wire::new(&world);
        let used = wire.clone();
        let a = world.device_with(move |config| used.used_by(config)).await;
        a.attach().await;
        a.exec("UPDATE categories SET name = 'first'; INSERT INTO categories VALUES (@4, 'new', NULL)").await;
        let writer = a.client().clone();
        wire.before("/commit", async move {
            let edit = "UPDATE categories SET name = 'second' WHERE name = 'first' AND id LIKE '%1';
                        DELETE FROM categories WHERE name = 'new'";
            writer.execute_script(edit).await.unwrap();
        });
        assert_eq!(a.sync().await.pushed_rows, 4);
        assert!(!wire.waits());
        assert_eq!((a.names("categories").await.as_str(), a.pending().await), ("second,first,first", 2));
        b.sync().await;
        assert_eq!(b.names("categories").await, "first,first,first,new");
        converge(&[&a, &b]).await;
        assert_eq!(b.names("categories").await, "second,first,first");
    }
}
