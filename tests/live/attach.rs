//! Attach in every resolution, with and without rows of one's own.

use crate::device::{BUSINESS, Device, tables};
use crate::world::fresh_user;
use crate::{World, agree, converge, worlds};
use rowtide::{AnonymousRows, ConflictPolicy, ErrorKind, Outcome, State};

const SEED: &str = "
    INSERT INTO users (id, name, email) VALUES (@1, 'Ada', 'ada@example.org'), (@2, 'Bob', 'bob@example.org');
    INSERT INTO posts (id, title, content, author_id) VALUES (@3, 'First', 'Hello', @1), (@4, 'Second', '', NULL);
    INSERT INTO categories VALUES (@5, 'root', NULL), (@6, 'leaf', @5);
    INSERT INTO teams VALUES (@7, 'red', @8);
    INSERT INTO team_members VALUES (@8, 'captain', @7), (@9, 'mate', @7);
    INSERT INTO files VALUES ($1, 'a.bin', x'00ff10');
    INSERT INTO file_reviews VALUES ($2, 'fine', $1);
    INSERT INTO typed_rows (id, name, count_value, enabled_flag, rating) VALUES (@10, 't', 7, 1, 0.5);";

async fn signed_out(world: &World, choice: AnonymousRows) -> Device {
    let device = world.device_with(move |config| config.anonymous_rows(choice)).await;
    device.exec("INSERT INTO categories VALUES (@2, 'mine', NULL)").await;
    device
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_device_initialises_an_empty_server_and_the_next_one_joins_it() {
    for world in worlds() {
        let a = world.device().await;
        assert_eq!(a.state().await, State::Anonymous);
        assert_eq!(a.attach().await.outcome, Outcome::Attached);
        assert_eq!(a.state().await, State::Attached);
        let b = world.attached().await;
        assert_eq!(b.count("users").await, 0);
        b.exec("INSERT INTO categories VALUES (@1, 'from b', NULL)").await;
        converge(&[&a, &b]).await;
        assert_eq!(a.names("categories").await, "from b");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_rows_in_every_table_seeds_the_server_and_others_hydrate_them() {
    for world in worlds() {
        let a = world.device().await;
        a.exec(SEED).await;
        assert_eq!(a.pending().await, 12);
        assert_eq!(a.attach().await.outcome, Outcome::Attached);
        assert_eq!(a.state().await, State::Seeding);
        assert_eq!(a.sync().await.pushed_rows, 12);
        assert_eq!(a.state().await, State::Attached);
        let b = world.device().await;
        assert_eq!(b.attach().await.hydrated_rows, 12);
        let c = world.attached().await;
        converge(&[&a, &b, &c]).await;
        assert_eq!(
            c.text("SELECT name FROM team_members WHERE id = (SELECT captain_member_id FROM teams)").await,
            "captain"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_comes_while_another_seeds_is_told_to_retry_later_and_then_hydrates() {
    for world in worlds() {
        let a = world.device().await;
        a.exec(SEED).await;
        a.attach().await;
        let b = signed_out(&world, AnonymousRows::Keep).await;
        let Outcome::RetryLater { seconds } = b.attach().await.outcome else { panic!("not told to retry") };
        assert!(seconds >= 1);
        assert_eq!((b.state().await, b.pending().await), (State::Anonymous, 1));
        assert_eq!(b.client().status().await.unwrap().user, None);
        a.sync().await;
        assert_eq!(b.attach().await.outcome, Outcome::Attached);
        converge(&[&a, &b]).await;
        assert_eq!(a.names("categories").await, "mine,root,leaf");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seeding_device_that_is_reopened_still_holds_the_lease_and_seeds() {
    for world in worlds() {
        let mut a = world.device().await;
        a.exec(SEED).await;
        a.attach().await;
        a.reopen().await;
        assert_eq!(a.state().await, State::Seeding);
        let b = world.device().await;
        assert!(matches!(b.attach().await.outcome, Outcome::RetryLater { .. }));
        assert_eq!(a.sync().await.pushed_rows, 12);
        b.attach().await;
        agree(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_written_while_signed_out_are_kept_on_top_of_the_servers() {
    for world in worlds() {
        let (a, _) = world.pair("INSERT INTO categories VALUES (@1, 'theirs', NULL)").await;
        let b = signed_out(&world, AnonymousRows::Keep).await;
        let report = b.attach().await;
        assert_eq!((report.outcome, report.hydrated_rows), (Outcome::Attached, 1));
        assert_eq!(b.pending().await, 1);
        converge(&[&b, &a]).await;
        assert_eq!(a.names("categories").await, "theirs,mine");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_written_while_signed_out_are_discarded_by_configuration() {
    for world in worlds() {
        let (a, _) = world.pair("INSERT INTO categories VALUES (@1, 'theirs', NULL)").await;
        let b = signed_out(&world, AnonymousRows::Discard).await;
        assert_eq!(b.attach().await.outcome, Outcome::Attached);
        agree(&[&a, &b]).await;
        assert_eq!(b.names("categories").await, "theirs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_written_while_signed_out_refuse_the_attach_by_configuration_until_they_are_gone() {
    for world in worlds() {
        let (a, _) = world.pair("INSERT INTO categories VALUES (@1, 'theirs', NULL)").await;
        let b = signed_out(&world, AnonymousRows::Refuse).await;
        assert_eq!(b.attach().await.outcome, Outcome::BlockedUnsyncedData { rows: 1 });
        assert_eq!((b.state().await, b.names("categories").await.as_str()), (State::Anonymous, "mine"));
        b.exec("DELETE FROM categories").await;
        assert_eq!(b.attach().await.outcome, Outcome::Attached);
        agree(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_written_while_signed_out_meets_the_same_row_of_the_server_by_its_policy() {
    for world in worlds() {
        for (policy, expected) in
            [(ConflictPolicy::ServerWins, "theirs"), (ConflictPolicy::ClientWins, "mine")]
        {
            let world = world.of(&fresh_user());
            let (a, _) = world.pair("INSERT INTO categories VALUES (@2, 'theirs', NULL)").await;
            let b = Device::create(&world, BUSINESS, move |config| config.tables(tables(policy))).await;
            b.exec("INSERT INTO categories VALUES (@2, 'mine', NULL)").await;
            assert_eq!(b.attach().await.conflicts, 1);
            converge(&[&b, &a]).await;
            assert_eq!(a.names("categories").await, expected, "{policy:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_there_before_sync_was_set_up_are_seeded_once() {
    for world in worlds() {
        let schema = format!("{BUSINESS} {SEED}");
        let mut a =
            Device::create(&world, &schema, |config| config.tables(tables(ConflictPolicy::ServerWins))).await;
        assert_eq!(a.pending().await, 12);
        a.reopen().await;
        assert_eq!(a.pending().await, 12);
        a.attach().await;
        assert_eq!(a.sync().await.pushed_rows, 12);
        a.reopen().await;
        assert_eq!(a.sync().await.pushed_rows, 0);
        let b = world.attached().await;
        agree(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attaching_again_is_no_request_and_another_user_is_refused() {
    for world in worlds() {
        let (a, b) = world.pair(SEED).await;
        let again = a.attach().await;
        assert_eq!((again.outcome, again.requests), (Outcome::AlreadyAttached, 0));
        let error = a.client().attach(&fresh_user()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AttachedToAnother);
        agree(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn remote_operations_before_attach_are_refused_and_lose_nothing() {
    for world in worlds() {
        let a = world.device().await;
        a.exec(SEED).await;
        for result in [a.client().sync().await, a.client().push().await, a.client().pull().await] {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::NotAttached);
        }
        assert_eq!(a.pending().await, 12);
        a.attach().await;
        a.sync().await;
        let b = world.attached().await;
        agree(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_tells_its_generation_and_that_the_tables_match() {
    for world in worlds() {
        let (a, b) = world.pair(SEED).await;
        let generation = a.client().check_server().await.unwrap();
        assert!(["a", "b"].contains(&generation), "{generation}");
        for device in [&a, &b] {
            assert_eq!(device.client().status().await.unwrap().generation, Some(generation));
        }
        agree(&[&a, &b]).await;
    }
}
