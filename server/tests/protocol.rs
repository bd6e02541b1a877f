//! The protocol's steps: connect, push, history, snapshots.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use rowtide::protocol::ids::BundleSeq;
use rowtide::protocol::profile::WireGeneration;
use rowtide_server::Limits;
use serde_json::{Value, json};
use support::{Data, Kind, SETUPS, Server, insert, row, stores};

#[tokio::test]
async fn connect_answers_by_the_state_of_the_scope_and_an_expired_lease_is_none() {
    for setup in SETUPS {
        let server = Server::new(setup).await;
        server.get("a", "pull").await.refused(409, "scope_uninitialized");
        let lease = server.connect("a", true).await.ok();
        assert_eq!(lease["resolution"], "initialize_local");
        let later = server.connect("b", true).await.ok();
        assert_eq!(
            (later["resolution"].as_str(), later["retry_after_seconds"].as_i64()),
            (Some("retry_later"), Some(900))
        );
        assert!(later.get("initialization_id").is_none());
        server.get("b", "pull").await.refused(409, "scope_initializing");
        assert_eq!(server.connect("a", true).await.ok()["initialization_id"], lease["initialization_id"]);
        server.advance(901);
        let next = server.connect("b", true).await.ok();
        assert_eq!(next["resolution"], "initialize_local");
        let old = lease["initialization_id"].as_str();
        server.create("a", 1, &[insert("u")], old).await.refused(409, "initialization_stale");
        server.advance(901);
        server.create("a", 1, &[insert("u")], old).await.refused(410, "initialization_expired");
        assert_eq!(server.connect("c", false).await.ok()["resolution"], "initialize_empty");
        assert_eq!(server.connect("c", true).await.ok()["resolution"], "remote_authoritative");
    }
}

#[tokio::test]
async fn the_first_commit_under_the_lease_initialises_the_scope() {
    for setup in SETUPS {
        let server = Server::new(setup).await;
        let lease = server.connect("a", true).await.ok();
        let lease = lease["initialization_id"].as_str();
        server.create("a", 1, &[insert("u")], None).await.refused(400, "push_session_invalid");
        let push_id =
            server.create("a", 1, &[insert("u")], lease).await.ok()["push_id"].as_str().unwrap().to_owned();
        let chunk = json!({ "start_row_ordinal": 0, "rows": [insert("u")] });
        server.post("a", &format!("push-sessions/{push_id}/chunks"), &chunk).await.ok();
        server.call("a", "POST", &format!("push-sessions/{push_id}/commit"), None).await.ok();
        assert_eq!(server.connect("b", true).await.ok()["resolution"], "remote_authoritative");
        // The lost answer to that commit is found, also by a client that still sends the lease.
        assert_eq!(server.create("a", 1, &[insert("u")], lease).await.ok()["status"], "already_committed");
        server.create("a", 2, &[insert("v")], lease).await.refused(400, "push_session_invalid");
    }
}

#[tokio::test]
async fn a_bundle_is_committed_once_and_numbers_are_contiguous() {
    for setup in SETUPS {
        let server = Server::new(setup).await.seeded(&[insert("u1"), insert("u2")]).await;
        let again = server.create("seeder", 1, &[insert("u1"), insert("u2")], None).await.ok();
        assert_eq!(
            (again["status"].as_str(), again["bundle_seq"].as_i64()),
            (Some("already_committed"), Some(1))
        );
        server.create("seeder", 3, &[insert("u3")], None).await.refused(409, "source_sequence_out_of_order");
        assert_eq!(server.push("seeder", 2, &[insert("u3")]).await.ok()["bundle_seq"], 2);
        server.service.set_retained_floor("ada", BundleSeq(1)).await.unwrap();
        server.create("seeder", 1, &[insert("u1")], None).await.refused(409, "history_pruned");
    }
}

