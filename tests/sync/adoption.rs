//! A database that another client of the protocol left behind goes on where that client stood.

use crate::former::{self, everything, exec, leftovers, regress};
use crate::{BOTH, converge, two_devices};
use rowtide::protocol::ids::BundleSeq;
use rowtide::protocol::profile::WireGeneration;
use rowtide::{Method, Request, State, Transport};
use rowtide_tests::{Device, Endpoint, Fault, Notes, TestServer};
use serde_json::Value;

const SEED: &str =
    "INSERT INTO notes (id, title) VALUES ('n1', 'one'), ('n2', 'two'), ('n3', 'three'), ('n4', 'four');
    INSERT INTO tags (id, name, note_id) VALUES (x'00112233445566778899aabbccddeeff', 'tag', 'n1')";
const WRITES: &str = "UPDATE notes SET title = 'edited' WHERE id = 'n1';
    INSERT INTO notes (id, title, parent) VALUES ('n5', 'five', 'n1');
    INSERT INTO tags (id, name, note_id) VALUES (x'ffeeddccbbaa99887766554433221100', 'new', 'n5');
    DELETE FROM notes WHERE id = 'n4'";
const TITLES: &str = "SELECT group_concat(id || ':' || title) FROM (SELECT * FROM notes ORDER BY id)";

