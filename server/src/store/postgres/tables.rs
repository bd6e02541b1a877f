//! The registered tables as they were discovered, and the statements that are made for each.

use super::failure::{PgError, PgResult};
use super::payload::{Column, payload_sql, quoted};
use crate::refusal::Refusal;
use crate::store::StagedRow;
use crate::upload::write_snapshot_row;
use rowtide::protocol::message::{RowOp, WireKey};
use rowtide::protocol::problem::{ProblemCode, RefusedTarget};
use rowtide::protocol::profile::WireGeneration;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use uuid::Uuid;

/// The types of sync keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyType {
    Uuid,
    Text,
}

impl KeyType {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Uuid => "uuid",
            Self::Text => "text",
        }
    }
}

/// A foreign key between registered tables.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    pub(super) constraint: String,
    pub(super) column: String,
    pub(super) parent: String,
}

/// A registered table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) id: i32,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) key_column: String,
    pub(super) key_type: KeyType,
    pub(super) columns: Vec<Column>,
    pub(super) references: Vec<Reference>,
}

impl Table {
    pub(super) fn qualified(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }

    pub(super) fn key(&self) -> String {
        quoted(&self.key_column)
    }

    pub(super) fn payload_sql(&self, generation: WireGeneration) -> String {
        payload_sql(&self.columns, generation)
    }

    pub(super) fn wire_key(&self, key: String) -> WireKey<'static> {
        WireKey { column: Cow::Owned(self.key_column.clone()), value: Cow::Owned(key) }
    }

    /// Bytes of a snapshot row without key, version and payload.
    pub(super) fn snapshot_frame_bytes(&self) -> i64 {
        let mut frame = String::new();
        write_snapshot_row(&self.schema, &self.name, &self.key_column, "", "", "", &mut frame);
        // The two quotes of the key are counted with the key.
        i64::try_from(frame.len()).unwrap_or(i64::MAX) - 2
    }

    /// Writes what a push session staged for this table with this operation, up to an ordinal, by one statement.
    /// Its parameters are user, session, the columns that are missing, and the ordinal.
    pub(super) fn apply_sql(&self, op: RowOp, missing: &str) -> String {
        let (table, key, cast) = (self.qualified(), self.key(), self.key_type.as_str());
        let staged = format!(
            "p.user_id = $1 AND p.push_id = $2 AND p.table_id = {} AND p.op = '{}' AND p.missing = $3 AND p.row_ordinal <= $4",
            self.id,
            op.as_str()
        );
        // The row of each staged one is looked up by its key, and found again by its place: a join by the key could be
        // planned the other way round, through all rows of the user.
        let found = format!(
            "(SELECT live.place, p.payload FROM rowtide.push_rows AS p CROSS JOIN LATERAL (
                  SELECT l.ctid AS place FROM {table} AS l WHERE l._sync_scope_id = $1 AND l.{key} = p.key::{cast} OFFSET 0
              ) AS live WHERE {staged}) AS found"
        );
        let missing: Vec<&str> = missing.split(',').collect();
        let uploaded = |column: &&Column| !column.generated && !missing.contains(&column.name.as_str());
        let columns = || self.columns.iter().filter(uploaded);
        match op {
            RowOp::Delete => format!(
                "DELETE FROM {table} AS t USING {found} WHERE t._sync_scope_id = $1 AND t.ctid = found.place"
            ),
            RowOp::Insert => {
                let names: Vec<String> = columns().map(|column| quoted(&column.name)).collect();
                let values: Vec<String> = columns().map(|column| column.upload_sql("p")).collect();
                format!(
                    "INSERT INTO {table} (_sync_scope_id, {}) SELECT $1, {} FROM rowtide.push_rows AS p
                     WHERE {staged} ORDER BY p.row_ordinal",
                    names.join(", "),
                    values.join(", ")
                )
            }
            RowOp::Update => {
                let set =
                    |column: &Column| format!("{} = {}", quoted(&column.name), column.upload_sql("found"));
                let mut sets: Vec<String> =
                    columns().filter(|column| column.name != self.key_column).map(set).collect();
                if sets.is_empty() {
                    sets.push(format!("{key} = t.{key}"));
                }
                format!(
                    "UPDATE {table} AS t SET {} FROM {found} WHERE t._sync_scope_id = $1 AND t.ctid = found.place",
                    sets.join(", ")
                )
            }
        }
    }

    /// Refuses a row for good, by its name.
    pub(super) fn refuse(&self, key: &str, constraint: &str) -> Refusal {
        let text = format!("a row of {}.{} is not accepted: {constraint}", self.schema, self.name);
        Refusal::new(ProblemCode::PushRowRefused, text).with(|problem| {
            problem.refused = Some(RefusedTarget {
                schema: self.schema.clone(),
                table: self.name.clone(),
                key: self.wire_key(key.to_owned()),
                constraint: constraint.to_owned(),
            });
        })
    }

    /// Checks the key and the columns of an upload; answers the columns that its payload lacks, with commas.
    pub(super) fn check_upload(&self, row: &StagedRow) -> Result<String, Refusal> {
        let canonical = |uuid: Uuid| uuid.hyphenated().to_string() == row.key;
        if self.key_type == KeyType::Uuid && !Uuid::try_parse(&row.key).is_ok_and(canonical) {
            return Err(self.refuse(&row.key, "the key must be a UUID in lowercase with dashes"));
        }
        if row.key.contains('\0') {
            return Err(self.refuse(&row.key.replace('\0', ""), "text without the character U+0000"));
        }
        let Some(payload) = &row.payload else { return Ok(String::new()) };
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Members<'a>(#[serde(borrow)] HashMap<Cow<'a, str>, &'a RawValue>);
        let invalid = |text: String| Refusal::new(ProblemCode::PushChunkInvalid, text);
        let Members(members) = serde_json::from_str(payload)
            .map_err(|_| invalid(format!("payload of {}.{} is not an object", self.schema, self.name)))?;
        let known = |name: &str| self.columns.iter().any(|column| column.name == name);
        if let Some(name) = members.keys().find(|name| !known(name)) {
            return Err(invalid(format!("table {}.{} has no column {name:?}", self.schema, self.name)));
        }
        let missing = self.columns.iter().filter(|column| !members.contains_key(column.name.as_str()));
        Ok(missing.map(|column| column.name.as_str()).collect::<Vec<_>>().join(","))
    }
}

