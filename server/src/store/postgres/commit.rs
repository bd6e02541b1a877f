//! Commit: one transaction that makes a bundle, or refuses all of it (`docs/protocol.md` sections 4 and 11).
//!
//! The rows are written table by table and operation by operation, a statement each: updates, then deletes, children
//! first, then inserts, parents first. A key that moves between rows finds its place free in this order, and a row
//! that leaves a parent has left it before the parent goes.

use super::connection::{Tx, int8, text};
use super::failure::PgResult;
use super::push::{self, PushSession};
use super::refused;
use super::tables::{Table, Tables};
use super::{conflicts, scope};
use crate::refusal::Refusal;
use crate::store::Call;
use crate::store::rules;
use futures_util::TryStreamExt;
use rowtide::protocol::hash::{BundleHasher, HashedRow};
use rowtide::protocol::ids::{BundleSeq, RowVersion};
use rowtide::protocol::message::{CommittedBundle, RowOp};
use rowtide::protocol::problem::ProblemCode;

/// Commits a session. The inner error is a refusal whose side effect (the end of a session that can never be
/// committed) is kept.
pub(super) async fn commit(
    tx: &Tx,
    tables: &Tables,
    call: &Call,
    push_id: &str,
) -> PgResult<Result<CommittedBundle, Refusal>> {
    let user = &call.scope.user;
    let found = scope::find_locked(tx, call).await?.ok_or_else(|| rules::push_session_not_found(push_id))?;
    let session = push::session(tx, call, push_id).await?;
    scope::check_lease(tx, call, &found, session.lease_id.as_deref()).await?;
    let known = scope::source(tx, call, &call.source).await?;
    rules::check_commit(call, &known, session.source_bundle_id, session.staged, session.planned)?;
    let refusal = match conflicts::find(tx, tables, call, push_id).await? {
        Some(refusal) => Some(refusal),
        None => wrong_hash(tx, tables, call, push_id, &session).await?,
    };
    let refusal = match refusal {
        Some(refusal) => Some(refusal),
        None => write(tx, tables, call, push_id, &session).await?,
    };
    if let Some(refusal) = refusal {
        push::drop_session(tx, user, push_id).await?;
        return Ok(Err(refusal));
    }
    let row = tx
        .one(
            "SELECT sealed_seq, sealed_rows, sealed_widest FROM rowtide.seal_bundle($1, $2, $3, $4, $5, $6)",
            &[
                text(user),
                text(&push_id),
                text(&call.source.as_str()),
                int8(&session.source_bundle_id.0),
                text(&call.scope.generation.as_str()),
                text(&session.request_hash),
            ],
        )
        .await?;
    let (bundle_seq, row_count) = (BundleSeq(row.get(0)), row.get::<_, i64>(1));
    if row_count == 0 {
        let text = "the bundle changes nothing";
        return Err(Refusal::new(ProblemCode::PushCommitInvalid, text).into());
    }
    if let Some(refusal) = refused::by_size(tx, tables, call, bundle_seq, row.get(2)).await? {
        tx.batch("ROLLBACK TO bundle").await?;
        push::drop_session(tx, user, push_id).await?;
        return Ok(Err(refusal));
    }
    let bundle_hash = push::bundle_hash(tx, tables, call, bundle_seq).await?;
    let sql = "UPDATE rowtide.bundle_log SET bundle_hash = $3 WHERE user_id = $1 AND bundle_seq = $2";
    tx.execute(sql, &[text(user), int8(&bundle_seq.0), text(&bundle_hash)]).await?;
    push::drop_session(tx, user, push_id).await?;
    if let Some(floor) = rules::floor_after(call, bundle_seq, found.floor) {
        scope::prune(tx, user, floor).await?;
    }
    Ok(Ok(CommittedBundle {
        bundle_seq,
        source_id: call.source.clone(),
        source_bundle_id: session.source_bundle_id,
        row_count,
        bundle_hash,
        canonical_request_hash: session.request_hash,
    }))
}

/// Compares what was staged with the hash that the session was created with.
async fn wrong_hash(
    tx: &Tx,
    tables: &Tables,
    call: &Call,
    push_id: &str,
    session: &PushSession,
) -> PgResult<Option<Refusal>> {
    let Some(expected) = &session.request_hash else { return Ok(None) };
    let mut hasher = BundleHasher::new(call.scope.generation);
    let sql = "SELECT table_id, key, op, base_row_version, payload::text FROM rowtide.push_rows
               WHERE user_id = $1 AND push_id = $2 ORDER BY row_ordinal";
    let mut rows = std::pin::pin!(tx.stream(sql, &[text(&call.scope.user), text(&push_id)]).await?);
    while let Some(row) = rows.try_next().await? {
        let table = tables.by_id(row.get(0))?;
        let hashed = HashedRow {
            schema: &tables.schema,
            table: &table.name,
            key_column: &table.key_column,
            key: row.get(1),
            op: push::op(row.get(2))?,
            payload: row.get(4),
        };
        hasher.request_row(&hashed, RowVersion(row.get(3))).map_err(push::not_json)?;
    }
    Ok((hasher.finish() != *expected).then(rules::wrong_request_hash))
}

