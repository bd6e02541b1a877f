//! 16 and 32: bytes stay bytes, whatever their hex or base64 looks like.

use crate::{BOTH, converge, notes, syncs_during, two_devices, with_policy};
use async_trait::async_trait;
use rowtide::{
    ConflictPolicy, Decision, Resolver, ResolverError, RowConflict, RowValues, SqlValue, SyncTable,
};
use rowtide_tests::{Device, Endpoint, Fault, NOTES};

/// Bytes that read as hex, as base64, whose hex is base64 or whose base64 is hex, and others.
const SEED: &str = "INSERT INTO notes (id, title, body) VALUES
    ('all', 'old', x'000102fdfeff'), ('base64', 'old', x'3371322b37773d3d'), ('both', 'old', x'75e69d6de79f'),
    ('empty', 'old', x''),
    ('even', 'old', x'deadbeef'), ('hex', 'old', x'6465616462656566'), ('odd', 'old', x'00ff01'),
    ('uuid', 'old', x'00112233445566778899aabbccddeeff'), ('zeros', 'old', zeroblob(6));
    INSERT INTO tags VALUES (x'deadbeefdeadbeefdeadbeefdeadbeef', 'tag', 'hex')";
const EDIT: &str = "UPDATE notes SET title = 'mine', body = CAST(body || x'75e69d6de79f' AS BLOB);
    UPDATE tags SET name = 'mine'";
const BODIES: &str =
    "SELECT group_concat(id || title || typeof(body) || hex(body)) FROM (SELECT * FROM notes ORDER BY id)";

#[tokio::test(flavor = "multi_thread")]
async fn defect_16_blobs_survive_keep_local_byte_for_byte() {
    for generation in BOTH {
        let (server, _, b) = two_devices(generation, SEED).await;
        let a = with_policy(&server, ConflictPolicy::ClientWins).await;
        a.exec(EDIT).await;
        let (written, before) = (a.text(BODIES).await, b.text(BODIES).await);
        assert_ne!(written, before);
        b.exec("UPDATE notes SET stars = 1; UPDATE tags SET name = 'theirs'").await;
        syncs_during(&server, Endpoint::PushCommit, &b);
        assert_eq!(a.sync().await.conflicts, 10);
        converge(&a, &b).await;
        assert_eq!((a.text(BODIES).await, b.text(BODIES).await), (written.clone(), written));
        assert_eq!(b.text("SELECT hex(id) || name FROM tags").await, "DEADBEEFDEADBEEFDEADBEEFDEADBEEFmine");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_16_blobs_survive_source_recovery_and_rebuild_byte_for_byte() {
    for generation in BOTH {
        for recovers in [true, false] {
            let (server, a, b) = two_devices(generation, SEED).await;
            a.exec(EDIT).await;
            let written = a.text(BODIES).await;
            // The bundle is frozen, and stays.
            server.fail(Endpoint::PushChunk, 0, 99, Fault::DropRequest);
            a.client().push().await.unwrap_err();
            server.heal();
            if recovers {
                let answer = r#"{"error":"source_sequence_out_of_order","message":""}"#;
                server.fail_next(Endpoint::PushCreate, Fault::Answer(409, answer.into()));
                a.sync().await;
            } else {
                a.client().rebuild().await.unwrap();
            }
            assert_eq!(a.text(BODIES).await, written);
            converge(&a, &b).await;
            assert_eq!(b.text(BODIES).await, written);
        }
    }
}

/// Merges the server's stars into the local row, whose bytes it has to be given as bytes.
struct TheirStars;

#[async_trait]
impl Resolver for TheirStars {
    async fn resolve(&self, conflicts: &[RowConflict]) -> Result<Vec<Decision>, ResolverError> {
        let merged = conflicts.iter().map(|conflict| {
            let (local, server) = (conflict.local.clone().unwrap(), conflict.server.clone().unwrap());
            for row in [&local, &server] {
                assert!(matches!(row["body"], SqlValue::Blob(_)), "{row:?}");
            }
            let stars = server["stars"].clone();
            let merged: RowValues = local.into_iter().chain([("stars".to_owned(), stars)]).collect();
            Decision::KeepMerged(merged)
        });
        Ok(merged.collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_32_blobs_of_a_merged_row_are_taken_as_bytes_and_not_guessed_to_be_hex_or_base64() {
    for generation in BOTH {
        let (server, seeder, b) = two_devices(generation, SEED).await;
        let a = Device::new(&server, "ada", NOTES, |config| {
            config
                .table(SyncTable::new("notes").key("id").policy(ConflictPolicy::Callback))
                .table(SyncTable::new("tags").key("id"))
                .resolver(TheirStars)
        })
        .await;
        a.attach().await;
        a.exec("UPDATE notes SET title = 'mine'").await;
        let written = seeder.text(BODIES).await.replace("old", "mine");
        b.exec("UPDATE notes SET stars = 7, body = x'0102'").await;
        b.sync().await;
        assert_eq!(a.sync().await.conflicts, 9);
        converge(&a, &b).await;
        let fresh = notes(&server, |config| config).await;
        fresh.attach().await;
        for device in [&a, &b, &fresh] {
            assert_eq!(device.text(BODIES).await, written);
            assert_eq!(device.text("SELECT sum(stars) FROM notes").await, "63");
        }
    }
}