/// The registered tables, parents before children where there is no circle.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    pub(super) schema: String,
    pub(super) list: Vec<Table>,
}

impl Tables {
    pub(super) fn by_name(&self, name: &str) -> PgResult<&Table> {
        let found = self.list.iter().find(|table| table.name == name);
        found.ok_or_else(|| PgError::Other(format!("table {name} is not registered")))
    }

    pub(super) fn by_id(&self, id: i32) -> PgResult<&Table> {
        let found = self.list.iter().find(|table| table.id == id);
        found.ok_or_else(|| PgError::Other(format!("table number {id} is no longer registered")))
    }

    /// A foreign key of a table, with the table that has it and the one that it refers to.
    pub(super) fn reference(&self, table: &str, constraint: &str) -> Option<(&Table, &Reference, &Table)> {
        let child = self.by_name(table).ok()?;
        let reference = child.references.iter().find(|found| found.constraint == constraint)?;
        let parent = self.by_name(&reference.parent).ok()?;
        Some((child, reference, parent))
    }

    /// Puts parents before children; tables of a circle stay in their order.
    pub(super) fn sort(&mut self) {
        let mut sorted: Vec<Table> = Vec::new();
        while !self.list.is_empty() {
            let waits_for_none = |table: &Table| {
                let waits = |reference: &Reference| {
                    reference.parent != table.name
                        && self.list.iter().any(|other| other.name == reference.parent)
                };
                !table.references.iter().any(waits)
            };
            let next = self.list.iter().position(waits_for_none).unwrap_or(0);
            sorted.push(self.list.remove(next));
        }
        self.list = sorted;
    }
}
