//! Parents and children, trees, cycles, and what becomes of references when rows go.

use crate::device::{BUSINESS, Device, tables};
use crate::{World, agree, converge, worlds};
use rowtide::{ConflictPolicy, Outcome};

const TEAM: &str = "
    INSERT INTO teams VALUES (@1, 'red', @11), (@2, 'blue', @21);
    INSERT INTO team_members VALUES (@11, 'r1', @1), (@12, 'r2', @1), (@21, 'b1', @2);";
const TREE: &str = "
    INSERT INTO categories VALUES
        (@1, 'root', NULL), (@2, 'left', @1), (@3, 'right', @1), (@4, 'left leaf', @2), (@5, 'other', NULL)";
const PEOPLE: &str = "
    INSERT INTO users (id, name, email) VALUES (@1, 'Ada', 'a@example.org'), (@2, 'Bob', 'b@example.org');
    INSERT INTO posts (id, title, author_id) VALUES (@11, 'one', @1), (@12, 'two', @1), (@13, 'three', @2);";

/// The business schema, except that a post outlives its author.
async fn unlinking(world: &World) -> Device {
    let schema = BUSINESS.replace("REFERENCES users (id)", "REFERENCES users (id) ON DELETE SET NULL");
    assert_ne!(schema, BUSINESS);
    Device::create(world, &schema, |config| config.tables(tables(ConflictPolicy::ServerWins))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn children_that_are_written_before_their_parents_travel() {
    for world in worlds() {
        let (a, b) = world.pair(TREE).await;
        a.exec(
            "INSERT INTO posts (id, title, author_id) VALUES (@11, 'early', @1);
             INSERT INTO categories VALUES (@8, 'child', @9), (@9, 'parent', @7), (@7, 'grandparent', NULL);
             INSERT INTO file_reviews VALUES ($2, 'early', $1);
             INSERT INTO users (id, name, email) VALUES (@1, 'late', 'l@example.org');
             INSERT INTO files VALUES ($1, 'late', x'')",
        )
        .await;
        assert_eq!(a.sync().await.pushed_rows, 7);
        assert_eq!(b.sync().await.pulled_rows, 7);
        agree(&[&a, &b]).await;
        let c = world.attached().await;
        agree(&[&a, &c]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_sixty_rows_that_is_written_from_its_end_travels() {
    for world in worlds() {
        let a = world.attached().await;
        let b = world.attached().await;
        let links = (1..=60).map(|n| {
            format!("(@{n}, '{n}', {})", if n == 60 { "NULL".into() } else { format!("@{}", n + 1) })
        });
        a.exec(&format!("INSERT INTO categories VALUES {}", links.collect::<Vec<_>>().join(", "))).await;
        a.sync().await;
        b.sync().await;
        let c = world.attached().await;
        agree(&[&a, &b, &c]).await;
        c.exec("DELETE FROM categories WHERE id = @60").await;
        converge(&[&c, &a, &b]).await;
        assert_eq!(a.count("categories").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cascade_takes_the_same_rows_everywhere() {
    for world in worlds() {
        let (a, b) = world.pair(TREE).await;
        a.exec("INSERT INTO files VALUES ($1, 'f', x'01'); INSERT INTO file_reviews VALUES ($2, 'r', $1), ($3, 's', $1)").await;
        converge(&[&a, &b]).await;
        b.exec("DELETE FROM categories WHERE id = @2; DELETE FROM files").await;
        assert_eq!(b.pending().await, 5);
        converge(&[&b, &a]).await;
        assert_eq!(a.names("categories").await, "root,right,other");
        assert_eq!(a.count("file_reviews").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_refers_to_itself_travels_and_goes() {
    for world in worlds() {
        let (a, b) = world.pair("INSERT INTO categories VALUES (@1, 'self', @1)").await;
        b.exec("INSERT INTO categories VALUES (@2, 'self too', @2); UPDATE categories SET name = 'I' WHERE id = @1").await;
        converge(&[&b, &a]).await;
        assert_eq!(a.names("categories").await, "I,self too");
        a.exec("DELETE FROM categories WHERE id = @1").await;
        converge(&[&a, &b]).await;
        assert_eq!(b.names("categories").await, "self too");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_of_two_tables_is_seeded_edited_and_deleted() {
    for world in worlds() {
        let (a, b) = world.pair(TEAM).await;
        a.exec("UPDATE teams SET captain_member_id = @12 WHERE id = @1; INSERT INTO team_members VALUES (@22, 'b2', @2)").await;
        converge(&[&a, &b]).await;
        b.exec("DELETE FROM teams WHERE id = @1").await;
        assert_eq!(b.pending().await, 3);
        converge(&[&b, &a]).await;
        assert_eq!((a.names("teams").await, a.names("team_members").await), ("blue".into(), "b1,b2".into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn references_that_are_swapped_in_one_transaction_arrive_swapped() {
    for world in worlds() {
        let (a, b) = world.pair(TEAM).await;
        a.exec(
            "UPDATE teams SET captain_member_id = CASE id WHEN @1 THEN @21 ELSE @11 END;
             UPDATE team_members SET team_id = CASE team_id WHEN @1 THEN @2 ELSE @1 END",
        )
        .await;
        converge(&[&a, &b]).await;
        let captains = "SELECT group_concat(t.name || m.name) FROM (SELECT * FROM teams ORDER BY id) t JOIN team_members m ON m.id = t.captain_member_id";
        assert_eq!(b.text(captains).await, "redb1,bluer1");
        assert_eq!(b.count("team_members WHERE team_id = '00000000-0000-4000-8000-000000000002'").await, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_rows_that_swap_their_places_in_a_tree_arrive() {
    for world in worlds() {
        let (a, b) = world.pair(TREE).await;
        a.exec("UPDATE categories SET parent_id = @2 WHERE id = @1; UPDATE categories SET parent_id = NULL WHERE id = @2").await;
        converge(&[&a, &b]).await;
        b.exec("DELETE FROM categories WHERE id = @1").await;
        converge(&[&b, &a]).await;
        assert_eq!(a.names("categories").await, "left,left leaf,other");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn children_that_move_to_a_new_parent_survive_the_old_ones_delete() {
    for world in worlds() {
        let (a, b) = world.pair(TREE).await;
        a.exec(
            "INSERT INTO categories VALUES (@9, 'new', @5);
             UPDATE categories SET parent_id = @9 WHERE parent_id = @1;
             DELETE FROM categories WHERE id = @1",
        )
        .await;
        assert_eq!(a.sync().await.pushed_rows, 4);
        converge(&[&a, &b]).await;
        assert_eq!(b.names("categories").await, "left,right,left leaf,other,new");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_unlinks_children_leaves_them_without_a_parent_everywhere() {
    for world in worlds() {
        let a = unlinking(&world).await;
        a.exec(PEOPLE).await;
        a.attach().await;
        a.sync().await;
        let b = unlinking(&world).await;
        b.attach().await;
        b.exec("DELETE FROM users WHERE id = @1").await;
        assert_eq!(b.pending().await, 3);
        converge(&[&b, &a]).await;
        assert_eq!(
            a.text(
                "SELECT group_concat(title) FROM (SELECT * FROM posts WHERE author_id IS NULL ORDER BY id)"
            )
            .await,
            "one,two"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_written_here_of_a_parent_unlinked_elsewhere_stays_without_it() {
    for world in worlds() {
        let a = unlinking(&world).await;
        a.exec(PEOPLE).await;
        a.attach().await;
        a.sync().await;
        let b = unlinking(&world).await;
        b.attach().await;
        b.exec("DELETE FROM users WHERE id = @1").await;
        b.sync().await;
        a.exec("INSERT INTO posts (id, title, author_id) VALUES (@14, 'late', @1)").await;
        assert_eq!(a.sync().await.refused_rows, 0);
        converge(&[&a, &b]).await;
        assert_eq!(b.count("posts WHERE author_id IS NULL").await, 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_written_here_of_a_parent_deleted_elsewhere_goes_to_the_inbox_and_can_come_back() {
    for world in worlds() {
        let (a, b) = world.pair(TREE).await;
        b.exec("DELETE FROM categories WHERE id = @1").await;
        b.sync().await;
        a.exec("INSERT INTO categories VALUES (@6, 'mine', @4); UPDATE categories SET name = 'edited' WHERE id = @5").await;
        let report = a.sync().await;
        assert_eq!((report.refused_rows, report.pushed_rows), (1, 1));
        assert_eq!(a.inbox().await, [("categories".into(), "parent_missing".into())]);
        assert_eq!(a.client().detach().await.unwrap().outcome, Outcome::BlockedUnsyncedData { rows: 1 });
        converge(&[&a, &b]).await;
        assert_eq!(b.names("categories").await, "edited");
        assert!(a.client().retry_refused().await.is_err(), "the parent is still missing");
        a.exec("INSERT INTO categories VALUES (@4, 'again', NULL)").await;
        assert_eq!(a.client().retry_refused().await.unwrap(), 1);
        converge(&[&a, &b]).await;
        assert_eq!(b.names("categories").await, "again,edited,mine");
        assert!(a.inbox().await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_another_devices_new_reference_forbids_is_undone() {
    for world in worlds() {
        let (a, b) = world.pair(PEOPLE).await;
        b.exec("INSERT INTO posts (id, title, author_id) VALUES (@14, 'new', @2)").await;
        b.sync().await;
        a.exec("DELETE FROM posts WHERE id = @13; DELETE FROM users WHERE id = @2").await;
        a.sync().await;
        converge(&[&a, &b]).await;
        for device in [&a, &b] {
            assert_eq!(device.names("users").await, "Ada,Bob");
            assert_eq!(device.count("posts WHERE author_id IS NOT NULL").await, 3);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_moved_away_here_survives_the_delete_of_its_former_parent_elsewhere() {
    for world in worlds() {
        let (_, b) = world.pair(TREE).await;
        let a = world.device_of_policy(ConflictPolicy::ClientWins).await;
        b.exec("DELETE FROM categories WHERE id = @2").await;
        b.sync().await;
        a.exec("UPDATE categories SET parent_id = @5 WHERE id = @4").await;
        a.sync().await;
        converge(&[&a, &b]).await;
        assert_eq!(b.names("categories").await, "root,right,left leaf,other");
    }
}
