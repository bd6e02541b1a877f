//! Rows of a session whose base is not what the store has (`docs/protocol.md` section 11).

use super::connection::{Tx, text, texts};
use super::failure::{PgError, PgResult};
use super::push;
use super::tables::Tables;
use crate::refusal::Refusal;
use crate::store::Call;
use rowtide::protocol::ids::RowVersion;
use rowtide::protocol::problem::Conflict;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};

/// More conflicts than this are not looked for: a client rebases on everything that moved.
const MOST: i64 = 1_000;

/// A refusal that names the conflicts, in ordinal order; none where every base is right.
pub(super) async fn find(tx: &Tx, tables: &Tables, call: &Call, push_id: &str) -> PgResult<Option<Refusal>> {
    let user = &call.scope.user;
    let rows = tx
        .rows(
            &format!(
                "SELECT p.table_id, p.key, p.op, p.base_row_version, coalesce(r.row_version, 0), coalesce(r.deleted, false)
                 FROM rowtide.push_rows AS p
                 LEFT JOIN LATERAL (
                     SELECT * FROM rowtide.row_state AS s WHERE s.user_id = $1 AND s.table_id = p.table_id AND s.key = p.key OFFSET 0
                 ) AS r ON true
                 WHERE p.user_id = $1 AND p.push_id = $2 AND NOT CASE
                     WHEN p.op = 'INSERT' AND r.key IS NULL THEN p.base_row_version = 0
                     WHEN p.op = 'INSERT' THEN r.deleted AND r.row_version = p.base_row_version
                     ELSE r.key IS NOT NULL AND NOT r.deleted AND r.row_version = p.base_row_version END
                 ORDER BY p.row_ordinal LIMIT {MOST}"
            ),
            &[text(user), text(&push_id)],
        )
        .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut live: BTreeMap<i32, Vec<&str>> = BTreeMap::new();
    for row in &rows {
        if row.get::<_, i64>(4) > 0 && !row.get::<_, bool>(5) {
            live.entry(row.get(0)).or_default().push(row.get(1));
        }
    }
    let mut payloads = HashMap::new();
    for (id, keys) in live {
        let table = tables.by_id(id)?;
        let sql = format!(
            "SELECT t.{key}::text, {payload} FROM {table} AS t WHERE t._sync_scope_id = $1 AND t.{key} = ANY ($2::{cast}[])",
            key = table.key(),
            payload = table.payload_sql(call.scope.generation),
            table = table.qualified(),
            cast = table.key_type.as_str(),
        );
        for row in tx.rows(&sql, &[text(user), texts(&keys)]).await? {
            payloads.insert((id, row.get::<_, String>(0)), row.get::<_, String>(1));
        }
    }
    let mut conflicts = Vec::new();
    for row in &rows {
        let table = tables.by_id(row.get(0))?;
        let key: String = row.get(1);
        let server_row = payloads.remove(&(table.id, key.clone())).map(RawValue::from_string).transpose();
        let server_row = server_row.map_err(|_| PgError::Other("a stored payload is not JSON".into()))?;
        conflicts.push(Conflict {
            schema: tables.schema.clone(),
            table: table.name.clone(),
            key: table.wire_key(key),
            op: push::op(row.get(2))?,
            base_row_version: RowVersion(row.get(3)),
            server_row_version: RowVersion(row.get(4)),
            server_row_deleted: row.get(5),
            server_row,
        });
    }
    Ok(Some(Refusal::conflicts(conflicts)))
}
