//! One SQLite value and its two wire encodings (`docs/protocol.md` section 9).
//!
//! Numbers stay exact: a 64-bit integer never passes through a float, in either generation, and text
//! never becomes a number. What cannot be carried exactly is an error, never an approximation.

use super::profile::WireGeneration;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::value::RawValue;
use std::borrow::Cow;
use uuid::Uuid;

/// A value of one SQLite cell, in SQLite's five storage classes.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum SqlValue {
    /// SQL `NULL`.
    #[default]
    Null,
    /// A signed 64-bit integer.
    Integer(i64),
    /// An IEEE 754 binary64 number.
    Real(f64),
    /// UTF-8 text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl SqlValue {
    /// Whether this is SQL `NULL`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl From<&str> for SqlValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<String> for SqlValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<i64> for SqlValue {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}
impl From<f64> for SqlValue {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}
impl From<bool> for SqlValue {
    fn from(flag: bool) -> Self {
        Self::Integer(i64::from(flag))
    }
}
impl From<Vec<u8>> for SqlValue {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Blob(bytes)
    }
}
impl<T: Into<SqlValue>> From<Option<T>> for SqlValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// What a column holds, by its declared type, and so how its values travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// INTEGER affinity.
    Integer,
    /// REAL affinity.
    Real,
    /// TEXT affinity.
    Text,
    /// NUMERIC affinity (`BOOLEAN`, `NUMERIC`, `DECIMAL`, `DATE` …): whatever SQLite would keep there.
    Numeric,
    /// A declared `BLOB`: base64.
    Blob,
    /// A 16-byte `BLOB` that is a sync key or refers to one: dashed lowercase UUID.
    Uuid,
}

/// Why a value cannot be sent or is not accepted. Never carries the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A number that is NaN or infinite.
    #[error("the number is not finite and has no wire form; store NULL or a finite number")]
    NotFinite,
    /// A storage class that the column's declared type does not cover.
    #[error(
        "the stored value is {found}, which a {kind:?} column does not carry; store a value of the declared type"
    )]
    StorageClass {
        /// The declared kind of the column.
        kind: ColumnKind,
        /// The storage class that was found.
        found: &'static str,
    },
    /// A key or key reference that is not 16 bytes long.
    #[error("a BLOB key or a reference to one must be a UUID of 16 bytes")]
    NotUuid,
    /// Text that is not UTF-8.
    #[error("the text is not valid UTF-8")]
    NotUtf8,
    /// The server sent a JSON type that this column and generation do not allow.
    #[error("expected {expected}, the server sent {found}")]
    JsonType {
        /// What the column needs.
        expected: &'static str,
        /// What arrived.
        found: &'static str,
    },
    /// The server sent a number that is not in canonical form, or out of range.
    #[error("the server sent a number that is not {0}")]
    NotCanonical(&'static str),
    /// The server sent text that is not base64 that comes back the same when encoded again.
    #[error("the server sent text that is not canonical base64")]
    NotBase64,
}

/// Appends the JSON form of `value` to `out`.
pub fn encode(
    generation: WireGeneration,
    kind: ColumnKind,
    value: &SqlValue,
    out: &mut String,
) -> Result<(), ValueError> {
    let misplaced = |found| Err(ValueError::StorageClass { kind, found });
    match (value, kind) {
        (SqlValue::Null, _) => out.push_str("null"),
        (SqlValue::Integer(number), ColumnKind::Integer | ColumnKind::Numeric) => {
            encode_number(generation, &number.to_string(), out);
        }
        (SqlValue::Real(number), ColumnKind::Real | ColumnKind::Numeric | ColumnKind::Integer) => {
            if !number.is_finite() {
                return Err(ValueError::NotFinite);
            }
            // An INTEGER column keeps a REAL only when it has a fraction or is beyond int64, so
            // another device could not store it as the integer that the column promises.
            if kind == ColumnKind::Integer {
                return misplaced("REAL");
            }
            encode_number(generation, ryu_js::Buffer::new().format(*number), out);
        }
        (SqlValue::Text(text), ColumnKind::Text | ColumnKind::Numeric) => encode_text(text, out),
        (SqlValue::Blob(bytes), ColumnKind::Blob) => {
            out.push('"');
            STANDARD.encode_string(bytes, out);
            out.push('"');
        }
        (SqlValue::Blob(bytes), ColumnKind::Uuid) => {
            let uuid = Uuid::from_slice(bytes).map_err(|_| ValueError::NotUuid)?;
            encode_text(&uuid.to_string(), out);
        }
        (SqlValue::Integer(_), _) => return misplaced("INTEGER"),
        (SqlValue::Real(_), _) => return misplaced("REAL"),
        (SqlValue::Text(_), _) => return misplaced("TEXT"),
        (SqlValue::Blob(_), _) => return misplaced("BLOB"),
    }
    Ok(())
}

fn encode_number(generation: WireGeneration, digits: &str, out: &mut String) {
    match generation {
        WireGeneration::A => out.push_str(digits),
        WireGeneration::B => {
            out.push('"');
            out.push_str(digits);
            out.push('"');
        }
    }
}

