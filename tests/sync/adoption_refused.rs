//! What cannot be adopted leaves the database as it was; what is not another client's is left alone; and leaving.

use crate::former::{self, everything, exec, leftovers, regress};
use crate::{BOTH, converge, two_devices};
use rowtide::{ErrorKind, SyncTable};
use rowtide_tests::{Device, Notes, TestServer};

const SEED: &str = "INSERT INTO notes (id, title) VALUES ('n1', 'one'), ('n2', 'two');
    INSERT INTO tags (name, note_id) VALUES ('tag', 'n1')";

/// Opens the database, which must fail with these words and change nothing.
async fn refused(device: &Device, config: rowtide::Config, words: &[&str]) {
    let before = everything(device).await;
    let error = rowtide_tests::open(&config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    assert_eq!(everything(device).await, before, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_unknown_form_is_refused_whole_and_says_what_to_do() {
    for generation in BOTH {
        for (damage, words) in [
            ("DROP TABLE _sync_row_state", "table _sync_row_state is missing"),
            (
                "ALTER TABLE _sync_attachment_state DROP COLUMN schema_name",
                "_sync_attachment_state.schema_name is missing",
            ),
            ("ALTER TABLE _sync_source_state ADD COLUMN later TEXT", "_sync_source_state.later is unknown"),
            ("DELETE FROM _sync_attachment_state", "_sync_attachment_state has no row"),
            ("DELETE FROM _sync_source_state", "does not know the current source"),
            ("UPDATE _sync_attachment_state SET schema_name = 'other'", "configure \"other\""),
            ("UPDATE _sync_attachment_state SET current_source_id = 'a b'", "visible ASCII"),
            ("UPDATE _sync_outbox_bundle SET state = 'prepared'", "no request hash"),
            (
                "UPDATE _sync_operation_state SET kind = 'source_recovery', reason = 'whim'",
                "reason that is not known",
            ),
            ("UPDATE _sync_operation_state SET kind = 'remote_replace'", "user without a name"),
            (
                "CREATE TRIGGER mine AFTER INSERT ON notes BEGIN DELETE FROM _sync_dirty_rows; END",
                "rewrite mine first",
            ),
            ("CREATE VIEW waiting AS SELECT count(*) FROM _sync_dirty_rows", "rewrite waiting first"),
        ] {
            let (_server, mut a, _b) = two_devices(generation, SEED).await;
            regress(&mut a, generation).await;
            exec(&a, damage).await;
            refused(&a, a.config(), &[words]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_with_marks_of_both_generations_is_refused() {
    for (generation, other, words) in [
        (
            BOTH[0],
            "ALTER TABLE _sync_operation_state ADD COLUMN snapshot_byte_count INTEGER",
            "another version",
        ),
        (BOTH[0], "DROP TABLE _sync_push_stage", "canonical_json_contract is missing"),
        (
            BOTH[1],
            "CREATE TABLE _sync_push_stage (bundle_seq, row_ordinal, schema_name, table_name, key_json, op,
             row_version, payload)",
            "another version",
        ),
        (
            BOTH[1],
            "ALTER TABLE _sync_operation_state DROP COLUMN snapshot_stage_complete",
            "snapshot_stage_complete is missing",
        ),
    ] {
        let (_server, mut a, _b) = two_devices(generation, SEED).await;
        regress(&mut a, generation).await;
        exec(&a, other).await;
        refused(&a, a.config(), &[words]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_would_be_lost_or_late_failures_leave_the_former_layout_whole() {
    for generation in BOTH {
        for (damage, words) in [
            (
                "INSERT INTO _sync_dirty_rows (schema_name, table_name, key_json, op)
                 VALUES ('business', 'photos', '{\"id\":\"p\"}', 'INSERT')",
                "business.photos",
            ),
            (
                "INSERT INTO _sync_dirty_rows (schema_name, table_name, key_json, op)
                 VALUES ('elsewhere', 'notes', '{\"id\":\"n1\"}', 'UPDATE')",
                "elsewhere.notes",
            ),
            (
                "INSERT INTO _sync_dirty_rows (schema_name, table_name, key_json, op)
                 VALUES ('business', 'notes', '{\"id\":null}', 'INSERT')",
                "table notes",
            ),
            (
                "INSERT INTO _sync_dirty_rows (schema_name, table_name, key_json, op)
                 VALUES ('business', 'tags', '{\"id\":\"0011\"}', 'DELETE')",
                "table tags",
            ),
            ("UPDATE _sync_row_state SET key_json = '{\"name\":\"n1\"}' WHERE key_json LIKE '%n1%'", "restore the name"),
            (
                "INSERT INTO _sync_outbox_rows SELECT 1, 0, 'business', 'notes', '{\"id\":\"n1\"}', '{\"id\":\"n1\"}',
                 'UPDATE', 1, '{}', '{}'",
                "_sync_outbox_rows has rows",
            ),
            (
                "UPDATE _sync_outbox_bundle SET state = 'prepared', source_id = 's', source_bundle_id = 2,
                     canonical_request_hash = printf('%064d', 0), row_count = 2;
                 INSERT INTO _sync_outbox_rows SELECT 2, 0, 'business', 'notes', '{\"id\":\"n1\"}', '{\"id\":\"n1\"}',
                 'UPDATE', 1, '{}', '{}'",
                "froze 2 rows",
            ),
            // Found only after everything else was installed.
            (
                "PRAGMA foreign_keys = OFF; DROP TRIGGER trg_tags_ai; INSERT INTO tags VALUES ('text', 't', 'n1')",
                "table tags has 1 rows whose key",
            ),
        ] {
            let (_server, mut a, _b) = two_devices(generation, SEED).await;
            regress(&mut a, generation).await;
            exec(&a, "UPDATE notes SET title = 'pending' WHERE id = 'n2'").await;
            exec(&a, damage).await;
            refused(&a, a.config(), &[words]).await;
        }
        let (_server, mut a, b) = two_devices(generation, SEED).await;
        regress(&mut a, generation).await;
        refused(&a, a.config().table(SyncTable::new("photos").key("id")), &["photos"]).await;
        a.reopen().await;
        converge(&a, &b).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_configured_any_more_keeps_its_rows_and_nothing_else() {
    for generation in BOTH {
        let (_server, mut a, _b) = two_devices(generation, SEED).await;
        regress(&mut a, generation).await;
        exec(
            &a,
            "CREATE TABLE photos (id TEXT PRIMARY KEY NOT NULL); INSERT INTO photos VALUES ('p');
             INSERT INTO _sync_row_state (schema_name, table_name, key_json, row_version)
             VALUES ('business', 'photos', '{\"id\":\"p\"}', 1)",
        )
        .await;
        a.reopen().await;
        assert_eq!((a.pending().await, a.text("SELECT id FROM photos").await), (0, "p".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_triggers_of_the_app_that_are_named_alike_are_left_alone() {
    let own = "CREATE TABLE _sync_something (id TEXT); INSERT INTO _sync_something VALUES ('app');
        CREATE TABLE _sync_row_state (mine TEXT); INSERT INTO _sync_row_state VALUES ('app');
        CREATE TRIGGER trg_notes_own_ai AFTER INSERT ON notes BEGIN UPDATE _sync_something SET id = 'fired'; END";
    for generation in BOTH {
        let server = TestServer::new(generation, &Notes::TABLES);
        let mut plain = Device::notes(&server, "ada").await;
        plain.close().await;
        former::local(&plain).await.uninstall_sync().await.unwrap();
        exec(&plain, own).await;
        plain.reopen().await;
        assert_eq!(plain.text("SELECT mine FROM _sync_row_state").await, "app");

        let (_server, mut a, b) = two_devices(generation, SEED).await;
        regress(&mut a, generation).await;
        exec(&a, &own.replace("_sync_row_state", "_sync_rows_of_mine")).await;
        a.reopen().await;
        a.exec("INSERT INTO notes (id) VALUES ('n3')").await;
        assert_eq!(a.text("SELECT id FROM _sync_something").await, "fired");
        converge(&a, &b).await;
        a.close().await;
        assert_eq!((leftovers(&a, "_sync_").await, leftovers(&a, "trg_").await), (2, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uninstalling_keeps_the_rows_and_triggers_of_the_app_and_nothing_of_rowtide() {
    let (server, mut a, b) = two_devices(BOTH[0], SEED).await;
    a.exec("CREATE TABLE seen (id TEXT); CREATE TRIGGER watch AFTER INSERT ON notes BEGIN INSERT INTO seen VALUES (NEW.id); END;
            INSERT INTO notes (id) VALUES ('pending')").await;
    let rows = a.dump().await;
    a.close().await;
    exec(&a, "CREATE VIEW waiting AS SELECT * FROM _rowtide_row_status").await;
    let before = everything(&a).await;
    let error = former::local(&a).await.uninstall_sync().await.unwrap_err();
    assert!(error.to_string().contains("rewrite waiting first"), "{error}");
    assert_eq!(everything(&a).await, before);
    exec(&a, "DROP VIEW waiting").await;
    assert!(former::local(&a).await.uninstall_sync().await.unwrap());
    assert!(!former::local(&a).await.uninstall_sync().await.unwrap(), "there is nothing left");
    assert_eq!(leftovers(&a, "_rowtide_").await, 0);
    exec(&a, "INSERT INTO notes (id) VALUES ('plain'); DELETE FROM notes WHERE id = 'plain'").await;
    a.reopen().await;
    assert_eq!(a.dump().await, rows);
    assert_eq!(a.text("SELECT group_concat(id) FROM seen").await, "pending,plain");
    assert_eq!(a.pending().await, 4, "a database without a past has local rows only");
    a.attach().await;
    converge(&a, &b).await;
    drop(server);
}
