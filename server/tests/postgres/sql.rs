//! Bundles that SQL writes.

use crate::people::{people, person, rows_of, upload, uuid};
use crate::support::BOTH;
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
