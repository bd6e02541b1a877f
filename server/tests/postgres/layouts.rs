//! Databases of earlier layouts, each as a server of its time left it.

use crate::people::rows_of;
use crate::support::database::Database;
use crate::support::{BOTH, Data, Server, TABLES, row};
use rowtide::protocol::profile::WireGeneration;
use rowtide_server::Limits;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

async fn layout(database: &Database) -> i32 {
    let client = database.connect().await;
    client.query_one("SELECT layout_version FROM rowtide.meta", &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_database_of_each_earlier_layout_is_brought_to_the_newest_and_goes_on_where_it_stood() {
    let fresh = Arc::new(Database::create(TABLES).await);
    drop(Server::on(BOTH[0], Limits::default(), &Data::Database(fresh.clone())).await);
    let newest = layout(&fresh).await;
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres/layouts"));
    for earlier in 1..newest {
        let dump = std::fs::read_to_string(folder.join(format!("{earlier}.sql")))
            .expect("every layout that was left behind is kept as a dump");
        let database = Arc::new(Database::create(&dump).await);
        assert_eq!(layout(&database).await, earlier);
        let data = Data::Database(database.clone());
        let server = Server::on(WireGeneration::A, Limits::default(), &data).await;
        assert_eq!(layout(&database).await, newest);

        // What was committed is as it was, to the bit of the hash.
        assert_eq!(rows_of(&server, 1).await.len(), 3);
        let page = server.get("reader", "pull").await.ok();
        assert_eq!(page["stable_bundle_seq"], 2);
        assert_eq!(
            page["bundles"][0]["bundle_hash"],
            "346a495169ab040afa7812c68a2332428541f2c43e34dbe89f261ad8b9ceb13d"
        );
        // A push that was under way is finished, on the version that its row has, and on a tombstone.
        let path = "push-sessions/a-push-session";
        let insert = row("INSERT", "b", 2, Some("Bob again"));
        let chunk = json!({ "start_row_ordinal": 1, "rows": [insert] });
        server.post("s", &format!("{path}/chunks"), &chunk).await.ok();
        let committed = server.call("s", "POST", &format!("{path}/commit"), None).await.ok();
        assert_eq!(committed["bundle_seq"], 3);
        let stale = server.push("t", 1, &[row("UPDATE", "a", 1, Some("stale"))]).await;
        assert_eq!(stale.refused(409, "push_conflict")["conflict"]["server_row_version"], 3);
        // SQL writes, and guards hold.
        let client = database.connect().await;
        let sql = "BEGIN; SELECT rowtide.begin_bundle('ada', 'w');
                   INSERT INTO business.users (id, name) VALUES ('c', 'Cleo'), ('d', 'Dan');
                   UPDATE business.users SET name = upper(name) WHERE id = 'd'; DELETE FROM business.posts; COMMIT";
        client.batch_execute(sql).await.unwrap();
        let page = server.get("reader", "pull?after_bundle_seq=3").await.ok();
        let ops: Vec<_> = page["bundles"][0]["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| format!("{} {} {}", row["op"], row["key"]["id"], row["payload"]["name"]))
            .collect();
        assert_eq!(ops, ["\"INSERT\" \"c\" \"Cleo\"", "\"INSERT\" \"d\" \"DAN\"", "\"DELETE\" \"p\" null"]);
        let refused = client.batch_execute("DELETE FROM business.users").await.unwrap_err();
        assert_eq!(refused.as_db_error().unwrap().code().code(), "RT001");
    }
}
