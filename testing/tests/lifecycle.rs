//! Tokens, time, and what operators do to a server.

use crate::{App, BOTH, TABLES};
use rowtide::{ErrorKind, TokenError, TokenProvider, TokenReason};
use rowtide_testing::{Endpoint, TestServer, TestServerError, TestServerOptions, TestStore};
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Gives tokens from a list and notes why each was asked for.
#[derive(Clone)]
struct Wallet(Arc<Mutex<(Vec<String>, Vec<TokenReason>)>>);

#[async_trait::async_trait]
impl TokenProvider for Wallet {
    async fn token(&self, why: TokenReason) -> Result<String, TokenError> {
        let mut wallet = self.0.lock().unwrap();
        wallet.1.push(why);
        wallet.0.pop().ok_or_else(|| TokenError::Denied("sign in again".into()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_at_the_server_or_is_rejected_is_asked_for_again() {
    let server = TestServer::new(BOTH[1], &TABLES);
    let tokens = [server.token("ada"), server.token_expiring_in("ada", Duration::from_secs(600))];
    let wallet = Wallet(Arc::new(Mutex::new((tokens.into(), Vec::new()))));
    let transport = server.clone();
    let app = App::open(TestServer::URL, wallet.clone(), |config| config.transport(transport)).await;
    app.client.attach("ada").await.unwrap();
    server.advance(601);
    app.client.sync().await.unwrap();
    assert_eq!(wallet.0.lock().unwrap().1, [TokenReason::FirstUse, TokenReason::Rejected]);
    server.reject_tokens("ada");
    let error = app.client.sync().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    wallet.0.lock().unwrap().0.push(server.token("ada"));
    app.client.sync().await.unwrap();
    assert_eq!(server.token("ada"), server.token("ada"));
    assert_ne!(server.token("ada"), server.token("bob"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_missed_pruned_history_rebuilds() {
    for generation in BOTH {
        let server = TestServer::new(generation, &TABLES);
        server
            .put_rows("ada", "notes", &[json!({ "id": "n1", "title": "a", "stars": null, "weight": null })])
            .await
            .unwrap();
        let app = App::attached(&server, "ada").await;
        for title in ["b", "c"] {
            let row = json!({ "id": "n1", "title": title, "stars": null, "weight": null });
            server.put_rows("ada", "notes", &[row]).await.unwrap();
        }
        assert_eq!(server.prune_history("ada").await.unwrap(), 3);
        server.take_exchanges();
        app.client.sync().await.unwrap();
        assert_eq!(app.titles().await, [r#"Text("c")"#]);
        let calls = server.take_exchanges();
        assert!(calls.iter().any(|call| call.endpoint == Endpoint::SnapshotCreate));
        assert_eq!(server.prune_history("nobody").await.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_the_data_and_a_reset_loses_it() {
    for store in [TestStore::Memory, TestStore::File] {
        let server =
            TestServer::start(TestServerOptions { store, ..TestServerOptions::new(BOTH[1], &TABLES) })
                .unwrap();
        server.put_rows("ada", "notes", &[json!({ "id": "n1" })]).await.unwrap();
        server.restart();
        server.put_rows("ada", "notes", &[json!({ "id": "n2" })]).await.unwrap();
        assert_eq!(server.rows("ada", "notes").await.unwrap().len(), 2);
        server.reset().await.unwrap();
        assert_eq!(server.rows("ada", "notes").await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_backup_is_of_its_moment_and_can_be_restored_more_than_once() {
    let server = TestServer::with_file(BOTH[1], &TABLES);
    server.put_rows("ada", "notes", &[json!({ "id": "n1" })]).await.unwrap();
    let backup = server.backup().unwrap();
    for _ in 0..2 {
        server.put_rows("ada", "notes", &[json!({ "id": "n2" })]).await.unwrap();
        assert_eq!(server.rows("ada", "notes").await.unwrap().len(), 2);
        server.restore(&backup).unwrap();
        assert_eq!(server.rows("ada", "notes").await.unwrap().len(), 1);
    }
    let in_memory = TestServer::new(BOTH[1], &TABLES);
    assert!(matches!(in_memory.backup(), Err(TestServerError::InMemory)));
    assert!(matches!(in_memory.restore(&backup), Err(TestServerError::InMemory)));
}
