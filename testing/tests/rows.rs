//! What a test writes for a user, and what it reads.

use crate::{App, BOTH, TABLES};
use rowtide::protocol::profile::WireGeneration;
use rowtide_testing::{Endpoint, Limits, TestServer, TestServerError};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_test_writes_reach_an_app_and_rows_of_the_app_reach_the_test() {
    for generation in BOTH {
        // Small chunks, so that the seed takes several.
        let limits = Limits { default_rows_per_chunk: 2, max_rows_per_chunk: 2, ..Limits::default() };
        let server = TestServer::with_limits(generation, &TABLES, limits);
        let seed = |id: &str| json!({ "id": id, "title": "seed", "stars": i64::MAX, "weight": 0.1 });
        server.put_rows("ada", "notes", &["n1", "n2", "n3"].map(seed)).await.unwrap();
        let app = App::attached(&server, "ada").await;
        let all = "SELECT count(*), min(stars), max(weight) FROM notes";
        let found = app.client.query(all, vec![]).await.unwrap().rows;
        assert_eq!(format!("{found:?}"), "[[Integer(3), Integer(9223372036854775807), Real(0.1)]]");
        app.exec("UPDATE notes SET title = 'by the app', stars = 5 WHERE id = 'n2'").await;
        app.client.sync().await.unwrap();
        let rows = server.rows("ada", "notes").await.unwrap();
        let keys: Vec<_> = rows.iter().map(|row| (row.key.as_str(), row.version)).collect();
        assert_eq!(keys, [("n1", 1), ("n2", 2), ("n3", 1)]);
        let five = if generation == WireGeneration::A { json!(5) } else { json!("5") };
        assert_eq!((&rows[1].columns["title"], &rows[1].columns["stars"]), (&json!("by the app"), &five));
        assert_eq!(server.rows("bob", "notes").await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_updated_deleted_and_written_again_as_another_device_would() {
    for generation in BOTH {
        let server = TestServer::new(generation, &TABLES);
        let note = |title: &str| json!({ "id": "n1", "title": title, "stars": null, "weight": null });
        server.put_rows("ada", "notes", &[note("first")]).await.unwrap();
        let app = App::attached(&server, "ada").await;
        let mut seen = app.titles().await;
        server.put_rows("ada", "notes", &[note("second")]).await.unwrap();
        app.client.sync().await.unwrap();
        seen.extend(app.titles().await);
        server.delete_rows("ada", "notes", &["n1", "n7"]).await.unwrap();
        app.client.sync().await.unwrap();
        assert_eq!(app.titles().await, [""; 0]);
        server.put_rows("ada", "notes", &[note("third")]).await.unwrap();
        app.client.sync().await.unwrap();
        seen.extend(app.titles().await);
        assert_eq!(seen, [r#"Text("first")"#, r#"Text("second")"#, r#"Text("third")"#]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_in_the_middle_of_an_app_s_push_is_a_conflict() {
    for generation in BOTH {
        let server = TestServer::new(generation, &TABLES);
        let note = |title: &str| json!({ "id": "n1", "title": title, "stars": null, "weight": null });
        server.put_rows("ada", "notes", &[note("first")]).await.unwrap();
        let app = App::attached(&server, "ada").await;
        app.exec("UPDATE notes SET title = 'by the app'").await;
        let (other, runtime) = (server.clone(), tokio::runtime::Handle::current());
        let theirs = note("faster");
        server.before(Endpoint::PushCommit, move || {
            runtime.block_on(other.put_rows("ada", "notes", &[theirs])).unwrap();
        });
        assert_eq!(app.client.sync().await.unwrap().conflicts, 1);
        assert_eq!(app.titles().await, [r#"Text("faster")"#], "the server wins unless told otherwise");
    }
}

#[tokio::test]
async fn rows_that_are_none_are_refused_by_their_number_and_nothing_is_written() {
    let server = TestServer::new(BOTH[1], &TABLES);
    let good = json!({ "id": "n1" });
    for (bad, why) in [
        (json!("n2"), "row 1 of notes is no JSON object"),
        (json!({ "title": "secret" }), "row 1 of notes needs its key id as text"),
        (json!({ "id": "n1" }), "row 1 of notes has the key of an earlier row"),
        (
            json!({ "id": "n2", "title": ["secret"] }),
            "row 1 of notes has an array or object; give its text in column title",
        ),
        (
            json!({ "id": "n2", "stars": u64::MAX }),
            "row 1 of notes has a number beyond 64 bits in column stars",
        ),
    ] {
        let error = server.put_rows("ada", "notes", &[good.clone(), bad]).await.unwrap_err();
        assert_eq!(error.to_string(), why);
    }
    let error = server.put_rows("ada", "notes", &[json!({ "id": "n1", "Title": "" })]).await.unwrap_err();
    assert!(matches!(error, TestServerError::Refused { status: 400, .. }), "{error}");
    let error = server.put_rows("ada", "tags", &[good]).await.unwrap_err();
    assert_eq!(error.to_string(), "table tags is not registered");
    assert!(server.rows("ada", "tags").await.is_err());
    assert_eq!(server.rows("ada", "notes").await.unwrap(), []);
}
