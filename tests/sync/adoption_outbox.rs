//! What another client had frozen for upload is settled under the same number, and nothing is sent twice.

use crate::adoption::{SEED, TITLES, frozen, source, state, uploads};
use crate::former::{self, exec, regress};
use crate::{BOTH, converge, two_devices};
use rowtide::protocol::ids::BundleSeq;
use rowtide::protocol::profile::WireGeneration;
use rowtide::{Method, Request, State, Transport};
use rowtide_tests::{Device, Endpoint, Fault, TestServer};
use serde_json::Value;

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
async fn a_number_that_a_copy_used_for_other_rows_is_found_out_and_costs_no_row() {
    for generation in BOTH {
        let (_server, mut a, b) = frozen(generation, true).await;
        let was = source(&a).await;
        regress(&mut a, generation).await;
        exec(
            &a,
            "UPDATE _sync_apply_state SET apply_mode = 1; DELETE FROM tags WHERE name = 'new';
             UPDATE notes SET id = 'copy', title = 'c' WHERE id = 'n5';
             UPDATE _sync_apply_state SET apply_mode = 0;
             UPDATE _sync_outbox_rows SET key_json = '{\"id\":\"copy\"}', wire_key_json = '{\"id\":\"copy\"}',
                    wire_payload = json_set(wire_payload, '$.id', 'copy', '$.title', 'c')
             WHERE key_json LIKE '%n5%';
             UPDATE _sync_outbox_bundle SET canonical_request_hash = printf('%064d', 1)",
        )
        .await;
        a.reopen().await;
        a.sync().await;
        assert_ne!(source(&a).await, was, "the copy goes on under a source of its own");
        converge(&a, &b).await;
        assert_eq!(b.text(TITLES).await, "copy:c,n1:edited,n2:two,n3:three,n5:five");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_of_the_frozen_bundle_uses_its_number_again() {
    for generation in BOTH {
        let (_server, mut a, b) = frozen(generation, false).await;
        let was = source(&a).await;
        b.exec("UPDATE notes SET title = 'theirs' WHERE id = 'n1'").await;
        b.sync().await;
        regress(&mut a, generation).await;
        // Some clients count the number of a bundle that was moved to a new source as used.
        exec(&a, "UPDATE _sync_source_state SET next_source_bundle_id = next_source_bundle_id + 1").await;
        a.reopen().await;
        assert_eq!(a.sync().await.conflicts, 1);
        converge(&a, &b).await;
        assert_eq!(b.text(TITLES).await, "n1:theirs,n2:two,n3:three,n5:five");
        assert_eq!(source(&a).await, was);
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
