//! 24, 27 and 34: what is captured, frozen and sent.

use crate::{BOTH, converge, two_devices, writes_during};
use rowtide::protocol::profile::WireGeneration;
use rowtide::{SqlValue, SyncTable};
use rowtide_tests::{Device, Endpoint, TestServer};

#[tokio::test(flavor = "multi_thread")]
async fn defect_24_integers_above_two_to_the_53_go_up_digit_by_digit() {
    let numbers = [i64::MAX, i64::MIN, 9_007_199_254_740_993, -9_007_199_254_740_993, 1 << 62 | 1];
    for generation in BOTH {
        let (server, a, b) = two_devices(generation, "INSERT INTO notes (id) VALUES ('n')").await;
        let rows = numbers.map(|number| vec![format!("n{number}").into(), number.into()]);
        let insert = "INSERT INTO notes (id, stars) VALUES (?1, ?2)";
        a.client().execute_batch(insert, rows.to_vec()).await.unwrap();
        server.take_exchanges();
        a.sync().await;
        let sent = server.take_exchanges();
        let chunk = sent.iter().find(|exchange| exchange.endpoint == Endpoint::PushChunk).unwrap();
        let body = chunk.request.body.as_ref().unwrap();
        converge(&a, &b).await;
        for number in numbers {
            let quote = if generation == WireGeneration::B { "\"" } else { "" };
            let member = format!("\"stars\":{quote}{number}{quote}");
            assert!(body.contains(&member), "{member} in {body}");
            let arrived = b.rows(&format!("SELECT stars FROM notes WHERE id = 'n{number}'")).await;
            assert_eq!(arrived, [[SqlValue::Integer(number)]]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_27_a_row_written_right_after_its_freeze_is_pending_again() {
    for generation in BOTH {
        for endpoint in [Endpoint::PushCreate, Endpoint::PushChunk, Endpoint::PushCommit] {
            let seed = "INSERT INTO notes (id, title) VALUES ('n1', 'old'), ('n2', 'old')";
            let (server, a, b) = two_devices(generation, seed).await;
            a.exec("UPDATE notes SET title = 'first'; INSERT INTO notes (id) VALUES ('n3')").await;
            let writes =
                "UPDATE notes SET title = 'second' WHERE id = 'n1'; DELETE FROM notes WHERE id = 'n3'";
            writes_during(&server, endpoint, &a, writes);
            a.client().push().await.unwrap();
            assert_eq!(a.pending().await, 2, "{endpoint:?}");
            converge(&a, &b).await;
            assert_eq!(b.text("SELECT group_concat(title) FROM notes").await, "second,first");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_27_no_write_is_lost_between_the_freezes_of_syncs_that_run_all_the_time() {
    for generation in BOTH {
        let (_server, a, b) = two_devices(generation, "INSERT INTO notes (id, stars) VALUES ('n1', 0)").await;
        let writer = a.client().clone();
        let writes = tokio::spawn(async move {
            for index in 0..300 {
                let insert = format!("INSERT INTO notes (id) VALUES ('row-{index}')");
                writer.execute(&insert, Vec::new()).await.unwrap();
                writer
                    .execute("UPDATE notes SET stars = stars + 1 WHERE id = 'n1'", Vec::new())
                    .await
                    .unwrap();
            }
        });
        while !writes.is_finished() {
            a.sync().await;
        }
        writes.await.unwrap();
        converge(&a, &b).await;
        let all = "SELECT count(*) || ' ' || sum(stars) FROM notes";
        assert_eq!((a.text(all).await, b.text(all).await), ("301 300".into(), "301 300".into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_34_columns_of_boolean_numeric_and_date_types_may_hold_numbers() {
    const SCHEMA: &str = "CREATE TABLE facts (id TEXT PRIMARY KEY NOT NULL, flag BOOLEAN, amount NUMERIC,
        price DECIMAL(8, 4), day DATE, at DATETIME, stamp TIMESTAMP, label VARCHAR(9))";
    for generation in BOTH {
        let server = TestServer::new(generation, &[("facts", "id")]);
        let device = async || {
            let device =
                Device::new(&server, "ada", SCHEMA, |config| config.table(SyncTable::new("facts").key("id")))
                    .await;
            device.attach().await;
            device
        };
        let (a, b) = (device().await, device().await);
        a.exec(
            "INSERT INTO facts VALUES
                ('numbers', 1, 7, 12.25, 20260131, 1767225600, 1767225600.5, 'x'),
                ('texts', 'yes', 'a lot', '12.2500 EUR', '2026-01-31', '2026-01-31T00:00:00Z', 'now', ''),
                ('zero', 0, 0.5, -3, 0, -1, 1e300, NULL), ('null', NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
        )
        .await;
        a.sync().await;
        b.sync().await;
        let c = device().await;
        let kinds = "SELECT group_concat(typeof(flag) || typeof(amount) || typeof(price) || typeof(day) || typeof(at) || typeof(stamp)) FROM (SELECT * FROM facts ORDER BY id)";
        for other in [&b, &c] {
            let all = "SELECT * FROM facts ORDER BY id";
            assert_eq!(other.rows(all).await, a.rows(all).await);
            assert_eq!(other.text(kinds).await, a.text(kinds).await);
        }
        assert_eq!(
            c.rows("SELECT flag, amount, price, day FROM facts WHERE id = 'numbers'").await,
            [[
                SqlValue::Integer(1),
                SqlValue::Integer(7),
                SqlValue::Real(12.25),
                SqlValue::Integer(20_260_131)
            ]]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_34_rows_that_a_replace_evicts_by_another_unique_column_are_deleted_elsewhere_too() {
    const SCHEMA: &str = "CREATE TABLE labels (id TEXT PRIMARY KEY NOT NULL, name TEXT UNIQUE)";
    for generation in BOTH {
        let server = TestServer::new(generation, &[("labels", "id")]);
        let device = async || {
            let device = Device::new(&server, "ada", SCHEMA, |config| {
                config.table(SyncTable::new("labels").key("id"))
            })
            .await;
            device.attach().await;
            device
        };
        let (a, b) = (device().await, device().await);
        a.exec("INSERT INTO labels VALUES ('l1', 'one'), ('l2', 'two'), ('l3', 'three')").await;
        a.sync().await;
        b.sync().await;
        a.exec("INSERT OR REPLACE INTO labels VALUES ('l4', 'one')").await;
        assert_eq!(a.pending().await, 2);
        a.exec("UPDATE OR REPLACE labels SET name = 'two' WHERE id = 'l3'").await;
        assert_eq!(a.pending().await, 4);
        a.sync().await;
        b.sync().await;
        let all = "SELECT group_concat(id || name) FROM (SELECT * FROM labels ORDER BY id)";
        assert_eq!((a.text(all).await.as_str(), b.text(all).await.as_str()), ("l3two,l4one", "l3two,l4one"));
    }
}
