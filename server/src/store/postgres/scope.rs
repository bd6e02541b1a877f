//! A user's scope, sources and floor (`docs/protocol.md` section 3).

use super::connection::{Tx, int8, text};
use super::failure::PgResult;
use super::tables::Tables;
use crate::store::rules::{self, Connected, Lease, Replacement, ScopeState, Source};
use crate::store::{Call, StoreStatus};
use rowtide::protocol::ids::{BundleSeq, SourceId};
use rowtide::protocol::message::{ConnectResponse, SourceReplacement};
use tokio_postgres::Row;

const STATE: &str =
    "SELECT initialized, lease_id, lease_source, lease_expires_at, latest_bundle_seq, retained_floor
                     FROM rowtide.user_state WHERE user_id = $1";

fn state(row: &Row, now_ms: i64) -> ScopeState {
    ScopeState {
        initialized: row.get(0),
        lease: Lease::current(row.get(1), row.get(2), row.get(3), now_ms),
        latest: BundleSeq(row.get(4)),
        floor: BundleSeq(row.get(5)),
    }
}

/// Reads a scope; an expired lease is none.
pub(super) async fn find(tx: &Tx, call: &Call) -> PgResult<Option<ScopeState>> {
    let row = tx.optional(STATE, &[text(&call.scope.user)]).await?;
    Ok(row.map(|row| state(&row, call.now_ms)))
}

/// Reads a scope and holds it until the transaction ends: a user's writers follow one another.
pub(super) async fn find_locked(tx: &Tx, call: &Call) -> PgResult<Option<ScopeState>> {
    let row = tx.optional(&format!("{STATE} FOR UPDATE"), &[text(&call.scope.user)]).await?;
    Ok(row.map(|row| state(&row, call.now_ms)))
}

/// Creates the scope where there is none, and holds it.
pub(super) async fn lock(tx: &Tx, user: &str) -> PgResult<()> {
    tx.execute("INSERT INTO rowtide.user_state (user_id) VALUES ($1) ON CONFLICT DO NOTHING", &[text(&user)])
        .await?;
    tx.one("SELECT 1 FROM rowtide.user_state WHERE user_id = $1 FOR UPDATE", &[text(&user)]).await?;
    Ok(())
}

/// Reads a scope that must be initialised.
pub(super) async fn initialized(tx: &Tx, call: &Call) -> PgResult<ScopeState> {
    let found = find(tx, call).await?;
    rules::require_initialized(&call.scope, found.as_ref())?;
    Ok(found.ok_or_else(|| rules::uninitialized(&call.scope))?)
}

pub(super) async fn connect(tx: &Tx, call: &Call, pending: bool) -> PgResult<ConnectResponse> {
    let user = &call.scope.user;
    lock(tx, user).await?;
    let found = find(tx, call).await?.unwrap_or_default();
    match rules::connect(call, &found, pending) {
        Connected::Unchanged(answer) => Ok(answer),
        Connected::Initialize(answer) => {
            let sql = "UPDATE rowtide.user_state SET initialized = true, lease_id = NULL, lease_source = NULL WHERE user_id = $1";
            tx.execute(sql, &[text(user)]).await?;
            Ok(answer)
        }
        Connected::Lease(lease, answer) => {
            let sql = "UPDATE rowtide.user_state SET lease_id = $2, lease_source = $3, lease_expires_at = $4 WHERE user_id = $1";
            tx.execute(sql, &[text(user), text(&lease.id), text(&lease.source), int8(&lease.expires_at)])
                .await?;
            Ok(answer)
        }
    }
}

/// Checks the lease that a push carries, and refreshes it.
pub(super) async fn check_lease(
    tx: &Tx,
    call: &Call,
    found: &ScopeState,
    lease_id: Option<&str>,
) -> PgResult<()> {
    if rules::check_lease(call, found, lease_id)? {
        let sql = "UPDATE rowtide.user_state SET lease_expires_at = $2 WHERE user_id = $1";
        tx.execute(sql, &[text(&call.scope.user), int8(&call.expires_at())]).await?;
    }
    Ok(())
}

/// Reads a source.
pub(super) async fn source(tx: &Tx, call: &Call, source: &SourceId) -> PgResult<Source> {
    let sql = "SELECT state = 'retired', max_source_bundle_id, replaced_by FROM rowtide.source_state
               WHERE user_id = $1 AND source_id = $2";
    let row = tx.optional(sql, &[text(&call.scope.user), text(&source.as_str())]).await?;
    Ok(row.map_or_else(Source::default, |row| {
        let replaced_by: Option<String> = row.get(2);
        Source {
            known: true,
            retired: row.get(0),
            max_bundle: row.get(1),
            replaced_by: replaced_by.as_deref().and_then(SourceId::parse),
        }
    }))
}