/// One statement of a commit.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) table: &'a Table,
    pub(super) op: RowOp,
    /// Columns that the payloads lack, with commas.
    pub(super) missing: String,
}

impl Step<'_> {
    /// Writes the step's rows up to an ordinal; answers how many there were.
    pub(super) async fn run(&self, tx: &Tx, user: &str, push_id: &str, until: i64) -> PgResult<u64> {
        let sql = self.table.apply_sql(self.op, &self.missing);
        tx.execute(&sql, &[text(&user), text(&push_id), text(&self.missing), int8(&until)]).await
    }

    /// Whether a run left out none of its rows. A delete may: a cascade was faster.
    pub(super) fn wrote_all(&self, written: u64, staged: usize) -> bool {
        self.op == RowOp::Delete || usize::try_from(written).is_ok_and(|written| written >= staged)
    }
}

/// The steps of a session, in their order.
async fn steps<'a>(
    tx: &Tx,
    tables: &'a Tables,
    user: &str,
    push_id: &str,
) -> PgResult<Vec<(Step<'a>, usize)>> {
    let rows = tx
        .rows(
            "SELECT table_id, op, missing, count(*) FROM rowtide.push_rows WHERE user_id = $1 AND push_id = $2
             GROUP BY table_id, op, missing ORDER BY missing",
            &[text(&user), text(&push_id)],
        )
        .await?;
    let mut steps = Vec::new();
    for row in rows {
        let step = Step { table: tables.by_id(row.get(0))?, op: push::op(row.get(1))?, missing: row.get(2) };
        steps.push((step, usize::try_from(row.get::<_, i64>(3)).unwrap_or(usize::MAX)));
    }
    let place = |(step, _): &(Step<'_>, usize)| {
        let depth = tables.list.iter().position(|table| table.id == step.table.id).unwrap_or(0);
        match step.op {
            RowOp::Update => (0, depth),
            RowOp::Delete => (1, tables.list.len() - depth),
            RowOp::Insert => (2, depth),
        }
    };
    steps.sort_by_key(place);
    Ok(steps)
}

/// Writes the rows into their tables; a row that PostgreSQL does not take is a refusal, and nothing is written.
async fn write(
    tx: &Tx,
    tables: &Tables,
    call: &Call,
    push_id: &str,
    session: &PushSession,
) -> PgResult<Option<Refusal>> {
    let user = &call.scope.user;
    let steps = steps(tx, tables, user, push_id).await?;
    tx.batch("SAVEPOINT bundle").await?;
    open_bundle(tx, call, session).await?;
    for (index, (step, staged)) in steps.iter().enumerate() {
        let fault = match step.run(tx, user, push_id, i64::MAX).await {
            Ok(written) if step.wrote_all(written, *staged) => continue,
            Ok(_) => refused::NOT_WRITTEN.to_owned(),
            Err(error) => match error.fault_of_a_row() {
                Some(fault) => fault,
                None => return Err(error),
            },
        };
        tx.batch("ROLLBACK TO bundle").await?;
        open_bundle(tx, call, session).await?;
        for (done, _) in &steps[..index] {
            done.run(tx, user, push_id, i64::MAX).await?;
        }
        let refusal = refused::by_statement(tx, step, user, push_id, fault).await?;
        tx.batch("ROLLBACK TO bundle").await?;
        return Ok(Some(refusal));
    }
    if let Err(error) = tx.batch("SAVEPOINT written; SET CONSTRAINTS ALL IMMEDIATE").await {
        let Some(fault) = error.fault_of_a_row() else { return Err(error) };
        tx.batch("ROLLBACK TO written").await?;
        let refusal = match error.broken_reference() {
            Some(constraint) => refused::by_reference(tx, tables, user, push_id, constraint).await?,
            None => None,
        };
        tx.batch("ROLLBACK TO bundle").await?;
        let unnamed = || {
            let text = format!("the bundle does not hold together: {fault}");
            Refusal::new(ProblemCode::PushCommitInvalid, text)
        };
        return Ok(Some(refusal.unwrap_or_else(unnamed)));
    }
    Ok(None)
}

/// Lets the triggers take what follows for this bundle's.
async fn open_bundle(tx: &Tx, call: &Call, session: &PushSession) -> PgResult<()> {
    tx.execute(
        "INSERT INTO rowtide.open_bundle (user_id, source_id, source_bundle_id, seal_at_commit)
         SELECT set_config('rowtide.bundle_user', $1, true), $2, $3, false",
        &[text(&call.scope.user), text(&call.source.as_str()), int8(&session.source_bundle_id.0)],
    )
    .await?;
    tx.batch("SET CONSTRAINTS ALL DEFERRED").await
}
