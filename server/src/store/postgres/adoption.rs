//! Rows that were in a table before it was registered become the first bundle of their users, or the next one.

use super::connection::{Access, Connections, Tx, int4, text};
use super::failure::PgResult;
use super::scope;
use super::tables::{Table, Tables};
use crate::store::StoreError;
use std::sync::Arc;
use uuid::Uuid;

/// Adopts what is not adopted yet, a user in a transaction. What was interrupted goes on at the next start.
pub(super) async fn adopt(connections: &Connections, tables: &Arc<Tables>) -> Result<(), StoreError> {
    let tables_of_work = tables.clone();
    let users = connections
        .run(Access::Read, move |tx| {
            let tables = tables_of_work.clone();
            Box::pin(async move { users(tx, &tables).await })
        })
        .await?;
    for user in users {
        let tables = tables.clone();
        let _turn = connections.turn(&user).await;
        connections
            .run(Access::Write, move |tx| {
                let (tables, user) = (tables.clone(), user.clone());
                Box::pin(async move { adopt_rows(tx, &tables, &user).await })
            })
            .await?;
    }
    let tables = tables.clone();
    connections
        .run(Access::Write, move |tx| {
            let tables = tables.clone();
            Box::pin(async move {
                for table in &tables.list {
                    let sql =
                        "UPDATE rowtide.table_catalog SET adopted = true WHERE table_id = $1 AND NOT adopted";
                    tx.execute(sql, &[int4(&table.id)]).await?;
                }
                Ok(())
            })
        })
        .await
}

async fn is_adopted(tx: &Tx, table: &Table) -> PgResult<bool> {
    let sql = "SELECT adopted FROM rowtide.table_catalog WHERE table_id = $1";
    Ok(tx.one(sql, &[int4(&table.id)]).await?.get(0))
}

/// Rows that are in no bundle.
fn unknown_rows(table: &Table) -> String {
    format!(
        "{} AS t WHERE NOT EXISTS (SELECT FROM rowtide.row_state AS r
             WHERE r.user_id = t._sync_scope_id AND r.table_id = {} AND r.key = t.{}::text)",
        table.qualified(),
        table.id,
        table.key()
    )
}

async fn users(tx: &Tx, tables: &Tables) -> PgResult<Vec<String>> {
    let mut users = std::collections::BTreeSet::new();
    for table in &tables.list {
        if !is_adopted(tx, table).await? {
            let sql = format!("SELECT DISTINCT t._sync_scope_id FROM {}", unknown_rows(table));
            users.extend(tx.rows(&sql, &[]).await?.into_iter().map(|row| row.get::<_, String>(0)));
        }
    }
    Ok(users.into_iter().collect())
}

async fn adopt_rows(tx: &Tx, tables: &Tables, user: &str) -> PgResult<()> {
    scope::lock(tx, user).await?;
    let mut rows = 0;
    for table in &tables.list {
        if !is_adopted(tx, table).await? {
            let captured = tx
                .optional(
                    &format!(
                        "INSERT INTO rowtide.bundle_capture (user_id, table_id, op, keys)
                         SELECT $1, {id}, 0, array_agg(t.{key}::text ORDER BY t.{key}) FROM {unknown} AND t._sync_scope_id = $1
                         HAVING count(*) > 0 RETURNING cardinality(keys)",
                        id = table.id,
                        key = table.key(),
                        unknown = unknown_rows(table),
                    ),
                    &[text(&user)],
                )
                .await?;
            rows += captured.map_or(0, |row| row.get::<_, i32>(0));
        }
    }
    if rows > 0 {
        let source = format!("rowtide-adoption:{}", Uuid::new_v4());
        let sql = "SELECT sealed_seq FROM rowtide.seal_bundle($1, NULL, $2, 1, NULL, NULL)";
        let seq: i64 = tx.one(sql, &[text(&user), text(&source)]).await?.get(0);
        log::info!("{rows} rows that were there before are bundle {seq} of their user");
    }
    Ok(())
}
