//! Keys, values, payloads and canonical JSON. The first byte says which, the second the generation and the column.

use rowtide::SqlValue;
use rowtide::protocol::canonical_json::{CanonicalForm, canonicalize};
use rowtide::protocol::payload::{self, WireColumn};
use rowtide::protocol::profile::WireGeneration;
use rowtide::protocol::value::{self, ColumnKind};
use rowtide::schema::KeyKind;
use serde_json::value::RawValue;

const KINDS: [ColumnKind; 6] = [
    ColumnKind::Integer,
    ColumnKind::Real,
    ColumnKind::Text,
    ColumnKind::Numeric,
    ColumnKind::Blob,
    ColumnKind::Uuid,
];

/// What is accepted is sent back as the same value, and canonical JSON is canonical.
pub fn check(data: &[u8]) {
    let [what, which, rest @ ..] = data else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let generation = [WireGeneration::A, WireGeneration::B][usize::from(which & 1)];
    let kind = KINDS[usize::from(which >> 1) % KINDS.len()];
    match what {
        b'k' => key(text),
        b'v' => one_value(generation, kind, text),
        b'p' => row(generation, text),
        b'c' => canonical(text),
        _ => {}
    }
}

fn key(text: &str) {
    assert_eq!(KeyKind::Text.from_wire(text), Ok(SqlValue::from(text)));
    assert_eq!(KeyKind::Text.to_wire(&SqlValue::from(text)).as_deref(), Ok(text));
    if let Ok(key) = KeyKind::Uuid.from_wire(text) {
        let sent = KeyKind::Uuid.to_wire(&key).expect("a key that was accepted can be sent");
        assert_eq!(sent.len(), 36, "a dashed UUID");
        assert_eq!(KeyKind::Uuid.from_wire(&sent), Ok(key));
    }
}

fn one_value(generation: WireGeneration, kind: ColumnKind, json: &str) {
    let Ok(raw) = serde_json::from_str::<&RawValue>(json) else { return };
    let Ok(found) = value::decode(generation, kind, raw) else { return };
    fits(kind, &found);
    let mut sent = String::new();
    value::encode(generation, kind, &found, &mut sent).expect("a value that was accepted can be sent");
    let raw: &RawValue = serde_json::from_str(&sent).expect("what is sent is JSON");
    assert_eq!(value::decode(generation, kind, raw).as_ref(), Ok(&found), "sent back as {sent}");
    let mut again = String::new();
    value::encode(generation, kind, &found, &mut again).expect("it was encoded before");
    assert_eq!(sent, again);
}

/// A column holds what its kind says; SQLite would change nothing about it.
fn fits(kind: ColumnKind, value: &SqlValue) {
    let fits = match value {
        SqlValue::Null => true,
        SqlValue::Integer(_) => matches!(kind, ColumnKind::Integer | ColumnKind::Numeric),
        SqlValue::Real(number) if kind == ColumnKind::Numeric => {
            // NUMERIC affinity keeps no REAL that an integer can say (https://sqlite.org/datatype3.html section 3).
            number.is_finite() && (number.fract() != 0.0 || number.abs() >= 9_223_372_036_854_775_808.0)
        }
        SqlValue::Real(number) => kind == ColumnKind::Real && number.is_finite(),
        SqlValue::Text(_) => matches!(kind, ColumnKind::Text | ColumnKind::Numeric),
        SqlValue::Blob(bytes) => kind == ColumnKind::Blob || kind == ColumnKind::Uuid && bytes.len() == 16,
    };
    assert!(fits, "a {kind:?} column takes {value:?}");
}

fn row(generation: WireGeneration, json: &str) {
    let columns: Vec<WireColumn> = ["blob", "integer", "numeric", "real", "text", "uuid"]
        .into_iter()
        .zip([
            ColumnKind::Blob,
            ColumnKind::Integer,
            ColumnKind::Numeric,
            ColumnKind::Real,
            ColumnKind::Text,
            ColumnKind::Uuid,
        ])
        .map(|(name, kind)| WireColumn { name: name.into(), kind })
        .collect();
    let strict = payload::decode(generation, &columns, json);
    let Ok((values, extra)) = payload::decode_known(generation, &columns, json) else {
        assert!(strict.is_err(), "a payload with exactly the columns is one with other columns allowed");
        return;
    };
    assert_eq!(strict.is_ok(), extra.is_empty() && values.iter().all(Option::is_some));
    let present: Vec<_> = columns.iter().zip(&values).filter_map(|(c, v)| Some((c, v.as_ref()?))).collect();
    let mut sent = String::new();
    let (names, held) = (present.iter().map(|(column, _)| *column), present.iter().map(|(_, value)| *value));
    payload::encode(generation, names, held, &extra, &mut sent).expect("a row that was accepted can be sent");
    let again = payload::decode_known(generation, &columns, &sent).expect("what is sent is a payload");
    assert_eq!(again, (values, extra), "sent back as {sent}");
}

fn canonical(json: &str) {
    for form in [CanonicalForm::Binary64, CanonicalForm::Jcs] {
        let Ok(once) = canonicalize(form, json) else { continue };
        assert_eq!(canonicalize(form, &once).ok().as_ref(), Some(&once), "{form:?} is not idempotent");
        assert!(!once.contains('\n'), "white space in canonical JSON");
        let (meant, said): (serde_json::Value, serde_json::Value) = (
            serde_json::from_str(json).expect("it was canonicalised"),
            serde_json::from_str(&once).expect("canonical JSON is JSON"),
        );
        same(&meant, &said);
    }
}

/// Equal but for numbers, which are rounded through binary64.
fn same(meant: &serde_json::Value, said: &serde_json::Value) {
    use serde_json::Value::{Array, Number, Object};
    match (meant, said) {
        (Number(a), Number(b)) => assert_eq!(a.as_f64(), b.as_f64()),
        (Array(a), Array(b)) => {
            assert_eq!(a.len(), b.len());
            a.iter().zip(b).for_each(|(a, b)| same(a, b));
        }
        (Object(a), Object(b)) => {
            assert!(a.keys().eq(b.keys()));
            a.values().zip(b.values()).for_each(|(a, b)| same(a, b));
        }
        (a, b) => assert_eq!(a, b),
    }
}
