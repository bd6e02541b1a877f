//! Push sessions: create, stage, delete (`docs/protocol.md` section 4).

use super::connection::{Tx, int8, text, texts};
use super::failure::{PgError, PgResult};
use super::scope;
use super::tables::Tables;
use crate::store::rules::{self, ScopeState};
use crate::store::{Call, StagedRow};
use rowtide::protocol::hash::{BundleHasher, HashedRow};
use rowtide::protocol::ids::{BundleSeq, SourceBundleId};
use rowtide::protocol::message::{CommittedBundle, PushSessionReply, PushSessionRequest};
use std::collections::HashSet;
use tokio_postgres::types::Type;
use uuid::Uuid;

/// Opens a session, or says that the bundle was committed before.
pub(super) async fn create(
    tx: &Tx,
    tables: &Tables,
    call: &Call,
    request: &PushSessionRequest,
) -> PgResult<PushSessionReply> {
    let user = &call.scope.user;
    let source_id = call.source.as_str();
    let found = scope::find_locked(tx, call).await?.ok_or_else(|| rules::uninitialized(&call.scope))?;
    purge_expired(tx, user, call.now_ms).await?;
    // The committed tuple is looked up first, so a lost answer to the very commit that used up the lease is
    // recovered even by a client that still sends it.
    if let Some(bundle) = committed(tx, tables, call, &found, request.source_bundle_id).await? {
        return Ok(PushSessionReply::AlreadyCommitted(bundle));
    }
    scope::check_lease(tx, call, &found, request.initialization_id.as_deref()).await?;
    let known = scope::source(tx, call, &call.source).await?;
    rules::refuse_retired(&call.scope, &call.source, &known)?;
    rules::check_sequence(call, &known, request.source_bundle_id)?;
    // A source has one bundle at a time: what it staged before is given up.
    let stale = tx
        .rows(
            "SELECT push_id FROM rowtide.push_sessions WHERE user_id = $1 AND source_id = $2",
            &[text(user), text(&source_id)],
        )
        .await?;
    for row in stale {
        drop_session(tx, user, row.get(0)).await?;
    }
    let open = tx
        .rows(
            "SELECT push_id FROM rowtide.push_sessions WHERE user_id = $1 ORDER BY expires_at DESC, push_id",
            &[text(user)],
        )
        .await?;
    for row in rules::beyond(open, call.limits.push_sessions_per_user) {
        drop_session(tx, user, row.get(0)).await?;
    }
    let push_id = Uuid::new_v4().to_string();
    tx.execute(
        "INSERT INTO rowtide.push_sessions (user_id, push_id, source_id, source_bundle_id, planned_row_count, lease_id,
                                            request_hash, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            text(user),
            text(&push_id),
            text(&source_id),
            int8(&request.source_bundle_id.0),
            int8(&request.planned_row_count),
            text(&request.initialization_id),
            text(&request.canonical_request_hash),
            int8(&call.expires_at()),
        ],
    )
    .await?;
    Ok(PushSessionReply::Staging {
        push_id,
        planned_row_count: request.planned_row_count,
        next_expected_row_ordinal: 0,
        canonical_request_hash: request.canonical_request_hash.clone(),
    })
}