#[tokio::test]
async fn chunks_are_contiguous_complete_and_valid_or_refused_whole() {
    for setup in SETUPS {
        let server = Server::new(setup).await.seeded(&[insert("u1")]).await;
        let rows = [insert("a"), insert("b")];
        let push_id = server.create("s", 1, &rows, None).await.ok()["push_id"].as_str().unwrap().to_owned();
        let path = format!("push-sessions/{push_id}/chunks");
        let chunk = |start: i64, rows: Value| json!({ "start_row_ordinal": start, "rows": rows });
        let invalid = [
            json!([]),
            json!([row("DELETE", "a", 1, Some("payload"))]),
            json!([row("UPDATE", "a", 1, None)]),
            json!([{ "schema": "business", "table": "nope", "key": { "id": "a" }, "op": "DELETE", "base_row_version": 1 }]),
            json!([{ "schema": "business", "table": "users", "key": { "key": "a" }, "op": "DELETE", "base_row_version": 1 }]),
            json!([{ "schema": "business", "table": "users", "key": { "id": "a", "b": "c" }, "op": "DELETE", "base_row_version": 1 }]),
            json!([{ "schema": "business", "table": "users", "key": { "id": "a" }, "op": "INSERT", "base_row_version": 0,
                     "payload": { "id": "another" } }]),
            json!([{ "schema": "business", "table": "users", "key": { "id": "a" }, "op": "INSERT", "base_row_version": 0,
                     "payload": { "id": "a", "_sync_scope_id": "x" } }]),
            json!([insert("a"), insert("a")]),
            json!([insert("a"), insert("b"), insert("c")]),
        ];
        for rows in invalid {
            server.post("s", &path, &chunk(0, rows)).await.refused(400, "push_chunk_invalid");
        }
        server.post("s", &path, &chunk(1, json!(rows))).await.refused(409, "push_chunk_out_of_order");
        server.post("other", &path, &chunk(0, json!(rows))).await.refused(403, "push_session_forbidden");
        server.post("s", &path, &chunk(0, json!([rows[0]]))).await.ok();
        let commit = format!("push-sessions/{push_id}/commit");
        server.call("s", "POST", &commit, None).await.refused(400, "push_commit_invalid");
        let null_payload = json!({ "payload": null });
        assert!(null_payload["payload"].is_null());
        server.post("s", &path, &chunk(1, json!([rows[1]]))).await.ok();
        server.advance(901);
        server.call("s", "POST", &commit, None).await.refused(410, "push_session_expired");
        server
            .call("s", "POST", "push-sessions/nonsense/commit", None)
            .await
            .refused(404, "push_session_not_found");
        assert_eq!(server.get("s", "pull").await.ok()["stable_bundle_seq"], 1, "nothing was committed");
    }
}

#[tokio::test]
async fn a_delete_with_a_null_payload_is_accepted() {
    for setup in SETUPS {
        let server = Server::new(setup).await.seeded(&[insert("u1")]).await;
        let mut delete = row("DELETE", "u1", 1, None);
        let session = server.create("s", 1, std::slice::from_ref(&delete), None).await.ok();
        delete["payload"] = Value::Null;
        let path = format!("push-sessions/{}/chunks", session["push_id"].as_str().unwrap());
        server.post("s", &path, &json!({ "start_row_ordinal": 0, "rows": [delete] })).await.ok();
    }
}

#[tokio::test]
async fn conflicts_of_each_kind_name_what_the_server_has_and_commit_nothing() {
    for setup in SETUPS {
        let server = Server::new(setup).await.seeded(&[insert("live"), insert("gone")]).await;
        server
            .push("seeder", 2, &[row("DELETE", "gone", 1, None), row("UPDATE", "live", 1, Some("new"))])
            .await
            .ok();
        for (attempt, version, deleted) in [
            (row("INSERT", "live", 0, Some("x")), 2, false),
            (row("UPDATE", "live", 1, Some("x")), 2, false),
            (row("DELETE", "live", 1, None), 2, false),
            (row("INSERT", "gone", 0, Some("x")), 2, true),
            (row("UPDATE", "gone", 1, Some("x")), 2, true),
            (row("UPDATE", "never", 1, Some("x")), 0, false),
        ] {
            let rows = [insert("fine"), attempt];
            let refused = server.push("s", 1, &rows).await.refused(409, "push_conflict");
            let conflict = &refused["conflict"];
            assert_eq!(
                (conflict["server_row_version"].as_i64(), conflict["server_row_deleted"].as_bool()),
                (Some(version), Some(deleted))
            );
            assert_eq!(conflict["server_row"].is_object(), version > 0 && !deleted);
        }
        server.push("s", 1, &[row("INSERT", "gone", 2, Some("back"))]).await.ok();
        assert_eq!(
            server.get("s", "pull?after_bundle_seq=2").await.ok()["bundles"].as_array().unwrap().len(),
            1
        );
    }
}

