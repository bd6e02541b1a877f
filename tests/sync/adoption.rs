//! A database that another client of the protocol left behind goes on where that client stood.

use crate::former::{everything, exec, leftovers, regress};
use crate::{BOTH, converge, two_devices};
use rowtide::State;
use rowtide::protocol::profile::WireGeneration;
use rowtide_tests::{Device, Endpoint, Fault, Notes, TestServer};
use serde_json::Value;

pub(crate) const SEED: &str =
    "INSERT INTO notes (id, title) VALUES ('n1', 'one'), ('n2', 'two'), ('n3', 'three'), ('n4', 'four');
    INSERT INTO tags (id, name, note_id) VALUES (x'00112233445566778899aabbccddeeff', 'tag', 'n1')";
pub(crate) const WRITES: &str = "UPDATE notes SET title = 'edited' WHERE id = 'n1';
    INSERT INTO notes (id, title, parent) VALUES ('n5', 'five', 'n1');
    INSERT INTO tags (id, name, note_id) VALUES (x'ffeeddccbbaa99887766554433221100', 'new', 'n5');
    DELETE FROM notes WHERE id = 'n4'";
pub(crate) const TITLES: &str =
    "SELECT group_concat(id || ':' || title) FROM (SELECT * FROM notes ORDER BY id)";

/// Rows that were uploaded, and bundles that were asked to be committed, since the last count.
pub(crate) fn uploads(server: &TestServer) -> (usize, usize) {
    let (mut rows, mut commits) = (0, 0);
    for exchange in server.take_exchanges() {
        match exchange.endpoint {
            Endpoint::PushChunk => {
                let body: Value = serde_json::from_str(exchange.request.body.as_deref().unwrap()).unwrap();
                rows += body["rows"].as_array().unwrap().len();
            }
            Endpoint::PushCommit => commits += 1,
            _ => {}
        }
    }
    (rows, commits)
}

pub(crate) async fn source(device: &Device) -> String {
    device.client().source_info().await.unwrap().source_id
}

pub(crate) async fn state(device: &Device) -> State {
    device.client().status().await.unwrap().state
}

