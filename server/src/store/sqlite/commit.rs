//! Commit: one transaction that makes a bundle, or refuses all of it (`docs/protocol.md` sections 4 and 11).

use super::Tables;
use super::push::{self, PushSession};
use super::scope::{self, StoredScope};
use crate::refusal::Refusal;
use crate::store::rules;
use crate::store::{Call, Scope, StoreError, StoreResult};
use rowtide::protocol::hash::{BundleHasher, HashedRow};
use rowtide::protocol::ids::{BundleSeq, RowVersion, SourceId};
use rowtide::protocol::message::{CommittedBundle, RowOp, WireKey};
use rowtide::protocol::problem::Conflict;
use rowtide::simulation::{mutated, mutation::Mutation};
use rusqlite::{Row, Transaction, params};
use serde_json::value::RawValue;

/// Commits a session. The inner error is a refusal whose side effect (the end of a session that can never be
/// committed) is kept.
pub(super) fn commit(
    transaction: &Transaction<'_>,
    tables: &Tables,
    call: &Call,
    push_id: &str,
) -> StoreResult<Result<CommittedBundle, Refusal>> {
    let Call { scope, source, .. } = call;
    let found = push::scope_of_session(transaction, call, push_id)?;
    let session = push::session(transaction, call, found.id, push_id)?;
    scope::check_lease(transaction, call, &found, session.lease_id.as_deref())?;
    let known = push::source(transaction, found.id, source)?;
    rules::check_commit(call, &known, session.source_bundle_id, session.staged, session.planned)?;
    let conflicts = conflicts(transaction, tables, &found, &session)?;
    if !conflicts.is_empty() && !mutated(Mutation::ConflictOverlooked) {
        push::drop_session(transaction, session.id)?;
        return Ok(Err(Refusal::conflicts(conflicts)));
    }
    let seq = found.latest.next();
    let hashes = hash(transaction, tables, scope, &session, seq)?;
    if session.request_hash.as_ref().is_some_and(|expected| *expected != hashes.request) {
        push::drop_session(transaction, session.id)?;
        return Ok(Err(rules::wrong_request_hash()));
    }
    write(transaction, &found, source, &session, seq, &hashes)?;
    push::drop_session(transaction, session.id)?;
    if let Some(floor) = rules::floor_after(call, seq, found.floor) {
        scope::prune(transaction, found.id, floor)?;
    }
    Ok(Ok(CommittedBundle {
        bundle_seq: seq,
        source_id: source.clone(),
        source_bundle_id: session.source_bundle_id,
        row_count: session.planned,
        bundle_hash: hashes.bundle,
        canonical_request_hash: session.request_hash,
    }))
}

/// The rows, in ordinal order, whose base is not what the store has.
fn conflicts(
    transaction: &Transaction<'_>,
    tables: &Tables,
    scope: &StoredScope,
    session: &PushSession,
) -> StoreResult<Vec<Conflict>> {
    let mut statement = transaction.prepare_cached(
        "SELECT p.table_id, p.key, p.op, p.base_row_version, ifnull(r.row_version, 0), ifnull(r.deleted, 0), r.payload
         FROM push_rows AS p
         LEFT JOIN rows AS r ON r.scope_id = ?1 AND r.table_id = p.table_id AND r.key = p.key
         WHERE p.session_id = ?2 AND NOT CASE
             WHEN p.op = 'INSERT' AND r.key IS NULL THEN p.base_row_version = 0
             WHEN p.op = 'INSERT' THEN r.deleted = 1 AND r.row_version = p.base_row_version
             ELSE r.key IS NOT NULL AND r.deleted = 0 AND r.row_version = p.base_row_version END
         ORDER BY p.row_ordinal LIMIT 1000",
    )?;
    let mut rows = statement.query([scope.id, session.id])?;
    let mut conflicts = Vec::new();
    while let Some(row) = rows.next()? {
        let table = tables.by_id(row.get(0)?)?;
        let deleted: bool = row.get(5)?;
        let payload: Option<String> = row.get(6)?;
        let server_row = payload
            .filter(|_| !deleted)
            .map(RawValue::from_string)
            .transpose()
            .map_err(|_| StoreError::Failed("a stored payload is not JSON".into()))?;
        conflicts.push(Conflict {
            schema: tables.schema.clone(),
            table: table.name.clone(),
            key: WireKey { column: table.key_column.clone().into(), value: row.get::<_, String>(1)?.into() },
            op: op(row, 2)?,
            base_row_version: RowVersion(row.get(3)?),
            server_row_version: RowVersion(row.get(4)?),
            server_row_deleted: deleted,
            server_row,
        });
    }
    Ok(conflicts)
}

