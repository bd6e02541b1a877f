//! Conflicts that a policy decides, and changes that are none.

use crate::{Device, Wire, World, converge, worlds};
use rowtide::ConflictPolicy::{self, Callback, ClientWins, ServerWins};

const SEED: &str =
    "INSERT INTO users (id, name, email) VALUES (@1, 'old', 'o@example.org'), (@2, 'other', 'p@example.org')";
const EDIT: &str = "UPDATE users SET name = 'mine' WHERE id = @1";
const OTHER_EDIT: &str = "UPDATE users SET name = 'theirs' WHERE id = @1";
const REMOVE: &str = "DELETE FROM users WHERE id = @1";
const INSERT: &str = "INSERT INTO users (id, name, email) VALUES (@3, 'mine', 'm@example.org')";
const OTHER_INSERT: &str = "INSERT INTO users (id, name, email) VALUES (@3, 'theirs', 't@example.org')";

/// B pushes `theirs` while A, which has the policy, has `mine` pending; answers what both have in the end.
async fn collide(world: &World, policy: ConflictPolicy, mine: &str, theirs: &str) -> (String, i64) {
    let world = world.of(&crate::world::fresh_user());
    let (_, b) = world.pair(SEED).await;
    let a = world.device_of_policy(policy).await;
    b.exec(theirs).await;
    b.sync().await;
    a.exec(mine).await;
    let conflicts = a.sync().await.conflicts;
    converge(&[&a, &b]).await;
    assert!(a.inbox().await.is_empty(), "a decided conflict leaves nothing in the inbox");
    (a.names("users").await, conflicts)
}

async fn ends(mine: &str, theirs: &str, server_wins: &str, client_wins: &str) {
    for world in worlds() {
        for (policy, expected) in [(ServerWins, server_wins), (ClientWins, client_wins)] {
            let (names, conflicts) = collide(&world, policy, mine, theirs).await;
            assert_eq!((names.as_str(), conflicts), (expected, 1), "{policy:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_meets_an_edit_ends_as_the_policy_says() {
    ends(EDIT, OTHER_EDIT, "theirs,other", "mine,other").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_meets_a_delete_ends_as_the_policy_says() {
    ends(EDIT, REMOVE, "other", "mine,other").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_meets_an_edit_ends_as_the_policy_says() {
    ends(REMOVE, OTHER_EDIT, "theirs,other", "other").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_that_meets_an_insert_ends_as_the_policy_says() {
    ends(INSERT, OTHER_INSERT, "old,other,theirs", "old,other,mine").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_meets_a_delete_is_no_conflict() {
    for world in worlds() {
        for policy in [ServerWins, ClientWins, Callback] {
            assert_eq!(collide(&world, policy, REMOVE, REMOVE).await, ("other".to_owned(), 0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_edit_on_both_sides_is_no_conflict() {
    for world in worlds() {
        for policy in [ServerWins, ClientWins, Callback] {
            assert_eq!(collide(&world, policy, EDIT, EDIT).await, ("mine,other".to_owned(), 0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_another_row_is_no_conflict() {
    for world in worlds() {
        let other = "UPDATE users SET name = 'theirs' WHERE id = @2";
        assert_eq!(collide(&world, Callback, EDIT, other).await, ("mine,theirs".to_owned(), 0));
    }
}

/// Devices that push without having pulled learn of the conflict from the server's refusal.
async fn race(world: &World, policy: ConflictPolicy, mine: &str, theirs: &str) -> (Device, Device) {
    let (_, b) = world.pair(SEED).await;
    let a = world.device_of_policy(policy).await;
    b.exec(theirs).await;
    b.sync().await;
    a.exec(mine).await;
    assert_eq!(a.client().push().await.unwrap().conflicts, 1);
    converge(&[&a, &b]).await;
    (a, b)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_the_server_refuses_for_a_conflict_is_rebased_and_ends_as_the_policy_says() {
    for world in worlds() {
        for (policy, mine, theirs, expected) in [
            (ServerWins, EDIT, OTHER_EDIT, "theirs,other"),
            (ClientWins, EDIT, OTHER_EDIT, "mine,other"),
            (ServerWins, EDIT, REMOVE, "other"),
            (ClientWins, EDIT, REMOVE, "mine,other"),
            (ServerWins, REMOVE, OTHER_EDIT, "theirs,other"),
            (ClientWins, REMOVE, OTHER_EDIT, "other"),
            (ServerWins, INSERT, OTHER_INSERT, "old,other,theirs"),
            (ClientWins, INSERT, OTHER_INSERT, "old,other,mine"),
        ] {
            let world = world.of(&crate::world::fresh_user());
            let (a, _) = race(&world, policy, mine, theirs).await;
            assert_eq!(a.names("users").await, expected, "{policy:?}: {mine} / {theirs}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_overtakes_a_push_between_upload_and_commit_is_rebased_on() {
    for world in worlds() {
        let (_, b) = world.pair(SEED).await;
        let wire = Wire::new(&world);
        let used = wire.clone();
        let a = world.device_with(move |config| used.used_by(config)).await;
        a.attach().await;
        a.exec("UPDATE users SET name = name || ' by a'").await;
        b.exec(OTHER_EDIT).await;
        let other = b.client().clone();
        wire.before("/commit", async move {
            other.sync().await.unwrap();
        });
        let report = a.sync().await;
        assert!(!wire.waits());
        assert_eq!((report.conflicts, report.pushed_rows), (1, 1));
        converge(&[&a, &b]).await;
        assert_eq!(b.names("users").await, "theirs,other by a");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_of_a_key_that_was_deleted_before_the_device_came_is_decided_and_arrives() {
    for world in worlds() {
        let (a, b) = world.pair(SEED).await;
        a.exec(REMOVE).await;
        converge(&[&a, &b]).await;
        let c = world.device_of_policy(ClientWins).await;
        c.exec("INSERT INTO users (id, name, email) VALUES (@1, 'new', 'n@example.org')").await;
        c.sync().await;
        converge(&[&c, &a, &b]).await;
        assert_eq!(a.names("users").await, "new,other");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_conflicts_in_one_sync_end_as_the_policy_says() {
    const ROWS: &str = "
        INSERT INTO categories WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
        SELECT printf('00000000-0000-4000-8000-%012d', i), 'old', NULL FROM n";
    for world in worlds() {
        for (policy, expected) in [(ServerWins, [0, 200]), (ClientWins, [200, 0])] {
            let world = world.of(&crate::world::fresh_user());
            let (_, b) = world.pair(ROWS).await;
            let a = world.device_of_policy(policy).await;
            b.exec("UPDATE categories SET name = 'theirs' WHERE id > @100").await;
            b.sync().await;
            a.exec("UPDATE categories SET name = 'mine' WHERE id > @100").await;
            assert_eq!(a.sync().await.conflicts, 200);
            converge(&[&a, &b]).await;
            let count = async |name| b.count(&format!("categories WHERE name = '{name}'")).await;
            assert_eq!([count("mine").await, count("theirs").await], expected, "{policy:?}");
            assert_eq!(count("old").await, 100);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_taken_back_by_a_delete_meets_the_other_devices_insert_as_nothing() {
    for world in worlds() {
        let came_and_went = format!("{INSERT}; DELETE FROM users WHERE id = @3");
        let (names, conflicts) = collide(&world, ClientWins, &came_and_went, OTHER_INSERT).await;
        assert_eq!((names.as_str(), conflicts), ("old,other,theirs", 0));
    }
}
