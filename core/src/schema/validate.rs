//! Fail-closed checks of a configuration against the database, before anything is written
//! (`docs/protocol.md` section 14).

use super::catalog::{Catalog, CatalogColumn, CatalogTable};
use super::order::parents_first;
use super::table::{
    ColumnRule, ConflictPolicy, DeleteAction, KeyKind, ManagedSchema, ManagedTable, Reference, RowStatements,
    SyncTable, TableId, UnknownColumns,
};
use crate::protocol::payload::WireColumn;
use crate::protocol::validate::RESERVED_SCOPE_COLUMN;
use crate::protocol::value::ColumnKind;
use std::sync::Arc;

/// Prefix of everything that Rowtide keeps in the app's database.
pub(crate) const RESERVED_PREFIX: &str = "_rowtide_";

/// A table, column or setting that cannot be synchronised, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SchemaError(pub String);

macro_rules! demand {
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            return Err(SchemaError(format!($($message)*)));
        }
    };
}

/// Checks the configured tables against the catalog and describes them, parents before children.
pub fn validate(
    schema: &str,
    tables: &[SyncTable],
    unknown_columns: UnknownColumns,
    catalog: &Catalog,
) -> Result<ManagedSchema, SchemaError> {
    demand!(
        !schema.trim().is_empty(),
        "the schema name is empty; set `schema` to the server's schema, for example \"business\""
    );
    demand!(!tables.is_empty(), "no table is configured; name at least one table to synchronise");
    for (index, table) in tables.iter().enumerate() {
        check_registration(table)?;
        let duplicate = tables[..index].iter().any(|other| other.name.eq_ignore_ascii_case(&table.name));
        demand!(!duplicate, "table {} is configured twice; remove one of the two", table.name);
    }
    let managed =
        tables.iter().map(|table| describe(table, tables, catalog)).collect::<Result<Vec<_>, _>>()?;
    let tables = parents_first(managed).into_iter().map(Arc::new).collect();
    Ok(ManagedSchema { name: schema.to_owned(), tables, unknown_columns, ignored: Arc::default() })
}

fn check_registration(table: &SyncTable) -> Result<(), SchemaError> {
    let name = &table.name;
    demand!(!name.trim().is_empty(), "a configured table has an empty name");
    demand!(
        !name.contains('.'),
        "table {name} must not include a schema qualifier; set `schema` once and name the table alone"
    );
    demand!(
        !name.to_ascii_lowercase().starts_with(RESERVED_PREFIX),
        "table {name} has the reserved prefix {RESERVED_PREFIX}; rename the table"
    );
    demand!(
        !table.key_columns.is_empty(),
        "table {name} must declare syncKeyColumnName or syncKeyColumns explicitly; name its key column"
    );
    demand!(
        table.key_columns.len() == 1,
        "table {name} must declare exactly one sync key column, it declares {}",
        table.key_columns.join(", ")
    );
    Ok(())
}

