//! Registers the discovered tables: stable numbers in the catalog, guards and capture triggers on the tables.

use super::connection::{Tx, int4, text};
use super::failure::{PgError, PgResult};
use super::payload::quoted;
use super::tables::{Table, Tables};
use rowtide::protocol::profile::WireGeneration;

/// Gives every table its number and its triggers. Both stay as they are where nothing changed.
pub(super) async fn register(tx: &Tx, tables: &mut Tables) -> PgResult<()> {
    for table in &mut tables.list {
        table.id = number(tx, table).await?;
        install_triggers(tx, table).await?;
    }
    Ok(())
}

async fn number(tx: &Tx, table: &Table) -> PgResult<i32> {
    let payload = table.payload_sql(WireGeneration::A);
    let key_type = table.key_type.as_str();
    let row = tx
        .one(
            "INSERT INTO rowtide.table_catalog (schema_name, table_name, key_column, key_type, payload_sql)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (schema_name, table_name) DO UPDATE SET payload_sql = excluded.payload_sql
             RETURNING table_id, key_column, key_type",
            &[
                text(&table.schema),
                text(&table.name),
                text(&table.key_column),
                text(&key_type),
                text(&payload),
            ],
        )
        .await?;
    let (column, kind): (String, String) = (row.get(1), row.get(2));
    if column != table.key_column || kind != key_type {
        return Err(PgError::Other(format!(
            "table {}.{} is stored with key column {column} of type {kind} and registered with {} of type {key_type}; \
             register it as stored",
            table.schema, table.name, table.key_column
        )));
    }
    Ok(row.get(0))
}

async fn install_triggers(tx: &Tx, table: &Table) -> PgResult<()> {
    let statements = triggers_sql(table);
    let installed: bool = tx
        .one(
            "SELECT c.triggers_sql = $2 AND 8 = (
                 SELECT count(*) FROM pg_trigger AS g JOIN pg_class AS t ON t.oid = g.tgrelid
                 JOIN pg_namespace AS n ON n.oid = t.relnamespace
                 WHERE n.nspname = c.schema_name AND t.relname = c.table_name AND g.tgname LIKE 'rowtide\\_%' AND g.tgenabled <> 'D')
             FROM rowtide.table_catalog AS c WHERE c.table_id = $1",
            &[int4(&table.id), text(&statements)],
        )
        .await?
        .get(0);
    if installed {
        return Ok(());
    }
    tx.batch(&statements).await?;
    let sql = "UPDATE rowtide.table_catalog SET triggers_sql = $2 WHERE table_id = $1";
    tx.execute(sql, &[int4(&table.id), text(&statements)]).await?;
    Ok(())
}

/// Capture writes table, operation and keys only, a statement at a time; the rows are read when the bundle is sealed.
fn triggers_sql(table: &Table) -> String {
    let (id, name, key) = (table.id, table.qualified(), quoted(&table.key_column));
    let function = |operation: &str, changed: &str, body: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION rowtide.capture_{id}_{operation}() RETURNS trigger
             LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
             DECLARE who text;
             BEGIN
                 IF current_setting('rowtide.maintenance', true) = 'on' THEN RETURN NULL; END IF;
                 who := rowtide.bundle_user();
                 IF EXISTS (SELECT FROM {changed} AS r WHERE r._sync_scope_id IS DISTINCT FROM who) THEN
                     RAISE EXCEPTION 'a bundle writes rows of its own user only'
                         USING ERRCODE = 'RT001', HINT = 'Name the user in WHERE, and leave out _sync_scope_id in INSERT.';
                 END IF;
                 {body}
                 RETURN NULL;
             END $$;"
        )
    };
    // One row a statement, whatever it touches; none where it touches nothing.
    let capture = |op: u8, keys: &str| {
        format!(
            "INSERT INTO rowtide.bundle_capture (user_id, table_id, op, keys)
             SELECT who, {id}, {op}, array_agg(r.{key}::text) FROM {keys} HAVING count(*) > 0;"
        )
    };
    let insert = function("insert", "new_rows", &capture(0, "new_rows AS r"));
    let delete = function("delete", "old_rows", &capture(2, "old_rows AS r"));
    // A change of key is a delete and an insert.
    let missing = |from: &str, of: &str| {
        format!("{from} AS r WHERE NOT EXISTS (SELECT FROM {of} AS other WHERE other.{key} = r.{key})")
    };
    let update = [
        capture(2, &missing("old_rows", "new_rows")),
        capture(0, &missing("new_rows", "old_rows")),
        capture(1, &format!("new_rows AS r JOIN old_rows AS o ON o.{key} = r.{key}")),
    ]
    .join(" ");
    let both = "(SELECT _sync_scope_id FROM old_rows UNION ALL SELECT _sync_scope_id FROM new_rows)";
    let update = function("update", both, &update);
    let trigger = |trigger: &str, when: &str, what: &str| {
        format!(
            "DROP TRIGGER IF EXISTS rowtide_{trigger} ON {name};
             CREATE TRIGGER rowtide_{trigger} {when} ON {name} {what};"
        )
    };
    let guard = "FOR EACH STATEMENT EXECUTE FUNCTION rowtide.guard_write()";
    let captured = |transition: &str, operation: &str| {
        format!(
            "REFERENCING {transition} FOR EACH STATEMENT EXECUTE FUNCTION rowtide.capture_{id}_{operation}()"
        )
    };
    [
        insert,
        update,
        delete,
        trigger("guard_insert", "BEFORE INSERT", guard),
        trigger("guard_update", "BEFORE UPDATE", guard),
        trigger("guard_delete", "BEFORE DELETE", guard),
        trigger(
            "guard_truncate",
            "BEFORE TRUNCATE",
            "FOR EACH STATEMENT EXECUTE FUNCTION rowtide.guard_truncate()",
        ),
        trigger(
            "fill_scope",
            "BEFORE INSERT",
            "FOR EACH ROW WHEN (NEW._sync_scope_id IS NULL) EXECUTE FUNCTION rowtide.fill_scope()",
        ),
        trigger("capture_insert", "AFTER INSERT", &captured("NEW TABLE AS new_rows", "insert")),
        trigger(
            "capture_update",
            "AFTER UPDATE",
            &captured("OLD TABLE AS old_rows NEW TABLE AS new_rows", "update"),
        ),
        trigger("capture_delete", "AFTER DELETE", &captured("OLD TABLE AS old_rows", "delete")),
    ]
    .join("\n")
}
