//! Bundles that SQL writes.

use crate::people::{people, person, rows_of, upload, uuid};
use crate::support::{BOTH, config};
use rowtide::protocol::profile::WireGeneration;
use rowtide_server::tokio_postgres::types::Type;
use rowtide_server::{PostgresStore, StoreError, WriteError};
use serde_json::json;

#[tokio::test]
async fn sql_writes_a_bundle_that_its_transaction_commits() {
    let (server, database) = people(BOTH[0]).await;
    let mut client = database.connect().await;
    let transaction = client.transaction().await.unwrap();
    transaction
        .batch_execute(&format!(
            "SELECT rowtide.begin_bundle('ada', 'billing');
             INSERT INTO business.people (id, name) VALUES ('{}', 'Ada'), ('{}', 'Bob'), ('{}', 'comes and goes');
             UPDATE business.people SET name = upper(name) WHERE name = 'Ada';
             DELETE FROM business.people WHERE name = 'comes and goes'",
            uuid(1),
            uuid(2),
            uuid(3)
        ))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(rows_of(&server, 1).await, ["INSERT people 1", "INSERT people 2"]);
    // The change of a key is a delete and an insert.
    let sql = format!(
        "BEGIN; SELECT rowtide.begin_bundle('ada', 'billing'); UPDATE business.people SET id = '{}' WHERE name = 'Bob'; COMMIT",
        uuid(5)
    );
    client.batch_execute(&sql).await.unwrap();
    let mut rows = rows_of(&server, 2).await;
    rows.sort();
    assert_eq!(rows, ["DELETE people 2", "INSERT people 5"]);
    // A device's update is based on it like on any other bundle.
    let update = upload("people", "UPDATE", 5, 2, json!({ "name": "Robert" }));
    assert_eq!(server.push("s", 1, &[update]).await.ok()["bundle_seq"], 3);
    let bundle =
        server.get("reader", "pull?after_bundle_seq=1&max_bundles=1").await.ok()["bundles"][0].clone();
    assert_eq!(
        (bundle["source_id"].as_str(), bundle["source_bundle_id"].as_i64(), bundle["row_count"].as_i64()),
        (Some("billing"), Some(2), Some(2))
    );
}

#[tokio::test]
async fn sql_is_refused_outside_of_a_bundle_and_beyond_its_user() {
    let (server, database) = people(BOTH[0]).await;
    server.push("s", 1, &[person(1, json!({ "name": "Ada" }))]).await.ok();
    let client = database.connect().await;
    let refused = async |sql: &str| -> String {
        let error = client.batch_execute(sql).await.unwrap_err();
        client.batch_execute("ROLLBACK").await.unwrap();
        error.as_db_error().unwrap().code().code().to_owned()
    };
    let begin = |user: &str| format!("BEGIN; SELECT rowtide.begin_bundle('{user}', 'w');");
    let add = "INSERT INTO business.people (_sync_scope_id, id, name)";
    for (sql, code) in [
        ("DELETE FROM business.people".to_owned(), "RT001"),
        ("UPDATE business.people SET name = 'x'".to_owned(), "RT001"),
        (format!("{add} VALUES ('ada', gen_random_uuid(), 'x')"), "RT001"),
        ("TRUNCATE business.people CASCADE".to_owned(), "RT001"),
        (format!("{} TRUNCATE business.people CASCADE", begin("ada")), "RT001"),
        (format!("{} {add} VALUES ('ada', gen_random_uuid(), 'x')", begin("eve")), "RT001"),
        (format!("{} UPDATE business.people SET name = 'x'", begin("eve")), "RT001"),
        (format!("{} DELETE FROM business.people", begin("eve")), "RT001"),
        (format!("{} UPDATE business.people SET _sync_scope_id = 'eve'", begin("ada")), "RT001"),
        (format!("{} SELECT rowtide.begin_bundle('ada', 'w')", begin("ada")), "RT002"),
        (format!("{} COMMIT", begin("ada")), "RT004"),
        ("SELECT rowtide.begin_bundle('', 'w')".to_owned(), "RT002"),
        (
            "SELECT set_config('rowtide.bundle_user', 'ada', false); DELETE FROM business.people".to_owned(),
            "RT001",
        ),
    ] {
        assert_eq!(refused(&sql).await, code, "{sql}");
        client.batch_execute("RESET rowtide.bundle_user").await.unwrap();
    }
    assert_eq!(server.get("reader", "pull").await.ok()["stable_bundle_seq"], 1);
    // While a device seeds, its user is its own.
    server
        .call_of("new", "d", "POST", "connect", Some("{\"has_local_pending_rows\":true}".into()))
        .await
        .ok();
    assert_eq!(refused(&begin("new")).await, "RT003");
}

#[tokio::test]
async fn a_host_writes_a_bundle_from_rust_whole_or_not_at_all() {
    let (server, database) = people(BOTH[0]).await;
    let tables = config(&["likes", "posts", "people"], WireGeneration::A);
    let store = PostgresStore::open(&database.url, None, &tables).await.unwrap();
    let insert = "INSERT INTO business.people (id, name) VALUES ($1::text::uuid, $2)";
    let (seq, rows) = store
        .write_bundle("ada", "billing", |bundle| {
            Box::pin(async move {
                bundle.execute(insert, &[(&uuid(1), Type::TEXT), (&"Ada", Type::TEXT)]).await?;
                bundle.execute(insert, &[(&uuid(2), Type::TEXT), (&"Bob", Type::TEXT)]).await?;
                Ok(bundle
                    .query("SELECT 1 FROM business.people WHERE _sync_scope_id = 'ada'", &[])
                    .await?
                    .len())
            })
        })
        .await
        .unwrap();
    assert_eq!((seq.0, rows), (1, 2));
    assert_eq!(rows_of(&server, 1).await, ["INSERT people 1", "INSERT people 2"]);
    let failed = |result: Result<_, StoreError>| match result {
        Err(StoreError::Failed(text)) => text,
        Ok(()) => panic!("it was written"),
        Err(other) => panic!("{other:?}"),
    };
    for (name, words) in [("nobody", "people_name_check"), ("given up", "changed my mind"), ("", "RT004")] {
        let result = store.write_bundle("ada", "billing", |bundle| {
            Box::pin(async move {
                if !name.is_empty() {
                    bundle.execute(insert, &[(&uuid(3), Type::TEXT), (&name, Type::TEXT)]).await?;
                }
                if name == "given up" { Err(WriteError::abort("changed my mind")) } else { Ok(()) }
            })
        });
        let text = failed(result.await.map(drop));
        assert!(text.contains(words), "{text}");
    }
    let body = Some("{\"has_local_pending_rows\":true}".to_owned());
    server.call_of("new", "d", "POST", "connect", body).await.ok();
    let refused = store.write_bundle("new", "billing", |_| Box::pin(async { Ok(()) })).await;
    assert!(
        matches!(refused, Err(StoreError::Refused(refusal)) if refusal.code.as_str() == "scope_initializing")
    );
    assert_eq!(server.get("reader", "pull").await.ok()["stable_bundle_seq"], 1);
    let update = upload("people", "UPDATE", 1, 1, json!({ "name": "Ada L." }));
    assert_eq!(server.push("s", 1, &[update]).await.ok()["bundle_seq"], 2);
}
