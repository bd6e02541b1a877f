//! UniFFI bindings of the Rowtide core for Kotlin and Swift.
//!
//! The bridge is thin and is not the API: each exported method is one delegation to the core, and the
//! hand-written Kotlin and Swift layers above it are what apps see. So far it exports what those layers need
//! first: the version of the core, and the check of a schema file's sync annotations.

use rowtide::annotated_tables;

uniffi::setup_scaffolding!();

/// Version of the core library, as in its package.
#[uniffi::export]
pub fn core_version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// What is wrong with the annotations of a schema file.
#[derive(Debug, thiserror::Error, uniffi::Error)]
pub enum SchemaFileError {
    /// An annotation without its table or key.
    #[error("{reason}")]
    Annotation {
        /// The line, what is wrong with it, and what to do.
        reason: String,
    },
}

/// Names of the tables that an annotated SQL schema (`-- @@{ enableSync=true }`) marks for sync, in their order.
///
/// # Errors
/// An annotation that no `CREATE TABLE` follows, or a table without a key.
#[uniffi::export]
pub fn annotated_table_names(sql: String) -> Result<Vec<String>, SchemaFileError> {
    let tables =
        annotated_tables(&sql).map_err(|error| SchemaFileError::Annotation { reason: error.to_string() })?;
    Ok(tables.iter().map(|table| table.name().to_owned()).collect())
}
