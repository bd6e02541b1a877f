//! What only the store on PostgreSQL does: tables of the application, triggers, SQL writers, other processes.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use rowtide::protocol::profile::WireGeneration;
use rowtide_server::{Limits, PostgresStore, StoreError};
use serde_json::{Value, json};
use std::sync::Arc;
use support::database::Database;
use support::{BOTH, Data, Server, TABLES, config, insert, request_hash, row};

/// People and their posts, with a constraint of every kind.
const PEOPLE: &str = "
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

async fn people(generation: WireGeneration) -> (Server, Arc<Database>) {
    let database = Arc::new(Database::create(PEOPLE).await);
    let data = Data::Database(database.clone());
    // Children first: the server finds the order by itself.
    let tables = ["likes", "posts", "people"];
    let server = Server::of_tables(&tables, generation, Limits::default(), &data).await;
    server.connect("s", false).await.ok();
    (server, database)
}

fn uuid(n: u64) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

fn upload(table: &str, op: &str, n: u64, base: i64, columns: Value) -> Value {
    let mut row = json!({ "schema": "business", "table": table, "key": { "id": uuid(n) }, "op": op, "base_row_version": base });
    if op != "DELETE" {
        row["payload"] = columns;
        row["payload"]["id"] = json!(uuid(n));
    }
    row
}

fn person(n: u64, columns: Value) -> Value {
    upload("people", "INSERT", n, 0, columns)
}

/// Operation, table and last digit of the key of every row of a bundle.
async fn rows_of(server: &Server, seq: i64) -> Vec<String> {
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
    let page = of(WireGeneration::A).await.get("reader", "pull").await.ok().to_string();
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
    for setup in support::SETUPS {
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
async fn users_never_meet_whatever_their_names_and_rows_say() {
    let (server, _database) = people(BOTH[1]).await;
    let odd = "Robert'); DROP TABLE business.people; --";
    let users = ["ada", odd, "ada' OR '1'='1", "日本 \\ \" $1", "rowtide"];
    for user in users {
        let connect = Some("{\"has_local_pending_rows\":false}".to_owned());
        server.call_of(user, "s", "POST", "connect", connect).await.ok();
        let rows = [person(1, json!({ "name": format!("of {user}"), "email": odd }))];
        let create = json!({ "source_bundle_id": 1, "planned_row_count": 1, "canonical_request_hash": request_hash(&rows) });
        let session = server.call_of(user, "s", "POST", "push-sessions", Some(create.to_string())).await.ok();
        let path = format!("push-sessions/{}", session["push_id"].as_str().unwrap());
        let chunk = json!({ "start_row_ordinal": 0, "rows": rows }).to_string();
        // Another user does not find the session; another source of the same user may not use it.
        let (chunks, commit) = (format!("{path}/chunks"), format!("{path}/commit"));
        for (who, source, status, code) in
            [("eve", "s", 404, "push_session_not_found"), (user, "t", 403, "push_session_forbidden")]
        {
            server.call_of(who, source, "POST", &chunks, Some(chunk.clone())).await.refused(status, code);
            server.call_of(who, source, "POST", &commit, None).await.refused(status, code);
            server.call_of(who, source, "DELETE", &path, None).await.refused(status, code);
        }
        server.call_of(user, "s", "POST", &chunks, Some(chunk)).await.ok();
        assert_eq!(server.call_of(user, "s", "POST", &commit, None).await.ok()["bundle_seq"], 1);
    }
    for user in users {
        let session = server.call_of(user, "r", "POST", "snapshot-sessions", None).await.ok();
        assert_eq!(session["row_count"], 1);
        let path = format!("snapshot-sessions/{}", session["snapshot_id"].as_str().unwrap());
        server.call_of("eve", "r", "GET", &path, None).await.refused(404, "snapshot_session_not_found");
        server.call_of(user, "t", "GET", &path, None).await.refused(403, "snapshot_session_forbidden");
        let chunk = server.call_of(user, "r", "GET", &path, None).await.ok();
        assert_eq!(chunk["rows"][0]["payload"]["name"], format!("of {user}"));
        assert_eq!(chunk["rows"][0]["payload"]["email"], odd);
        assert!(!chunk.to_string().contains("_sync_scope_id"));
    }
}

#[tokio::test]
async fn bundles_of_one_user_that_are_committed_at_once_follow_one_another() {
    let database = Arc::new(Database::create(TABLES).await);
    let data = Data::Database(database.clone());
    // Two processes, as far as PostgreSQL can see.
    let servers = [
        Server::on(BOTH[0], Limits::default(), &data).await,
        Server::on(BOTH[0], Limits::default(), &data).await,
    ];
    servers[0].connect("s", false).await.ok();
    let device = async |index: usize| {
        let source = format!("device-{index}");
        for bundle in 1..=5 {
            let key = format!("{index}-{bundle}");
            servers[index % 2].push(&source, bundle, &[insert(&key)]).await.ok();
        }
    };
    futures_util::future::join_all((0..6).map(device)).await;
    let page = servers[0].get("reader", "pull").await.ok();
    let sequences: Vec<i64> = page["bundles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bundle| bundle["bundle_seq"].as_i64().unwrap())
        .collect();
    assert_eq!(sequences, (1..=30).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_watch_stream_wakes_for_bundles_of_other_processes_generations_and_of_sql() {
    use axum::body::Body;
    use axum::http::Request;
    use futures_util::StreamExt;
    use tower::ServiceExt;
    let database = Arc::new(Database::create(TABLES).await);
    let data = Data::Database(database.clone());
    let watched = Server::on(WireGeneration::B, Limits::default(), &data).await;
    let other = Server::on(WireGeneration::A, Limits::default(), &data).await.seeded(&[insert("u")]).await;
    let jwt = Arc::new(rowtide_server::JwtAuthenticator::hs256(b"a secret"));
    let router = rowtide_server::router(watched.service.clone(), jwt);
    let call = Request::get("/sync/watch?after_bundle_seq=1")
        .header("authorization", format!("Bearer {}", watched.token("ada", 4_102_444_800)))
        .header("oversync-source-id", "w")
        .body(Body::empty())
        .unwrap();
    let mut stream = router.oneshot(call).await.unwrap().into_body().into_data_stream();
    let mut next = async || String::from_utf8(stream.next().await.unwrap().unwrap().to_vec()).unwrap();
    other.push("seeder", 2, &[insert("v")]).await.ok();
    assert!(next().await.contains("\"bundle_seq\":2"));
    let client = database.connect().await;
    let sql = "BEGIN; SELECT rowtide.begin_bundle('ada', 'w'); DELETE FROM business.users; COMMIT";
    client.batch_execute(sql).await.unwrap();
    assert!(next().await.contains("\"bundle_seq\":3"));
}