#[tokio::test]
async fn a_request_hash_that_is_not_of_the_staged_rows_is_refused_at_the_commit() {
    for setup in stores(WireGeneration::B) {
        let server = Server::new(&setup).await.seeded(&[insert("u1")]).await;
        let session = server.create("s", 1, &[insert("a")], None).await.ok();
        let push_id = session["push_id"].as_str().unwrap();
        let other = json!({ "start_row_ordinal": 0, "rows": [insert("b")] });
        server.post("s", &format!("push-sessions/{push_id}/chunks"), &other).await.ok();
        server
            .call("s", "POST", &format!("push-sessions/{push_id}/commit"), None)
            .await
            .refused(400, "push_commit_invalid");
        let number = json!({ "start_row_ordinal": 0, "rows": [{ "schema": "business", "table": "users", "key": { "id": "a" },
        "op": "INSERT", "base_row_version": 0, "payload": { "id": "a", "n": 1 } }] });
        let session = server.create("s", 1, &[insert("a")], None).await.ok();
        let path = format!("push-sessions/{}/chunks", session["push_id"].as_str().unwrap());
        server.post("s", &path, &number).await.refused(400, "push_chunk_invalid");
    }
}

#[tokio::test]
async fn numbers_of_the_first_generation_are_kept_as_they_were_sent() {
    for setup in stores(WireGeneration::A) {
        let server = Server::new(&setup).await.seeded(&[insert("u1")]).await;
        let payload = r#"{"id":"n","big":9223372036854775807,"exact":12.3000,"small":5e-324}"#;
        let rows = format!(
            r#"{{"start_row_ordinal":0,"rows":[{{"schema":"business","table":"users","key":{{"id":"n"}},"op":"INSERT","base_row_version":0,"payload":{payload}}}]}}"#
        );
        let session = server.create("s", 1, &[insert("n")], None).await.ok();
        let push_id = session["push_id"].as_str().unwrap();
        server.call("s", "POST", &format!("push-sessions/{push_id}/chunks"), Some(rows)).await.ok();
        server.call("s", "POST", &format!("push-sessions/{push_id}/commit"), None).await.ok();
        let page = server.get("s", "pull?after_bundle_seq=1").await.ok();
        assert_eq!(page["bundles"][0]["rows"][0]["payload"]["big"].as_i64(), Some(i64::MAX));
    }
}

#[tokio::test]
async fn pull_pages_are_contiguous_and_bounded_and_say_where_they_end() {
    for setup in SETUPS {
        let generation = setup.generation;
        let limits = Limits { bytes_per_pull: 1, ..Limits::default() };
        let server = Server::with(setup, limits.clone()).await.seeded(&[insert("u")]).await;
        for version in 1..=3 {
            server.push("seeder", version + 1, &[row("UPDATE", "u", version, Some("x"))]).await.ok();
        }
        let mut after = 0;
        for expected in 1..=4 {
            let page =
                server.get("r", &format!("pull?after_bundle_seq={after}&target_bundle_seq=4")).await.ok();
            assert_eq!(page["stable_bundle_seq"], 4);
            let bundles = page["bundles"].as_array().unwrap();
            assert_eq!((bundles.len(), bundles[0]["bundle_seq"].as_i64()), (1, Some(expected)));
            assert_eq!(page["has_more"], expected < 4);
            after = expected;
        }
        server.get("r", "pull?target_bundle_seq=9").await.refused(400, "invalid_request");
        server.get("r", "pull?max_bundles=0").await.refused(400, "invalid_request");
        server.get("r", "pull?after_bundle_seq=x").await.refused(400, "invalid_request");
        let ahead = server.get("r", "pull?after_bundle_seq=9").await;
        match generation {
            WireGeneration::A => assert_eq!(ahead.ok()["stable_bundle_seq"], 4),
            WireGeneration::B => drop(ahead.refused(409, "checkpoint_ahead")),
        }
        server.service.set_retained_floor("ada", BundleSeq(2)).await.unwrap();
        for pruned in [0, 1] {
            server.get("r", &format!("pull?after_bundle_seq={pruned}")).await.refused(409, "history_pruned");
        }
        assert_eq!(
            server.get("r", "pull?after_bundle_seq=2&max_bundles=1").await.ok()["bundles"][0]["bundle_seq"],
            3
        );
        server.get("r", "committed-bundles/2/rows").await.refused(409, "history_pruned");
        server.get("r", "committed-bundles/99/rows").await.refused(404, "committed_bundle_not_found");
        server
            .get("r", "committed-bundles/4/rows?after_row_ordinal=5")
            .await
            .refused(400, "committed_bundle_chunk_invalid");
    }
}

