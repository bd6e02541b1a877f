//! What columns hold, as clients see it.

use crate::support::database::Database;
use crate::support::{Data, Server, TABLES, request_hash, row};
use rowtide::protocol::profile::WireGeneration;
use rowtide_server::Limits;
use serde_json::{Value, json};
use std::sync::Arc;

#[tokio::test]
async fn values_are_what_the_published_contract_says_to_the_bit_of_the_hash() {
    let database = Arc::new(
        Database::create(
            "CREATE SCHEMA business;
             CREATE TABLE business.numeric_values (
                 _sync_scope_id text NOT NULL, id text NOT NULL, amount numeric(20, 10), count integer, enabled boolean,
                 large_count bigint, ratio real, score double precision, small_count smallint,
                 PRIMARY KEY (_sync_scope_id, id));",
        )
        .await,
    );
    let data = Data::Database(database.clone());
    let of = |generation| Server::of_tables(&["numeric_values"], generation, Limits::default(), &data);
    let server = of(WireGeneration::B).await;
    server.connect("s", false).await.ok();
    let row = json!({ "schema": "business", "table": "numeric_values", "key": { "id": "n-1" }, "op": "INSERT",
        "base_row_version": 0, "payload": { "id": "n-1", "amount": "1234567890.123456789", "count": "2147483647",
        "enabled": "1", "large_count": "9007199254740993", "ratio": "1.2345678901234567", "score": "5e-324",
        "small_count": "-32768" } });
    assert_eq!(
        request_hash(std::slice::from_ref(&row)),
        "ce9f4105cdda62a7705ef32476ebb3b3737fb44866a4bf4eedfeaaa571eb443a"
    );
    let committed = server.push("s", 1, &[row]).await.ok();
    assert_eq!(committed["bundle_hash"], "92fe0879f22de1e60f1bec5655f94cc641389e2ba5624666402a2a5cdd7150e3");
    // The other generation reads the same history, with numbers as numbers, exact.
    let page = of(WireGeneration::A).await.get("reader", "pull").await.text;
    for part in [
        "\"amount\":1234567890.1234567890",
        "\"enabled\":true",
        "\"large_count\":9007199254740993",
        "\"ratio\":1.2345678806304932",
        "\"score\":5e-324",
    ] {
        assert!(page.contains(part), "{part}\nis not in\n{page}");
    }
}

#[tokio::test]
async fn reals_have_the_shortest_form_of_ecmascript_at_every_magnitude() {
    let database = Arc::new(Database::create(TABLES).await);
    let server = Server::on(WireGeneration::B, Limits::default(), &Data::Database(database.clone())).await;
    server.connect("s", false).await.ok();
    let numbers = [
        "0",
        "1",
        "-1.5",
        "0.1",
        "0.0001",
        "0.00001",
        "0.000001",
        "1e-7",
        "1.5e-9",
        "123456789012345",
        "1000000000000000",
        "123456789012345680000",
        "1e+21",
        "1.7976931348623157e+308",
        "5e-324",
        "-2.2250738585072014e-308",
    ];
    let rows: Vec<Value> = (0..)
        .zip(numbers)
        .map(|(n, number)| {
            let key = format!("{n:02}");
            let mut row = row("INSERT", &key, 0, Some("n"));
            row["payload"]["small"] = json!(number);
            row
        })
        .collect();
    server.push("s", 1, &rows).await.ok();
    let page = server.get("reader", "pull").await.ok();
    let found: Vec<&str> = page["bundles"][0]["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["payload"]["small"].as_str().unwrap())
        .collect();
    assert_eq!(found, numbers);
}