fn describe(table: &SyncTable, all: &[SyncTable], catalog: &Catalog) -> Result<ManagedTable, SchemaError> {
    let name = &table.name;
    let found = catalog.table(name).ok_or_else(|| {
        SchemaError(format!("table {name} does not exist; create it before opening the database for sync"))
    })?;
    demand!(
        !found.is_view_or_virtual,
        "table {name} is a view or a virtual table; only ordinary tables can be synchronised"
    );
    demand!(
        found.column(RESERVED_SCOPE_COLUMN).is_none(),
        "table {name} declares the reserved server column {RESERVED_SCOPE_COLUMN}; remove it from the local table"
    );
    let key_kind = check_key(table, found)?;
    let references = check_foreign_keys(found, all, catalog)?;

    let mut columns = Vec::new();
    for column in found.columns.iter().filter(|column| !column.generated) {
        let kind = wire_kind(column, found, catalog, &table.key_columns[0]).ok_or_else(|| {
            SchemaError(format!(
                "column {name}.{} has no declared type, so its values would be ambiguous on the wire; \
                 declare INTEGER, REAL, TEXT or BLOB",
                column.name
            ))
        })?;
        let wire = WireColumn { name: column.name.to_ascii_lowercase(), kind };
        columns.push((column.name.clone(), wire));
    }
    columns.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    let (column_names, columns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    let key_index = column_names
        .iter()
        .position(|column| column.eq_ignore_ascii_case(&table.key_columns[0]))
        .ok_or_else(|| {
            SchemaError(format!("the key column of table {name} is generated; declare a stored key"))
        })?;
    let rules = column_rules(table, &columns, key_index)?;
    Ok(ManagedTable {
        id: TableId(0),
        name: name.clone(),
        key_nullable: found.column(&table.key_columns[0]).is_some_and(|column| !column.not_null),
        column_names,
        columns,
        key_index,
        key_kind,
        references,
        absent: Vec::new(),
        policy: table.policy,
        rules,
        keeps_base: table.keep_base || table.policy == ConflictPolicy::Merge,
        statements: RowStatements::default(),
    })
}

fn column_rules(
    table: &SyncTable,
    columns: &[WireColumn],
    key_index: usize,
) -> Result<Vec<ColumnRule>, SchemaError> {
    let mut rules = vec![ColumnRule::default(); columns.len()];
    for (name, rule) in &table.rules {
        let index = columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
        let index = index.filter(|index| *index != key_index).ok_or_else(|| {
            SchemaError(format!(
                "table {} has a merge rule for {name}, which is not a column beside its key; correct the name",
                table.name
            ))
        })?;
        let kind = columns[index].kind;
        let fits = match rule {
            ColumnRule::SumOfDeltas => {
                matches!(kind, ColumnKind::Integer | ColumnKind::Real | ColumnKind::Numeric)
            }
            ColumnRule::SetUnion => kind == ColumnKind::Text,
            _ => true,
        };
        demand!(
            fits,
            "the merge rule of {}.{name} needs a number column (sum of deltas) or a TEXT column with a JSON array \
             (set union); choose another rule",
            table.name
        );
        rules[index] = *rule;
    }
    Ok(rules)
}

fn check_key(table: &SyncTable, found: &CatalogTable) -> Result<KeyKind, SchemaError> {
    let (name, key) = (&table.name, &table.key_columns[0]);
    let column = found.column(key).ok_or_else(|| {
        SchemaError(format!("table {name} does not contain configured primary key column {key}; correct the name or add the column"))
    })?;
    let primary_key = found.primary_key();
    demand!(
        primary_key.len() == 1 && primary_key[0].eq_ignore_ascii_case(key),
        "the sync key {name}.{key} must be the sole primary key, the primary key of {name} is ({}); \
         give the table a single TEXT or BLOB primary key",
        primary_key.join(", ")
    );
    match column.kind() {
        Some(ColumnKind::Text) => Ok(KeyKind::Text),
        Some(ColumnKind::Blob) => Ok(KeyKind::Uuid),
        _ => Err(SchemaError(format!(
            "the sync key {name}.{key} is declared {}, which devices cannot assign without colliding; \
             declare it TEXT PRIMARY KEY or BLOB PRIMARY KEY (16-byte UUID)",
            if column.declared_type.is_empty() { "without a type" } else { &column.declared_type }
        ))),
    }
}

fn check_foreign_keys(
    found: &CatalogTable,
    all: &[SyncTable],
    catalog: &Catalog,
) -> Result<Vec<Reference>, SchemaError> {
    let mut references = Vec::new();
    for key in &found.foreign_keys {
        demand!(
            key.from.len() == 1,
            "unsupported composite foreign keys: {} -> {}; refer to the parent's sync key with one column",
            found.name,
            key.table
        );
        let parent =
            all.iter().find(|table| table.name.eq_ignore_ascii_case(&key.table)).ok_or_else(|| {
                let to = key.to.first().map_or("its primary key", String::as_str);
                SchemaError(format!(
                    "managed tables are not FK-closed: {}.{} -> {}.{to}; configure table {} for sync too, \
                 or drop the reference",
                    found.name, key.from[0], key.table, key.table
                ))
            })?;
        let primary_key = catalog.table(&key.table).map(CatalogTable::primary_key).unwrap_or_default();
        references.push(Reference {
            column: key.from[0].clone(),
            table: parent.name.clone(),
            to: key.to.first().map_or_else(|| primary_key.concat(), String::clone),
            on_delete: DeleteAction::parse(&key.on_delete),
        });
    }
    Ok(references)
}

/// BLOB keys, and BLOB columns that refer to one, travel as UUID (`docs/protocol.md` section 9).
fn wire_kind(
    column: &CatalogColumn,
    table: &CatalogTable,
    catalog: &Catalog,
    key: &str,
) -> Option<ColumnKind> {
    let kind = column.kind()?;
    let refers_to_key = || {
        table.foreign_keys.iter().filter(|fk| fk.from[0].eq_ignore_ascii_case(&column.name)).any(|fk| {
            catalog.table(&fk.table).is_some_and(|parent| {
                let primary_key = parent.primary_key();
                fk.to.is_empty() || (primary_key.len() == 1 && fk.to[0].eq_ignore_ascii_case(primary_key[0]))
            })
        })
    };
    let travels_as_uuid =
        kind == ColumnKind::Blob && (column.name.eq_ignore_ascii_case(key) || refers_to_key());
    Some(if travels_as_uuid { ColumnKind::Uuid } else { kind })
}