/// Appends `text` as a JSON string with the escapes of RFC 8785.
pub fn encode_text(text: &str, out: &mut String) {
    // serde_json writes the short escapes and lowercase \u00xx, just what RFC 8785 asks for.
    out.push_str(&serde_json::to_string(text).expect("a string always serialises"));
}

/// Reads the JSON form of one value as the column's kind asks.
pub fn decode(generation: WireGeneration, kind: ColumnKind, raw: &RawValue) -> Result<SqlValue, ValueError> {
    let json = raw.get();
    let mismatch = |expected| ValueError::JsonType { expected, found: json_type(json) };
    match json.as_bytes().first() {
        Some(b'n') => Ok(SqlValue::Null),
        Some(b't' | b'f') => match kind {
            ColumnKind::Integer | ColumnKind::Numeric => Ok(SqlValue::from(json == "true")),
            _ => Err(mismatch("a value of the declared type")),
        },
        Some(b'"') => {
            let text: Cow<'_, str> = serde_json::from_str(json).map_err(|_| mismatch("a JSON string"))?;
            decode_text(generation, kind, text, mismatch)
        }
        Some(b'{' | b'[') => match (generation, kind) {
            // json, jsonb and arrays arrive as JSON from the server; a TEXT column keeps their text.
            (WireGeneration::A, ColumnKind::Text) => Ok(SqlValue::Text(json.to_owned())),
            _ => Err(mismatch("a JSON scalar")),
        },
        _ => match generation {
            WireGeneration::A => {
                decode_number(kind, json).ok_or_else(|| mismatch("a value of the declared type"))
            }
            WireGeneration::B => Err(mismatch("a JSON string")),
        },
    }
}

fn decode_text(
    generation: WireGeneration,
    kind: ColumnKind,
    text: Cow<'_, str>,
    mismatch: impl Fn(&'static str) -> ValueError,
) -> Result<SqlValue, ValueError> {
    match kind {
        ColumnKind::Text => Ok(SqlValue::Text(text.into_owned())),
        ColumnKind::Blob => {
            let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| ValueError::NotBase64)?;
            Ok(SqlValue::Blob(bytes))
        }
        ColumnKind::Uuid => {
            let uuid = Uuid::try_parse(&text).map_err(|_| ValueError::NotUuid)?;
            Ok(SqlValue::Blob(uuid.as_bytes().to_vec()))
        }
        ColumnKind::Integer if generation == WireGeneration::B => canonical_int64(&text)
            .map(SqlValue::Integer)
            .ok_or(ValueError::NotCanonical("a canonical 64-bit integer")),
        ColumnKind::Real if generation == WireGeneration::B => canonical_binary64(&text)
            .map(SqlValue::Real)
            .ok_or(ValueError::NotCanonical("a canonical binary64 number")),
        ColumnKind::Numeric => Ok(numeric_affinity(text)),
        ColumnKind::Integer | ColumnKind::Real => Err(mismatch("a JSON number")),
    }
}

/// A bare JSON number, as GEN-A sends it.
fn decode_number(kind: ColumnKind, json: &str) -> Option<SqlValue> {
    match kind {
        ColumnKind::Integer => json.parse().ok().map(SqlValue::Integer).or_else(|| {
            // The reference server stores integers as floats and prints large ones with an exponent.
            let number: f64 = json.parse().ok()?;
            #[allow(clippy::cast_possible_truncation)] // checked to be whole and in range
            let whole = number as i64;
            let exact = number.fract() == 0.0 && number.abs() < 9_223_372_036_854_775_808.0;
            exact.then_some(SqlValue::Integer(whole))
        }),
        ColumnKind::Real => json.parse().ok().filter(|n: &f64| n.is_finite()).map(SqlValue::Real),
        // A decimal keeps the digits that the server sent.
        ColumnKind::Text => Some(SqlValue::Text(json.to_owned())),
        ColumnKind::Numeric => Some(numeric_affinity(Cow::Borrowed(json))),
        ColumnKind::Blob | ColumnKind::Uuid => None,
    }
}

/// What a column of NUMERIC affinity makes of a text (<https://sqlite.org/datatype3.html> section 3),
/// done here because Rust's parser is exact and SQLite's is not promised to be.
fn numeric_affinity(text: Cow<'_, str>) -> SqlValue {
    if let Ok(number) = text.parse() {
        return SqlValue::Integer(number);
    }
    let numeric = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
        && text.bytes().any(|b| b.is_ascii_digit());
    match text.parse::<f64>() {
        Ok(number) if numeric && number.is_finite() => whole(number).unwrap_or(SqlValue::Real(number)),
        _ => SqlValue::Text(text.into_owned()),
    }
}

/// The integer that SQLite keeps instead of this number in a column of NUMERIC affinity, where there is one.
fn whole(number: f64) -> Option<SqlValue> {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    #[allow(clippy::cast_possible_truncation)] // checked to be whole and in range
    (number.fract() == 0.0 && number.abs() < BEYOND).then_some(SqlValue::Integer(number as i64))
}