/// Retires a source for a new one; the same pair again is the same answer.
pub(super) async fn replace_source(tx: &Tx, call: &Call, replacement: &SourceReplacement) -> PgResult<()> {
    let user = &call.scope.user;
    let (old, new) = (&replacement.previous_source_id, &replacement.new_source_id);
    let previous = source(tx, call, old).await?;
    let next = source(tx, call, new).await?;
    if rules::check_replacement(call, replacement, &previous, &next)? == Replacement::Done {
        return Ok(());
    }
    let (old, new) = (old.as_str(), new.as_str());
    tx.execute(
        "INSERT INTO rowtide.source_state (user_id, source_id, state, replaced_by) VALUES ($1, $2, 'retired', $3)
         ON CONFLICT (user_id, source_id) DO UPDATE SET state = 'retired', replaced_by = excluded.replaced_by",
        &[text(user), text(&old), text(&new)],
    )
    .await?;
    let sql = "INSERT INTO rowtide.source_state (user_id, source_id, state) VALUES ($1, $2, 'reserved')";
    tx.execute(sql, &[text(user), text(&new)]).await?;
    Ok(())
}

/// Prunes history up to a floor; row versions and source numbering stay. Answers whether there is such a user.
pub(super) async fn set_floor(tx: &Tx, user: &str, floor: BundleSeq) -> PgResult<bool> {
    let row = tx.optional(&format!("{STATE} FOR UPDATE"), &[text(&user)]).await?;
    let Some(found) = row.map(|row| state(&row, 0)) else { return Ok(false) };
    prune(tx, user, floor.min(found.latest).max(found.floor)).await?;
    Ok(true)
}

/// Some of the users with sessions that have expired.
pub(super) async fn with_expired_sessions(tx: &Tx, now_ms: i64) -> PgResult<Vec<String>> {
    let sql = "SELECT user_id FROM rowtide.push_sessions WHERE expires_at <= $1
               UNION SELECT user_id FROM rowtide.snapshot_sessions WHERE expires_at <= $1 LIMIT 100";
    Ok(tx.rows(sql, &[int8(&now_ms)]).await?.iter().map(|row| row.get(0)).collect())
}

/// Deletes bundles up to and with `floor`.
pub(super) async fn prune(tx: &Tx, user: &str, floor: BundleSeq) -> PgResult<()> {
    for sql in [
        "DELETE FROM rowtide.bundle_rows WHERE user_id = $1 AND bundle_seq <= $2",
        "DELETE FROM rowtide.bundle_log WHERE user_id = $1 AND bundle_seq <= $2",
        "UPDATE rowtide.user_state SET retained_floor = $2 WHERE user_id = $1",
    ] {
        tx.execute(sql, &[text(&user), int8(&floor.0)]).await?;
    }
    Ok(())
}

pub(super) async fn status(tx: &Tx) -> PgResult<StoreStatus> {
    let bundles =
        tx.one("SELECT count(*), coalesce(sum(byte_count), 0)::int8 FROM rowtide.bundle_log", &[]).await?;
    let users = tx
        .one(
            "SELECT coalesce(max(latest_bundle_seq), 0), coalesce(min(retained_floor), 0), coalesce(max(retained_floor), 0)
             FROM rowtide.user_state",
            &[],
        )
        .await?;
    Ok(StoreStatus {
        committed_bundles: bundles.get(0),
        committed_bytes: bundles.get(1),
        latest_bundle_seq_max: users.get(0),
        floor_min: users.get(1),
        floor_max: users.get(2),
    })
}

/// Deletes everything of every user, business rows and all; the numbers of the tables stay.
pub(super) async fn reset(tx: &Tx, tables: &Tables) -> PgResult<()> {
    tx.batch("SET CONSTRAINTS ALL DEFERRED; SELECT set_config('rowtide.maintenance', 'on', true)").await?;
    for table in tables.list.iter().rev() {
        tx.batch(&format!("DELETE FROM {}", table.qualified())).await?;
    }
    tx.batch(
        "DELETE FROM rowtide.snapshot_rows; DELETE FROM rowtide.snapshot_sessions; DELETE FROM rowtide.push_rows;
         DELETE FROM rowtide.push_sessions; DELETE FROM rowtide.bundle_rows; DELETE FROM rowtide.bundle_log;
         DELETE FROM rowtide.row_state; DELETE FROM rowtide.source_state; DELETE FROM rowtide.user_state",
    )
    .await
}
