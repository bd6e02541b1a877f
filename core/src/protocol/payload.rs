//! A row's payload: JSON text to typed values in column order, and back.

use super::profile::WireGeneration;
use super::validate::RESERVED_SCOPE_COLUMN;
use super::value::{self, ColumnKind, SqlValue, ValueError};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// A column as the wire sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireColumn {
    /// Lowercase name.
    pub name: String,
    /// How its values travel.
    pub kind: ColumnKind,
}

/// Why a payload is not a row of the table. Names columns, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Not a JSON object.
    #[error("the payload is not a JSON object")]
    NotAnObject,
    /// A column that the local table lacks.
    #[error("the payload has column {0}, which the local table lacks")]
    UnknownColumn(String),
    /// A column that comes twice.
    #[error("the payload has column {0} twice")]
    DuplicateColumn(String),
    /// A column that the payload lacks.
    #[error("the payload lacks column {0}")]
    MissingColumn(String),
    /// The server's hidden column.
    #[error("the payload carries the reserved column {RESERVED_SCOPE_COLUMN}")]
    ReservedColumn,
    /// A value that its column cannot hold or carry.
    #[error("column {column}: {source}")]
    Value {
        /// The column.
        column: String,
        /// What is wrong.
        source: ValueError,
    },
}

struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), raw)) = map.next_entry()? {
                    members.push((name, raw));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// Reads a payload that must have exactly `columns`; values come back in their order.
pub fn decode(
    generation: WireGeneration,
    columns: &[WireColumn],
    json: &str,
) -> Result<Vec<SqlValue>, PayloadError> {
    let (values, extra) = decode_known(generation, columns, json)?;
    if let Some((name, _)) = extra.into_iter().next() {
        return Err(PayloadError::UnknownColumn(name));
    }
    values
        .into_iter()
        .zip(columns)
        .map(|(value, column)| value.ok_or_else(|| PayloadError::MissingColumn(column.name.clone())))
        .collect()
}

/// Members of a payload that are no column here, by name, as JSON text.
pub type ExtraMembers = BTreeMap<String, String>;

/// Reads a payload that may have other columns too, and lack some: values in the order of `columns`, `None` where the
/// payload lacks the column, and the members that are no column.
pub fn decode_known(
    generation: WireGeneration,
    columns: &[WireColumn],
    json: &str,
) -> Result<(Vec<Option<SqlValue>>, ExtraMembers), PayloadError> {
    let Members(members) = serde_json::from_str(json).map_err(|_| PayloadError::NotAnObject)?;
    let mut values: Vec<Option<SqlValue>> = vec![None; columns.len()];
    let mut extra = ExtraMembers::new();
    for (position, (name, raw)) in members.iter().enumerate() {
        // Servers send columns in a fixed order more often than not, so look at the same place first.
        let index = match columns.get(position) {
            Some(column) if column.name == *name => position,
            _ => match columns.iter().position(|column| column.name == *name) {
                Some(index) => index,
                None if name == RESERVED_SCOPE_COLUMN => return Err(PayloadError::ReservedColumn),
                None => {
                    let name = name.clone().into_owned();
                    if extra.insert(name.clone(), raw.get().to_owned()).is_some() {
                        return Err(PayloadError::DuplicateColumn(name));
                    }
                    continue;
                }
            },
        };
        if values[index].is_some() {
            return Err(PayloadError::DuplicateColumn(columns[index].name.clone()));
        }
        let value = value::decode(generation, columns[index].kind, raw)
            .map_err(|source| PayloadError::Value { column: columns[index].name.clone(), source })?;
        values[index] = Some(value);
    }
    Ok((values, extra))
}

/// Appends the payload of a row as compact JSON, in the order of `columns` with `extra` between them; sorted columns
/// make it canonical in GEN-B.
pub fn encode<'a>(
    generation: WireGeneration,
    columns: impl IntoIterator<Item = &'a WireColumn>,
    values: impl IntoIterator<Item = &'a SqlValue>,
    extra: &ExtraMembers,
    out: &mut String,
) -> Result<(), PayloadError> {
    let mut extra = extra.iter().peekable();
    let mut separator = '{';
    let mut member = |name: &str, out: &mut String| {
        out.push(separator);
        separator = ',';
        value::encode_text(name, out);
        out.push(':');
    };
    for (column, value) in columns.into_iter().zip(values) {
        while let Some((name, json)) = extra.next_if(|(name, _)| **name < column.name) {
            member(name, out);
            out.push_str(json);
        }
        member(&column.name, out);
        value::encode(generation, column.kind, value, out)
            .map_err(|source| PayloadError::Value { column: column.name.clone(), source })?;
    }
    for (name, json) in extra {
        member(name, out);
        out.push_str(json);
    }
    out.push_str(if separator == '{' { "{}" } else { "}" });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_any_column_is_an_empty_object() {
        let mut out = String::new();
        encode(WireGeneration::B, [], [], &ExtraMembers::new(), &mut out).expect("nothing cannot be refused");
        assert_eq!(out, "{}");
    }
}
