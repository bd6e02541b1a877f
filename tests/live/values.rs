//! Values arrive as they were written, or everywhere as the server keeps them.

use crate::{Device, World, agree, converge, worlds};
use rowtide::{ErrorKind, SqlValue};

const INSERT: &str = "INSERT INTO typed_rows
    (id, name, note, count_value, enabled_flag, rating, data, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// A typed row in which nothing but the key is set, for the rest to be replaced.
fn bare(key: u64) -> Vec<SqlValue> {
    let null = || SqlValue::Null;
    let key = crate::device::id(key).into();
    vec![key, "".into(), null(), null(), SqlValue::Integer(0), null(), null(), null()]
}

/// Rows that differ in one column, as A wrote them; afterwards B and C have them by pull and by snapshot.
async fn carry(world: &World, column: usize, values: Vec<SqlValue>) -> (Device, Vec<SqlValue>) {
    let (a, b) = (world.attached().await, world.attached().await);
    let mut rows = Vec::new();
    for (key, value) in (1..).zip(values) {
        let mut row = bare(key);
        row[column] = value;
        rows.push(row);
    }
    a.client().execute_batch(INSERT, rows).await.unwrap();
    a.sync().await;
    assert!(a.inbox().await.is_empty());
    converge(&[&a, &b]).await;
    let c = world.attached().await;
    agree(&[&a, &b, &c]).await;
    let found = c.rows("SELECT * FROM typed_rows ORDER BY id").await;
    (a, found.into_iter().map(|mut row| row.swap_remove(column)).collect())
}

const NAME: usize = 1;
const NOTE: usize = 2;
const COUNT: usize = 3;
const FLAG: usize = 4;
const RATING: usize = 5;
const DATA: usize = 6;
const CREATED: usize = 7;

#[tokio::test(flavor = "multi_thread")]
async fn text_of_every_script_with_quotes_and_control_characters_is_exact() {
    for world in worlds() {
        let every_escape: String = (1..=0x2030).filter_map(char::from_u32).collect();
        let texts = [
            "O'Reilly said \"no\"; DROP TABLE users; --",
            "back\\slash / solidus \u{8}\u{c}\n\r\t\u{1f}\u{7f}\u{80}\u{2028}\u{2029}",
            "日本語 العربية עברית ελληνικά हिन्दी 한국어",
            "👩‍👩‍👧‍👦 🇺🇳 e\u{301} é \u{feff} \u{fffd} \u{10ffff}",
            "</script><b>&amp;%00 null {\"json\": [1]} 1e400",
            "   leading and trailing   ",
            &every_escape,
            &"long ".repeat(40_000),
        ];
        let values: Vec<SqlValue> = texts.into_iter().map(SqlValue::from).collect();
        let (_, found) = carry(&world, NAME, values.clone()).await;
        assert!(found == values, "a text differs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_text_and_null_stay_what_they_are() {
    for world in worlds() {
        let values = vec![SqlValue::from(""), SqlValue::Null, "null".into(), " ".into(), "0".into()];
        let (a, found) = carry(&world, NOTE, values.clone()).await;
        assert_eq!(found, values);
        // And the other way round, by update.
        let world = world.attached().await;
        world.exec("UPDATE typed_rows SET note = CASE WHEN note IS NULL THEN '' WHEN note = '' THEN NULL ELSE note END").await;
        converge(&[&world, &a]).await;
        let found = a.rows("SELECT note FROM typed_rows ORDER BY id LIMIT 2").await;
        assert_eq!(found, [[SqlValue::Null], [SqlValue::from("")]]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn integers_that_a_float_can_hold_are_exact() {
    for world in worlds() {
        let safe = (1_i64 << 53) - 1;
        let numbers = [0, 1, -1, 42, i64::from(i32::MAX) + 1, i64::from(i32::MIN) - 1, safe, -safe, 1 << 53];
        let values: Vec<SqlValue> = numbers.into_iter().map(SqlValue::Integer).collect();
        assert_eq!(carry(&world, COUNT, values.clone()).await.1, values);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reals_are_exact_to_the_last_bit() {
    for world in worlds() {
        let numbers = [
            0.1,
            -0.1,
            1.0 / 3.0,
            6.571_114_736_960_07,
            1e-7,
            1e21,
            -1e22,
            123_456_789.125,
            0.0,
            5.0,
            f64::MAX,
        ];
        let values: Vec<SqlValue> = numbers.into_iter().map(SqlValue::Real).collect();
        let (a, found) = carry(&world, RATING, values.clone()).await;
        assert_eq!(found, values);
        assert_eq!(a.count("typed_rows WHERE typeof(rating) <> 'real'").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_are_false_and_true_and_stay_integers() {
    for world in worlds() {
        let values = vec![SqlValue::from(false), SqlValue::from(true), SqlValue::from(true)];
        let (a, found) = carry(&world, FLAG, values).await;
        assert_eq!(found, [0, 1, 1].map(SqlValue::Integer));
        let b = world.attached().await;
        b.exec("UPDATE typed_rows SET enabled_flag = NOT enabled_flag").await;
        converge(&[&b, &a]).await;
        assert_eq!(a.count("typed_rows WHERE enabled_flag IS TRUE").await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn moments_are_the_same_moment_everywhere_however_the_server_spells_them() {
    for world in worlds() {
        let moments = [
            "2026-03-01T08:00:00Z",
            "1999-12-31T23:59:59.123456Z",
            "2026-07-01T12:30:00+02:00",
            "2024-02-29 00:00:00Z",
            "1969-07-20T20:17:40.5-05:00",
        ];
        let (a, _) = carry(&world, CREATED, moments.into_iter().map(SqlValue::from).collect()).await;
        for (key, moment) in (1..).zip(moments) {
            let same = format!(
                "typed_rows WHERE id = '{}' AND abs(julianday(created_at) - julianday('{moment}')) < 1e-8",
                crate::device::id(key)
            );
            assert_eq!(a.count(&same).await, 1, "{moment}");
        }
        // What the server made of them is no change of the device.
        assert_eq!((a.pending().await, a.sync().await.pushed_rows), (0, 0));
        a.exec("UPDATE typed_rows SET name = 'edited'").await;
        assert_eq!(a.sync().await.pushed_rows, 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_of_every_byte_and_of_many_bytes_are_exact() {
    for world in worlds() {
        let every: Vec<u8> = (0..=255).collect();
        let values: Vec<SqlValue> =
            [Vec::new(), vec![0], vec![255; 3], every.clone(), every.repeat(4_100), b"text".to_vec()]
                .into_iter()
                .map(SqlValue::from)
                .chain([SqlValue::Null])
                .collect();
        let (a, found) = carry(&world, DATA, values.clone()).await;
        assert!(found == values, "a blob differs");
        a.exec("UPDATE typed_rows SET data = x'00' WHERE data IS NULL; UPDATE typed_rows SET data = NULL WHERE data = x''").await;
        let b = world.attached().await;
        converge(&[&a, &b]).await;
        assert_eq!(b.cell("SELECT data FROM typed_rows WHERE id = @1").await, SqlValue::Null);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_with_blob_keys_are_inserted_edited_referred_to_and_deleted() {
    for world in worlds() {
        let (a, b) =
            world.pair("INSERT INTO files VALUES (x'ffeeddccbbaa49887766554433221100', 'one', x'01')").await;
        b.exec(
            "INSERT INTO files VALUES (x'00000000000040008000000000000000', 'low', x''), (x'ffffffffffff4fffbfffffffffffffff', 'high', x'ff');
             INSERT INTO file_reviews SELECT x'0123456789ab4def8123456789abcdef', 'of one', id FROM files WHERE name = 'one';
             UPDATE files SET data = x'0203' WHERE name = 'one'",
        )
        .await;
        assert_eq!(b.sync().await.pushed_rows, 4);
        converge(&[&b, &a]).await;
        assert_eq!(a.names("files").await, "low,one,high");
        assert_eq!(a.count("files WHERE typeof(id) = 'blob' AND length(id) = 16").await, 3);
        a.exec("DELETE FROM files WHERE name <> 'low'").await;
        converge(&[&a, &b]).await;
        assert_eq!((b.names("files").await.as_str(), b.count("file_reviews").await), ("low", 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_cannot_be_sent_goes_to_the_inbox_while_the_rest_goes_through() {
    for world in worlds() {
        let (a, b) = world.pair("INSERT INTO typed_rows (id, name) VALUES (@1, 'there')").await;
        a.exec("INSERT INTO typed_rows (id, name, rating) VALUES (@2, 'infinite', 9e999)").await;
        a.exec("INSERT INTO typed_rows (id, name) VALUES (@3, 'fine')").await;
        let report = a.sync().await;
        assert_eq!((report.pushed_rows, report.refused_rows), (1, 1));
        assert_eq!(a.inbox().await, [("typed_rows".into(), "invalid_value".into())]);
        assert!(a.client().refused_rows().await.unwrap()[0].message.contains("rating"));
        assert_eq!(a.client().status().await.unwrap().refused_rows, 1);
        assert_eq!(a.names("typed_rows").await, "there,infinite,fine", "it stays in its table");
        b.sync().await;
        assert_eq!(b.names("typed_rows").await, "there,fine");
        a.exec("UPDATE typed_rows SET rating = 1.5 WHERE id = @2").await;
        converge(&[&a, &b]).await;
        assert!(a.inbox().await.is_empty());
        assert_eq!(b.names("typed_rows").await, "there,infinite,fine");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_key_that_is_no_uuid_is_refused_as_it_is_written_and_the_rest_goes_through() {
    for world in worlds() {
        let (a, b) = world.pair("INSERT INTO files VALUES ($1, 'there', x'01')").await;
        for key in ["x'0102'", "'00000000-0000-4000-8000-000000000002'", "NULL", "zeroblob(17)"] {
            let insert = format!("INSERT INTO files VALUES ({key}, 'odd', x'02')");
            let error = a.client().execute_script(&insert).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Database, "{key}");
        }
        assert_eq!(a.pending().await, 0);
        a.exec("INSERT INTO files VALUES ($2, 'fine', x'03')").await;
        assert_eq!(a.sync().await.pushed_rows, 1);
        converge(&[&a, &b]).await;
        assert_eq!(b.names("files").await, "there,fine");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn integers_beyond_what_a_float_can_hold_are_exact_or_read_alike_by_every_device() {
    let numbers = [(1 << 53) + 1, -(1 << 53) - 1, 1_234_567_890_123_456_789, 1 << 60, i64::MAX, i64::MIN];
    for world in worlds() {
        let (a, b) = (world.attached().await, world.attached().await);
        for (key, number) in (1..).zip(&numbers[..4]) {
            a.exec(&format!("INSERT INTO typed_rows (id, name, count_value) VALUES (@{key}, '', {number})"))
                .await;
        }
        a.sync().await;
        b.sync().await;
        let c = world.attached().await;
        agree(&[&b, &c]).await;
        let found = b.rows("SELECT count_value FROM typed_rows ORDER BY id").await;
        let exact =
            found.iter().flatten().zip(numbers).all(|(found, sent)| *found == SqlValue::Integer(sent));
        if exact {
            agree(&[&a, &b]).await;
            for (key, number) in (5..).zip(&numbers[4..]) {
                a.exec(&format!(
                    "INSERT INTO typed_rows (id, name, count_value) VALUES (@{key}, '', {number})"
                ))
                .await;
            }
            converge(&[&a, &b, &c]).await;
            let sum = "typed_rows WHERE count_value IN (9223372036854775807, -9223372036854775807 - 1)";
            assert_eq!(c.count(sum).await, 2);
            continue;
        }
        assert_eq!(a.client().check_server().await.unwrap(), "a", "the second generation is exact");
        // The server computes with floats: it keeps the number's float, in whatever digits.
        for (found, sent) in found.iter().flatten().zip(numbers) {
            let SqlValue::Integer(found) = *found else { panic!("{found:?}") };
            #[allow(clippy::cast_precision_loss)] // what such a server does
            let same = found as f64 == sent as f64;
            assert!(same, "{found} is not {sent}");
        }
        a.client().detach().await.unwrap();
        a.attach().await;
        converge(&[&a, &b, &c]).await;
    }
}
