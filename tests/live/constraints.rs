//! Constraints between what was deleted here and what other devices added meanwhile.

use crate::{agree, converge, worlds};

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_keep_its_new_parent_goes_to_the_inbox_and_the_servers_row_comes_back() {
    for world in worlds() {
        let (a, b) = world.pair("INSERT INTO categories VALUES (@1, 'one', NULL), (@3, 'three', NULL)").await;
        b.exec("DELETE FROM categories WHERE id = @3").await;
        b.sync().await;
        a.exec("UPDATE categories SET parent_id = @3 WHERE id = @1").await;
        a.sync().await;
        a.client().discard_refused().await.unwrap();
        converge(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_goes_to_the_inbox_takes_no_row_of_the_server_along() {
    for world in worlds() {
        let (a, b) = world
            .pair("INSERT INTO categories VALUES (@1, 'one', NULL), (@2, 'child', @1), (@3, 'three', NULL)")
            .await;
        b.exec("DELETE FROM categories WHERE id = @3").await;
        b.sync().await;
        a.exec("UPDATE categories SET parent_id = @3 WHERE id = @1").await;
        a.sync().await;
        a.exec("INSERT INTO categories VALUES (@3, 'three again', NULL)").await;
        a.client().retry_refused().await.unwrap();
        converge(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_would_take_a_new_captain_along_is_undone() {
    for world in worlds() {
        let (a, b) = world.pair("INSERT INTO teams VALUES (@1, 't1', NULL), (@2, 't2', NULL)").await;
        b.exec("INSERT INTO team_members VALUES (@11, 'm', @1); UPDATE teams SET captain_member_id = @11 WHERE id = @2").await;
        b.sync().await;
        a.exec("DELETE FROM teams WHERE id = @1").await;
        a.sync().await;
        converge(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_came_and_went_here_deletes_nothing_of_another_device() {
    for world in worlds() {
        let (_, b) = world.pair("").await;
        let a = world.device_of_policy(rowtide::ConflictPolicy::ClientWins).await;
        b.exec("INSERT INTO categories VALUES (@1, 'b', NULL)").await;
        b.sync().await;
        a.exec("INSERT INTO categories VALUES (@1, 'a', NULL); DELETE FROM categories WHERE id = @1").await;
        a.sync().await;
        assert_eq!(b.names("categories").await, "b");
        agree(&[&a, &b]).await;
    }
}

const PEOPLE: &str =
    "INSERT INTO users (id, name, email) VALUES (@1, 'Ada', 'a@example.org'), (@2, 'Bob', 'b@example.org')";

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_delete_is_undone_by_a_rebuild() {
    for world in worlds() {
        let (a, b) = world.pair(PEOPLE).await;
        b.exec("INSERT INTO posts (id, title, author_id) VALUES (@14, 'new', @2)").await;
        b.sync().await;
        a.exec("DELETE FROM users WHERE id = @2").await;
        a.client().rebuild().await.unwrap();
        converge(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forbidden_deletes_of_rows_that_came_anew_are_undone() {
    for world in worlds() {
        let (a, b) = world.pair(PEOPLE).await;
        b.exec("DELETE FROM users WHERE id = @2").await;
        b.exec("INSERT INTO users (id, name, email) VALUES (@2, 'Bob2', 'b@example.org')").await;
        b.exec("INSERT INTO posts (id, title, author_id) VALUES (@14, 'new', @2)").await;
        b.sync().await;
        a.exec("INSERT INTO posts (id, title, author_id) VALUES (@14, 'mine', @2); DELETE FROM posts WHERE id = @14; DELETE FROM users WHERE id = @2").await;
        a.client().pull().await.unwrap();
        converge(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_that_came_and_went_here_is_the_other_devices() {
    for world in worlds() {
        let (_, b) = world.pair(PEOPLE).await;
        let a = world.device_of_policy(rowtide::ConflictPolicy::ClientWins).await;
        b.exec("INSERT INTO teams VALUES (@6, 'six', @11), (@2, 'two', @11); INSERT INTO team_members VALUES (@11, 'm', @6)").await;
        b.sync().await;
        a.exec("INSERT INTO teams VALUES (@6, 'mine', NULL); DELETE FROM teams WHERE id = @6").await;
        a.client().pull().await.unwrap();
        converge(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_delete_is_undone_although_the_device_is_right() {
    for world in worlds() {
        let (_, b) = world.pair(PEOPLE).await;
        let a = world.device_of_policy(rowtide::ConflictPolicy::ClientWins).await;
        b.exec("INSERT INTO posts (id, title, author_id) VALUES (@14, 'new', @2)").await;
        b.sync().await;
        b.exec("UPDATE users SET name = 'BOB' WHERE id = @2").await;
        b.sync().await;
        a.exec("DELETE FROM users WHERE id = @2").await;
        a.client().pull().await.unwrap();
        converge(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_delete_is_undone_by_a_pull() {
    for world in worlds() {
        let (_, b) = world.pair(PEOPLE).await;
        let a = world.device_of_policy(rowtide::ConflictPolicy::ClientWins).await;
        b.exec("INSERT INTO posts (id, title, author_id) VALUES (@14, 'new', @2)").await;
        b.sync().await;
        a.exec("DELETE FROM users WHERE id = @2").await;
        a.client().pull().await.unwrap();
        converge(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_delete_is_undone_where_the_row_was_edited_too() {
    for world in worlds() {
        let (_, b) = world.pair(PEOPLE).await;
        let a = world.device_of_policy(rowtide::ConflictPolicy::ClientWins).await;
        b.exec("INSERT INTO posts (id, title, author_id) VALUES (@14, 'new', @2); UPDATE users SET name = 'BOB' WHERE id = @2").await;
        b.sync().await;
        a.exec("DELETE FROM users WHERE id = @2").await;
        a.client().sync().await.unwrap();
        converge(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_delete_is_undone_where_the_row_was_edited_before() {
    for world in worlds() {
        let (_, b) = world.pair(PEOPLE).await;
        let a = world.device_of_policy(rowtide::ConflictPolicy::ClientWins).await;
        b.exec("UPDATE users SET name = 'BOB' WHERE id = @2").await;
        b.sync().await;
        b.exec("INSERT INTO posts (id, title, author_id) VALUES (@14, 'new', @2)").await;
        b.sync().await;
        a.exec("DELETE FROM users WHERE id = @2").await;
        a.client().sync().await.unwrap();
        converge(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_the_tables_does_not_decide_what_a_delete_reaches() {
    use crate::device::{BUSINESS, Device, TABLES};
    for world in worlds() {
        let (_, b) = world.pair("INSERT INTO teams VALUES (@1, 't1', NULL), (@2, 't2', NULL)").await;
        let a = Device::create(&world, BUSINESS, |config| {
            config.tables(TABLES.into_iter().rev().map(|table| rowtide::SyncTable::new(table).key("id")))
        })
        .await;
        a.attach().await;
        b.exec("INSERT INTO team_members VALUES (@11, 'm', @1); UPDATE teams SET captain_member_id = @11 WHERE id = @2").await;
        b.sync().await;
        a.exec("DELETE FROM teams WHERE id = @1").await;
        a.sync().await;
        converge(&[&a, &b]).await;
    }
}
