//! Snapshot sessions: a frozen copy of the live rows, served by ordinal (`docs/protocol.md` section 7).

use super::Tables;
use super::push;
use super::scope::{self, StoredScope};
use crate::refusal::Refusal;
use crate::store::rules::{self, Replacement, rfc3339};
use crate::store::{Call, RowPage, SnapshotPage, StoreResult};
use crate::upload::write_snapshot_row;
use rowtide::protocol::ids::{BundleSeq, mint_uuid};
use rowtide::protocol::message::{SnapshotSession, SourceReplacement};
use rowtide::protocol::problem::ProblemCode;
use rowtide::simulation::{mutated, mutation::Mutation};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

/// Numbers of the tables that a snapshot is to be limited to, as a JSON array.
pub(super) fn wanted(known: &Tables, names: &[String]) -> StoreResult<String> {
    let number = |name: &String| {
        let found = known.list.iter().find(|table| format!("{}.{}", known.schema, table.name) == *name);
        found.map(|table| table.id.to_string()).ok_or_else(|| {
            Refusal::new(ProblemCode::SnapshotSessionInvalid, format!("table {name} is not registered"))
        })
    };
    let numbers = names.iter().map(number).collect::<Result<Vec<_>, _>>()?;
    Ok(format!("[{}]", numbers.join(",")))
}

/// Copies the live rows, of all tables or only some, into a new session, in SQL alone, and replaces the source where that is asked for.
pub(super) fn create(
    transaction: &Transaction<'_>,
    call: &Call,
    replacement: Option<&SourceReplacement>,
    tables: Option<&str>,
) -> StoreResult<SnapshotSession> {
    let Call { scope, source, now_ms, .. } = call;
    let found = scope::initialized(transaction, call)?;
    match replacement {
        Some(replacement) => replace_source(transaction, call, &found, replacement)?,
        None => rules::refuse_retired(scope, source, &push::source(transaction, found.id, source)?)?,
    }
    purge_expired(transaction, Some(found.id), *now_ms)?;
    let mut open = transaction.prepare_cached(
        "SELECT session_id FROM snapshots WHERE scope_id = ?1 ORDER BY expires_at DESC, session_id",
    )?;
    let open = open.query_map([found.id], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    for session in rules::beyond(open, call.limits.snapshot_sessions_per_user) {
        drop_session(transaction, session)?;
    }
    const LIMIT: &str = "(?2 IS NULL OR table_id IN (SELECT value FROM json_each(?2)))";
    let live = if mutated(Mutation::SnapshotMissesRows) {
        "row_version % 2 = 1 AND deleted = 0"
    } else {
        "deleted = 0"
    };
    let exact = scope.generation.accounts_snapshot_bytes();
    let row_bytes = if exact { "fixed_bytes + length(row_version)" } else { "octet_length(payload)" };
    let (row_count, byte_count, widest): (i64, i64, i64) = transaction.query_row(
        &format!(
            "SELECT count(*), ifnull(sum({row_bytes}), 0), ifnull(max({row_bytes}), 0) FROM rows
             WHERE scope_id = ?1 AND {live} AND {LIMIT}"
        ),
        params![found.id, tables],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    rules::check_widest_row(call, widest)?;
    let snapshot_id = mint_uuid();
    let expires_at = call.expires_at();
    transaction.execute(
        "INSERT INTO snapshots (snapshot_id, scope_id, source_id, bundle_seq, row_count, byte_count, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![snapshot_id, found.id, source.as_str(), found.latest.0, row_count, byte_count, expires_at],
    )?;
    transaction.execute(
        &format!(
            "INSERT INTO snapshot_rows (session_id, row_ordinal, table_id, key, row_version, payload)
             SELECT ?3, row_number() OVER (ORDER BY table_id, key) - 1, table_id, key, row_version, payload
             FROM rows WHERE scope_id = ?1 AND {live} AND {LIMIT}"
        ),
        params![found.id, tables, transaction.last_insert_rowid()],
    )?;
    Ok(SnapshotSession {
        snapshot_id,
        snapshot_bundle_seq: if mutated(Mutation::SnapshotTooNew) {
            found.latest.next()
        } else {
            found.latest
        },
        row_count,
        byte_count,
        expires_at: rfc3339(expires_at),
    })
}

/// Retires a source for a new one; the same pair again is the same answer.
fn replace_source(
    transaction: &Transaction<'_>,
    call: &Call,
    found: &StoredScope,
    replacement: &SourceReplacement,
) -> StoreResult<()> {
    let (old, new) = (&replacement.previous_source_id, &replacement.new_source_id);
    let previous = push::source(transaction, found.id, old)?;
    let next = push::source(transaction, found.id, new)?;
    if rules::check_replacement(call, replacement, &previous, &next)? == Replacement::Done {
        return Ok(());
    }
    transaction.execute(
        "INSERT INTO sources (scope_id, source_id, state, replaced_by) VALUES (?1, ?2, 'retired', ?3)
         ON CONFLICT (scope_id, source_id) DO UPDATE SET state = 'retired', replaced_by = ?3",
        params![found.id, old.as_str(), new.as_str()],
    )?;
    transaction.execute(
        "INSERT INTO sources (scope_id, source_id, state) VALUES (?1, ?2, 'reserved')",
        params![found.id, new.as_str()],
    )?;
    Ok(())
}

fn session(
    connection: &Connection,
    call: &Call,
    snapshot_id: &str,
) -> StoreResult<(i64, SnapshotSession, i64)> {
    let not_found = || rules::snapshot_not_found(snapshot_id);
    let found = scope::find(connection, &call.scope, call.now_ms)?.ok_or_else(not_found)?;
    let (id, owner, session, expires_at) = connection
        .prepare_cached(
            "SELECT session_id, source_id, bundle_seq, row_count, byte_count, expires_at FROM snapshots
             WHERE snapshot_id = ?1 AND scope_id = ?2",
        )?
        .query_row(params![snapshot_id, found.id], |row| {
            let expires_at: i64 = row.get(5)?;
            let session = SnapshotSession {
                snapshot_id: snapshot_id.to_owned(),
                snapshot_bundle_seq: BundleSeq(row.get(2)?),
                row_count: row.get(3)?,
                byte_count: row.get(4)?,
                expires_at: rfc3339(expires_at),
            };
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, session, expires_at))
        })
        .optional()?
        .ok_or_else(not_found)?;
    rules::check_snapshot_owner(call, snapshot_id, &owner)?;
    Ok((id, session, expires_at))
}

