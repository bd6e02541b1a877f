//! Tables from the annotations of an SQL schema.

use crate::config::{ConflictPolicy, SyncTable};
use crate::error::RowtideError;
use rowtide::annotated_tables;

/// The tables that an annotated SQL schema (`-- @@{ enableSync=true }`) marks for sync, in their order, with the policy
/// `ServerWins`.
///
/// # Errors
/// `Configuration`: an annotation that no `CREATE TABLE` follows, or a table without a key; the reason names the line.
#[uniffi::export]
pub fn tables_of_schema(sql: String) -> Result<Vec<SyncTable>, RowtideError> {
    let tables =
        annotated_tables(&sql).map_err(|error| RowtideError::Configuration { reason: error.to_string() })?;
    Ok(tables
        .iter()
        .map(|table| SyncTable {
            name: table.name().to_owned(),
            key: table.key_columns().concat(),
            policy: ConflictPolicy::ServerWins,
            rules: Vec::new(),
            keep_base: false,
        })
        .collect())
}