/// Leaves [`WRITES`] frozen; the server has them where `lost` is the answer to the commit.
pub(crate) async fn frozen(generation: WireGeneration, lost: bool) -> (TestServer, Device, Device) {
    let (server, a, b) = two_devices(generation, SEED).await;
    a.exec(WRITES).await;
    if lost {
        server.fail(Endpoint::PushCommit, 0, 1, Fault::ApplyThenDropReply);
        server.fail(Endpoint::PushCreate, 1, 9, Fault::DropRequest);
    } else {
        server.fail(Endpoint::PushCommit, 0, 9, Fault::DropRequest);
    }
    a.client().sync().await.unwrap_err();
    server.heal();
    (server, a, b)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_database_goes_on_without_uploading_or_downloading_anything_again() {
    for generation in BOTH {
        let (server, mut a, b) = two_devices(generation, SEED).await;
        let (was, checkpoint) = (source(&a).await, a.client().status().await.unwrap().checkpoint);
        regress(&mut a, generation).await;
        a.reopen().await;
        let status = a.client().status().await.unwrap();
        assert_eq!((status.source_id.as_str(), status.user.as_deref()), (was.as_str(), Some("ada")));
        assert_eq!((status.pending_rows, status.checkpoint, status.state), (0, checkpoint, State::Attached));
        server.take_exchanges();
        a.attach().await;
        assert_eq!(a.sync().await.hydrated_rows, 0);
        assert_eq!(uploads(&server), (0, 0));
        a.exec("UPDATE notes SET title = 'later' WHERE id = 'n2'; DELETE FROM tags").await;
        converge(&a, &b).await;
        a.close().await;
        assert_eq!((leftovers(&a, "_sync_").await, leftovers(&a, "trg_").await), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_rows_are_uploaded_once_and_a_second_open_changes_nothing() {
    for generation in BOTH {
        let (server, mut a, b) = two_devices(generation, SEED).await;
        let was = source(&a).await;
        regress(&mut a, generation).await;
        exec(&a, WRITES).await;
        exec(&a, "INSERT INTO notes (id) VALUES ('gone'); DELETE FROM notes WHERE id = 'gone'").await;
        a.reopen().await;
        assert_eq!(a.pending().await, 4);
        a.close().await;
        let adopted = everything(&a).await;
        a.reopen().await;
        a.close().await;
        assert_eq!(everything(&a).await, adopted);
        a.reopen().await;
        b.exec("UPDATE notes SET title = 'theirs' WHERE id = 'n2'").await;
        b.sync().await;
        uploads(&server);
        assert_eq!(a.sync().await.pushed_rows, 4);
        assert_eq!(uploads(&server), (4, 1));
        converge(&a, &b).await;
        assert_eq!(b.text(TITLES).await, "n1:edited,n2:theirs,n3:three,n5:five");
        assert_eq!(source(&a).await, was);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_rebuild_is_done_behind_the_frozen_bundle() {
    for generation in BOTH {
        for lost in [None, Some(false), Some(true)] {
            let (server, mut a, b) = match lost {
                None => two_devices(generation, SEED).await,
                Some(lost) => frozen(generation, lost).await,
            };
            let was = source(&a).await;
            regress(&mut a, generation).await;
            exec(
                &a,
                "UPDATE notes SET title = 'behind' WHERE id = 'n3';
                 UPDATE _sync_attachment_state SET rebuild_required = 1",
            )
            .await;
            b.exec("UPDATE notes SET title = 'theirs' WHERE id = 'n2'").await;
            b.sync().await;
            a.reopen().await;
            uploads(&server);
            let attached = a.attach().await;
            let rows = if lost.is_some() { 6 } else { 5 };
            assert_eq!(attached.hydrated_rows + a.sync().await.hydrated_rows, rows, "one snapshot");
            let sent = match lost {
                Some(false) => (5, 2),
                _ => (1, 1),
            };
            assert_eq!(uploads(&server), sent);
            converge(&a, &b).await;
            assert_eq!((source(&a).await, state(&a).await), (was, State::Attached));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_recovery_goes_on_to_the_reserved_source() {
    for generation in BOTH {
        let (server, mut a, b) = frozen(generation, false).await;
        regress(&mut a, generation).await;
        let reserved = uuid::Uuid::new_v4().to_string();
        exec(
            &a,
            &format!(
                "UPDATE _sync_attachment_state SET rebuild_required = 1;
                 INSERT INTO _sync_source_state (source_id) VALUES ('{reserved}');
                 UPDATE _sync_operation_state SET kind = 'source_recovery', reason = 'source_sequence_changed',
                        replacement_source_id = '{reserved}', staged_snapshot_id = 'half';
                 INSERT INTO _sync_snapshot_stage VALUES ('half', 0, 'business', 'notes', '{{\"id\":\"n1\"}}', 1, '{{}}')"
            ),
        )
        .await;
        a.reopen().await;
        assert_eq!(a.pending().await, 4);
        uploads(&server);
        a.sync().await;
        assert_eq!(uploads(&server), (4, 1));
        assert_eq!(source(&a).await, reserved);
        converge(&a, &b).await;
        assert_eq!(b.text(TITLES).await, "n1:edited,n2:two,n3:three,n5:five");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_for_a_user_is_finished_by_the_next_attach() {
    for generation in BOTH {
        let (server, _a, b) = two_devices(generation, SEED).await;
        let mut c = Device::notes(&server, "ada").await;
        c.exec("INSERT INTO notes (id, title) VALUES ('local', 'mine')").await;
        let was = source(&c).await;
        regress(&mut c, generation).await;
        exec(&c, "UPDATE _sync_operation_state SET kind = 'remote_replace', target_user_id = 'ada'").await;
        c.reopen().await;
        assert_eq!((state(&c).await, c.pending().await), (State::Hydrating, 1));
        assert_eq!(c.attach().await.hydrated_rows, 5);
        converge(&c, &b).await;
        assert_eq!(b.text("SELECT title FROM notes WHERE id = 'local'").await, "mine");
        assert_eq!(source(&c).await, was);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_never_met_a_server_seeds_it() {
    for generation in BOTH {
        let server = TestServer::new(generation, &Notes::TABLES);
        let mut a = Device::notes(&server, "ada").await;
        a.exec(SEED).await;
        regress(&mut a, generation).await;
        a.reopen().await;
        assert_eq!((a.pending().await, state(&a).await), (5, State::Anonymous));
        a.attach().await;
        a.sync().await;
        let b = Device::notes(&server, "ada").await;
        b.attach().await;
        converge(&a, &b).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_kept_and_a_lost_one_gives_the_frozen_rows_back() {
    for generation in BOTH {
        for lost in [false, true] {
            let server = TestServer::new(generation, &Notes::TABLES);
            let mut a = Device::notes(&server, "ada").await;
            a.exec(SEED).await;
            a.attach().await;
            server.fail(Endpoint::PushCommit, 0, 9, Fault::DropRequest);
            a.client().sync().await.unwrap_err();
            server.heal();
            regress(&mut a, generation).await;
            let mut b = Device::notes(&server, "ada").await;
            if lost {
                exec(
                    &a,
                    "UPDATE _sync_attachment_state SET binding_state = 'anonymous', attached_user_id = '',
                     schema_name = '', pending_initialization_id = ''",
                )
                .await;
                server.advance(10_000);
                b.exec("INSERT INTO notes (id, title) VALUES ('b', 'first')").await;
                b.attach().await;
                b.sync().await;
            }
            a.reopen().await;
            assert_eq!(state(&a).await, if lost { State::Anonymous } else { State::Seeding });
            assert_eq!(a.pending().await, 5);
            uploads(&server);
            a.attach().await;
            a.sync().await;
            assert_eq!(uploads(&server), (5, 1));
            if !lost {
                b.reopen().await;
                b.attach().await;
            }
            converge(&a, &b).await;
        }
    }
}
