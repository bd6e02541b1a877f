//! A user's scope: uninitialised, being initialised under a lease, initialised (`docs/protocol.md` section 3).

use crate::refusal::Refusal;
use crate::store::{Call, Scope, StoreResult, StoreStatus};
use rowtide::protocol::ids::{BundleSeq, mint_uuid};
use rowtide::protocol::message::{ConnectResponse, Resolution};
use rowtide::protocol::problem::ProblemCode;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

/// The lease of a scope that is being initialised.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    pub(super) id: String,
    pub(super) source: String,
    pub(super) expires_at: i64,
}

/// A stored scope.
#[derive(Debug, Clone)]
pub(super) struct StoredScope {
    pub(super) id: i64,
    pub(super) initialized: bool,
    /// A lease that has not expired.
    pub(super) lease: Option<Lease>,
    pub(super) latest: BundleSeq,
    pub(super) floor: BundleSeq,
}

/// Milliseconds since 1970 UTC as RFC 3339.
pub(super) fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// Reads a scope; an expired lease is none.
pub(super) fn find(connection: &Connection, scope: &Scope, now_ms: i64) -> StoreResult<Option<StoredScope>> {
    let mut statement = connection.prepare_cached(
        "SELECT scope_id, initialized, lease_id, lease_source, lease_expires_at, latest_bundle_seq, retained_floor
         FROM scopes WHERE generation = ?1 AND user_id = ?2",
    )?;
    let found = statement.query_row([scope.generation.as_str(), &scope.user], |row| {
        let lease: Option<String> = row.get(2)?;
        let expires_at: i64 = row.get(4)?;
        let source: Option<String> = row.get(3)?;
        Ok(StoredScope {
            id: row.get(0)?,
            initialized: row.get(1)?,
            lease: lease.zip(source).filter(|_| expires_at > now_ms).map(|(id, source)| Lease {
                id,
                source,
                expires_at,
            }),
            latest: BundleSeq(row.get(5)?),
            floor: BundleSeq(row.get(6)?),
        })
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
    let scope = &call.scope;
    match find(connection, scope, call.now_ms)? {
        Some(found) if found.initialized => Ok(found),
        Some(StoredScope { lease: Some(lease), .. }) => Err(initializing(scope, &lease).into()),
        _ => Err(uninitialized(scope).into()),
    }
}

pub(super) fn uninitialized(scope: &Scope) -> Refusal {
    Refusal::new(
        ProblemCode::ScopeUninitialized,
        format!("sync scope for user {} is not initialized", scope.user),
    )
}

fn initializing(scope: &Scope, lease: &Lease) -> Refusal {
    let until = rfc3339(lease.expires_at);
    let text = format!("sync scope for user {} is initializing until {until}", scope.user);
    Refusal::new(ProblemCode::ScopeInitializing, text)
}

/// Answers connect by the table of section 3.
pub(super) fn connect(
    transaction: &Transaction<'_>,
    call: &Call,
    pending: bool,
) -> StoreResult<ConnectResponse> {
    let found = ensure(transaction, &call.scope, call.now_ms)?;
    let (source, now_ms) = (&call.source, call.now_ms);
    let answer = |resolution| ConnectResponse {
        resolution,
        initialization_id: None,
        lease_expires_at: None,
        retry_after_seconds: None,
    };
    if found.initialized {
        return Ok(answer(Resolution::RemoteAuthoritative));
    }
    let ours = found.lease.as_ref().is_none_or(|lease| lease.source == source.as_str());
    if let Some(lease) = found.lease.as_ref().filter(|_| !ours) {
        let seconds = ((lease.expires_at - now_ms) / 1000).max(1);
        return Ok(ConnectResponse {
            lease_expires_at: Some(rfc3339(lease.expires_at)),
            retry_after_seconds: Some(seconds),
            ..answer(Resolution::RetryLater)
        });
    }
    if !pending {
        transaction.execute(
            "UPDATE scopes SET initialized = 1, lease_id = NULL, lease_source = NULL WHERE scope_id = ?1",
            [found.id],
        )?;
        return Ok(answer(Resolution::InitializeEmpty));
    }
    let id = found.lease.map_or_else(mint_uuid, |lease| lease.id);
    let expires_at = call.expires_at();
    transaction.execute(
        "UPDATE scopes SET lease_id = ?2, lease_source = ?3, lease_expires_at = ?4 WHERE scope_id = ?1",
        params![found.id, id, source.as_str(), expires_at],
    )?;
    Ok(ConnectResponse {
        initialization_id: Some(id),
        lease_expires_at: Some(rfc3339(expires_at)),
        ..answer(Resolution::InitializeLocal)
    })
}

/// Checks the lease that a push carries, and refreshes it.
pub(super) fn check_lease(
    transaction: &Transaction<'_>,
    call: &Call,
    found: &StoredScope,
    lease_id: Option<&str>,
) -> StoreResult<()> {
    match (found.initialized, &found.lease, lease_id) {
        (true, _, None) => Ok(()),
        (true, _, Some(_)) => {
            let text = "initialization_id must be omitted once the sync scope is initialized";
            Err(Refusal::new(ProblemCode::PushSessionInvalid, text).into())
        }
        (false, Some(lease), Some(id)) if lease.id == id => {
            transaction.execute(
                "UPDATE scopes SET lease_expires_at = ?2 WHERE scope_id = ?1",
                [found.id, call.expires_at()],
            )?;
            Ok(())
        }
        (false, Some(_), Some(_)) => {
            let text = "another initialization of the sync scope has begun; connect again";
            Err(Refusal::new(ProblemCode::InitializationStale, text).into())
        }
        (false, Some(_), None) => {
            let text = "initialization_id is required while the sync scope is initializing";
            Err(Refusal::new(ProblemCode::PushSessionInvalid, text).into())
        }
        (false, None, Some(_)) => {
            let text = "the initialization lease has expired; connect again";
            Err(Refusal::new(ProblemCode::InitializationExpired, text).into())
        }
        (false, None, None) => Err(uninitialized(&call.scope).into()),
    }
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

/// Prunes history up to a floor; row versions and source numbering stay.
pub(super) fn set_floor(transaction: &Transaction<'_>, scope: &Scope, floor: BundleSeq) -> StoreResult<()> {
    let found = ensure(transaction, scope, 0)?;
    let floor = floor.min(found.latest).max(found.floor);
    prune(transaction, found.id, floor)
}

/// Deletes bundles up to and with `floor`.
pub(super) fn prune(transaction: &Transaction<'_>, scope_id: i64, floor: BundleSeq) -> StoreResult<()> {
    let parameters = [scope_id, floor.0];
    transaction.execute("DELETE FROM bundle_rows WHERE scope_id = ?1 AND bundle_seq <= ?2", parameters)?;
    transaction.execute("DELETE FROM bundles WHERE scope_id = ?1 AND bundle_seq <= ?2", parameters)?;
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
