//! A row as JSON that never leaves the device: exact for every value that SQLite can hold.
//!
//! Values that have a wire form are kept in that of GEN-B; any other is an object that names its storage class.

use super::error::{Result, StorageError};
use crate::protocol::payload;
use crate::protocol::profile::WireGeneration;
use crate::protocol::value::{self, SqlValue, encode_text};
use crate::schema::ManagedTable;
use base64::{Engine, engine::general_purpose::STANDARD};
use rusqlite::types::ValueRef;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Writes the cells of a row, given in the table's column order.
pub(crate) fn encode<'a>(table: &ManagedTable, cells: impl Iterator<Item = ValueRef<'a>>) -> String {
    let mut out = String::from("{");
    for (index, (column, cell)) in table.columns.iter().zip(cells).enumerate() {
        if index > 0 {
            out.push(',');
        }
        encode_text(&column.name, &mut out);
        out.push(':');
        let start = out.len();
        let known = super::rows::cell(cell).ok();
        let encoded = known
            .is_some_and(|known| value::encode(WireGeneration::B, column.kind, &known, &mut out).is_ok());
        if !encoded {
            out.truncate(start);
            tagged(cell, &mut out);
        }
    }
    out.push('}');
    out
}

fn tagged(cell: ValueRef<'_>, out: &mut String) {
    let (class, text) = match cell {
        ValueRef::Null => return out.push_str("null"),
        ValueRef::Integer(number) => ("integer", number.to_string()),
        ValueRef::Real(number) => ("real", number.to_string()),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => ("text", text.to_owned()),
            Err(_) => ("text_bytes", STANDARD.encode(bytes)),
        },
        ValueRef::Blob(bytes) => ("blob", STANDARD.encode(bytes)),
    };
    out.push_str("{\"");
    out.push_str(class);
    out.push_str("\":");
    encode_text(&text, out);
    out.push('}');
}

/// Reads what [`encode`] wrote; columns that the table got since are NULL, those that it lost are dropped.
pub(crate) fn decode(table: &ManagedTable, json: &str) -> Result<Vec<SqlValue>> {
    let broken =
        || StorageError::Violation(format!("the inbox has an unreadable row of table {}", table.name));
    let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json).map_err(|_| broken())?;
    let mut row = Vec::with_capacity(table.columns.len());
    for column in &table.columns {
        let Some(raw) = members.get(&column.name) else {
            row.push(SqlValue::Null);
            continue;
        };
        row.push(match untagged(raw) {
            Some(value) => value,
            None => value::decode(WireGeneration::B, column.kind, raw).map_err(|source| {
                StorageError::Payload {
                    table: table.name.clone(),
                    source: payload::PayloadError::Value { column: column.name.clone(), source },
                }
            })?,
        });
    }
    Ok(row)
}

fn untagged(raw: &RawValue) -> Option<SqlValue> {
    let tagged: BTreeMap<String, String> = serde_json::from_str(raw.get()).ok()?;
    let (class, text) = tagged.into_iter().next()?;
    match class.as_str() {
        "integer" => text.parse().ok().map(SqlValue::Integer),
        "real" => text.parse().ok().map(SqlValue::Real),
        "text" => Some(SqlValue::Text(text)),
        "blob" => STANDARD.decode(text).ok().map(SqlValue::Blob),
        // Bytes that are no UTF-8 have no text value here; they come back as what they are.
        "text_bytes" => STANDARD.decode(text).ok().map(SqlValue::Blob),
        _ => None,
    }
}
