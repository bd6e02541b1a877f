//! What the last step of a snapshot has to look at, found beforehand on a reader, slice by slice: the lock is then held
//! for what differs, not for what there is (design D7).
//!
//! A row that was found equal, and of the snapshot's version, stays out for good. Only one operation of the flow runs at a
//! time, so until the last step it can only be changed by the app; it is dirty then, and a dirty row of the
//! snapshot's own version is met by nothing.

use super::error::Result;
use super::{rows, stage};
use crate::protocol::profile::WireGeneration;
use crate::protocol::value::SqlValue;
use crate::schema::{ManagedSchema, ManagedTable, TableId};
use rusqlite::{Connection, Transaction, params};

/// Rows that one slice looks at, at most. A progressive download writes them in one transaction, and the app's writes wait
/// for that long.
const SLICE: usize = 500;
/// Sorts before every key: keys are text or bytes.
const FIRST: SqlValue = SqlValue::Integer(i64::MIN);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Rows of the stage.
    Staged,
    /// Rows that the server had and the stage lacks; tombstones stay.
    Missing,
}

/// Where a slice begins.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    table: usize,
    side: Side,
    after: SqlValue,
}

impl Place {
    /// Before everything.
    pub(crate) fn first() -> Self {
        Self { table: 0, side: Side::Staged, after: FIRST }
    }

    fn next_side(&self) -> Self {
        match self.side {
            Side::Staged => Self { table: self.table, side: Side::Missing, after: FIRST },
            Side::Missing => Self { table: self.table + 1, side: Side::Staged, after: FIRST },
        }
    }
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Slice {
    /// Keys of rows that differ, in the order in which they may be written.
    pub(crate) keys: Vec<(TableId, SqlValue)>,
    /// Rows that were looked at.
    pub(crate) rows: i64,
    /// Where the next slice begins; `None` after the last one.
    pub(crate) next: Option<Place>,
}

/// Looks at the slice at a place; tables that are not among `only` are passed over.
pub(crate) fn find(
    connection: &Connection,
    schema: &ManagedSchema,
    generation: WireGeneration,
    only: Option<&[TableId]>,
    place: &Place,
) -> Result<Slice> {
    let Some(table) = schema.tables.get(place.table) else {
        return Ok(Slice { keys: Vec::new(), rows: 0, next: None });
    };
    let (mut keys, mut visited, mut last) = (Vec::new(), 0, None);
    if only.is_none_or(|only| only.contains(&table.id)) {
        let mut statement = connection.prepare_cached(match place.side {
            Side::Staged => {
                "SELECT g.key, g.row_version = s.row_version, g.payload FROM _rowtide_stage AS g
                 LEFT JOIN _rowtide_row_state AS s ON s.table_id = g.table_id AND s.key = g.key
                 WHERE g.table_id = ?1 AND g.key > ?2 ORDER BY g.key LIMIT ?3"
            }
            Side::Missing => {
                "SELECT s.key, NULL, NULL FROM _rowtide_row_state AS s
                 WHERE s.table_id = ?1 AND s.key > ?2 AND s.deleted = 0
                   AND NOT EXISTS (SELECT 1 FROM _rowtide_stage AS g
                                   WHERE g.table_id = s.table_id AND g.key = s.key)
                 ORDER BY s.key LIMIT ?3"
            }
        })?;
        let mut found = statement.query(params![table.id.0, place.after, SLICE as i64])?;
        while let Some(row) = found.next()? {
            let key = rows::key(row, 0)?;
            let same_version: Option<bool> = row.get(1)?;
            let equal = same_version == Some(true) && {
                let payload = row.get_ref(2)?.as_str_or_null().map_err(rusqlite::Error::from)?;
                let server = stage::decode(generation, schema, table, &key, payload)?;
                rows::read(connection, table, &key)? == Some(server.values)
            };
            visited += 1;
            last = Some(key.clone());
            if !equal {
                keys.push((table.id, key));
            }
        }
    }
    let next = match last.filter(|_| visited == SLICE) {
        Some(after) => Place { after, ..place.clone() },
        None => place.next_side(),
    };
    Ok(Slice { keys, rows: visited as i64, next: Some(next) })
}

/// Forgets all differences.
pub(crate) fn clear(transaction: &Transaction<'_>) -> Result<()> {
    transaction.execute("DELETE FROM _rowtide_differences", [])?;
    Ok(())
}

/// Notes differences.
pub(crate) fn add(transaction: &Transaction<'_>, keys: &[(TableId, SqlValue)]) -> Result<()> {
    let mut statement = transaction
        .prepare_cached("INSERT OR IGNORE INTO _rowtide_differences (table_id, key) VALUES (?1, ?2)")?;
    for (table, key) in keys {
        statement.execute(params![table.0, key])?;
    }
    Ok(())
}

/// Takes differences back.
pub(crate) fn remove(transaction: &Transaction<'_>, keys: &[(TableId, SqlValue)]) -> Result<()> {
    let mut statement =
        transaction.prepare_cached("DELETE FROM _rowtide_differences WHERE table_id = ?1 AND key = ?2")?;
    for (table, key) in keys {
        statement.execute(params![table.0, key])?;
    }
    Ok(())
}

/// A slice of the noted differences of a table, after a key.
pub(crate) fn slice(
    connection: &Connection,
    table: &ManagedTable,
    after: Option<&SqlValue>,
) -> Result<Vec<(TableId, SqlValue)>> {
    let mut statement = connection.prepare_cached(
        "SELECT key FROM _rowtide_differences WHERE table_id = ?1 AND key > ?2 ORDER BY key LIMIT ?3",
    )?;
    let found = statement
        .query_map(params![table.id.0, after.unwrap_or(&FIRST), SLICE as i64], |row| rows::key(row, 0))?;
    Ok(found.map(|key| Ok((table.id, key?))).collect::<rusqlite::Result<_>>()?)
}

/// Rows of a table that the server once had and the snapshot lacks, of those that were noted.
pub(crate) fn missing(transaction: &Transaction<'_>, table: &ManagedTable) -> Result<Vec<SqlValue>> {
    let mut statement = transaction.prepare_cached(
        "SELECT d.key FROM _rowtide_differences AS d
         CROSS JOIN _rowtide_row_state AS s ON s.table_id = d.table_id AND s.key = d.key
         WHERE d.table_id = ?1
           AND NOT EXISTS (SELECT 1 FROM _rowtide_stage AS g WHERE g.table_id = d.table_id AND g.key = d.key)",
    )?;
    let keys = statement.query_map([table.id.0], |row| rows::key(row, 0))?;
    Ok(keys.collect::<rusqlite::Result<_>>()?)
}