pub(super) fn op(row: &Row<'_>, index: usize) -> rusqlite::Result<RowOp> {
    row.get_ref(index)?.as_str().ok().and_then(RowOp::parse).ok_or(rusqlite::Error::InvalidQuery)
}

struct Hashes {
    request: String,
    bundle: String,
    bytes: i64,
}

/// Both hashes in one walk over the staged rows.
fn hash(
    transaction: &Transaction<'_>,
    tables: &Tables,
    scope: &Scope,
    session: &PushSession,
    seq: BundleSeq,
) -> StoreResult<Hashes> {
    let mut request = BundleHasher::new(scope.generation);
    let mut bundle = BundleHasher::new(scope.generation);
    let mut bytes = 0;
    let mut statement = transaction.prepare_cached(
        "SELECT table_id, key, op, base_row_version, payload FROM push_rows WHERE session_id = ?1 ORDER BY row_ordinal",
    )?;
    let mut rows = statement.query([session.id])?;
    let not_json = |_| StoreError::Failed("a staged payload is not JSON".into());
    while let Some(row) = rows.next()? {
        let table = tables.by_id(row.get(0)?)?;
        let payload = row.get_ref(4)?.as_str_or_null().map_err(rusqlite::Error::from)?;
        let hashed = HashedRow {
            schema: &tables.schema,
            table: &table.name,
            key_column: &table.key_column,
            key: row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?,
            op: op(row, 2)?,
            payload,
        };
        if session.request_hash.is_some() {
            request.request_row(&hashed, RowVersion(row.get(3)?)).map_err(not_json)?;
        }
        bundle.committed_row(&hashed, seq.into()).map_err(not_json)?;
        bytes += i64::try_from(payload.map_or(0, str::len)).unwrap_or(i64::MAX);
    }
    Ok(Hashes { request: request.finish(), bundle: bundle.finish(), bytes })
}

fn write(
    transaction: &Transaction<'_>,
    scope: &StoredScope,
    source: &SourceId,
    session: &PushSession,
    seq: BundleSeq,
    hashes: &Hashes,
) -> StoreResult<()> {
    let version = if mutated(Mutation::VersionBehind) { (seq.0 - 1).max(1) } else { seq.0 };
    let parameters = [scope.id, version, session.id];
    transaction.execute(
        "INSERT INTO rows (scope_id, table_id, key, row_version, deleted, fixed_bytes, payload)
         SELECT ?1, table_id, key, ?2, op = 'DELETE', fixed_bytes, payload FROM push_rows WHERE session_id = ?3
         ON CONFLICT (scope_id, table_id, key) DO UPDATE SET row_version = excluded.row_version,
             deleted = excluded.deleted, fixed_bytes = excluded.fixed_bytes, payload = excluded.payload",
        parameters,
    )?;
    if mutated(Mutation::TombstoneLives) {
        transaction.execute("UPDATE rows SET deleted = 0, payload = ifnull(payload, '{}')", [])?;
    }
    let parameters = [scope.id, seq.0, session.id];
    transaction.execute(
        "INSERT INTO bundle_rows (scope_id, bundle_seq, row_ordinal, table_id, key, op, payload)
         SELECT ?1, ?2, row_ordinal, table_id, key, op, payload FROM push_rows WHERE session_id = ?3",
        parameters,
    )?;
    transaction.execute(
        "INSERT INTO bundles (scope_id, bundle_seq, source_id, source_bundle_id, row_count, byte_count, bundle_hash, request_hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            scope.id,
            seq.0,
            source.as_str(),
            session.source_bundle_id.0,
            session.planned,
            hashes.bytes,
            hashes.bundle,
            session.request_hash
        ],
    )?;
    transaction.execute(
        "INSERT INTO sources (scope_id, source_id, state, max_source_bundle_id) VALUES (?1, ?2, 'active', ?3)
         ON CONFLICT (scope_id, source_id) DO UPDATE SET state = 'active', max_source_bundle_id = ?3",
        params![scope.id, source.as_str(), session.source_bundle_id.0],
    )?;
    transaction.execute(
        "UPDATE scopes SET initialized = 1, lease_id = NULL, lease_source = NULL, latest_bundle_seq = ?2
         WHERE scope_id = ?1",
        [scope.id, seq.0],
    )?;
    if mutated(Mutation::SeedNotEnded) {
        transaction.execute("UPDATE scopes SET initialized = 0 WHERE scope_id = ?1", [scope.id])?;
    }
    Ok(())
}