#[tokio::test]
async fn history_is_pruned_by_the_commit_once_enough_bundles_are_kept() {
    let limits = Limits { retained_bundles: 2, ..Limits::default() };
    for setup in stores(WireGeneration::B) {
        let server = Server::with(&setup, limits.clone()).await.seeded(&[insert("u")]).await;
        for version in 1..=3 {
            server.push("seeder", version + 1, &[row("UPDATE", "u", version, Some("x"))]).await.ok();
        }
        server.get("r", "pull?after_bundle_seq=1").await.refused(409, "history_pruned");
        assert_eq!(
            server.get("r", "pull?after_bundle_seq=2").await.ok()["bundles"].as_array().unwrap().len(),
            2
        );
    }
}

#[tokio::test]
async fn snapshots_are_frozen_paged_and_counted_to_the_byte() {
    for setup in SETUPS {
        let generation = setup.generation;
        let rows: Vec<Value> =
            (0..5).map(|index| row("INSERT", &format!("k\"{index}"), 0, Some("é<&>"))).collect();
        let server = Server::new(setup).await.seeded(&rows).await;
        server.push("seeder", 2, &[row("DELETE", "k\"4", 1, None)]).await.ok();
        let session = server.call("r", "POST", "snapshot-sessions", None).await.ok();
        assert_eq!(
            (session["row_count"].as_i64(), session["snapshot_bundle_seq"].as_i64()),
            (Some(4), Some(2))
        );
        server.push("seeder", 3, &[row("UPDATE", "k\"0", 1, Some("later"))]).await.ok();
        let path = format!("snapshot-sessions/{}", session["snapshot_id"].as_str().unwrap());
        let (mut after, mut bytes, mut names) = (0, 0, Vec::new());
        loop {
            let chunk = server.get("r", &format!("{path}?after_row_ordinal={after}&max_rows=3")).await.ok();
            for row in chunk["rows"].as_array().unwrap() {
                names.push(row["payload"]["name"].as_str().unwrap().to_owned());
            }
            after = chunk["next_row_ordinal"].as_i64().unwrap();
            bytes += chunk["byte_count"].as_i64().unwrap_or(0);
            assert_eq!(chunk["byte_count"].is_null(), generation == WireGeneration::A);
            if chunk["has_more"] == false {
                break;
            }
        }
        assert_eq!((after, names), (4, vec!["é<&>".to_owned(); 4]), "what was committed later is not in it");
        if generation == WireGeneration::B {
            assert_eq!(session["byte_count"].as_i64(), Some(bytes));
            let small = server
                .get("r", &format!("{path}?max_bytes=10"))
                .await
                .refused(400, "snapshot_chunk_too_small");
            let needed = small["required_byte_count"].as_i64().unwrap();
            let fits = server.get("r", &format!("{path}?max_bytes={needed}")).await.ok();
            assert_eq!(fits["rows"].as_array().unwrap().len(), 1);
        }
        server.get("other", &path).await.refused(403, "snapshot_session_forbidden");
        server.get("r", &format!("{path}?after_row_ordinal=9")).await.refused(400, "snapshot_chunk_invalid");
        server.get("r", "snapshot-sessions/not-a-uuid").await.refused(404, "snapshot_session_not_found");
        server.advance(901);
        server.get("r", &path).await.refused(410, "snapshot_session_expired");
    }
}

