//! Boundaries of local transactions: what was written together is refused together, and rows know since when
//! they wait.

use super::error::Result;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

/// Number of the newest local change.
fn newest_change(connection: &Connection) -> Result<i64> {
    Ok(connection
        .prepare_cached(
            "SELECT changes_coalesced + ifnull((SELECT max(seq) FROM _rowtide_change_log), 0)
             FROM _rowtide_attachment",
        )?
        .query_row([], |row| row.get(0))?)
}

/// Where a host's transaction begins; `None` in a database that no client has opened.
pub(crate) fn begin(connection: &Connection, managed: bool) -> Result<Option<i64>> {
    if managed { newest_change(connection).map(Some) } else { Ok(None) }
}

/// Records a host's transaction whose first change followed `before`, if it changed managed rows.
pub(crate) fn record(transaction: &Connection, before: Option<i64>, now_ms: i64) -> Result<()> {
    let Some(before) = before else { return Ok(()) };
    let newest = newest_change(transaction)?;
    if newest > before {
        transaction
            .prepare_cached(
                "INSERT INTO _rowtide_commits (last_change, first_change, committed_at) VALUES (?1, ?2, ?3)",
            )?
            .execute([newest, before + 1, now_ms])?;
    }
    Ok(())
}

/// The changes of the transaction that made a change, first and last; `None` where that was not recorded.
pub(super) fn around(connection: &Connection, change: i64) -> Result<Option<(i64, i64)>> {
    let mut statement = connection.prepare_cached(
        "SELECT first_change, last_change FROM _rowtide_commits
         WHERE last_change >= ?1 ORDER BY last_change LIMIT 1",
    )?;
    let found: Option<(i64, i64)> =
        statement.query_row(params![change], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(found.filter(|(first, _)| *first <= change))
}

/// Forgets the boundaries of what nobody waits for any more.
pub(crate) fn forget_settled(transaction: &Transaction<'_>) -> Result<()> {
    transaction
        .prepare_cached(
            "DELETE FROM _rowtide_commits WHERE last_change < (
                 SELECT min(change) FROM (
                     SELECT min(first_change) AS change FROM _rowtide_dirty_rows
                     UNION ALL SELECT min(first_change) FROM _rowtide_outbox_rows
                     UNION ALL SELECT changes_coalesced + 1 FROM _rowtide_attachment
                 ))",
        )?
        .execute([])?;
    Ok(())
}
