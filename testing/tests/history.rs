//! What was committed, bundle by bundle, and sources that are retired.

use crate::{App, BOTH, TABLES};
use rowtide_testing::TestServer;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_history_tells_who_committed_what_in_which_order() {
    for generation in BOTH {
        let server = TestServer::new(generation, &TABLES);
        assert_eq!(server.bundles("ada", 0).await.unwrap(), []);
        let note = |title: &str| json!({ "id": "n1", "title": title, "stars": null, "weight": null });
        server.put_rows("ada", "notes", &[note("seed")]).await.unwrap();
        let app = App::attached(&server, "ada").await;
        app.exec("UPDATE notes SET title = 'by the app'").await;
        app.client.sync().await.unwrap();
        app.exec("DELETE FROM notes").await;
        app.client.sync().await.unwrap();
        let source = app.client.source_info().await.unwrap().source_id;
        let bundles = server.bundles("ada", 1).await.unwrap();
        let told: Vec<_> = bundles
            .iter()
            .map(|bundle| {
                (bundle.seq, bundle.source_id == source, bundle.source_bundle_id, bundle.changes.len())
            })
            .collect();
        assert_eq!(told, [(2, true, 1, 1), (3, true, 2, 1)]);
        let (update, delete) = (&bundles[0].changes[0], &bundles[1].changes[0]);
        assert_eq!((update.table.as_str(), update.key.as_str()), ("notes", "n1"));
        assert_eq!(update.columns.as_ref().unwrap()["title"], json!("by the app"));
        assert_eq!(delete.columns, None);
        assert_eq!(server.bundles("ada", 0).await.unwrap().len(), 3);
        assert_eq!(server.bundles("bob", 0).await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_retired_goes_on_under_the_one_that_replaces_it() {
    for generation in BOTH {
        let server = TestServer::new(generation, &TABLES);
        let note = json!({ "id": "n1", "title": "seed", "stars": null, "weight": null });
        server.put_rows("ada", "notes", &[note]).await.unwrap();
        let app = App::attached(&server, "ada").await;
        let source = app.client.source_info().await.unwrap().source_id;
        let replacement = server.retire_source("ada", &source).await.unwrap();
        app.exec("UPDATE notes SET title = 'by the app'").await;
        app.client.sync().await.unwrap();
        assert_eq!(app.client.source_info().await.unwrap().source_id, replacement);
        assert_eq!(server.bundles("ada", 1).await.unwrap()[0].source_id, replacement);
        assert!(server.retire_source("ada", &source).await.is_err());
    }
}
