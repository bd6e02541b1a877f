//! SHA-256 over the canonical JSON array of a bundle's rows (`docs/protocol.md` section 10).
//!
//! Rows are fed one by one, so a bundle never has to be in memory.

use super::canonical_json::{canonicalize, write_text};
use super::ids::RowVersion;
use super::message::{CommittedRow, RowOp};
use super::profile::WireGeneration;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The parts of a row that both hashes cover.
#[derive(Debug, Clone, Copy)]
pub struct HashedRow<'a> {
    /// Server schema.
    pub schema: &'a str,
    /// Table.
    pub table: &'a str,
    /// Name of the sync key column, lowercase.
    pub key_column: &'a str,
    /// Wire form of the key.
    pub key: &'a str,
    /// What happened to the row.
    pub op: RowOp,
    /// The payload as JSON text, `None` for a delete.
    pub payload: Option<&'a str>,
}

impl<'a> From<&'a CommittedRow<'_>> for HashedRow<'a> {
    fn from(row: &'a CommittedRow<'_>) -> Self {
        Self {
            schema: &row.schema,
            table: &row.table,
            key_column: &row.key.column,
            key: &row.key.value,
            op: row.op,
            payload: row.payload.map(|raw| raw.get()),
        }
    }
}

/// Computes a `bundle_hash` or a `canonical_request_hash` from rows in ordinal order.
#[derive(Debug, Clone)]
pub struct BundleHasher {
    generation: WireGeneration,
    digest: Sha256,
    rows: i64,
    text: String,
}

impl BundleHasher {
    /// Starts with no rows.
    pub fn new(generation: WireGeneration) -> Self {
        Self { generation, digest: Sha256::new_with_prefix("["), rows: 0, text: String::new() }
    }

    /// Adds a row of a committed bundle.
    pub fn committed_row(
        &mut self,
        row: &HashedRow<'_>,
        version: RowVersion,
    ) -> Result<(), serde_json::Error> {
        self.begin();
        self.text.push('{');
        self.key_op_payload_ordinal(row)?;
        self.counter(",\"row_version\":", version.0);
        self.schema_table(row);
        Ok(())
    }

    /// Adds a row of an upload, in canonical form. Only GEN-B sends this hash.
    pub fn request_row(&mut self, row: &HashedRow<'_>, base: RowVersion) -> Result<(), serde_json::Error> {
        self.begin();
        self.counter("{\"base_row_version\":", base.0);
        self.text.push(',');
        self.key_op_payload_ordinal(row)?;
        self.schema_table(row);
        Ok(())
    }

    /// The hash as 64 lowercase hexadecimal digits.
    pub fn finish(mut self) -> String {
        self.digest.update("]");
        self.digest.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a String takes every write");
            hex
        })
    }

    fn begin(&mut self) {
        self.text.clear();
        if self.rows > 0 {
            self.text.push(',');
        }
    }

    fn key_op_payload_ordinal(&mut self, row: &HashedRow<'_>) -> Result<(), serde_json::Error> {
        let form = self.generation.canonical_form();
        self.text.push_str("\"key\":{");
        write_text(form, row.key_column, &mut self.text);
        self.text.push(':');
        write_text(form, row.key, &mut self.text);
        self.text.push_str("},\"op\":\"");
        self.text.push_str(row.op.as_str());
        self.text.push_str("\",\"payload\":");
        match row.payload {
            Some(payload) => self.text.push_str(&canonicalize(form, payload)?),
            None => self.text.push_str("null"),
        }
        self.counter(",\"row_ordinal\":", self.rows);
        Ok(())
    }

    fn counter(&mut self, name: &str, value: i64) {
        let quote = if self.generation.counters_are_strings() { "\"" } else { "" };
        write!(self.text, "{name}{quote}{value}{quote}").expect("a String takes every write");
    }

    fn schema_table(&mut self, row: &HashedRow<'_>) {
        let form = self.generation.canonical_form();
        self.text.push_str(",\"schema\":");
        write_text(form, row.schema, &mut self.text);
        self.text.push_str(",\"table\":");
        write_text(form, row.table, &mut self.text);
        self.text.push('}');
        self.digest.update(&self.text);
        self.rows += 1;
    }
}