/// The bundle of a tuple, where it is retained.
async fn committed(
    tx: &Tx,
    tables: &Tables,
    call: &Call,
    found: &ScopeState,
    id: SourceBundleId,
) -> PgResult<Option<CommittedBundle>> {
    let row = tx
        .optional(
            "SELECT bundle_seq, row_count, bundle_hash, request_hash, generation FROM rowtide.bundle_log
             WHERE user_id = $1 AND source_id = $2 AND source_bundle_id = $3 AND bundle_seq > $4",
            &[text(&call.scope.user), text(&call.source.as_str()), int8(&id.0), int8(&found.floor.0)],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let bundle_seq = BundleSeq(row.get(0));
    let bundle_hash = match (row.get(2), row.get::<_, Option<&str>>(4)) {
        (Some(hash), Some(generation)) if generation == call.scope.generation.as_str() => hash,
        _ => bundle_hash(tx, tables, call, bundle_seq).await?,
    };
    Ok(Some(CommittedBundle {
        bundle_seq,
        source_id: call.source.clone(),
        source_bundle_id: id,
        row_count: row.get(1),
        bundle_hash,
        canonical_request_hash: row.get(3),
    }))
}

/// Computes a bundle's hash from its rows, as the caller's generation has it.
pub(super) async fn bundle_hash(tx: &Tx, tables: &Tables, call: &Call, seq: BundleSeq) -> PgResult<String> {
    use futures_util::TryStreamExt;
    let mut hasher = BundleHasher::new(call.scope.generation);
    let sql = "SELECT table_id, key, op, payload FROM rowtide.bundle_rows
               WHERE user_id = $1 AND bundle_seq = $2 ORDER BY row_ordinal";
    let mut rows = std::pin::pin!(tx.stream(sql, &[text(&call.scope.user), int8(&seq.0)]).await?);
    while let Some(row) = rows.try_next().await? {
        add_to_hash(&mut hasher, tables, call, &row, seq)?;
    }
    Ok(hasher.finish())
}

/// Adds a row of the columns table, key, op and payload.
pub(super) fn add_to_hash(
    hasher: &mut BundleHasher,
    tables: &Tables,
    call: &Call,
    row: &tokio_postgres::Row,
    seq: BundleSeq,
) -> PgResult<()> {
    let table = tables.by_id(row.get(0))?;
    let payload: Option<&str> = row.get(3);
    let payload = payload.map(|payload| super::payload::in_generation(payload, call.scope.generation));
    let hashed = HashedRow {
        schema: &tables.schema,
        table: &table.name,
        key_column: &table.key_column,
        key: row.get(1),
        op: op(row.get(2))?,
        payload: payload.as_deref(),
    };
    hasher.committed_row(&hashed, seq.into()).map_err(not_json)
}

pub(super) fn not_json(_: serde_json::Error) -> PgError {
    PgError::Other("a stored payload is not JSON".into())
}

pub(super) fn op(text: &str) -> PgResult<rowtide::protocol::message::RowOp> {
    let parsed = rowtide::protocol::message::RowOp::parse(text);
    parsed.ok_or_else(|| PgError::Other("a stored operation is none".into()))
}

/// A session of the caller.
#[derive(Debug)]
pub(super) struct PushSession {
    pub(super) source_bundle_id: SourceBundleId,
    pub(super) planned: i64,
    pub(super) staged: i64,
    pub(super) lease_id: Option<String>,
    pub(super) request_hash: Option<String>,
}

/// Finds a session; another user's does not exist, another source's is forbidden.
pub(super) async fn session(tx: &Tx, call: &Call, push_id: &str) -> PgResult<PushSession> {
    let row = tx
        .optional(
            "SELECT source_bundle_id, planned_row_count, staged_rows, lease_id, request_hash, source_id, expires_at
             FROM rowtide.push_sessions WHERE user_id = $1 AND push_id = $2",
            &[text(&call.scope.user), text(&push_id)],
        )
        .await?
        .ok_or_else(|| rules::push_session_not_found(push_id))?;
    rules::check_push_session(call, push_id, row.get(5), row.get(6))?;
    Ok(PushSession {
        source_bundle_id: SourceBundleId(row.get(0)),
        planned: row.get(1),
        staged: row.get(2),
        lease_id: row.get(3),
        request_hash: row.get(4),
    })
}

/// Stages a chunk with one statement; answers the next ordinal.
pub(super) async fn stage(
    tx: &Tx,
    tables: &Tables,
    call: &Call,
    push_id: &str,
    start: i64,
    rows: &[StagedRow],
) -> PgResult<i64> {
    let user = &call.scope.user;
    let found = scope::find_locked(tx, call).await?.ok_or_else(|| rules::push_session_not_found(push_id))?;
    let session = session(tx, call, push_id).await?;
    scope::check_lease(tx, call, &found, session.lease_id.as_deref()).await?;
    let end = rules::check_chunk(push_id, start, rows.len(), session.staged, session.planned)?;
    let mut staged = Columns::default();
    for row in rows {
        let table = tables.by_name(&row.table)?;
        staged.missing.push(table.check_upload(row)?);
        staged.tables.push(table.id);
        staged.keys.push(&row.key);
        staged.ops.push(row.op.as_str());
        staged.bases.push(row.base.0);
        staged.payloads.push(row.payload.as_deref());
    }
    tx.batch("SAVEPOINT staging").await?;
    match insert(tx, user, push_id, start, &staged, Twice::Fails).await {
        Ok(_) => {}
        Err(error) if error.is_unique_violation() => {
            tx.batch("ROLLBACK TO staging").await?;
            let landed = insert(tx, user, push_id, start, &staged, Twice::IsLeftOut).await?;
            let twice = (start..).zip(rows).find(|(ordinal, _)| !landed.contains(ordinal));
            let table = twice.map_or("", |(_, row)| row.table.as_str());
            return Err(rules::row_comes_twice(&tables.schema, table).into());
        }
        Err(error) if error.fault_of_a_row().is_some() => {
            tx.batch("ROLLBACK TO staging").await?;
            return Err(unreadable_row(tx, tables, rows, error).await?);
        }
        Err(error) => return Err(error),
    }
    tx.execute(
        "UPDATE rowtide.push_sessions SET staged_rows = $3, expires_at = $4 WHERE user_id = $1 AND push_id = $2",
        &[text(user), text(&push_id), int8(&end), int8(&call.expires_at())],
    )
    .await?;
    Ok(end)
}

/// What becomes of a row that comes twice in a session.
#[derive(Debug, Clone, Copy)]
enum Twice {
    /// The statement fails, which costs nothing where no row does.
    Fails,
    IsLeftOut,
}

/// Inserts the rows of a chunk; answers the ordinals that were inserted where some may be left out.
async fn insert(
    tx: &Tx,
    user: &str,
    push_id: &str,
    start: i64,
    staged: &Columns<'_>,
    twice: Twice,
) -> PgResult<HashSet<i64>> {
    let twice = match twice {
        Twice::Fails => "",
        Twice::IsLeftOut => "ON CONFLICT DO NOTHING RETURNING row_ordinal",
    };
    let sql = format!(
        "INSERT INTO rowtide.push_rows (user_id, push_id, row_ordinal, table_id, key, op, base_row_version, missing, payload)
         SELECT $1, $2, $3 + r.at - 1, r.table_id, r.key, r.op, r.base, r.missing, r.payload::jsonb
         FROM unnest($4::int4[], $5::text[], $6::text[], $7::int8[], $8::text[], $9::text[])
             WITH ORDINALITY AS r (table_id, key, op, base, missing, payload, at) {twice}"
    );
    let inserted = tx
        .rows(
            &sql,
            &[
                text(&user),
                text(&push_id),
                int8(&start),
                (&staged.tables, Type::INT4_ARRAY),
                texts(&staged.keys),
                texts(&staged.ops),
                (&staged.bases, Type::INT8_ARRAY),
                texts(&staged.missing),
                texts(&staged.payloads),
            ],
        )
        .await?;
    Ok(inserted.iter().map(|row| row.get(0)).collect())
}

#[derive(Default)]
struct Columns<'a> {
    tables: Vec<i32>,
    keys: Vec<&'a str>,
    ops: Vec<&'a str>,
    bases: Vec<i64>,
    missing: Vec<String>,
    payloads: Vec<Option<&'a str>>,
}

