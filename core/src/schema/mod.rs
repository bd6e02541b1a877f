//! Which tables are synchronised, and whether they can be. Pure: no SQL is run here.

mod annotation;
mod catalog;
mod order;
mod table;
mod validate;

pub use annotation::{AnnotationError, annotated_tables};
pub use catalog::{Catalog, CatalogColumn, CatalogForeignKey, CatalogTable};
pub use table::{
    ColumnRule, ConflictPolicy, DeleteAction, KeyKind, ManagedSchema, ManagedTable, Reference, SyncTable,
    TableId, UnknownColumns,
};
pub use validate::{SchemaError, validate};
