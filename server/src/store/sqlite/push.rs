//! Push sessions: create, stage, delete (`docs/protocol.md` section 4).

use super::Tables;
use super::scope::{self, StoredScope};
use crate::store::rules::{self, Source};
use crate::store::{Call, StagedRow, StoreResult};
use rowtide::protocol::ids::{BundleSeq, SourceBundleId, SourceId, mint_uuid};
use rowtide::protocol::message::{CommittedBundle, PushSessionReply, PushSessionRequest};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

/// Reads a source.
pub(super) fn source(connection: &Connection, scope_id: i64, source: &SourceId) -> StoreResult<Source> {
    let mut statement = connection.prepare_cached(
        "SELECT state, max_source_bundle_id, replaced_by FROM sources WHERE scope_id = ?1 AND source_id = ?2",
    )?;
    let found = statement.query_row(params![scope_id, source.as_str()], |row| {
        let replaced_by: Option<String> = row.get(2)?;
        Ok(Source {
            known: true,
            retired: row.get::<_, String>(0)? == "retired",
            max_bundle: row.get(1)?,
            replaced_by: replaced_by.as_deref().and_then(SourceId::parse),
        })
    });
    Ok(found.optional()?.unwrap_or_default())
}

/// Opens a session, or says that the bundle was committed before.
pub(super) fn create(
    transaction: &Transaction<'_>,
    call: &Call,
    request: &PushSessionRequest,
) -> StoreResult<PushSessionReply> {
    let Call { scope, source: id, now_ms, .. } = call;
    let found = scope::find(transaction, scope, *now_ms)?.ok_or_else(|| rules::uninitialized(scope))?;
    purge_expired(transaction, Some(found.id), *now_ms)?;
    // The committed tuple is looked up first, so a lost answer to the very commit that used up the lease is
    // recovered even by a client that still sends it.
    if let Some(bundle) = committed(transaction, &found, id, request.source_bundle_id)? {
        return Ok(PushSessionReply::AlreadyCommitted(bundle));
    }
    scope::check_lease(transaction, call, &found, request.initialization_id.as_deref())?;
    let known = source(transaction, found.id, id)?;
    rules::refuse_retired(scope, id, &known)?;
    rules::check_sequence(call, &known, request.source_bundle_id)?;
    let asked = request.source_bundle_id.0;
    let mut staging = transaction.prepare_cached(
        "SELECT session_id FROM push_sessions WHERE scope_id = ?1 AND source_id = ?2 AND source_bundle_id = ?3",
    )?;
    let stale = staging
        .query_map(params![found.id, id.as_str(), asked], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    for session in stale {
        drop_session(transaction, session)?;
    }
    let mut open = transaction.prepare_cached(
        "SELECT session_id FROM push_sessions WHERE scope_id = ?1 ORDER BY expires_at DESC, session_id",
    )?;
    let open = open.query_map([found.id], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    for session in rules::beyond(open, call.limits.push_sessions_per_user) {
        drop_session(transaction, session)?;
    }
    let push_id = mint_uuid();
    transaction.execute(
        "INSERT INTO push_sessions (push_id, scope_id, source_id, source_bundle_id, planned_row_count, lease_id,
                                    request_hash, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            push_id,
            found.id,
            id.as_str(),
            asked,
            request.planned_row_count,
            request.initialization_id,
            request.canonical_request_hash,
            call.expires_at()
        ],
    )?;
    Ok(PushSessionReply::Staging {
        push_id,
        planned_row_count: request.planned_row_count,
        next_expected_row_ordinal: 0,
        canonical_request_hash: request.canonical_request_hash.clone(),
    })
}

/// The bundle of a tuple, where it is retained.
fn committed(
    connection: &Connection,
    scope: &StoredScope,
    source: &SourceId,
    id: SourceBundleId,
) -> StoreResult<Option<CommittedBundle>> {
    let mut statement = connection.prepare_cached(
        "SELECT bundle_seq, row_count, bundle_hash, request_hash FROM bundles
         WHERE scope_id = ?1 AND source_id = ?2 AND source_bundle_id = ?3 AND bundle_seq > ?4",
    )?;
    let found = statement.query_row(params![scope.id, source.as_str(), id.0, scope.floor.0], |row| {
        Ok(CommittedBundle {
            bundle_seq: BundleSeq(row.get(0)?),
            source_id: source.clone(),
            source_bundle_id: id,
            row_count: row.get(1)?,
            bundle_hash: row.get(2)?,
            canonical_request_hash: row.get(3)?,
        })
    });
    Ok(found.optional()?)
}

/// A session of the caller.
#[derive(Debug)]
pub(super) struct PushSession {
    pub(super) id: i64,
    pub(super) source_bundle_id: SourceBundleId,
    pub(super) planned: i64,
    pub(super) staged: i64,
    pub(super) lease_id: Option<String>,
    pub(super) request_hash: Option<String>,
}

/// Finds a session; another user's does not exist, another source's is forbidden.
pub(super) fn session(
    connection: &Connection,
    call: &Call,
    scope_id: i64,
    push_id: &str,
) -> StoreResult<PushSession> {
    let mut statement = connection.prepare_cached(
        "SELECT session_id, source_id, source_bundle_id, planned_row_count, staged_rows, lease_id, request_hash, expires_at
         FROM push_sessions WHERE push_id = ?1 AND scope_id = ?2",
    )?;
    let found = statement
        .query_row(params![push_id, scope_id], |row| {
            let session = PushSession {
                id: row.get(0)?,
                source_bundle_id: SourceBundleId(row.get(2)?),
                planned: row.get(3)?,
                staged: row.get(4)?,
                lease_id: row.get(5)?,
                request_hash: row.get(6)?,
            };
            Ok((session, row.get::<_, String>(1)?, row.get::<_, i64>(7)?))
        })
        .optional()?;
    let (session, owner, expires_at) = found.ok_or_else(|| rules::push_session_not_found(push_id))?;
    rules::check_push_session(call, push_id, &owner, expires_at)?;
    Ok(session)
}

/// The scope of a session that is asked for; without one there is no session either.
pub(super) fn scope_of_session(
    connection: &Connection,
    call: &Call,
    push_id: &str,
) -> StoreResult<StoredScope> {
    Ok(scope::find(connection, &call.scope, call.now_ms)?
        .ok_or_else(|| rules::push_session_not_found(push_id))?)
}

/// Stages a chunk; answers the next ordinal.
pub(super) fn stage(
    transaction: &Transaction<'_>,
    tables: &Tables,
    call: &Call,
    push_id: &str,
    start: i64,
    rows: &[StagedRow],
) -> StoreResult<i64> {
    let found = scope_of_session(transaction, call, push_id)?;
    let session = session(transaction, call, found.id, push_id)?;
    scope::check_lease(transaction, call, &found, session.lease_id.as_deref())?;
    let end = rules::check_chunk(push_id, start, rows.len(), session.staged, session.planned)?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO push_rows (session_id, row_ordinal, table_id, key, op, base_row_version, fixed_bytes, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
    )?;
    for (ordinal, row) in (start..).zip(rows) {
        let table = tables.by_name(&row.table)?;
        let added = insert.execute(params![
            session.id,
            ordinal,
            table.id,
            row.key,
            row.op.as_str(),
            row.base.0,
            row.fixed_bytes,
            row.payload
        ])?;
        if added == 0 {
            return Err(rules::row_comes_twice(&tables.schema, &row.table).into());
        }
    }
    transaction.execute(
        "UPDATE push_sessions SET staged_rows = ?2, expires_at = ?3 WHERE session_id = ?1",
        [session.id, end, call.expires_at()],
    )?;
    Ok(end)
}

/// Abandons a session.
pub(super) fn delete(transaction: &Transaction<'_>, call: &Call, push_id: &str) -> StoreResult<()> {
    let found = scope_of_session(transaction, call, push_id)?;
    let session = session(transaction, call, found.id, push_id)?;
    drop_session(transaction, session.id)
}

/// Deletes a session and what it staged.
pub(super) fn drop_session(transaction: &Transaction<'_>, session: i64) -> StoreResult<()> {
    transaction.prepare_cached("DELETE FROM push_rows WHERE session_id = ?1")?.execute([session])?;
    transaction.prepare_cached("DELETE FROM push_sessions WHERE session_id = ?1")?.execute([session])?;
    Ok(())
}

/// Deletes the sessions of a scope, or of all, that have expired.
pub(super) fn purge_expired(
    transaction: &Transaction<'_>,
    scope_id: Option<i64>,
    now_ms: i64,
) -> StoreResult<()> {
    let mut statement = transaction.prepare_cached(
        "SELECT session_id FROM push_sessions WHERE scope_id = ifnull(?1, scope_id) AND expires_at <= ?2",
    )?;
    let expired = statement
        .query_map(params![scope_id, now_ms], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    for session in expired {
        drop_session(transaction, session)?;
    }
    Ok(())
}
