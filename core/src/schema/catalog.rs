//! What the database says about its tables, as plain data.

use crate::protocol::value::ColumnKind;

/// The tables of a database that matter to synchronisation.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// Ordinary tables.
    pub tables: Vec<CatalogTable>,
}

/// One table.
#[derive(Debug, Clone, Default)]
pub struct CatalogTable {
    /// Name as declared.
    pub name: String,
    /// Whether this is a view or a virtual table, which triggers cannot watch.
    pub is_view_or_virtual: bool,
    /// Columns in declaration order.
    pub columns: Vec<CatalogColumn>,
    /// Foreign keys.
    pub foreign_keys: Vec<CatalogForeignKey>,
}

/// One column.
#[derive(Debug, Clone, Default)]
pub struct CatalogColumn {
    /// Name as declared.
    pub name: String,
    /// Declared type, possibly empty.
    pub declared_type: String,
    /// Whether `NOT NULL` is declared.
    pub not_null: bool,
    /// Position in the primary key from 1; 0 outside of it.
    pub primary_key_position: i64,
    /// Its default as SQL, where it has one.
    pub default_sql: Option<String>,
    /// Whether the column is generated, so neither stored by the app nor sent.
    pub generated: bool,
}

/// One foreign key.
#[derive(Debug, Clone, Default)]
pub struct CatalogForeignKey {
    /// Referencing columns.
    pub from: Vec<String>,
    /// Referenced table.
    pub table: String,
    /// Referenced columns; empty means the primary key.
    pub to: Vec<String>,
    /// What happens to the referencing row when the referenced one goes: `CASCADE`, `SET NULL`, ….
    pub on_delete: String,
}

impl Catalog {
    /// The table of a name, in SQLite's case-insensitive sense.
    pub fn table(&self, name: &str) -> Option<&CatalogTable> {
        self.tables.iter().find(|table| table.name.eq_ignore_ascii_case(name))
    }
}

impl CatalogTable {
    /// The column of a name, in SQLite's case-insensitive sense.
    pub fn column(&self, name: &str) -> Option<&CatalogColumn> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// Names of the primary key columns in key order.
    pub fn primary_key(&self) -> Vec<&str> {
        let mut columns: Vec<_> = self.columns.iter().filter(|c| c.primary_key_position > 0).collect();
        columns.sort_by_key(|column| column.primary_key_position);
        columns.into_iter().map(|column| column.name.as_str()).collect()
    }
}

impl CatalogColumn {
    /// The kind by SQLite's affinity rules (<https://sqlite.org/datatype3.html> section 3.1); `None` for a
    /// column without a declared type, whose values would be ambiguous on the wire.
    pub fn kind(&self) -> Option<ColumnKind> {
        let declared = self.declared_type.to_ascii_uppercase();
        let has = |part: &str| declared.contains(part);
        if has("INT") {
            Some(ColumnKind::Integer)
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Some(ColumnKind::Text)
        } else if has("BLOB") {
            Some(ColumnKind::Blob)
        } else if declared.is_empty() {
            None
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Some(ColumnKind::Real)
        } else {
            Some(ColumnKind::Numeric)
        }
    }
}
