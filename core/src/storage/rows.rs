//! Business rows: read, write and delete one by its key. Identifiers are quoted, always.

use super::error::{Result, StorageError};
use super::quote;
use crate::protocol::payload::{self, ExtraMembers, PayloadError};
use crate::protocol::profile::WireGeneration;
use crate::protocol::value::{SqlValue, ValueError};
use crate::schema::{ManagedSchema, ManagedTable, UnknownColumns};
use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Transaction, params_from_iter};

impl ToSql for SqlValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Takes a cell; text that is not UTF-8 is an error.
pub(crate) fn cell(value: ValueRef<'_>) -> std::result::Result<SqlValue, ValueError> {
    Ok(match value {
        ValueRef::Null => SqlValue::Null,
        ValueRef::Integer(number) => SqlValue::Integer(number),
        ValueRef::Real(number) => SqlValue::Real(number),
        ValueRef::Text(bytes) => {
            SqlValue::Text(std::str::from_utf8(bytes).map_err(|_| ValueError::NotUtf8)?.to_owned())
        }
        ValueRef::Blob(bytes) => SqlValue::Blob(bytes.to_vec()),
    })
}

/// Takes a key column of Rowtide's own tables.
pub(crate) fn key(row: &Row<'_>, index: usize) -> rusqlite::Result<SqlValue> {
    Ok(match row.get::<_, Value>(index)? {
        Value::Null => SqlValue::Null,
        Value::Integer(number) => SqlValue::Integer(number),
        Value::Real(number) => SqlValue::Real(number),
        Value::Text(text) => SqlValue::Text(text),
        Value::Blob(bytes) => SqlValue::Blob(bytes),
    })
}

/// Takes the columns of a managed table that start at `offset` of a result row.
pub(crate) fn values(
    table: &ManagedTable,
    row: &Row<'_>,
    offset: usize,
) -> rusqlite::Result<std::result::Result<Vec<SqlValue>, PayloadError>> {
    let mut values = Vec::with_capacity(table.columns.len());
    for (index, column) in table.columns.iter().enumerate() {
        match cell(row.get_ref(offset + index)?) {
            Ok(value) => values.push(value),
            Err(source) => return Ok(Err(PayloadError::Value { column: column.name.clone(), source })),
        }
    }
    Ok(Ok(values))
}

/// The columns of a table, quoted and separated by commas, each behind `prefix`.
pub(crate) fn column_list(table: &ManagedTable, prefix: &str) -> String {
    let names: Vec<_> = table.column_names.iter().map(|name| format!("{prefix}{}", quote(name))).collect();
    names.join(", ")
}

/// The statement that reads a row by its key, columns in the table's order.
pub(crate) fn select_by_key(table: &ManagedTable) -> &str {
    table.statements.read.get_or_init(|| {
        format!(
            "SELECT {} FROM {} WHERE {} = ?1",
            column_list(table, ""),
            quote(&table.name),
            quote(table.key_column())
        )
    })
}

/// Reads a row by its key.
pub(crate) fn read(
    connection: &Connection,
    table: &ManagedTable,
    row_key: &SqlValue,
) -> Result<Option<Vec<SqlValue>>> {
    let found = connection
        .prepare_cached(select_by_key(table))?
        .query_row([row_key], |row| values(table, row, 0))
        .optional()?;
    match found {
        None => Ok(None),
        Some(Ok(values)) => Ok(Some(values)),
        Some(Err(source)) => Err(StorageError::Payload { table: table.name.clone(), source }),
    }
}

/// Inserts a row, or overwrites the one of the same key.
pub(crate) fn write(transaction: &Transaction<'_>, table: &ManagedTable, row: &[SqlValue]) -> Result<()> {
    let sql = table.statements.upsert.get_or_init(|| upsert(table));
    transaction.prepare_cached(sql)?.execute(params_from_iter(row))?;
    Ok(())
}

/// Inserts a row; `false` where a constraint stands against it.
pub(crate) fn insert(transaction: &Transaction<'_>, table: &ManagedTable, row: &[SqlValue]) -> Result<bool> {
    // ABORT overrides what a constraint itself says: REPLACE would take another row away unseen.
    let sql = table.statements.insert.get_or_init(|| format!("INSERT OR ABORT INTO {}", values_of(table)));
    match transaction.prepare_cached(sql)?.execute(params_from_iter(row)) {
        Ok(_) => Ok(true),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The table with its columns, and a place for each of them.
fn values_of(table: &ManagedTable) -> String {
    let places: Vec<_> = (1..=table.columns.len()).map(|place| format!("?{place}")).collect();
    format!("{} ({}) VALUES ({})", quote(&table.name), column_list(table, ""), places.join(", "))
}

fn upsert(table: &ManagedTable) -> String {
    let updates: Vec<_> = table
        .column_names
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != table.key_index)
        .map(|(_, name)| format!("{0} = excluded.{0}", quote(name)))
        .collect();
    let action = match updates.is_empty() {
        true => "NOTHING".to_owned(),
        false => format!("UPDATE SET {}", updates.join(", ")),
    };
    format!("INSERT INTO {} ON CONFLICT ({}) DO {action}", values_of(table), quote(table.key_column()))
}

/// Deletes a row by its key; `true` where there was one.
pub(crate) fn delete(
    transaction: &Transaction<'_>,
    table: &ManagedTable,
    row_key: &SqlValue,
) -> Result<bool> {
    let sql = table.statements.delete.get_or_init(|| {
        format!("DELETE FROM {} WHERE {} = ?1", quote(&table.name), quote(table.key_column()))
    });
    Ok(transaction.prepare_cached(sql)?.execute([row_key])? > 0)
}

/// A row of the server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ServerRow {
    /// In the table's column order.
    pub(crate) values: Vec<SqlValue>,
    /// Members that are no column here.
    pub(crate) extra: ExtraMembers,
}

/// Reads the payload of an upsert; a delete has none.
pub(crate) fn decode_row(
    generation: WireGeneration,
    schema: &ManagedSchema,
    table: &ManagedTable,
    json: Option<&str>,
) -> Result<Option<ServerRow>> {
    json.map(|json| decode_payload(generation, schema, table, json)).transpose()
}

/// Reads a payload of the server.
pub(crate) fn decode_payload(
    generation: WireGeneration,
    schema: &ManagedSchema,
    table: &ManagedTable,
    json: &str,
) -> Result<ServerRow> {
    let misfit = |source| StorageError::Payload { table: table.name.clone(), source };
    if schema.unknown_columns == UnknownColumns::Refuse {
        let values = payload::decode(generation, &table.columns, json).map_err(misfit)?;
        return Ok(ServerRow { values, extra: ExtraMembers::new() });
    }
    let (found, extra) = payload::decode_known(generation, &table.columns, json).map_err(misfit)?;
    let mut values = Vec::with_capacity(found.len());
    for (index, value) in found.into_iter().enumerate() {
        let value = value.or_else(|| table.absent.get(index).cloned().flatten());
        let missing = || misfit(PayloadError::MissingColumn(table.columns[index].name.clone()));
        values.push(value.ok_or_else(missing)?);
    }
    Ok(ServerRow { values, extra })
}
