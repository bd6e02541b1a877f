//! Rows that the database does not take, and what it makes of those that it does.

use crate::people::{people, person, rows_of, upload, uuid};
use crate::support::database::Database;
use crate::support::{BOTH, Data, SETUPS, Server, insert, row};
use rowtide::protocol::profile::WireGeneration;
use rowtide_server::Limits;
use serde_json::{Value, json};
use std::sync::Arc;

#[tokio::test]
async fn a_row_that_the_database_does_not_take_is_named_with_its_constraint_and_nothing_is_committed() {
    for generation in BOTH {
        let (server, _database) = people(generation).await;
        let post =
            |n, author| upload("posts", "INSERT", n, 0, json!({ "title": "t", "author": uuid(author) }));
        server
            .push(
                "s",
                1,
                &[
                    person(1, json!({ "name": "Ada", "email": "a" })),
                    person(2, json!({ "name": "Bob" })),
                    post(11, 2),
                ],
            )
            .await
            .ok();
        let many: Vec<Value> = (100..150).map(|n| person(n, json!({ "name": "fine" }))).collect();
        for (bad, named, constraint) in [
            (person(9, json!({ "name": null })), 9, "NOT NULL of column name"),
            (person(9, json!({ "name": "nobody" })), 9, "people_name_check"),
            (person(9, json!({ "name": "x", "email": "a" })), 9, "one_email"),
            (person(9, json!({ "name": "x", "age": "70000" })), 9, "SQLSTATE 22003"),
            (person(9, json!({ "name": "x", "age": "old" })), 9, "SQLSTATE 22P02"),
            (person(9, json!({ "name": "x", "nick": "too long" })), 9, "length"),
            (post(9, 77), 9, "posts_author"),
            (upload("people", "DELETE", 2, 1, Value::Null), 2, "posts_author"),
            (upload("people", "UPDATE", 2, 1, json!({ "name": "Bob", "email": "a" })), 2, "one_email"),
        ] {
            let mut rows = many.clone();
            rows.insert(33, bad);
            let refused = server.push("s", 2, &rows).await.refused(409, "push_row_refused");
            assert_eq!(refused["refused"]["key"]["id"], uuid(named), "{refused}");
            assert!(refused["refused"]["constraint"].as_str().unwrap().contains(constraint), "{refused}");
            assert!(!refused.to_string().contains("too long"), "no row contents");
        }
        let mut nul = many.clone();
        nul[7]["payload"]["name"] = json!("a\u{0}b");
        let session = server.create("s", 2, &nul, None).await.ok();
        let path = format!("push-sessions/{}/chunks", session["push_id"].as_str().unwrap());
        let chunk = json!({ "start_row_ordinal": 0, "rows": nul });
        let refused = server.post("s", &path, &chunk).await.refused(409, "push_row_refused");
        assert_eq!(refused["refused"]["key"]["id"], uuid(107));
        server.push("s", 2, &many).await.ok();
        assert_eq!(server.get("reader", "pull").await.ok()["stable_bundle_seq"], 2);
    }
}

#[tokio::test]
async fn a_unique_value_moves_between_rows_within_a_bundle_and_cascades_are_part_of_it() {
    for generation in BOTH {
        let (server, _database) = people(generation).await;
        let post =
            |n, author| upload("posts", "INSERT", n, 0, json!({ "title": "t", "author": uuid(author) }));
        let like = |n, post| upload("likes", "INSERT", n, 0, json!({ "post": uuid(post) }));
        let first = [
            // Children first: references hold at the end of the bundle.
            like(21, 11),
            like(22, 11),
            post(11, 1),
            person(1, json!({ "name": "Ada", "email": "a" })),
            person(2, json!({ "name": "Bob", "email": "b" })),
        ];
        server.push("s", 1, &first).await.ok();
        assert_eq!(
            rows_of(&server, 1).await,
            ["INSERT likes 21", "INSERT likes 22", "INSERT posts 11", "INSERT people 1", "INSERT people 2"],
            "rows come in the order of the upload"
        );
        let second = [
            person(3, json!({ "name": "Cleo", "email": "b" })),
            upload("people", "DELETE", 2, 1, Value::Null),
            upload("posts", "DELETE", 11, 1, Value::Null),
        ];
        let committed = server.push("s", 2, &second).await.ok();
        assert_eq!(committed["row_count"], 5, "two likes went with their post");
        let mut rows = rows_of(&server, 2).await;
        rows[3..].sort();
        assert_eq!(
            rows,
            ["INSERT people 3", "DELETE people 2", "DELETE posts 11", "DELETE likes 21", "DELETE likes 22"]
        );
    }
}

#[tokio::test]
async fn all_conflicts_of_a_commit_are_reported_and_the_first_one_where_every_client_reads_it() {
    for setup in SETUPS {
        let rows: Vec<Value> = ["a", "b", "c"].iter().map(|key| insert(key)).collect();
        let server = Server::new(setup).await.seeded(&rows).await;
        let update = |key, base| row("UPDATE", key, base, Some("x"));
        server.push("seeder", 2, &[update("a", 1), row("DELETE", "c", 1, None)]).await.ok();
        let pushed = [update("b", 1), update("c", 1), update("a", 1)];
        let refused = server.push("s", 1, &pushed).await.refused(409, "push_conflict");
        assert_eq!(refused["conflict"]["key"]["id"], "c");
        let keys: Vec<_> = refused["conflicts"].as_array().unwrap().iter().map(|c| &c["key"]["id"]).collect();
        assert_eq!(keys, ["c", "a"]);
        assert_eq!(refused["conflicts"][1]["server_row"]["name"], "x");
    }
}

