//! What a server writes into its log: neither rows, nor keys, nor tokens.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use log::{LevelFilter, Log, Metadata, Record};
use serde_json::json;
use std::sync::Mutex;
use support::{SETUPS, Server, insert, row};

/// Keeps every line of this crate.
struct Kept(Mutex<String>);

static KEPT: Kept = Kept(Mutex::new(String::new()));

impl Log for Kept {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("rowtide")
    }
    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            *self.0.lock().unwrap() += &format!("{}\n", record.args());
        }
    }
    fn flush(&self) {}
}

#[tokio::test]
async fn the_log_holds_no_rows_no_keys_and_no_tokens_whatever_happens() {
    log::set_logger(&KEPT).unwrap();
    log::set_max_level(LevelFilter::Trace);
    for setup in SETUPS {
        let server = Server::new(setup).await.seeded(&[insert("u")]).await;
        let secret = row("INSERT", "secret-key", 0, Some("secret-name"));
        server.push("s", 1, std::slice::from_ref(&secret)).await.ok();
        server.push("s", 2, std::slice::from_ref(&secret)).await.refused(409, "push_conflict");
        let mut unfit = row("INSERT", "secret-2", 0, Some("x"));
        unfit["payload"]["big"] = json!("secret-number");
        server.push("s", 2, &[unfit]).await;
        let mut unknown = row("INSERT", "secret-3", 0, Some("x"));
        unknown["payload"]["secret_column"] = json!("secret-value");
        let session = server.create("t", 1, std::slice::from_ref(&unknown), None).await.ok();
        let path = format!("push-sessions/{}/chunks", session["push_id"].as_str().unwrap());
        server.post("t", &path, &json!({ "start_row_ordinal": 0, "rows": [unknown] })).await;
        server.call("t", "POST", &path, Some("{\"secret".into())).await;
        #[cfg(feature = "postgres")]
        if let Some(database) = server.database() {
            // The database itself is out of order: an error that is the server's, and is logged.
            let sql = "ALTER TABLE business.users RENAME TO away";
            database.connect().await.batch_execute(sql).await.unwrap();
            let failed = server.push("v", 1, &[row("INSERT", "secret-4", 0, Some("secret-name"))]).await;
            assert_eq!(failed.status, 500);
        }
        let kept = KEPT.0.lock().unwrap().clone();
        assert!(kept.contains("committed by source s"), "{kept}");
        assert!(!kept.contains("secret") && !kept.contains("eyJ"), "{kept}");
    }
    #[cfg(feature = "postgres")]
    assert!(KEPT.0.lock().unwrap().contains("push_session_commit_failed: PostgreSQL: SQLSTATE 42P01"));
}
