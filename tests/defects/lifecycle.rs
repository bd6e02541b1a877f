//! 19, 20, 29, 34, 36 and 38: attaching, detaching, and leases that are lost.

use crate::{BOTH, converge, count, notes, two_devices};
use async_trait::async_trait;
use rowtide::protocol::profile::WireGeneration;
use rowtide::{Outcome, State, TokenError, TokenProvider, TokenReason};
use rowtide_tests::{Device, Endpoint, Fault, Notes, TestServer};
use std::sync::{Arc, Mutex};

const SEED: &str = "INSERT INTO notes (id, title) VALUES ('n1', 'by a'), ('n2', 'by a'), ('n3', 'by a')";
const FROZEN: &str =
    "SELECT (SELECT count(*) FROM _rowtide_outbox_rows) || ' ' || (SELECT count(*) FROM _rowtide_dirty_rows)";

/// A device that holds the lease of an empty scope, all of its rows frozen.
async fn seeding_with_a_frozen_bundle(generation: WireGeneration) -> (TestServer, Device) {
    let server = TestServer::new(generation, &Notes::TABLES);
    let a = Device::notes(&server, "ada").await;
    a.exec(SEED).await;
    a.attach().await;
    server.fail(Endpoint::PushChunk, 0, 99, Fault::DropRequest);
    a.client().sync().await.unwrap_err();
    server.heal();
    assert_eq!(a.text(FROZEN).await, "3 0");
    (server, a)
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_19_a_frozen_bundle_counts_as_pending_and_blocks_detach() {
    for generation in BOTH {
        let (_server, a) = seeding_with_a_frozen_bundle(generation).await;
        assert_eq!(a.pending().await, 3);
        let blocked = a.client().detach().await.unwrap();
        assert_eq!(blocked.outcome, Outcome::BlockedUnsyncedData { rows: 3 });
        assert_eq!(a.text("SELECT count(*) FROM notes").await, "3");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_19_rows_of_a_frozen_bundle_are_announced_when_the_database_connects_anew() {
    for generation in BOTH {
        let (server, a) = seeding_with_a_frozen_bundle(generation).await;
        server.advance(901);
        a.client().sync().await.unwrap_err();
        assert_eq!(a.client().status().await.unwrap().user, None);
        server.take_exchanges();
        a.attach().await;
        let sent = server.take_exchanges();
        let connect = sent.iter().find(|exchange| exchange.endpoint == Endpoint::Connect).unwrap();
        assert_eq!(connect.request.body.as_deref(), Some(r#"{"has_local_pending_rows":true}"#));
        assert_eq!(a.client().status().await.unwrap().state, State::Seeding);
        assert_eq!(a.sync().await.pushed_rows, 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_20_detach_while_anonymous_wipes_nothing() {
    for generation in BOTH {
        let server = TestServer::new(generation, &Notes::TABLES);
        let a = Device::notes(&server, "ada").await;
        a.exec(SEED).await;
        let detached = [a.client().detach().await.unwrap(), a.client().detach().await.unwrap()];
        assert_eq!(detached.map(|report| report.outcome), [Outcome::NoChange, Outcome::NoChange]);
        assert_eq!((a.pending().await, a.text("SELECT count(*) FROM notes").await.as_str()), (3, "3"));
        a.attach().await;
        assert_eq!(a.sync().await.pushed_rows, 3);
    }
}

/// The token of whoever is signed in.
struct SignedIn(Arc<Mutex<String>>);

#[async_trait]
impl TokenProvider for SignedIn {
    async fn token(&self, _: TokenReason) -> Result<String, TokenError> {
        Ok(self.0.lock().unwrap().clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_20_the_checkpoint_and_the_source_do_not_survive_detach() {
    for generation in BOTH {
        let (server, b, _) = two_devices(generation, SEED).await;
        for round in 0..4 {
            b.exec(&format!("UPDATE notes SET stars = {round}")).await;
            b.sync().await;
        }
        let token = Arc::new(Mutex::new(server.token("ada")));
        let tokens = token.clone();
        let a = notes(&server, move |config| config.tokens(SignedIn(tokens.clone()))).await;
        a.attach().await;
        assert_eq!(a.client().status().await.unwrap().checkpoint.0, 5);
        let before = a.client().source_info().await.unwrap();
        assert_eq!(a.client().detach().await.unwrap().outcome, Outcome::Detached);
        assert_eq!(a.client().status().await.unwrap().checkpoint.0, 0);
        assert_ne!(a.client().source_info().await.unwrap().source_id, before.source_id);
        // The next user's history is shorter than what was seen of the former's.
        let other = Device::notes(&server, "bob").await;
        other.exec("INSERT INTO notes (id, title) VALUES ('b1', 'by bob')").await;
        other.attach().await;
        other.sync().await;
        *token.lock().unwrap() = server.token("bob");
        a.client().credentials_changed();
        a.client().attach("bob").await.unwrap();
        other.exec("INSERT INTO notes (id, title) VALUES ('b2', 'by bob')").await;
        other.sync().await;
        a.exec("INSERT INTO notes (id) VALUES ('b3')").await;
        converge(&a, &other).await;
        assert_eq!(a.text("SELECT count(*) FROM notes").await, "3");
    }
}

async fn seeds_instead(server: &TestServer) -> Device {
    let b = Device::notes(server, "ada").await;
    b.exec("INSERT INTO notes (id, title) VALUES ('n1', 'by b'), ('m1', 'by b')").await;
    b.attach().await;
    b.sync().await;
    b
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_29_a_lease_lost_to_a_device_that_seeded_leaves_no_bundle_that_blocks_everything() {
    for generation in BOTH {
        let (server, a) = seeding_with_a_frozen_bundle(generation).await;
        server.advance(901);
        let b = seeds_instead(&server).await;
        a.sync().await;
        converge(&a, &b).await;
        assert_eq!(a.text("SELECT count(*) FROM notes").await, "4");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_29_a_database_that_lost_its_lease_attaches_to_a_scope_that_has_data_and_keeps_its_rows() {
    for generation in BOTH {
        let (server, a) = seeding_with_a_frozen_bundle(generation).await;
        server.advance(901);
        a.client().sync().await.unwrap_err();
        let b = seeds_instead(&server).await;
        assert_eq!(a.attach().await.outcome, Outcome::Attached);
        a.client().pull().await.unwrap();
        converge(&a, &b).await;
        assert_eq!(b.text("SELECT count(*) FROM notes").await, "4");
        a.client().detach().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_38_a_lease_that_ends_during_a_push_loses_no_row_and_no_way_on() {
    for generation in BOTH {
        for endpoint in [Endpoint::PushCreate, Endpoint::PushChunk, Endpoint::PushCommit] {
            let server = TestServer::new(generation, &Notes::TABLES);
            let a = Device::notes(&server, "ada").await;
            a.exec(SEED).await;
            a.attach().await;
            let clock = server.clone();
            server.before(endpoint, move || clock.advance(901));
            a.client().sync().await.unwrap_err();
            let status = a.client().status().await.unwrap();
            assert_eq!((status.user, status.pending_rows), (None, 3), "{endpoint:?}");
            a.attach().await;
            assert_eq!(a.sync().await.pushed_rows, 3);
            let b = Device::notes(&server, "ada").await;
            b.attach().await;
            assert_eq!(a.dump().await, b.dump().await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_34_a_row_written_while_detach_runs_is_never_wiped_unseen() {
    let (_server, a, _) = two_devices(WireGeneration::B, SEED).await;
    for round in 0..40 {
        let insert = format!("INSERT INTO notes (id) VALUES ('round-{round}')");
        let (detached, written) = tokio::join!(a.client().detach(), a.client().execute(&insert, Vec::new()));
        written.unwrap();
        let kept = format!("SELECT count(*) FROM notes WHERE id = 'round-{round}'");
        assert_eq!((a.text(&kept).await.as_str(), a.pending().await), ("1", 1), "{detached:?}");
        let detached = detached.unwrap().outcome;
        assert!(matches!(detached, Outcome::Detached | Outcome::BlockedUnsyncedData { rows: 1 }));
        a.attach().await;
        a.sync().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_36_rows_that_came_and_went_block_neither_pull_nor_detach() {
    for generation in BOTH {
        let (server, a, b) = two_devices(generation, SEED).await;
        b.exec("UPDATE notes SET title = 'by b' WHERE id = 'n1'").await;
        b.sync().await;
        a.exec("INSERT INTO notes (id) VALUES ('brief'), ('short')").await;
        a.exec("UPDATE notes SET title = 'x' WHERE id = 'brief'; DELETE FROM notes WHERE id IN ('brief', 'short')").await;
        assert_eq!(a.pending().await, 0);
        server.take_exchanges();
        a.client().pull().await.unwrap();
        a.sync().await;
        assert_eq!(a.text("SELECT title FROM notes WHERE id = 'n1'").await, "by b");
        assert_eq!(count(&server.take_exchanges(), Endpoint::PushCreate), 0);
        a.exec("INSERT INTO notes (id) VALUES ('again'); DELETE FROM notes WHERE id = 'again'").await;
        assert_eq!(a.client().detach().await.unwrap().outcome, Outcome::Detached);
    }
}
