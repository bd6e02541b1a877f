//! Detach, attach again, another user, tokens.

use crate::world::fresh_user;
use crate::{World, agree, converge, worlds};
use async_trait::async_trait;
use rowtide::{ErrorKind, Outcome, State, TokenError, TokenProvider, TokenReason};
use std::sync::{Arc, Mutex};

const THREE: &str = "INSERT INTO categories VALUES (@1, 'one', NULL), (@2, 'two', NULL), (@3, 'three', NULL)";

#[tokio::test(flavor = "multi_thread")]
async fn detach_is_blocked_by_unsynced_rows_and_changes_nothing() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        a.exec("UPDATE categories SET name = 'x' WHERE id < @3").await;
        let (before, source) = (a.dump().await, a.client().source_info().await.unwrap());
        assert_eq!(a.client().detach().await.unwrap().outcome, Outcome::BlockedUnsyncedData { rows: 2 });
        assert_eq!((a.dump().await, a.client().source_info().await.unwrap()), (before, source));
        assert_eq!((a.state().await, a.pending().await), (State::Attached, 2));
        converge(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn detach_empties_the_tables_replaces_the_source_and_deletes_nothing_at_the_server() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        let source = a.client().source_info().await.unwrap();
        assert_eq!(a.client().detach().await.unwrap().outcome, Outcome::Detached);
        let status = a.client().status().await.unwrap();
        assert_eq!((status.user, status.state, status.pending_rows), (None, State::Anonymous, 0));
        assert_ne!(a.client().source_info().await.unwrap().source_id, source.source_id);
        assert!(a.dump().await.iter().all(|(_, rows)| rows.is_empty()));
        assert_eq!(a.client().detach().await.unwrap().outcome, Outcome::NoChange);
        assert_eq!(b.sync().await.outcome, Outcome::NoChange);
        assert_eq!(b.count("categories").await, 3);
        a.attach().await;
        agree(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_then_detach_sends_what_is_pending_first() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        a.exec("UPDATE categories SET name = 'last words' WHERE id = @1").await;
        let report = a.client().sync_then_detach().await.unwrap();
        assert_eq!((report.outcome, report.pushed_rows), (Outcome::Detached, 1));
        assert_eq!((a.count("categories").await, a.pending().await), (0, 0));
        b.sync().await;
        assert_eq!(b.names("categories").await, "last words,two,three");
        a.attach().await;
        agree(&[&a, &b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_attaches_again_has_everything_back_and_goes_on_from_there() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        for round in 0..3 {
            a.exec(&format!("UPDATE categories SET name = 'round {round}' WHERE id = @1")).await;
            assert_eq!(a.client().sync_then_detach().await.unwrap().outcome, Outcome::Detached);
            let report = a.attach().await;
            assert_eq!((report.outcome, report.hydrated_rows), (Outcome::Attached, 3));
            converge(&[&a, &b]).await;
            assert_eq!(b.names("categories").await, format!("round {round},two,three"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_written_between_detach_and_attach_go_up_for_the_user_who_attaches() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        a.client().detach().await.unwrap();
        a.exec("INSERT INTO categories VALUES (@4, 'in between', NULL)").await;
        a.attach().await;
        assert_eq!(a.pending().await, 1);
        converge(&[&a, &b]).await;
        assert_eq!(b.names("categories").await, "one,two,three,in between");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_user_on_the_same_database_sees_nothing_of_the_first() {
    for world in worlds() {
        let (mut a, b) = world.pair(THREE).await;
        a.client().sync_then_detach().await.unwrap();
        let second = fresh_user();
        a.user.lock().unwrap().clone_from(&second);
        a.reopen().await;
        assert_eq!(a.attach().await.outcome, Outcome::Attached);
        assert_eq!(a.count("categories").await, 0);
        a.exec("INSERT INTO categories VALUES (@1, 'of the second user', NULL)").await;
        assert_eq!(a.sync().await.pushed_rows, 1);
        let second = world.of(&second).attached().await;
        agree(&[&a, &second]).await;
        b.sync().await;
        assert_eq!(b.names("categories").await, "one,two,three");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_keys_of_two_users_are_different_rows() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        let (c, d) = world.of(&fresh_user()).pair(&THREE.replace("one", "another")).await;
        a.exec("DELETE FROM categories WHERE id = @2").await;
        c.exec("UPDATE categories SET name = 'edited' WHERE id = @2").await;
        converge(&[&a, &b]).await;
        converge(&[&c, &d]).await;
        assert_eq!(b.names("categories").await, "one,three");
        assert_eq!(d.names("categories").await, "another,edited,three");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_rows_block_detach_until_they_are_discarded() {
    for world in worlds() {
        let (a, b) = world.pair("INSERT INTO typed_rows (id, name) VALUES (@1, 'there')").await;
        a.exec("INSERT INTO typed_rows (id, name, rating) VALUES (@2, 'infinite', 9e999)").await;
        assert_eq!(
            a.client().sync_then_detach().await.unwrap().outcome,
            Outcome::BlockedUnsyncedData { rows: 1 }
        );
        assert_eq!(a.client().discard_refused().await.unwrap(), 1);
        assert_eq!(a.client().detach().await.unwrap().outcome, Outcome::Detached);
        a.attach().await;
        agree(&[&a, &b]).await;
    }
}

/// A user's tokens after a first one that no server takes.
#[derive(Clone)]
struct StaleFirst {
    world: World,
    reasons: Arc<Mutex<Vec<TokenReason>>>,
    stays_stale: bool,
}

#[async_trait]
impl TokenProvider for StaleFirst {
    async fn token(&self, reason: TokenReason) -> Result<String, TokenError> {
        self.reasons.lock().unwrap().push(reason);
        if reason == TokenReason::FirstUse || self.stays_stale {
            return Ok("stale".into());
        }
        Ok(self.world.sign_in(&self.world.user).await)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_server_rejects_is_replaced_once() {
    for world in worlds() {
        let (a, _) = world.pair(THREE).await;
        let tokens = StaleFirst { world: world.clone(), reasons: Arc::default(), stays_stale: false };
        let used = tokens.clone();
        let b = world.device_with(move |config| config.tokens(used.clone())).await;
        b.attach().await;
        b.exec("UPDATE categories SET name = 'b' WHERE id = @1").await;
        converge(&[&b, &a]).await;
        assert_eq!(*tokens.reasons.lock().unwrap(), [TokenReason::FirstUse, TokenReason::Rejected]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_whose_tokens_stay_rejected_has_to_sign_in_and_keeps_its_rows() {
    for world in worlds() {
        let (a, _) = world.pair(THREE).await;
        let tokens = StaleFirst { world: world.clone(), reasons: Arc::default(), stays_stale: true };
        let b = world.device_with(move |config| config.tokens(tokens.clone())).await;
        b.exec("INSERT INTO categories VALUES (@4, 'kept', NULL)").await;
        let error = b.client().attach(&world.user).await.unwrap_err();
        assert_eq!((error.kind(), error.is_auth()), (ErrorKind::Authentication, true));
        assert_eq!((b.state().await, b.pending().await), (State::Anonymous, 1));
        let signed_in = world.clone();
        let b = b
            .configured(move |config| {
                let user = Arc::new(Mutex::new(signed_in.user.clone()));
                config
                    .tables(crate::device::tables(rowtide::ConflictPolicy::ServerWins))
                    .tokens(crate::world::SignIn { world: signed_in.clone(), user })
            })
            .await;
        b.attach().await;
        converge(&[&b, &a]).await;
        assert_eq!(a.names("categories").await, "one,two,three,kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_user_of_the_same_open_client_sees_nothing_of_the_first() {
    for world in worlds() {
        let (a, b) = world.pair(THREE).await;
        a.client().sync_then_detach().await.unwrap();
        *a.user.lock().unwrap() = fresh_user();
        a.attach().await;
        assert_eq!(a.names("categories").await, "");
        a.exec("INSERT INTO categories VALUES (@1, 'of the second user', NULL)").await;
        a.sync().await;
        b.sync().await;
        assert_eq!(b.names("categories").await, "one,two,three");
    }
}