/// A server on tables of the test's, with a limit of bytes a row.
async fn on(schema: &str, tables: &[&str], generation: WireGeneration, row_bytes: i64) -> Server {
    let data = Data::Database(Arc::new(Database::create(schema).await));
    let limits = Limits { max_bytes_per_snapshot_row: row_bytes, ..Limits::default() };
    let server = Server::of_tables(tables, generation, limits, &data).await;
    server.connect("s", false).await.ok();
    server
}

#[tokio::test]
async fn a_row_that_a_trigger_leaves_out_is_named_and_nothing_is_committed() {
    const SCHEMA: &str = "
        CREATE SCHEMA business;
        CREATE TABLE business.users (_sync_scope_id text NOT NULL, id text NOT NULL, name text, PRIMARY KEY (_sync_scope_id, id));
        CREATE FUNCTION business.drop_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER frozen BEFORE INSERT OR UPDATE ON business.users FOR EACH ROW WHEN (NEW.name = 'frozen')
            EXECUTE FUNCTION business.drop_row()";
    for generation in BOTH {
        let server = on(SCHEMA, &["users"], generation, 4 << 20).await;
        let users: Vec<Value> = ["a", "b", "c", "d"].iter().map(|key| insert(key)).collect();
        server.push("s", 1, &users).await.ok();
        let update = |key, name| row("UPDATE", key, 1, Some(name));
        for rows in [
            vec![update("a", "fine"), update("b", "fine"), update("c", "frozen"), update("d", "fine")],
            vec![insert("e"), row("INSERT", "c2", 0, Some("frozen")), update("a", "fine")],
        ] {
            let refused = server.push("s", 2, &rows).await.refused(409, "push_row_refused");
            assert!(refused["refused"]["key"]["id"].as_str().unwrap().starts_with('c'), "{refused}");
            assert!(refused["refused"]["constraint"].as_str().unwrap().contains("trigger"), "{refused}");
        }
        assert_eq!(server.get("reader", "pull").await.ok()["stable_bundle_seq"], 1);
    }
}

#[tokio::test]
async fn a_row_that_the_database_makes_too_wide_for_snapshots_is_refused_at_the_commit() {
    const SCHEMA: &str = "
        CREATE SCHEMA business;
        CREATE TABLE business.users (_sync_scope_id text NOT NULL, id text NOT NULL, name text,
            padding text NOT NULL DEFAULT repeat('x', 5000), PRIMARY KEY (_sync_scope_id, id))";
    for generation in BOTH {
        let server = on(SCHEMA, &["users"], generation, 5_000).await;
        let mut narrow = insert("narrow");
        narrow["payload"]["padding"] = json!("x");
        let rows = [narrow.clone(), insert("wide")];
        let refused = server.push("s", 1, &rows).await.refused(409, "push_row_refused");
        assert_eq!(refused["refused"]["key"]["id"], "wide");
        assert_eq!(refused["refused"]["constraint"], "max_bytes_per_snapshot_row 5000");
        assert_eq!(server.push("s", 1, &[narrow]).await.ok()["bundle_seq"], 1);
    }
}

#[tokio::test]
async fn foreign_keys_of_one_name_in_two_tables_are_told_apart() {
    const SCHEMA: &str = "
        CREATE SCHEMA business;
        CREATE TABLE business.users (_sync_scope_id text NOT NULL, id text NOT NULL, name text, PRIMARY KEY (_sync_scope_id, id));
        CREATE TABLE business.albums (_sync_scope_id text NOT NULL, id text NOT NULL, owner text, PRIMARY KEY (_sync_scope_id, id),
            CONSTRAINT owned FOREIGN KEY (_sync_scope_id, owner) REFERENCES business.users (_sync_scope_id, id) DEFERRABLE);
        CREATE TABLE business.songs (_sync_scope_id text NOT NULL, id text NOT NULL, owner text, PRIMARY KEY (_sync_scope_id, id),
            CONSTRAINT owned FOREIGN KEY (_sync_scope_id, owner) REFERENCES business.albums (_sync_scope_id, id) DEFERRABLE)";
    let server = on(SCHEMA, &["albums", "songs", "users"], BOTH[1], 4 << 20).await;
    for table in ["albums", "songs"] {
        let orphan = json!({ "schema": "business", "table": table, "key": { "id": "o" }, "op": "INSERT",
            "base_row_version": 0, "payload": { "id": "o", "owner": "nobody" } });
        let refused = server.push("s", 1, &[insert("u"), orphan]).await.refused(409, "push_row_refused");
        assert_eq!(refused["refused"]["table"], table);
        assert_eq!(refused["refused"]["constraint"], "owned");
    }
}
