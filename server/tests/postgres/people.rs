//! People, their posts and the likes of these: tables with a constraint of every kind.

use crate::support::database::Database;
use crate::support::{Data, Server};
use rowtide::protocol::profile::WireGeneration;
use rowtide_server::Limits;
use serde_json::{Value, json};
use std::sync::Arc;

/// People and their posts, with a constraint of every kind.
pub(crate) const PEOPLE: &str = "
    CREATE SCHEMA business;
    CREATE TABLE business.people (
        _sync_scope_id text NOT NULL, id uuid NOT NULL, name text NOT NULL CHECK (name <> 'nobody'), email text,
        age smallint, nick varchar(5), PRIMARY KEY (_sync_scope_id, id), CONSTRAINT one_email UNIQUE (_sync_scope_id, email));
    CREATE TABLE business.posts (
        _sync_scope_id text NOT NULL, id uuid NOT NULL, title text, author uuid, PRIMARY KEY (_sync_scope_id, id),
        CONSTRAINT posts_author FOREIGN KEY (_sync_scope_id, author) REFERENCES business.people (_sync_scope_id, id)
            DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE business.likes (
        _sync_scope_id text NOT NULL, id uuid NOT NULL, post uuid NOT NULL, PRIMARY KEY (_sync_scope_id, id),
        FOREIGN KEY (_sync_scope_id, post) REFERENCES business.posts (_sync_scope_id, id)
            ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);";

pub(crate) async fn people(generation: WireGeneration) -> (Server, Arc<Database>) {
    let database = Arc::new(Database::create(PEOPLE).await);
    let data = Data::Database(database.clone());
    // Children first: the server finds the order by itself.
    let tables = ["likes", "posts", "people"];
    let server = Server::of_tables(&tables, generation, Limits::default(), &data).await;
    server.connect("s", false).await.ok();
    (server, database)
}

pub(crate) fn uuid(n: u64) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

pub(crate) fn upload(table: &str, op: &str, n: u64, base: i64, columns: Value) -> Value {
    let mut row = json!({ "schema": "business", "table": table, "key": { "id": uuid(n) }, "op": op, "base_row_version": base });
    if op != "DELETE" {
        row["payload"] = columns;
        row["payload"]["id"] = json!(uuid(n));
    }
    row
}

pub(crate) fn person(n: u64, columns: Value) -> Value {
    upload("people", "INSERT", n, 0, columns)
}

/// Operation, table and last digit of the key of every row of a bundle.
pub(crate) async fn rows_of(server: &Server, seq: i64) -> Vec<String> {
    let page = server.get("reader", &format!("pull?after_bundle_seq={}&max_bundles=1", seq - 1)).await.ok();
    let rows = page["bundles"][0]["rows"].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let name = |row: &Value| {
        let key = text(&row["key"]["id"]);
        format!(
            "{} {} {}",
            text(&row["op"]),
            text(&row["table"]),
            key.trim_start_matches(['0', '-', '4', '8'])
        )
    };
    rows.iter().map(name).collect()
}