/// One chunk, bounded in rows and bytes. Where not even one row fits, GEN-B is told how much it needs.
pub(super) fn rows(
    connection: &Connection,
    tables: &Tables,
    call: &Call,
    snapshot_id: &str,
    after: i64,
    max_rows: i64,
    max_bytes: i64,
) -> StoreResult<SnapshotPage> {
    let (id, head, expires_at) = session(connection, call, snapshot_id)?;
    rules::check_snapshot_page(call, snapshot_id, expires_at, after, head.row_count)?;
    let mut statement = connection.prepare_cached(
        "SELECT table_id, key, row_version, payload FROM snapshot_rows
         WHERE session_id = ?1 AND row_ordinal >= ?2 ORDER BY row_ordinal LIMIT ?3",
    )?;
    let mut found = statement.query([id, after, max_rows])?;
    let (mut rows, mut object) = (String::from("["), String::new());
    let (mut count, mut bytes) = (0, 0);
    while let Some(row) = found.next()? {
        let table = tables.by_id(row.get(0)?)?;
        let key = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        let version = row.get::<_, i64>(2)?.to_string();
        let payload = row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?;
        object.clear();
        write_snapshot_row(
            &tables.schema,
            &table.name,
            &table.key_column,
            key,
            &version,
            payload,
            &mut object,
        );
        let size = i64::try_from(object.len()).unwrap_or(i64::MAX);
        if bytes + size > max_bytes {
            if count > 0 {
                break;
            }
            if call.scope.generation.accounts_snapshot_bytes() {
                return Err(rules::chunk_too_small(size).into());
            }
        }
        if count > 0 {
            rows.push(',');
        }
        rows.push_str(&object);
        count += 1;
        bytes += size;
    }
    rows.push(']');
    Ok(RowPage { has_more: after + count < head.row_count, head, rows, count, bytes })
}

/// Ends a session.
pub(super) fn delete(transaction: &Transaction<'_>, call: &Call, snapshot_id: &str) -> StoreResult<()> {
    let (id, ..) = session(transaction, call, snapshot_id)?;
    drop_session(transaction, id)
}

fn drop_session(transaction: &Transaction<'_>, id: i64) -> StoreResult<()> {
    transaction.execute("DELETE FROM snapshot_rows WHERE session_id = ?1", [id])?;
    transaction.execute("DELETE FROM snapshots WHERE session_id = ?1", [id])?;
    Ok(())
}

/// Deletes the sessions of a scope, or of all, that have expired.
pub(super) fn purge_expired(
    transaction: &Transaction<'_>,
    scope_id: Option<i64>,
    now_ms: i64,
) -> StoreResult<()> {
    let mut statement = transaction.prepare_cached(
        "SELECT session_id FROM snapshots WHERE scope_id = ifnull(?1, scope_id) AND expires_at <= ?2",
    )?;
    let expired = statement
        .query_map(params![scope_id, now_ms], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    for id in expired {
        drop_session(transaction, id)?;
    }
    Ok(())
}