/// Names the row whose payload PostgreSQL does not read, such as text with U+0000.
async fn unreadable_row(tx: &Tx, tables: &Tables, rows: &[StagedRow], error: PgError) -> PgResult<PgError> {
    for row in rows {
        let Some(payload) = &row.payload else { continue };
        tx.batch("SAVEPOINT reading").await?;
        let Err(error) = tx.one("SELECT length($1::jsonb::text)", &[text(payload)]).await else { continue };
        let Some(fault) = error.fault_of_a_row() else { return Err(error) };
        return Ok(tables.by_name(&row.table)?.refuse(&row.key, &fault).into());
    }
    Ok(error)
}

/// Abandons a session.
pub(super) async fn delete(tx: &Tx, call: &Call, push_id: &str) -> PgResult<()> {
    session(tx, call, push_id).await?;
    drop_session(tx, &call.scope.user, push_id).await
}

/// Deletes a session and what it staged.
pub(super) async fn drop_session(tx: &Tx, user: &str, push_id: &str) -> PgResult<()> {
    for sql in [
        "DELETE FROM rowtide.push_rows WHERE user_id = $1 AND push_id = $2",
        "DELETE FROM rowtide.push_sessions WHERE user_id = $1 AND push_id = $2",
    ] {
        tx.execute(sql, &[text(&user), text(&push_id)]).await?;
    }
    Ok(())
}

/// Deletes a user's sessions that have expired.
pub(super) async fn purge_expired(tx: &Tx, user: &str, now_ms: i64) -> PgResult<()> {
    let sql = "SELECT push_id FROM rowtide.push_sessions WHERE user_id = $1 AND expires_at <= $2";
    for row in tx.rows(sql, &[text(&user), int8(&now_ms)]).await? {
        drop_session(tx, user, row.get(0)).await?;
    }
    Ok(())
}
