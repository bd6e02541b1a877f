//! What PostgreSQL says of the tables that are to be registered, and what of it stands against that.
//!
//! Nothing is installed unless everything holds; all that does not is told at once, with the mend.

use super::connection::{Tx, text};
use super::failure::{PgError, PgResult};
use super::payload::{Column, ColumnKind};
use super::tables::{KeyType, Reference, Table, Tables};
use crate::config::{Registration, ServiceConfig};
use rowtide::protocol::validate::RESERVED_SCOPE_COLUMN as SCOPE;

/// Finds the tables; the catalog's numbers are not known yet.
pub(super) async fn discover(tx: &Tx, config: &ServiceConfig) -> PgResult<Tables> {
    let mut tables = Tables { schema: config.schema.clone(), list: Vec::new() };
    let mut faults = Vec::new();
    for registration in &config.tables {
        let table = discover_table(tx, config, registration, &mut faults).await?;
        tables.list.extend(table);
    }
    if !faults.is_empty() {
        return Err(PgError::Other(format!("the tables cannot be registered:\n  {}", faults.join("\n  "))));
    }
    tables.sort();
    Ok(tables)
}

async fn discover_table(
    tx: &Tx,
    config: &ServiceConfig,
    registration: &Registration,
    faults: &mut Vec<String>,
) -> PgResult<Option<Table>> {
    let (schema, name) = (&config.schema, &registration.table);
    let label = format!("{schema}.{name}");
    let kind = tx
        .optional(
            "SELECT c.relkind::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
             WHERE n.nspname = $1 AND c.relname = $2",
            &[text(schema), text(name)],
        )
        .await?;
    match kind.map(|row| row.get::<_, String>(0)).as_deref() {
        Some("r") => {}
        Some(_) => {
            faults.push(format!("{label} is not an ordinary table; register the tables behind it"));
            return Ok(None);
        }
        None => {
            faults.push(format!("{label} does not exist; create it, or do not register it"));
            return Ok(None);
        }
    }
    let columns = columns(tx, schema, name, faults).await?;
    let found = |wanted: &str| columns.iter().find(|(column, _)| column.name == wanted);
    match found(SCOPE) {
        None => faults.push(format!(
            "{label} lacks the column {SCOPE}; ALTER TABLE {label} ADD COLUMN {SCOPE} TEXT NOT NULL"
        )),
        Some((column, base)) if base != "text" || !column.not_null => faults.push(format!(
            "{label}.{SCOPE} must be TEXT NOT NULL; ALTER TABLE {label} ALTER COLUMN {SCOPE} TYPE TEXT, ALTER COLUMN {SCOPE} SET NOT NULL"
        )),
        Some(_) => {}
    }
    let key = &registration.key_column;
    let key_type = match found(key) {
        None => {
            faults.push(format!("{label} has no column {key}; register it with its key column"));
            return Ok(None);
        }
        Some((column, base)) => {
            if !column.not_null {
                faults.push(format!(
                    "{label}.{key} is a sync key and must be NOT NULL; ALTER TABLE {label} ALTER COLUMN {key} SET NOT NULL"
                ));
            }
            match base.as_str() {
                "uuid" => KeyType::Uuid,
                "text" => KeyType::Text,
                other => {
                    faults
                        .push(format!("{label}.{key} is a sync key of type {other}; keys are UUID or TEXT"));
                    return Ok(None);
                }
            }
        }
    };
    unique_indexes(tx, schema, name, key, faults).await?;
    let references = references(tx, config, name, faults).await?;
    foreign_triggers(tx, schema, name, faults).await?;
    let columns =
        columns.into_iter().map(|(column, _)| column).filter(|column| column.name != SCOPE).collect();
    Ok(Some(Table {
        id: 0,
        schema: schema.clone(),
        name: name.clone(),
        key_column: key.clone(),
        key_type,
        columns,
        references,
    }))
}

/// The columns with the names of their base types.
async fn columns(
    tx: &Tx,
    schema: &str,
    table: &str,
    faults: &mut Vec<String>,
) -> PgResult<Vec<(Column, String)>> {
    let rows = tx
        .rows(
            "SELECT a.attname::text, coalesce(b.typname, t.typname)::text, a.attnotnull OR t.typnotnull,
                    format_type(a.atttypid, -1), a.attgenerated <> '', a.attidentity = 'a'
             FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
             JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_type AS t ON t.oid = a.atttypid
             LEFT JOIN pg_type AS b ON t.typtype = 'd' AND b.oid = t.typbasetype
             WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            &[text(&schema), text(&table)],
        )
        .await?;
    let mut columns = Vec::new();
    for row in rows {
        let (name, base): (String, String) = (row.get(0), row.get(1));
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !name.bytes().all(plain) {
            faults
                .push(format!("{schema}.{table}: column {name:?} must be made of a-z, 0-9 and _; rename it"));
            continue;
        }
        if row.get(5) {
            faults.push(format!(
                "{schema}.{table}.{name} is GENERATED ALWAYS AS IDENTITY, which devices cannot write; \
                 ALTER TABLE {schema}.{table} ALTER COLUMN {name} SET GENERATED BY DEFAULT"
            ));
        }
        let kind = ColumnKind::of(&base);
        columns.push((
            Column { name, cast: row.get(3), kind, not_null: row.get(2), generated: row.get(4) },
            base,
        ));
    }
    Ok(columns)
}

