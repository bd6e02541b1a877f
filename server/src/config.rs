//! What a service is configured with.

use crate::limits::Limits;
use rowtide::protocol::message::TableSpec;
use rowtide::protocol::profile::WireGeneration;

/// A registered table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Table, lowercase.
    pub table: String,
    /// Its sync key column, lowercase.
    pub key_column: String,
}

/// A table that cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TableConfigError(pub String);

/// Configuration of a [`Service`](crate::Service).
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    /// The wire generation that is spoken.
    pub generation: WireGeneration,
    /// Name of the application, for the capabilities.
    pub app_name: String,
    /// Schema of the registered tables.
    pub schema: String,
    /// Registered tables.
    pub tables: Vec<Registration>,
    /// Limits.
    pub limits: Limits,
}

impl ServiceConfig {
    /// A configuration with the default limits.
    ///
    /// # Errors
    /// A name that is not made of `a-z`, `0-9` and `_`, a table that comes twice, or none at all.
    pub fn new(
        generation: WireGeneration,
        schema: &str,
        tables: &[Registration],
    ) -> Result<Self, TableConfigError> {
        let named = |what: &str, name: &str| {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            if !name.is_empty() && name.bytes().all(plain) {
                return Ok(());
            }
            Err(TableConfigError(format!("{what} {name:?} must be made of a-z, 0-9 and _; rename it")))
        };
        named("schema", schema)?;
        if tables.is_empty() {
            return Err(TableConfigError("no table is registered; name at least one as TABLE:KEY".into()));
        }
        for (index, registration) in tables.iter().enumerate() {
            named("table", &registration.table)?;
            named("key column", &registration.key_column)?;
            if tables[..index].iter().any(|other| other.table == registration.table) {
                let text = format!("table {} is registered twice; remove one of the two", registration.table);
                return Err(TableConfigError(text));
            }
        }
        Ok(Self {
            generation,
            app_name: "rowtide-server".into(),
            schema: schema.into(),
            tables: tables.to_vec(),
            limits: Limits::default(),
        })
    }

    pub(crate) fn key_column(&self, table: &str) -> Option<&str> {
        self.tables.iter().find(|found| found.table == table).map(|found| found.key_column.as_str())
    }

    pub(crate) fn specs(&self) -> Vec<TableSpec> {
        let spec = |registration: &Registration| TableSpec {
            schema: self.schema.clone(),
            table: registration.table.clone(),
            sync_key_columns: vec![registration.key_column.clone()],
        };
        self.tables.iter().map(spec).collect()
    }

    pub(crate) fn qualified_tables(&self) -> Vec<String> {
        self.tables.iter().map(|registration| format!("{}.{}", self.schema, registration.table)).collect()
    }
}
