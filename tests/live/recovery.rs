//! Pruned history, rebuilds, cut connections and clients that end between two steps.

use crate::{Cut, Device, Wire, World, agree, converge, worlds};
use rowtide::{ConflictPolicy, ErrorKind, Outcome, State};

const THREE: &str = "INSERT INTO categories VALUES (@1, 'one', NULL), (@2, 'two', NULL), (@3, 'three', NULL)";

/// B has edited in three bundles that A, which has not pulled them, can pull no more.
async fn pruned(world: &World, a: &Device, b: &Device) {
    for round in 0..3 {
        b.exec(&format!("UPDATE categories SET name = 'round {round}' WHERE id = @2")).await;
        b.sync().await;
    }
    let newest = b.client().status().await.unwrap().checkpoint.0;
    assert!(a.client().status().await.unwrap().checkpoint.0 < newest - 1);
    world.prune_below(newest - 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_behind_pruned_history_is_rebuilt_by_its_next_sync() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        b.exec("DELETE FROM categories WHERE id = @3").await;
        pruned(&world, &a, &b).await;
        let report = a.sync().await;
        assert_eq!((report.outcome, report.hydrated_rows), (Outcome::Done, 2));
        agree(&[&a, &b]).await;
        assert_eq!(a.names("categories").await, "one,round 2");
        a.exec("INSERT INTO categories VALUES (@4, 'after', NULL)").await;
        converge(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_behind_pruned_history_keeps_its_pending_rows_and_pushes_them() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        pruned(&world, &a, &b).await;
        a.exec("UPDATE categories SET name = 'kept' WHERE id = @1; INSERT INTO categories VALUES (@4, 'new', @2); DELETE FROM categories WHERE id = @3").await;
        let report = a.sync().await;
        assert_eq!((report.hydrated_rows, report.pushed_rows, report.conflicts), (3, 3, 0));
        converge(&[&a, &b]).await;
        assert_eq!(b.names("categories").await, "kept,round 2,new");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_behind_pruned_history_ends_as_the_policy_says() {
    for world in worlds() {
        for (policy, expected) in [
            (ConflictPolicy::ServerWins, "one,round 2,three"),
            (ConflictPolicy::ClientWins, "one,mine,three"),
        ] {
            let world = world.of(&crate::world::fresh_user());
            let (_, b) = world.pair(THREE).await;
            let a = world.device_of_policy(policy).await;
            pruned(&world, &a, &b).await;
            a.exec("UPDATE categories SET name = 'mine' WHERE id = @2").await;
            assert_eq!(a.sync().await.conflicts, 1);
            converge(&[&a, &b]).await;
            assert_eq!(b.names("categories").await, expected, "{policy:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_alone_of_a_device_behind_pruned_history_arrives() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        pruned(&world, &a, &b).await;
        a.exec("UPDATE categories SET name = 'pushed' WHERE id = @1").await;
        assert_eq!(a.client().push().await.unwrap().pushed_rows, 1);
        converge(&[&a, &b]).await;
        assert_eq!(b.names("categories").await, "pushed,round 2,three");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_brings_what_is_missing_and_keeps_pending_rows() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        b.exec("UPDATE categories SET name = 'b' WHERE id = @2; DELETE FROM categories WHERE id = @3").await;
        b.sync().await;
        a.exec("UPDATE categories SET name = 'mine' WHERE id = @1; INSERT INTO categories VALUES (@4, 'new', @1)").await;
        let report = a.client().rebuild().await.unwrap();
        assert_eq!((report.hydrated_rows, report.pushed_rows, a.pending().await), (2, 0, 2));
        assert_eq!(a.names("categories").await, "mine,b,new");
        converge(&[&a, &b]).await;
        assert_eq!(b.names("categories").await, "mine,b,new");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_with_nothing_new_changes_nothing() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        let before = a.client().source_info().await.unwrap().source_id;
        assert_eq!(a.client().rebuild().await.unwrap().hydrated_rows, 3);
        assert_eq!(a.client().source_info().await.unwrap().source_id, before);
        agree(&[&a, &b]).await;
        assert_eq!(a.sync().await.outcome, Outcome::NoChange);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_connection_rows_stay_pending_and_go_up_once_it_is_back() {
    for world in worlds() {
        let (_, b) = world.pair(THREE).await;
        let (wire, a) = wired(&world).await;
        a.attach().await;
        wire.cut_after(0, Cut::BeforeRequest);
        a.exec("UPDATE categories SET name = 'offline' WHERE id = @1").await;
        let error = a.client().sync().await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Network, true));
        a.exec("INSERT INTO categories VALUES (@4, 'offline too', @1)").await;
        let status = a.client().status().await.unwrap();
        assert_eq!((status.pending_rows, status.last_error.is_some()), (2, true));
        wire.heal();
        assert_eq!(a.sync().await.pushed_rows, 2);
        assert_eq!(a.client().status().await.unwrap().last_error, None);
        converge(&[&a, &b]).await;
    }
}

async fn wired(world: &World) -> (Wire, Device) {
    let wire = Wire::new(world);
    let used = wire.clone();
    let device = world.device_with(move |config| used.used_by(config)).await;
    (wire, device)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_ends_at_any_request_of_a_push_loses_nothing_and_sends_nothing_twice() {
    for world in worlds() {
        let (_, b) = world.pair(THREE).await;
        let (wire, mut a) = wired(&world).await;
        a.attach().await;
        for cut in Cut::BOTH {
            let mut requests = 0;
            loop {
                let key = a.count("categories").await + 1;
                a.exec(&format!("UPDATE categories SET name = name || '!' WHERE id = @1; INSERT INTO categories VALUES (@{key}, '{key}', @1)")).await;
                wire.cut_after(requests, cut);
                let survived = a.client().sync().await.is_ok();
                wire.heal();
                a.reopen().await;
                a.sync().await;
                b.sync().await;
                agree(&[&a, &b]).await;
                requests += 1;
                if survived {
                    break;
                }
            }
            assert!(requests > 4, "pull, create, chunk and commit were cut: {requests}");
        }
        let marks = a.count("categories").await - 3;
        let expected = format!("one{}", "!".repeat(usize::try_from(marks).unwrap()));
        assert_eq!(
            b.text("SELECT name FROM categories WHERE id = @1").await,
            expected,
            "each edit arrived once"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_ends_at_any_request_of_its_first_download_finishes_it_later() {
    for world in worlds() {
        let (a, _) = world.pair(THREE).await;
        for cut in Cut::BOTH {
            let mut requests = 0;
            loop {
                let (wire, mut b) = wired(&world).await;
                wire.cut_after(requests, cut);
                let survived = b.client().attach(&world.user).await.is_ok();
                wire.heal();
                b.reopen().await;
                b.attach().await;
                assert_eq!(b.state().await, State::Attached);
                agree(&[&a, &b]).await;
                requests += 1;
                if survived {
                    break;
                }
            }
            assert!(requests > 3, "connect, create and a chunk were cut: {requests}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_ends_at_any_request_of_seeding_seeds_later_and_once() {
    for world in worlds() {
        for cut in Cut::BOTH {
            let mut requests = 0;
            loop {
                let world = world.of(&crate::world::fresh_user());
                let (wire, mut a) = wired(&world).await;
                a.exec(THREE).await;
                wire.cut_after(requests, cut);
                let survived =
                    a.client().attach(&world.user).await.is_ok() && a.client().sync().await.is_ok();
                wire.heal();
                a.reopen().await;
                a.attach().await;
                a.sync().await;
                let b = world.attached().await;
                agree(&[&a, &b]).await;
                assert_eq!(b.names("categories").await, "one,two,three");
                requests += 1;
                if survived {
                    break;
                }
            }
            assert!(requests > 4, "connect, create, chunk and commit were cut: {requests}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_ends_at_any_request_of_a_rebuild_finishes_it_with_its_next_sync() {
    for world in worlds() {
        let (_, b) = world.pair(THREE).await;
        let (wire, mut a) = wired(&world).await;
        a.attach().await;
        for cut in Cut::BOTH {
            let mut requests = 0;
            loop {
                b.exec("UPDATE categories SET name = name || 'b' WHERE id = @2").await;
                b.sync().await;
                a.exec("UPDATE categories SET name = name || 'a' WHERE id = @1").await;
                wire.cut_after(requests, cut);
                let survived = a.client().rebuild().await.is_ok();
                wire.heal();
                a.reopen().await;
                converge(&[&a, &b]).await;
                requests += 1;
                if survived {
                    break;
                }
            }
            assert!(requests > 2, "create and a chunk were cut: {requests}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_reopened_between_any_two_steps_carries_on() {
    for world in worlds() {
        let mut a = world.device().await;
        a.exec(THREE).await;
        a.reopen().await;
        a.attach().await;
        a.reopen().await;
        a.sync().await;
        a.reopen().await;
        let mut b = world.device().await;
        b.exec("INSERT INTO categories VALUES (@4, 'b', NULL)").await;
        b.reopen().await;
        b.attach().await;
        b.reopen().await;
        assert_eq!(b.pending().await, 1);
        b.client().push().await.unwrap();
        b.reopen().await;
        a.client().pull().await.unwrap();
        a.reopen().await;
        a.exec("DELETE FROM categories WHERE id = @1").await;
        a.reopen().await;
        assert_eq!(a.pending().await, 1);
        a.client().rebuild().await.unwrap();
        a.reopen().await;
        converge(&[&a, &b]).await;
        assert_eq!(b.names("categories").await, "two,three,b");
        assert_eq!(a.client().sync_then_detach().await.unwrap().outcome, Outcome::Detached);
        a.reopen().await;
        a.attach().await;
        agree(&[&a, &b]).await;
    }
}
