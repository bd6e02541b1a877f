//! Distrust of uploads: what a chunk may hold, checked before anything is stored.

use crate::config::ServiceConfig;
use crate::refusal::Refusal;
use crate::store::StagedRow;
use rowtide::protocol::message::{PushChunkRequest, PushRow, RowOp};
use rowtide::protocol::problem::{ProblemCode, RefusedTarget};
use rowtide::protocol::profile::WireGeneration;
use rowtide::protocol::validate::RESERVED_SCOPE_COLUMN;
use rowtide::protocol::value::encode_text;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Checks the rows of a chunk and makes them ready to be stored.
pub(crate) fn check(
    config: &ServiceConfig,
    request: &PushChunkRequest<'_>,
) -> Result<Vec<StagedRow>, Refusal> {
    let invalid = |text: String| Refusal::new(ProblemCode::PushChunkInvalid, text);
    if request.start_row_ordinal < 0 {
        return Err(invalid("start_row_ordinal must be non-negative".into()));
    }
    if request.rows.is_empty() {
        return Err(invalid("rows must not be empty".into()));
    }
    let limit = config.limits.max_rows_per_chunk;
    if i64::try_from(request.rows.len()).is_ok_and(|rows| rows > limit) {
        return Err(invalid(format!("a chunk has at most {limit} rows, got {}", request.rows.len())));
    }
    let checked =
        |row| check_row(config, row).map_err(invalid).and_then(|staged| check_size(config, row, staged));
    request.rows.iter().map(checked).collect()
}

/// A row that no snapshot may carry must not be committed, or every later snapshot of the user fails.
fn check_size(config: &ServiceConfig, row: &PushRow<'_>, staged: StagedRow) -> Result<StagedRow, Refusal> {
    if !config.limits.is_too_wide(staged.fixed_bytes) {
        return Ok(staged);
    }
    let limit = config.limits.max_bytes_per_snapshot_row;
    let text = format!("a row of {}.{} is larger than {limit} bytes", row.schema, row.table);
    Err(Refusal::new(ProblemCode::PushRowRefused, text).with(|problem| {
        problem.refused = Some(RefusedTarget {
            schema: row.schema.clone().into_owned(),
            table: row.table.clone().into_owned(),
            key: row.key.clone().into_owned(),
            constraint: config.limits.widest_row(),
        });
    }))
}

fn check_row(config: &ServiceConfig, row: &PushRow<'_>) -> Result<StagedRow, String> {
    let name = format!("{}.{}", row.schema, row.table);
    let key_column = config
        .key_column(&row.table)
        .filter(|_| row.schema == config.schema)
        .ok_or_else(|| format!("table {name} is not registered"))?;
    if row.key.column != key_column {
        return Err(format!("the key of {name} must be column {key_column}"));
    }
    if row.key.value.is_empty() {
        return Err(format!("the key of {name} must not be empty"));
    }
    if row.base_row_version.0 < 0 {
        return Err(format!("base_row_version of {name} must be non-negative"));
    }
    let payload = match (row.op, row.payload) {
        (RowOp::Delete, Some(_)) => return Err(format!("DELETE for {name} must not include payload")),
        (RowOp::Delete, None) => None,
        (op, None) => return Err(format!("{} for {name} must include payload", op.as_str())),
        (_, Some(raw)) => {
            let mut check = PayloadCheck {
                key_column,
                key: &row.key.value,
                generation: config.generation,
                key_seen: false,
            };
            let mut json = serde_json::Deserializer::from_str(raw.get());
            (&mut check).deserialize(&mut json).map_err(|error| {
                // The text of an error of ours only; serde_json's own may quote the payload.
                if error.is_data() {
                    format!("payload of {name}: {error}")
                } else {
                    format!("payload of {name} is not an object")
                }
            })?;
            if !check.key_seen {
                return Err(format!("payload of {name} lacks its key column {key_column}"));
            }
            Some(raw.get().to_owned())
        }
    };
    Ok(StagedRow {
        table: row.table.clone().into_owned(),
        key: row.key.value.clone().into_owned(),
        op: row.op,
        base: row.base_row_version,
        fixed_bytes: fixed_bytes(config, &row.table, key_column, &row.key.value, payload.as_deref()),
        payload,
    })
}

/// Bytes of the row as a snapshot sends it, without the digits of its version.
fn fixed_bytes(
    config: &ServiceConfig,
    table: &str,
    key_column: &str,
    key: &str,
    payload: Option<&str>,
) -> i64 {
    let mut object = String::new();
    write_snapshot_row(&config.schema, table, key_column, key, "", payload.unwrap_or_default(), &mut object);
    i64::try_from(object.len()).unwrap_or(i64::MAX)
}

/// Appends a snapshot row with its members in the order that byte accounting asks for.
pub(crate) fn write_snapshot_row(
    schema: &str,
    table: &str,
    key_column: &str,
    key: &str,
    version: &str,
    payload: &str,
    out: &mut String,
) {
    write_identity(schema, table, key_column, key, out);
    out.push_str(",\"row_version\":");
    out.push_str(version);
    out.push_str(",\"payload\":");
    out.push_str(payload);
    out.push('}');
}

/// Appends `{"schema":…,"table":…,"key":{…}`, left open.
pub(crate) fn write_identity(schema: &str, table: &str, key_column: &str, key: &str, out: &mut String) {
    out.push_str("{\"schema\":");
    encode_text(schema, out);
    out.push_str(",\"table\":");
    encode_text(table, out);
    out.push_str(",\"key\":{");
    encode_text(key_column, out);
    out.push(':');
    encode_text(key, out);
    out.push('}');
}

struct PayloadCheck<'a> {
    key_column: &'a str,
    key: &'a str,
    generation: WireGeneration,
    key_seen: bool,
}

impl<'de> DeserializeSeed<'de> for &mut PayloadCheck<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for &mut PayloadCheck<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        use serde::de::Error;
        let mut seen: Vec<Cow<'de, str>> = Vec::new();
        while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
            if name == RESERVED_SCOPE_COLUMN {
                return Err(A::Error::custom(format!("column {RESERVED_SCOPE_COLUMN} is reserved")));
            }
            if name.chars().any(char::is_uppercase) {
                return Err(A::Error::custom("column names must be lowercase"));
            }
            if seen.contains(&name) {
                return Err(A::Error::custom("a column comes twice"));
            }
            let first = value.get().as_bytes().first().copied().unwrap_or_default();
            if self.generation == WireGeneration::B && !matches!(first, b'"' | b'n' | b't' | b'f') {
                return Err(A::Error::custom("a value must be a JSON string, boolean or null"));
            }
            if name == self.key_column {
                let text: Option<Name<'_>> = serde_json::from_str(value.get()).ok();
                if text.is_none_or(|Name(text)| text != self.key) {
                    return Err(A::Error::custom("the key column must be a string equal to the key"));
                }
                self.key_seen = true;
            }
            seen.push(name);
        }
        Ok(())
    }
}
