//! A user's scope: uninitialised, being initialised under a lease, initialised (`docs/protocol.md` section 3).

use crate::store::rules::{self, Connected, Lease, ScopeState};
use crate::store::{Call, Scope, StoreResult, StoreStatus};
use rowtide::protocol::ids::BundleSeq;
use rowtide::protocol::message::ConnectResponse;
use rowtide::simulation::{mutated, mutation::Mutation};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

/// A stored scope.
#[derive(Debug, Clone)]
pub(super) struct StoredScope {
    pub(super) id: i64,
    pub(super) state: ScopeState,
}

impl std::ops::Deref for StoredScope {
    type Target = ScopeState;
    fn deref(&self) -> &ScopeState {
        &self.state
    }
}

/// Reads a scope; an expired lease is none.
pub(super) fn find(connection: &Connection, scope: &Scope, now_ms: i64) -> StoreResult<Option<StoredScope>> {
    let mut statement = connection.prepare_cached(
        "SELECT scope_id, initialized, lease_id, lease_source, lease_expires_at, latest_bundle_seq, retained_floor
         FROM scopes WHERE generation = ?1 AND user_id = ?2",
    )?;
    let found = statement.query_row([scope.generation.as_str(), &scope.user], |row| {
        let state = ScopeState {
            initialized: row.get(1)?,
            lease: Lease::current(row.get(2)?, row.get(3)?, row.get(4)?, now_ms),
            latest: BundleSeq(row.get(5)?),
            floor: BundleSeq(row.get(6)?),
        };
        Ok(StoredScope { id: row.get(0)?, state })
    });
    Ok(found.optional()?)
}

/// Reads a scope, creating it.
pub(super) fn ensure(transaction: &Transaction<'_>, scope: &Scope, now_ms: i64) -> StoreResult<StoredScope> {
    transaction
        .prepare_cached("INSERT INTO scopes (generation, user_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute([scope.generation.as_str(), &scope.user])?;
    Ok(find(transaction, scope, now_ms)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?)
}

/// Reads a scope that must be initialised.
pub(super) fn initialized(connection: &Connection, call: &Call) -> StoreResult<StoredScope> {
    let found = find(connection, &call.scope, call.now_ms)?;
    rules::require_initialized(&call.scope, found.as_deref())?;
    Ok(found.ok_or_else(|| rules::uninitialized(&call.scope))?)
}

/// Answers connect by the table of section 3.
pub(super) fn connect(
    transaction: &Transaction<'_>,
    call: &Call,
    pending: bool,
) -> StoreResult<ConnectResponse> {
    let found = ensure(transaction, &call.scope, call.now_ms)?;
    match rules::connect(call, &found, pending) {
        Connected::Unchanged(answer) => Ok(answer),
        Connected::Initialize(answer) => {
            transaction.execute(
                "UPDATE scopes SET initialized = 1, lease_id = NULL, lease_source = NULL WHERE scope_id = ?1",
                [found.id],
            )?;
            Ok(answer)
        }
        Connected::Lease(lease, answer) => {
            transaction.execute(
                "UPDATE scopes SET lease_id = ?2, lease_source = ?3, lease_expires_at = ?4 WHERE scope_id = ?1",
                params![found.id, lease.id, lease.source, lease.expires_at],
            )?;
            Ok(answer)
        }
    }
}

/// Checks the lease that a push carries, and refreshes it.
pub(super) fn check_lease(
    transaction: &Transaction<'_>,
    call: &Call,
    found: &StoredScope,
    lease_id: Option<&str>,
) -> StoreResult<()> {
    if rules::check_lease(call, found, lease_id)? {
        transaction.execute(
            "UPDATE scopes SET lease_expires_at = ?2 WHERE scope_id = ?1",
            [found.id, call.expires_at()],
        )?;
    }
    Ok(())
}

pub(super) fn status(connection: &Connection) -> StoreResult<StoreStatus> {
    let (committed_bundles, committed_bytes) =
        connection.query_row("SELECT count(*), ifnull(sum(byte_count), 0) FROM bundles", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let status = connection.query_row(
        "SELECT ifnull(max(latest_bundle_seq), 0), ifnull(min(retained_floor), 0), ifnull(max(retained_floor), 0)
         FROM scopes",
        [],
        |row| {
            Ok(StoreStatus {
                committed_bundles,
                committed_bytes,
                latest_bundle_seq_max: row.get(0)?,
                floor_min: row.get(1)?,
                floor_max: row.get(2)?,
            })
        },
    )?;
    Ok(status)
}

/// Prunes history up to a floor; row versions and source numbering stay. Answers whether there is such a user.
pub(super) fn set_floor(transaction: &Transaction<'_>, scope: &Scope, floor: BundleSeq) -> StoreResult<bool> {
    let Some(found) = find(transaction, scope, 0)? else { return Ok(false) };
    let floor = floor.min(found.latest).max(found.floor);
    prune(transaction, found.id, floor)?;
    Ok(true)
}

/// Deletes bundles up to and with `floor`.
pub(super) fn prune(transaction: &Transaction<'_>, scope_id: i64, floor: BundleSeq) -> StoreResult<()> {
    let parameters = [scope_id, floor.0];
    transaction.execute("DELETE FROM bundle_rows WHERE scope_id = ?1 AND bundle_seq <= ?2", parameters)?;
    transaction.execute("DELETE FROM bundles WHERE scope_id = ?1 AND bundle_seq <= ?2", parameters)?;
    if mutated(Mutation::FloorForgotten) {
        return Ok(());
    }
    transaction.execute("UPDATE scopes SET retained_floor = ?2 WHERE scope_id = ?1", parameters)?;
    Ok(())
}

pub(super) fn reset(transaction: &Transaction<'_>) -> StoreResult<()> {
    transaction.execute_batch(
        "DELETE FROM snapshot_rows; DELETE FROM snapshots; DELETE FROM push_rows; DELETE FROM push_sessions;
         DELETE FROM bundle_rows; DELETE FROM bundles; DELETE FROM rows; DELETE FROM sources; DELETE FROM scopes;",
    )?;
    Ok(())
}
