//! Which tables are registered, and what happens to those that cannot be.

use crate::support::database::Database;
use crate::support::{BOTH, Data, Server, TABLES, config, insert};
use rowtide::protocol::profile::WireGeneration;
use rowtide_server::{Limits, PostgresStore, StoreError};
use std::sync::Arc;

async fn open_error(database: &Database, tables: &[&str]) -> String {
    match PostgresStore::open(&database.url, None, &config(tables, WireGeneration::A)).await {
        Err(StoreError::Failed(text)) => text,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("the tables were registered"),
    }
}

#[tokio::test]
async fn tables_that_cannot_be_synchronised_are_refused_with_every_fault_and_its_mend_and_nothing_is_installed()
 {
    let database = Database::create(
        "CREATE SCHEMA business;
         CREATE TABLE business.bare (id uuid PRIMARY KEY);
         CREATE TABLE business.parents (_sync_scope_id text NOT NULL, id uuid NOT NULL, name text, PRIMARY KEY (_sync_scope_id, id));
         CREATE UNIQUE INDEX by_name ON business.parents (name);
         CREATE UNIQUE INDEX by_lower ON business.parents (_sync_scope_id, lower(name));
         CREATE TABLE business.children (_sync_scope_id text NOT NULL, id integer NOT NULL, \"Odd\" text,
             a uuid, b uuid, PRIMARY KEY (_sync_scope_id, id));
         CREATE TABLE business.others (_sync_scope_id text NOT NULL, id uuid NOT NULL, parent uuid, gone uuid,
             PRIMARY KEY (_sync_scope_id, id),
             CONSTRAINT not_deferrable FOREIGN KEY (_sync_scope_id, parent) REFERENCES business.parents (_sync_scope_id, id),
             CONSTRAINT to_unregistered FOREIGN KEY (gone) REFERENCES business.bare (id),
             CONSTRAINT sets_null FOREIGN KEY (_sync_scope_id, parent) REFERENCES business.parents (_sync_scope_id, id)
                 ON DELETE SET NULL DEFERRABLE);",
    )
    .await;
    let text = open_error(&database, &["parents", "children", "others", "missing"]).await;
    for part in [
        "unique index by_name must begin with _sync_scope_id",
        "unique index by_lower is partial or over an expression",
        "column \"Odd\" must be made of a-z",
        "business.children.id is a sync key of type int4; keys are UUID or TEXT",
        "foreign key not_deferrable must be deferrable; ALTER TABLE business.others ALTER CONSTRAINT not_deferrable",
        "foreign key to_unregistered refers to business.bare, which is not registered",
        "foreign key sets_null sets _sync_scope_id to NULL",
        "business.missing does not exist",
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
    assert!(open_error(&database, &["bare"]).await.contains("business.bare lacks the column _sync_scope_id"));
    let client = database.connect().await;
    let installed =
        client.query_one("SELECT count(*) FROM pg_namespace WHERE nspname = 'rowtide'", &[]).await;
    assert_eq!(installed.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn a_table_is_added_to_a_live_deployment_and_the_others_keep_their_numbers() {
    let database = Arc::new(Database::create(TABLES).await);
    let data = Data::Database(database.clone());
    let server = Server::of_tables(&["users"], BOTH[1], Limits::default(), &data).await;
    server.seeded(&[insert("u")]).await;
    let numbers = async || -> Vec<(i32, String)> {
        let client = database.connect().await;
        let sql = "SELECT table_id, table_name FROM rowtide.table_catalog ORDER BY table_id";
        client.query(sql, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
    };
    let before = numbers().await;
    let client = database.connect().await;
    let sql = "CREATE TABLE business.albums (_sync_scope_id text NOT NULL, id text NOT NULL, PRIMARY KEY (_sync_scope_id, id));
               INSERT INTO business.albums VALUES ('ada', 'there before'), ('eve', 'hers')";
    client.batch_execute(sql).await.unwrap();
    let server = Server::of_tables(&["albums", "posts", "users"], BOTH[1], Limits::default(), &data).await;
    assert!(numbers().await.starts_with(&before));
    // What was in the table is a bundle of its user, and of no other.
    let page = server.get("reader", "pull?after_bundle_seq=1").await.ok();
    let bundle = &page["bundles"][0];
    assert!(bundle["source_id"].as_str().unwrap().starts_with("rowtide-adoption:"));
    assert_eq!(bundle["rows"].as_array().unwrap().len(), 1);
    assert_eq!(bundle["rows"][0]["key"]["id"], "there before");
    // And once only.
    let server = Server::of_tables(&["albums", "posts", "users"], BOTH[1], Limits::default(), &data).await;
    assert_eq!(server.get("reader", "pull?after_bundle_seq=1").await.ok()["stable_bundle_seq"], 2);
}

#[tokio::test]
async fn a_newer_layout_is_refused() {
    let database = Arc::new(Database::create(TABLES).await);
    drop(Server::on(BOTH[0], Limits::default(), &Data::Database(database.clone())).await);
    database.connect().await.batch_execute("UPDATE rowtide.meta SET layout_version = 99").await.unwrap();
    assert!(open_error(&database, &["users"]).await.contains("layout 99"));
}