async fn unique_indexes(
    tx: &Tx,
    schema: &str,
    table: &str,
    key: &str,
    faults: &mut Vec<String>,
) -> PgResult<()> {
    let rows = tx
        .rows(
            "SELECT ic.relname::text, i.indpred IS NOT NULL, i.indexprs IS NOT NULL,
                    ARRAY(SELECT coalesce(a.attname, '')::text FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k(num, at)
                          LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.num ORDER BY k.at)
             FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
             JOIN pg_class AS ic ON ic.oid = i.indexrelid
             WHERE n.nspname = $1 AND c.relname = $2 AND (i.indisunique OR i.indisexclusion) ORDER BY ic.relname",
            &[text(&schema), text(&table)],
        )
        .await?;
    let label = format!("{schema}.{table}");
    let mut has_key = false;
    for row in rows {
        let (name, columns): (String, Vec<String>) = (row.get(0), row.get(3));
        if row.get::<_, bool>(1) || row.get::<_, bool>(2) {
            faults.push(format!(
                "{label}: unique index {name} is partial or over an expression, which devices cannot know; drop it"
            ));
        } else if columns.first().is_none_or(|first| first != SCOPE) {
            faults.push(format!(
                "{label}: unique index {name} must begin with {SCOPE}, or users meet each other's rows; \
                 drop it and create it over ({SCOPE}, {})",
                columns.join(", ")
            ));
        }
        has_key |= columns == [SCOPE, key];
    }
    if !has_key {
        faults.push(format!(
            "{label} has no unique constraint on ({SCOPE}, {key}); ALTER TABLE {label} ADD UNIQUE ({SCOPE}, {key})"
        ));
    }
    Ok(())
}

async fn references(
    tx: &Tx,
    config: &ServiceConfig,
    table: &str,
    faults: &mut Vec<String>,
) -> PgResult<Vec<Reference>> {
    let names = |columns: &str, relation: &str| {
        format!(
            "ARRAY(SELECT a.attname::text FROM unnest({columns}) WITH ORDINALITY AS k(num, at)
                   JOIN pg_attribute AS a ON a.attrelid = {relation} AND a.attnum = k.num ORDER BY k.at)"
        )
    };
    let sql = format!(
        "SELECT f.conname::text, fn.nspname::text, fc.relname::text, f.condeferrable, f.confmatchtype::text,
                f.confdeltype::text, {}, {}, {}
         FROM pg_constraint AS f JOIN pg_class AS c ON c.oid = f.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
         JOIN pg_class AS fc ON fc.oid = f.confrelid JOIN pg_namespace AS fn ON fn.oid = fc.relnamespace
         WHERE f.contype = 'f' AND n.nspname = $1 AND c.relname = $2 ORDER BY f.conname",
        names("f.conkey", "f.conrelid"),
        names("f.confkey", "f.confrelid"),
        names("f.confdelsetcols", "f.conrelid"),
    );
    let schema = &config.schema;
    let label = format!("{schema}.{table}");
    let mut references = Vec::new();
    for row in tx.rows(&sql, &[text(schema), text(&table)]).await? {
        let (constraint, parent_schema, parent): (String, String, String) =
            (row.get(0), row.get(1), row.get(2));
        let (deferrable, matching, on_delete): (bool, String, String) = (row.get(3), row.get(4), row.get(5));
        let (columns, parent_columns, set): (Vec<String>, Vec<String>, Vec<String>) =
            (row.get(6), row.get(7), row.get(8));
        let fault = |text: &str| format!("{label}: foreign key {constraint} {text}");
        let parent_key = config.key_column(&parent).filter(|_| parent_schema == *schema);
        let Some(parent_key) = parent_key else {
            faults.push(fault(&format!(
                "refers to {parent_schema}.{parent}, which is not registered; register it, or drop the constraint"
            )));
            continue;
        };
        let scoped = columns.len() == 2 && columns[0] == SCOPE && parent_columns == [SCOPE, parent_key];
        if !scoped {
            faults.push(fault(&format!(
                "must be FOREIGN KEY ({SCOPE}, column) REFERENCES {schema}.{parent} ({SCOPE}, {parent_key}); drop it and add it so"
            )));
            continue;
        }
        let column = columns[1].clone();
        if !deferrable {
            faults.push(fault(&format!(
                "must be deferrable; ALTER TABLE {label} ALTER CONSTRAINT {constraint} DEFERRABLE INITIALLY DEFERRED"
            )));
        }
        if matching != "s" {
            faults.push(fault("must be MATCH SIMPLE; drop it and add it so"));
        }
        if matches!(on_delete.as_str(), "n" | "d") && set != [column.clone()] {
            faults.push(fault(&format!(
                "sets {SCOPE} to NULL or its default when a parent is deleted; add it with ON DELETE SET NULL ({column})"
            )));
        }
        references.push(Reference { constraint, column, parent });
    }
    Ok(references)
}

/// Triggers that another server of the protocol left behind would capture, or refuse, what this one writes.
async fn foreign_triggers(tx: &Tx, schema: &str, table: &str, faults: &mut Vec<String>) -> PgResult<()> {
    let rows = tx
        .rows(
            "SELECT g.tgname::text FROM pg_trigger AS g JOIN pg_class AS c ON c.oid = g.tgrelid
             JOIN pg_namespace AS n ON n.oid = c.relnamespace
             WHERE n.nspname = $1 AND c.relname = $2 AND g.tgname LIKE 'oversync\\_%'",
            &[text(&schema), text(&table)],
        )
        .await?;
    for row in rows {
        let name: String = row.get(0);
        faults.push(format!(
            "{schema}.{table}: trigger {name} is another server's; stop that server and DROP TRIGGER {name} ON {schema}.{table}"
        ));
    }
    Ok(())
}
