//! Attach in every resolution, detach, rebuild.

use crate::{BOTH, converge, two_devices};
use rowtide::{AnonymousRows, ErrorKind, Outcome, State, SyncTable};
use rowtide_tests::{Device, NOTES, Notes, TestServer};

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_device_initialises_an_empty_server_and_the_next_one_finds_it_initialised() {
    for generation in BOTH {
        let server = TestServer::new(generation, &Notes::TABLES);
        let a = Device::notes(&server, "ada").await;
        assert_eq!(a.attach().await.outcome, Outcome::Attached);
        assert_eq!(a.client().status().await.unwrap().state, State::Attached);
        let b = Device::notes(&server, "ada").await;
        b.exec("INSERT INTO notes (id, title) VALUES ('n1', 'from b')").await;
        assert_eq!(b.attach().await.outcome, Outcome::Attached);
        converge(&a, &b).await;
        assert_eq!(a.text("SELECT title FROM notes").await, "from b");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_comes_while_another_seeds_is_told_to_retry_later() {
    for generation in BOTH {
        let server = TestServer::new(generation, &Notes::TABLES);
        let a = Device::notes(&server, "ada").await;
        a.exec("INSERT INTO notes (id) VALUES ('n1')").await;
        a.attach().await;
        assert_eq!(a.client().status().await.unwrap().state, State::Seeding);
        let b = Device::notes(&server, "ada").await;
        let Outcome::RetryLater { seconds } = b.attach().await.outcome else { panic!("not told to retry") };
        assert!((1..=900).contains(&seconds));
        assert_eq!(b.client().status().await.unwrap().user, None);
        a.sync().await;
        assert_eq!(b.attach().await.outcome, Outcome::Attached);
        assert_eq!(a.dump().await, b.dump().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_written_before_attach_are_kept_discarded_or_refuse_by_configuration() {
    for generation in BOTH {
        let (server, a, _) =
            two_devices(generation, "INSERT INTO notes (id, title) VALUES ('n1', 'a')").await;
        let device = async |choice| {
            let device = Device::new(&server, "ada", NOTES, move |config| {
                let config = config.anonymous_rows(choice);
                config.table(SyncTable::new("notes").key("id")).table(SyncTable::new("tags").key("id"))
            })
            .await;
            device.exec("INSERT INTO notes (id, title) VALUES ('mine', 'local')").await;
            device
        };
        let refusing = device(AnonymousRows::Refuse).await;
        assert_eq!(refusing.attach().await.outcome, Outcome::BlockedUnsyncedData { rows: 1 });
        assert_eq!(refusing.text("SELECT count(*) FROM notes").await, "1");
        let discarding = device(AnonymousRows::Discard).await;
        discarding.attach().await;
        assert_eq!(discarding.dump().await, a.dump().await);
        let keeping = device(AnonymousRows::Keep).await;
        keeping.attach().await;
        assert_eq!(keeping.pending().await, 1);
        converge(&keeping, &a).await;
        assert_eq!(a.text("SELECT title FROM notes WHERE id = 'mine'").await, "local");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attaching_again_needs_no_network_and_another_user_is_refused() {
    let (server, a, _) = two_devices(BOTH[1], "INSERT INTO notes (id) VALUES ('n1')").await;
    server.take_exchanges();
    assert_eq!(a.attach().await.outcome, Outcome::AlreadyAttached);
    assert!(server.take_exchanges().is_empty());
    let error = a.client().attach("bob").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AttachedToAnother);
}

#[tokio::test(flavor = "multi_thread")]
async fn remote_operations_before_attach_say_so() {
    let server = TestServer::new(BOTH[0], &Notes::TABLES);
    let a = Device::notes(&server, "ada").await;
    for result in [a.client().sync().await, a.client().push().await, a.client().pull().await] {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::NotAttached);
    }
    assert!(server.take_exchanges().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn detach_refuses_unsynced_rows_and_otherwise_empties_the_tables_and_mints_a_source() {
    for generation in BOTH {
        let (_server, a, b) = two_devices(generation, "INSERT INTO notes (id) VALUES ('n1'), ('n2')").await;
        let before = a.client().source_info().await.unwrap();
        a.exec("UPDATE notes SET title = 'x' WHERE id = 'n1'").await;
        let blocked = a.client().detach().await.unwrap();
        assert_eq!(blocked.outcome, Outcome::BlockedUnsyncedData { rows: 1 });
        assert_eq!(a.text("SELECT count(*) FROM notes").await, "2");
        assert_eq!(a.client().sync_then_detach().await.unwrap().outcome, Outcome::Detached);
        assert_eq!(a.text("SELECT count(*) FROM notes").await, "0");
        let status = a.client().status().await.unwrap();
        assert_eq!((status.user, status.pending_rows, status.checkpoint.0), (None, 0, 0));
        assert_ne!(a.client().source_info().await.unwrap().source_id, before.source_id);
        b.sync().await;
        assert_eq!(b.text("SELECT title FROM notes WHERE id = 'n1'").await, "x");
        a.attach().await;
        assert_eq!(a.dump().await, b.dump().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rebuild_repairs_rows_and_keeps_local_intent() {
    for generation in BOTH {
        let (_server, a, b) =
            two_devices(generation, "INSERT INTO notes (id) VALUES ('n1'), ('n2'), ('n3')").await;
        b.exec("UPDATE notes SET title = 'b' WHERE id = 'n2'; DELETE FROM notes WHERE id = 'n3'").await;
        b.sync().await;
        a.exec("UPDATE notes SET title = 'mine' WHERE id = 'n1'; INSERT INTO notes (id) VALUES ('n4')").await;
        let report = a.client().rebuild().await.unwrap();
        assert_eq!(report.hydrated_rows, 2);
        assert_eq!(a.pending().await, 2);
        assert_eq!(a.text("SELECT group_concat(id || title) FROM notes").await, "n1mine,n2b,n4");
        converge(&a, &b).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_below_pruned_history_is_rebuilt_by_the_same_sync_and_intent_is_pushed() {
    use rowtide::protocol::ids::BundleSeq;
    for generation in BOTH {
        let (server, a, b) = two_devices(generation, "INSERT INTO notes (id) VALUES ('n1'), ('n2')").await;
        for round in 0..3 {
            b.exec(&format!("UPDATE notes SET stars = {round} WHERE id = 'n2'")).await;
            b.sync().await;
        }
        server.service().set_retained_floor("ada", BundleSeq(3)).await.unwrap();
        a.exec("UPDATE notes SET title = 'kept' WHERE id = 'n1'").await;
        let report = a.sync().await;
        assert_eq!((report.hydrated_rows, report.pushed_rows), (2, 1));
        converge(&a, &b).await;
        assert_eq!(b.text("SELECT title FROM notes WHERE id = 'n1'").await, "kept");
    }
}