#[tokio::test]
async fn a_row_that_no_snapshot_may_carry_is_refused_by_name_when_it_is_staged() {
    let limits = Limits { max_bytes_per_snapshot_row: 250, ..Limits::default() };
    for setup in stores(WireGeneration::B) {
        let server = Server::with(&setup, limits.clone()).await.seeded(&[insert("u")]).await;
        let long = "x".repeat(300);
        let rows = [insert("fine"), row("INSERT", "huge", 0, Some(&long))];
        let session = server.create("seeder", 2, &rows, None).await.ok();
        let path = format!("push-sessions/{}/chunks", session["push_id"].as_str().unwrap());
        let chunk = json!({ "start_row_ordinal": 0, "rows": rows });
        let refused = server.post("seeder", &path, &chunk).await.refused(409, "push_row_refused");
        assert_eq!(refused["refused"]["key"], json!({ "id": "huge" }));
        assert_eq!(refused["refused"]["constraint"], "max_bytes_per_snapshot_row 250");
        assert!(!refused.to_string().contains("xxx"), "no row contents");
    }
}

#[tokio::test]
async fn a_source_is_replaced_once_and_the_same_pair_again_is_accepted() {
    for setup in SETUPS {
        let server = Server::new(setup).await.seeded(&[insert("u")]).await;
        let replace = |new: &str| {
            json!({ "source_replacement": {
                "previous_source_id": "seeder", "new_source_id": new, "reason": "history_pruned" } })
        };
        server
            .post("other", "snapshot-sessions", &replace("new"))
            .await
            .refused(409, "source_replacement_invalid");
        server.post("seeder", "snapshot-sessions", &replace("new")).await.ok();
        server.post("seeder", "snapshot-sessions", &replace("new")).await.ok();
        let diverging = server
            .post("seeder", "snapshot-sessions", &replace("newer"))
            .await
            .refused(409, "source_retired");
        assert_eq!(
            (diverging["source_id"].as_str(), diverging["replaced_by_source_id"].as_str()),
            (Some("seeder"), Some("new"))
        );
        server.create("seeder", 2, &[insert("v")], None).await.refused(409, "source_retired");
        assert_eq!(server.push("new", 1, &[insert("v")]).await.ok()["bundle_seq"], 2);
        let unknown = json!({ "source_replacement": { "previous_source_id": "s", "new_source_id": "new", "reason": "source_retired" } });
        server.post("s", "snapshot-sessions", &unknown).await.refused(409, "source_replacement_invalid");
    }
}

#[tokio::test]
async fn a_store_goes_on_after_a_restart_in_the_middle_of_a_push() {
    for setup in SETUPS {
        let data = Data::durable(setup.store).await;
        let open = || Server::on(setup.generation, Limits::default(), &data);
        let server = open().await.seeded(&[insert("u1")]).await;
        let rows = [insert("a")];
        let push_id = server.create("s", 1, &rows, None).await.ok()["push_id"].as_str().unwrap().to_owned();
        drop(server);
        let server = open().await;
        let chunk = json!({ "start_row_ordinal": 0, "rows": rows });
        server.post("s", &format!("push-sessions/{push_id}/chunks"), &chunk).await.ok();
        drop(server);
        let server = open().await;
        server.call("s", "POST", &format!("push-sessions/{push_id}/commit"), None).await.ok();
        drop(server);
        assert_eq!(open().await.get("s", "pull").await.ok()["bundles"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn generations_share_a_file_and_no_data() {
    let data = Data::durable(Kind::Embedded).await;
    let server = |generation| Server::on(generation, Limits::default(), &data);
    drop(server(WireGeneration::A).await.seeded(&[insert("u")]).await);
    let b = server(WireGeneration::B).await;
    b.get("s", "pull").await.refused(409, "scope_uninitialized");
}
