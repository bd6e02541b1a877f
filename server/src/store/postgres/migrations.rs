//! Layouts of the schema `rowtide`: each version from the one before, in one transaction.

use super::connection::{Tx, int4};
use super::failure::{PgError, PgResult};

/// The oldest PostgreSQL that has everything that is used (`ON DELETE SET NULL (column)`).
const OLDEST_SERVER: i32 = 150_000;

/// The statements that make each layout, the first one being 1.
const LAYOUTS: &[&[&str]] = &[
    &[include_str!("sql/001_tables.sql"), include_str!("sql/001_functions.sql")],
    &[include_str!("sql/002_capture_by_statement.sql")],
];

/// Serialises the start of several processes; ends with the transaction. The number is arbitrary, and never changes.
pub(super) async fn lock(tx: &Tx) -> PgResult<()> {
    tx.batch("SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(7239418834120576)").await
}

/// Brings the schema to the newest layout.
pub(super) async fn migrate(tx: &Tx) -> PgResult<()> {
    let version: i32 = tx.one("SELECT current_setting('server_version_num')::int4", &[]).await?.get(0);
    if version < OLDEST_SERVER {
        let text = format!("PostgreSQL {} is too old; use version 15 or newer", version / 10_000);
        return Err(PgError::Other(text));
    }
    tx.batch(
        "CREATE SCHEMA IF NOT EXISTS rowtide;
         CREATE TABLE IF NOT EXISTS rowtide.meta (
             singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton), layout_version integer NOT NULL);
         INSERT INTO rowtide.meta (layout_version) VALUES (0) ON CONFLICT DO NOTHING",
    )
    .await?;
    let found: i32 = tx.one("SELECT layout_version FROM rowtide.meta", &[]).await?.get(0);
    let known = i32::try_from(LAYOUTS.len()).unwrap_or(i32::MAX);
    if found > known {
        return Err(PgError::Other(format!(
            "the schema rowtide has layout {found}, this server knows layout {known}; run the newer server"
        )));
    }
    for layout in found..known {
        log::info!("the schema rowtide goes from layout {layout} to {}", layout + 1);
        let index = usize::try_from(layout).unwrap_or(0);
        for statements in LAYOUTS[index] {
            tx.batch(statements).await?;
        }
    }
    tx.execute("UPDATE rowtide.meta SET layout_version = $1 WHERE layout_version <> $1", &[int4(&known)])
        .await?;
    Ok(())
}
