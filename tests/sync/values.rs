//! Values arrive as they were written: extremes, text, blobs, keys of both kinds, references and cycles.

use crate::{BOTH, converge};
use rowtide::{SqlValue, SyncTable};
use rowtide_tests::{Device, TestServer, on_postgres};

const SCHEMA: &str = "
    CREATE TABLE values_of_each_kind (
        \"Key\" BLOB PRIMARY KEY NOT NULL DEFAULT (randomblob(16)),
        i INTEGER, r REAL, t TEXT, b BLOB, n NUMERIC, flag BOOLEAN, day DATE
    ) WITHOUT ROWID;
    CREATE TABLE teams (id BLOB PRIMARY KEY NOT NULL, captain BLOB REFERENCES members (id) DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE members (id BLOB PRIMARY KEY NOT NULL, team BLOB NOT NULL REFERENCES teams (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE \"odd \"\"name\" (id TEXT PRIMARY KEY, \"select\" TEXT, parent TEXT REFERENCES \"odd \"\"name\" (id));
";

async fn device(server: &TestServer) -> Device {
    Device::new(server, "ada", &SCHEMA.replace("odd \"\"name", "odd_name"), |config| {
        config
            .table(SyncTable::new("members").key("id"))
            .table(SyncTable::new("teams").key("id"))
            .table(SyncTable::new("odd_name").key("id"))
            .table(SyncTable::new("values_of_each_kind").key("Key"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_every_kind_are_exact_end_to_end() {
    for generation in BOTH {
        let tables = [("values_of_each_kind", "key"), ("teams", "id"), ("members", "id"), ("odd_name", "id")];
        let server = TestServer::new(generation, &tables);
        let a = device(&server).await;
        // Text of PostgreSQL has no U+0000; a row with it goes to the inbox.
        let first = u32::from(on_postgres());
        let every_escape: String =
            (first..=0x2030).filter_map(char::from_u32).chain("😀\u{10ffff}".chars()).collect();
        let big = vec![0x5a; 2 << 20];
        let insert =
            "INSERT INTO values_of_each_kind (i, r, t, b, n, flag, day) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let none = || SqlValue::Null;
        let rows = vec![
            vec![
                i64::MAX.into(),
                f64::MAX.into(),
                every_escape.into(),
                Vec::new().into(),
                1.into_sql(),
                true.into(),
                "2026-11-21".into(),
            ],
            vec![
                i64::MIN.into(),
                5e-324.into(),
                "".into(),
                vec![0, 1, 255].into(),
                1.5.into(),
                false.into(),
                none(),
            ],
            vec![
                9_007_199_254_740_993_i64.into(),
                (-1e21).into(),
                none(),
                big.into(),
                "12.5 apples".into(),
                none(),
                7.into_sql(),
            ],
            vec![none(), 0.1.into(), "\"\\/\u{8}".into(), none(), none(), none(), none()],
        ];
        a.client().execute_batch(insert, rows).await.unwrap();
        a.exec(
            "INSERT INTO teams VALUES (x'00112233445566778899aabbccddeeff', x'ffeeddccbbaa99887766554433221100');
             INSERT INTO members VALUES (x'ffeeddccbbaa99887766554433221100', x'00112233445566778899aabbccddeeff');
             INSERT INTO odd_name VALUES ('a', 'b', 'a')",
        )
        .await;
        a.attach().await;
        a.sync().await;
        let b = device(&server).await;
        b.attach().await;
        for table in ["values_of_each_kind", "teams", "members", "odd_name"] {
            let all = format!("SELECT * FROM {table} ORDER BY 1");
            let (left, right) = (a.rows(&all).await, b.rows(&all).await);
            assert!(!left.is_empty() && left == right, "{table} differs in generation {generation:?}");
            let kinds =
                format!("SELECT group_concat(typeof(c)) FROM (SELECT * FROM {table}) AS t, (SELECT 1 AS c)");
            assert_eq!(a.text(&kinds).await, b.text(&kinds).await);
        }
        // And once more through push and pull instead of a snapshot.
        b.exec("UPDATE values_of_each_kind SET t = t || '!'; DELETE FROM teams").await;
        b.sync().await;
        a.sync().await;
        let all = "SELECT * FROM values_of_each_kind ORDER BY 1";
        assert_eq!(a.rows(all).await, b.rows(all).await);
        assert_eq!(
            a.text("SELECT count(*) FROM members").await,
            "0",
            "the cascade was captured and replayed"
        );
    }
}

trait IntoSql {
    fn into_sql(self) -> SqlValue;
}

impl IntoSql for i32 {
    fn into_sql(self) -> SqlValue {
        SqlValue::Integer(self.into())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_cannot_be_sent_is_set_aside_with_the_reason_and_the_rest_goes_through() {
    for generation in BOTH {
        let (_server, a, b) = crate::two_devices(generation, "INSERT INTO notes (id) VALUES ('n1')").await;
        a.exec("INSERT INTO notes (id, weight) VALUES ('infinite', 9e999)").await;
        a.exec("INSERT INTO notes (id) VALUES ('fine')").await;
        let report = a.sync().await;
        assert_eq!((report.pushed_rows, report.refused_rows), (1, 1));
        let refused = &a.client().refused_rows().await.unwrap()[0];
        assert_eq!((refused.key.as_str(), refused.reason.as_str()), ("infinite", "invalid_value"));
        assert!(refused.message.contains("weight"), "{}", refused.message);
        assert_eq!(a.text("SELECT count(*) FROM notes").await, "3", "the row stays in its table");
        a.exec("UPDATE notes SET weight = 1.5 WHERE id = 'infinite'").await;
        converge(&a, &b).await;
        assert_eq!(a.client().refused_rows().await.unwrap(), vec![]);
    }
}