/// Rows that were uploaded, and bundles that were asked to be committed, since the last count.
fn uploads(server: &TestServer) -> (usize, usize) {
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

async fn source(device: &Device) -> String {
    device.client().source_info().await.unwrap().source_id
}

async fn state(device: &Device) -> State {
    device.client().status().await.unwrap().state
}

/// Leaves [`WRITES`] frozen; the server has them where `lost` is the answer to the commit.
async fn frozen(generation: WireGeneration, lost: bool) -> (TestServer, Device, Device) {
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

/// Writes down the commit of the frozen bundle as the other client does when it is acknowledged.
async fn acknowledge(server: &TestServer, device: &Device) {
    let database = former::local(device).await;
    let sql =
        "SELECT source_id, json_object('source_bundle_id', source_bundle_id, 'planned_row_count', row_count),
                      canonical_request_hash FROM _sync_outbox_bundle";
    let found = database.query(sql, Vec::new()).await.unwrap().rows.remove(0);
    let [source, request, hash] = found.map_text();
    let mut request: Value = serde_json::from_str(&request).unwrap();
    if server.generation == WireGeneration::B {
        request["canonical_request_hash"] = Value::from(hash);
    }
    let headers = vec![
        ("Oversync-Source-ID", source),
        ("Authorization", format!("Bearer {}", server.token("ada"))),
        ("Content-Type", "application/json".to_owned()),
    ];
    let url = "http://server.test/sync/push-sessions".to_owned();
    let body = Some(request.to_string());
    let request = Request { method: Method::Post, url, headers, body, max_response_bytes: 1 << 20 };
    let reply: Value = serde_json::from_slice(&server.send(request).await.unwrap().body).unwrap();
    assert_eq!(reply["status"], "already_committed");
    let update = format!(
        "UPDATE _sync_outbox_bundle SET state = 'committed_remote', remote_bundle_seq = {},
         remote_bundle_hash = '{}', row_count = {}",
        reply["bundle_seq"],
        reply["bundle_hash"].as_str().unwrap(),
        reply["row_count"]
    );
    database.execute_script(&update).await.unwrap();
}

trait Texts {
    fn map_text<const N: usize>(self) -> [String; N];
}

impl Texts for Vec<rowtide::SqlValue> {
    fn map_text<const N: usize>(self) -> [String; N] {
        let texts = self.into_iter().map(|value| match value {
            rowtide::SqlValue::Text(text) => text,
            other => panic!("{other:?} is no text"),
        });
        texts.collect::<Vec<_>>().try_into().unwrap()
    }
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
async fn a_prepared_upload_is_sent_as_it_was_frozen_with_later_edits_behind_it() {
    for generation in BOTH {
        let (server, mut a, b) = frozen(generation, false).await;
        let was = source(&a).await;
        regress(&mut a, generation).await;
        exec(
            &a,
            "UPDATE notes SET title = 'again' WHERE id = 'n5'; UPDATE notes SET stars = 5 WHERE id = 'n3'",
        )
        .await;
        a.reopen().await;
        assert_eq!((a.pending().await, state(&a).await), (5, State::Uploading));
        uploads(&server);
        a.sync().await;
        assert_eq!(uploads(&server), (6, 2));
        converge(&a, &b).await;
        assert_eq!(b.text(TITLES).await, "n1:edited,n2:two,n3:three,n5:again");
        assert_eq!(source(&a).await, was);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_integer_that_was_rounded_when_it_was_frozen_reaches_the_server_exactly() {
    let (server, mut a, b) = two_devices(WireGeneration::A, SEED).await;
    a.exec("UPDATE notes SET stars = 9007199254740993, title = 'big' WHERE id = 'n1'").await;
    server.fail(Endpoint::PushCommit, 0, 9, Fault::DropRequest);
    a.client().sync().await.unwrap_err();
    server.heal();
    regress(&mut a, WireGeneration::A).await;
    exec(
        &a,
        "UPDATE _sync_outbox_rows SET wire_payload = json_set(wire_payload, '$.stars', 9007199254740992)",
    )
    .await;
    a.reopen().await;
    assert_eq!(a.pending().await, 1);
    converge(&a, &b).await;
    assert_eq!(b.text("SELECT stars FROM notes WHERE id = 'n1'").await, "9007199254740993");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_was_lost_is_found_again_and_nothing_is_sent_twice() {
    for generation in BOTH {
        let (server, mut a, b) = frozen(generation, true).await;
        let was = source(&a).await;
        regress(&mut a, generation).await;
        exec(&a, "UPDATE notes SET title = 'again' WHERE id = 'n5'").await;
        a.reopen().await;
        uploads(&server);
        a.sync().await;
        assert_eq!(uploads(&server), (1, 1), "only the later edit");
        converge(&a, &b).await;
        assert_eq!(b.text(TITLES).await, "n1:edited,n2:two,n3:three,n5:again");
        assert_eq!((source(&a).await, a.client().status().await.unwrap().checkpoint), (was, BundleSeq(3)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_commit_is_replayed_whether_or_not_its_facts_are_whole() {
    for generation in BOTH {
        for damage in [
            "SELECT 1",
            "UPDATE _sync_outbox_bundle SET remote_bundle_hash = '', remote_bundle_seq = 0",
            "UPDATE _sync_outbox_bundle SET row_count = 0",
        ] {
            let (server, mut a, b) = frozen(generation, true).await;
            let was = source(&a).await;
            regress(&mut a, generation).await;
            acknowledge(&server, &a).await;
            // A prepared bundle has its number of rows, an acknowledged one the server's.
            exec(&a, damage).await;
            if damage.contains("''") {
                exec(&a, "UPDATE _sync_outbox_bundle SET row_count = 4").await;
            }
            a.reopen().await;
            assert_eq!(a.pending().await, 4);
            uploads(&server);
            a.sync().await;
            assert_eq!(uploads(&server), (0, 0));
            converge(&a, &b).await;
            assert_eq!(b.text(TITLES).await, "n1:edited,n2:two,n3:three,n5:five");
            assert_eq!((source(&a).await, a.pending().await), (was, 0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_commit_whose_rows_were_pruned_is_read_from_a_snapshot() {
    for generation in BOTH {
        let (server, mut a, b) = frozen(generation, true).await;
        let was = source(&a).await;
        regress(&mut a, generation).await;
        acknowledge(&server, &a).await;
        server.service().set_retained_floor("ada", BundleSeq(2)).await.unwrap();
        a.reopen().await;
        uploads(&server);
        a.sync().await;
        assert_eq!(uploads(&server), (0, 0));
        converge(&a, &b).await;
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
