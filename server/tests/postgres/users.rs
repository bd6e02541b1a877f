//! Users side by side, and several processes on one database.

use crate::people::{people, person};
use crate::support::database::Database;
use crate::support::{BOTH, Data, Server, TABLES, insert, request_hash};
use rowtide::protocol::profile::WireGeneration;
use rowtide_server::Limits;
use serde_json::json;
use std::sync::Arc;

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

#[tokio::test]
async fn writers_see_what_was_committed_before_whatever_the_default_of_the_database_is() {
    let database = Database::create(
        "CREATE SCHEMA business;
         CREATE TABLE business.users (_sync_scope_id text NOT NULL, id text NOT NULL, name text,
             isolation text DEFAULT current_setting('transaction_isolation'), PRIMARY KEY (_sync_scope_id, id))",
    )
    .await;
    let client = database.connect().await;
    let name: String = client.query_one("SELECT current_database()", &[]).await.unwrap().get(0);
    let sql = format!("ALTER DATABASE \"{name}\" SET default_transaction_isolation = 'serializable'");
    client.batch_execute(&sql).await.unwrap();
    let data = Data::Database(Arc::new(database));
    let server =
        Server::of_tables(&["users"], BOTH[0], Limits::default(), &data).await.seeded(&[insert("u")]).await;
    let page = server.get("reader", "pull").await.ok();
    assert_eq!(page["bundles"][0]["rows"][0]["payload"]["isolation"], "read committed");
}

#[tokio::test]
async fn a_commit_that_others_stand_in_the_way_of_is_tried_again_and_commits_once() {
    let database = Arc::new(Database::create(TABLES).await);
    let data = Data::Database(database.clone());
    let server = Server::on(BOTH[1], Limits::default(), &data).await.seeded(&[insert("u")]).await;
    // A number that no rollback takes back counts the attempts.
    let trap = "CREATE SEQUENCE business.attempts;
         CREATE FUNCTION business.meet() RETURNS trigger LANGUAGE plpgsql AS $$
         DECLARE attempt bigint := nextval('business.attempts');
         BEGIN
             IF attempt = 1 THEN RAISE EXCEPTION 'met' USING ERRCODE = '40P01'; END IF;
             IF attempt = 2 THEN RAISE EXCEPTION 'met' USING ERRCODE = '40001'; END IF;
             IF attempt = 3 THEN RAISE EXCEPTION 'met' USING ERRCODE = '55P03'; END IF;
             RETURN NULL;
         END $$;
         CREATE TRIGGER meet AFTER INSERT ON business.users FOR EACH STATEMENT EXECUTE FUNCTION business.meet()";
    let client = database.connect().await;
    client.batch_execute(trap).await.unwrap();
    assert_eq!(server.push("s", 1, &[insert("a"), insert("b")]).await.ok()["bundle_seq"], 2);
    let attempts = client.query_one("SELECT last_value FROM business.attempts", &[]).await.unwrap();
    assert_eq!(attempts.get::<_, i64>(0), 4);
    assert_eq!(server.get("reader", "pull").await.ok()["bundles"][1]["row_count"], 2);
}