/// A decimal int64 without `+`, leading zeros or `-0`.
pub fn canonical_int64(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = match digits.as_bytes() {
        [b'0'] => digits.len() == text.len(),
        [first, ..] => (b'1'..=b'9').contains(first),
        [] => false,
    };
    if canonical { text.parse().ok() } else { None }
}

/// A finite binary64 in ECMAScript's shortest form.
pub fn canonical_binary64(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    let canonical = number.is_finite() && ryu_js::Buffer::new().format(number) == text;
    canonical.then_some(number)
}

fn json_type(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(generation: WireGeneration, kind: ColumnKind, value: &SqlValue) -> SqlValue {
        let mut json = String::new();
        encode(generation, kind, value, &mut json).expect("a value of the kind has a wire form");
        let raw = RawValue::from_string(json).expect("the encoder writes JSON");
        decode(generation, kind, &raw).expect("the decoder reads what the encoder wrote")
    }

    fn kind_and_value() -> impl Strategy<Value = (ColumnKind, SqlValue)> {
        let finite = prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::POSITIVE;
        let finite = finite.prop_filter("finite", |n| n.is_finite());
        prop_oneof![
            any::<i64>().prop_map(|n| (ColumnKind::Integer, SqlValue::Integer(n))),
            any::<i64>().prop_map(|n| (ColumnKind::Numeric, SqlValue::Integer(n))),
            finite.prop_map(|n| (ColumnKind::Real, SqlValue::Real(n))),
            any::<String>().prop_map(|t| (ColumnKind::Text, SqlValue::Text(t))),
            any::<Vec<u8>>().prop_map(|b| (ColumnKind::Blob, SqlValue::Blob(b))),
            any::<[u8; 16]>().prop_map(|b| (ColumnKind::Uuid, SqlValue::Blob(b.to_vec()))),
            Just((ColumnKind::Text, SqlValue::Null)),
        ]
    }

    proptest! {
        #[test]
        fn the_wire_round_trip_is_identity_in_both_generations((kind, value) in kind_and_value()) {
            for generation in [WireGeneration::A, WireGeneration::B] {
                prop_assert_eq!(&round_trip(generation, kind, &value), &value);
            }
        }
    }

    #[test]
    fn extremes_are_exact() {
        for number in [i64::MIN, i64::MAX, 9_007_199_254_740_993] {
            for generation in [WireGeneration::A, WireGeneration::B] {
                let value = SqlValue::Integer(number);
                assert_eq!(round_trip(generation, ColumnKind::Integer, &value), value);
            }
        }
        for number in [5e-324, f64::MAX, f64::MIN, 1e21, 1e-7] {
            for generation in [WireGeneration::A, WireGeneration::B] {
                let value = SqlValue::Real(number);
                assert_eq!(round_trip(generation, ColumnKind::Real, &value), value);
            }
        }
    }

    #[test]
    fn a_whole_number_of_a_numeric_column_is_the_integer_that_sqlite_keeps() {
        let decoded = |generation, json: &str| {
            let raw = RawValue::from_string(json.to_owned()).expect("JSON");
            decode(generation, ColumnKind::Numeric, &raw)
        };
        for (json, kept) in
            [("5.00", 5), ("-0.0", 0), ("1e3", 1000), ("09007199254740993", 9_007_199_254_740_993)]
        {
            let text = format!("\"{json}\"");
            assert_eq!(decoded(WireGeneration::B, &text), Ok(SqlValue::Integer(kept)), "{json}");
        }
        assert_eq!(decoded(WireGeneration::A, "5.00"), Ok(SqlValue::Integer(5)));
        assert_eq!(decoded(WireGeneration::A, "1e300"), Ok(SqlValue::Real(1e300)));
        assert_eq!(decoded(WireGeneration::A, "1.25"), Ok(SqlValue::Real(1.25)));
    }

    #[test]
    fn a_json_number_in_a_gen_b_payload_is_refused() {
        let raw = RawValue::from_string("42".to_owned()).expect("JSON");
        for kind in [ColumnKind::Integer, ColumnKind::Real, ColumnKind::Text, ColumnKind::Numeric] {
            assert!(decode(WireGeneration::B, kind, &raw).is_err());
        }
    }

    #[test]
    fn numbers_beyond_the_column_are_refused_instead_of_rounded() {
        let raw = RawValue::from_string("9223372036854775808".to_owned()).expect("JSON");
        assert!(decode(WireGeneration::A, ColumnKind::Integer, &raw).is_err());
        let raw = RawValue::from_string("1.5".to_owned()).expect("JSON");
        assert!(decode(WireGeneration::A, ColumnKind::Integer, &raw).is_err());
        assert_eq!(
            encode(WireGeneration::A, ColumnKind::Real, &SqlValue::Real(f64::INFINITY), &mut String::new()),
            Err(ValueError::NotFinite)
        );
    }
}
