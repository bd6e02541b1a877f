//! What the protocol decides about scopes, leases, sources and sessions, free of any database: both stores ask here.

use super::{Call, Scope};
use crate::refusal::Refusal;
use rowtide::protocol::ids::{BundleSeq, SourceBundleId, SourceId, mint_uuid};
use rowtide::protocol::message::{ConnectResponse, Resolution, SourceReplacement};
use rowtide::protocol::problem::ProblemCode;
use rowtide::protocol::profile::WireGeneration;

/// The lease of a scope that is being initialised.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    pub(super) id: String,
    pub(super) source: String,
    pub(super) expires_at: i64,
}

impl Lease {
    /// The lease, where there is one that has not expired.
    pub(super) fn current(
        id: Option<String>,
        source: Option<String>,
        expires_at: i64,
        now_ms: i64,
    ) -> Option<Self> {
        let (id, source) = id.zip(source).filter(|_| expires_at > now_ms)?;
        Some(Self { id, source, expires_at })
    }
}

/// Where a user's scope stands.
#[derive(Debug, Clone, Default)]
pub(super) struct ScopeState {
    pub(super) initialized: bool,
    /// A lease that has not expired.
    pub(super) lease: Option<Lease>,
    pub(super) latest: BundleSeq,
    pub(super) floor: BundleSeq,
}

/// What is known of a source.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) known: bool,
    pub(super) retired: bool,
    pub(super) max_bundle: i64,
    pub(super) replaced_by: Option<SourceId>,
}

/// Milliseconds since 1970 UTC as RFC 3339.
pub(super) fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX).to_string()
}

pub(super) fn uninitialized(scope: &Scope) -> Refusal {
    Refusal::new(
        ProblemCode::ScopeUninitialized,
        format!("sync scope for user {} is not initialized", scope.user),
    )
}

/// Refuses a scope that is not initialised.
pub(super) fn require_initialized(scope: &Scope, state: Option<&ScopeState>) -> Result<(), Refusal> {
    match state {
        Some(state) if state.initialized => Ok(()),
        Some(ScopeState { lease: Some(lease), .. }) => {
            let until = rfc3339(lease.expires_at);
            let text = format!("sync scope for user {} is initializing until {until}", scope.user);
            Err(Refusal::new(ProblemCode::ScopeInitializing, text))
        }
        _ => Err(uninitialized(scope)),
    }
}

/// What connect answers, and what it does to the scope (`docs/protocol.md` section 3).
#[derive(Debug)]
pub(super) enum Connected {
    /// Nothing changes.
    Unchanged(ConnectResponse),
    /// The scope is initialised, empty.
    Initialize(ConnectResponse),
    /// The caller holds this lease.
    Lease(Lease, ConnectResponse),
}

/// Answers connect by the table of section 3.
pub(super) fn connect(call: &Call, state: &ScopeState, pending: bool) -> Connected {
    let answer = |resolution| ConnectResponse {
        resolution,
        initialization_id: None,
        lease_expires_at: None,
        retry_after_seconds: None,
    };
    if state.initialized {
        return Connected::Unchanged(answer(Resolution::RemoteAuthoritative));
    }
    let other = |lease: &&Lease| lease.source != call.source.as_str();
    if let Some(lease) = state.lease.as_ref().filter(other) {
        let seconds = ((lease.expires_at - call.now_ms) / 1000).max(1);
        return Connected::Unchanged(ConnectResponse {
            lease_expires_at: Some(rfc3339(lease.expires_at)),
            retry_after_seconds: Some(seconds),
            ..answer(Resolution::RetryLater)
        });
    }
    if !pending {
        return Connected::Initialize(answer(Resolution::InitializeEmpty));
    }
    let id = state.lease.as_ref().map_or_else(mint_uuid, |lease| lease.id.clone());
    let expires_at = call.expires_at();
    let response = ConnectResponse {
        initialization_id: Some(id.clone()),
        lease_expires_at: Some(rfc3339(expires_at)),
        ..answer(Resolution::InitializeLocal)
    };
    Connected::Lease(Lease { id, source: call.source.as_str().to_owned(), expires_at }, response)
}

/// Checks the lease that a push carries. Answers whether there is one, which is then to be refreshed.
pub(super) fn check_lease(call: &Call, state: &ScopeState, lease_id: Option<&str>) -> Result<bool, Refusal> {
    let refuse = |code, text: &str| Err(Refusal::new(code, text));
    match (state.initialized, &state.lease, lease_id) {
        (true, _, None) => Ok(false),
        (true, _, Some(_)) => {
            let text = "initialization_id must be omitted once the sync scope is initialized";
            refuse(ProblemCode::PushSessionInvalid, text)
        }
        (false, Some(lease), Some(id)) if lease.id == id => Ok(true),
        (false, Some(_), Some(_)) => {
            let text = "another initialization of the sync scope has begun; connect again";
            refuse(ProblemCode::InitializationStale, text)
        }
        (false, Some(_), None) => {
            let text = "initialization_id is required while the sync scope is initializing";
            refuse(ProblemCode::PushSessionInvalid, text)
        }
        (false, None, Some(_)) => {
            let text = "the initialization lease has expired; connect again";
            refuse(ProblemCode::InitializationExpired, text)
        }
        (false, None, None) => Err(uninitialized(&call.scope)),
    }
}

/// Refuses a retired source, naming its replacement.
pub(super) fn refuse_retired(scope: &Scope, id: &SourceId, source: &Source) -> Result<(), Refusal> {
    if !source.retired {
        return Ok(());
    }
    let by = source.replaced_by.as_ref().map_or_else(String::new, |by| format!(" and replaced by {by}"));
    let text = format!("source {id} for user {} was retired{by}", scope.user);
    Err(Refusal::new(ProblemCode::SourceRetired, text).with(|problem| {
        problem.source_id = Some(id.clone());
        problem.replaced_by_source_id = source.replaced_by.clone();
    }))
}

/// Refuses a bundle number that does not follow the last one of its source.
pub(super) fn check_sequence(call: &Call, source: &Source, asked: SourceBundleId) -> Result<(), Refusal> {
    let (user, id) = (&call.scope.user, &call.source);
    let expected = source.max_bundle + 1;
    if asked.0 < expected {
        let text = format!(
            "source tuple ({id}, {asked}) for user {user} is older than retained duplicate history; \
             max committed source_bundle_id is {}",
            source.max_bundle
        );
        return Err(Refusal::new(ProblemCode::HistoryPruned, text));
    }
    if asked.0 > expected {
        let text =
            format!("source {id} for user {user} expected next source_bundle_id {expected}, got {asked}");
        return Err(Refusal::new(ProblemCode::SourceSequenceOutOfOrder, text));
    }
    Ok(())
}

/// What a replacement of a source has to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Replacement {
    /// It was done before.
    Done,
    /// The old source retires, the new one is reserved.
    Due,
}

/// Checks a replacement: the same pair again is the same answer.
pub(super) fn check_replacement(
    call: &Call,
    replacement: &SourceReplacement,
    previous: &Source,
    next: &Source,
) -> Result<Replacement, Refusal> {
    let invalid = |text: &str| Err(Refusal::new(ProblemCode::SourceReplacementInvalid, text));
    let (old, new) = (&replacement.previous_source_id, &replacement.new_source_id);
    if *old != call.source || new == old {
        return invalid("previous_source_id must be the request's source, and new_source_id another one");
    }
    if previous.retired {
        if previous.replaced_by.as_ref() == Some(new) {
            return Ok(Replacement::Done);
        }
        refuse_retired(&call.scope, old, previous)?;
    }
    if next.known {
        return invalid("new_source_id is known already; mint a new one");
    }
    Ok(Replacement::Due)
}

/// Refuses a session of another source, and one that has expired.
pub(super) fn check_push_session(
    call: &Call,
    push_id: &str,
    owner: &str,
    expires_at: i64,
) -> Result<(), Refusal> {
    if owner != call.source.as_str() {
        let text = format!("push session {push_id} belongs to another source");
        return Err(Refusal::new(ProblemCode::PushSessionForbidden, text));
    }
    if expires_at <= call.now_ms {
        let text = format!("push session {push_id} has expired");
        return Err(Refusal::new(ProblemCode::PushSessionExpired, text));
    }
    Ok(())
}

pub(super) fn push_session_not_found(push_id: &str) -> Refusal {
    Refusal::new(ProblemCode::PushSessionNotFound, format!("push session {push_id} was not found"))
}

/// Checks that a chunk follows what was staged, and answers the ordinal after it.
pub(super) fn check_chunk(
    push_id: &str,
    start: i64,
    rows: usize,
    staged: i64,
    planned: i64,
) -> Result<i64, Refusal> {
    if start != staged {
        let text = format!("push session {push_id} expected start_row_ordinal {staged}, got {start}");
        return Err(Refusal::new(ProblemCode::PushChunkOutOfOrder, text));
    }
    let end = start + i64::try_from(rows).unwrap_or(i64::MAX);
    if end > planned {
        let text = format!("{end} rows exceed planned_row_count {planned}");
        return Err(Refusal::new(ProblemCode::PushChunkInvalid, text));
    }
    Ok(end)
}

pub(super) fn row_comes_twice(schema: &str, table: &str) -> Refusal {
    let text = format!("a row of {schema}.{table} comes twice in the push session");
    Refusal::new(ProblemCode::PushChunkInvalid, text)
}

/// Checks that a session is complete and still follows the last bundle of its source.
pub(super) fn check_commit(
    call: &Call,
    source: &Source,
    id: SourceBundleId,
    staged: i64,
    planned: i64,
) -> Result<(), Refusal> {
    if staged != planned {
        let text = format!("staged row count {staged} does not match planned_row_count {planned}");
        return Err(Refusal::new(ProblemCode::PushCommitInvalid, text));
    }
    refuse_retired(&call.scope, &call.source, source)?;
    if source.max_bundle + 1 != id.0 {
        let text = format!("the sequence of source {} moved to {} meanwhile", call.source, source.max_bundle);
        return Err(Refusal::new(ProblemCode::SourceSequenceChanged, text));
    }
    Ok(())
}

pub(super) fn wrong_request_hash() -> Refusal {
    let text = "the staged rows do not have the session's canonical_request_hash";
    Refusal::new(ProblemCode::PushCommitInvalid, text)
}

/// History up to `floor` is gone.
pub(super) fn pruned(scope: &Scope, after: BundleSeq, floor: BundleSeq) -> Refusal {
    let text = format!(
        "requested checkpoint {after} is older than retained history floor {floor} for user {}",
        scope.user
    );
    Refusal::new(ProblemCode::HistoryPruned, text)
}

/// Checks where a pull begins and ends; answers its stable sequence.
pub(super) fn check_pull(
    scope: &Scope,
    state: &ScopeState,
    after: BundleSeq,
    target: Option<BundleSeq>,
) -> Result<BundleSeq, Refusal> {
    let latest = state.latest;
    if after < state.floor {
        return Err(pruned(scope, after, state.floor));
    }
    if after > latest && scope.generation == WireGeneration::B {
        let text =
            format!("requested checkpoint {after} is ahead of current committed bundle sequence {latest}");
        return Err(Refusal::new(ProblemCode::CheckpointAhead, text));
    }
    if let Some(target) = target.filter(|target| *target > latest || *target < after) {
        let text = format!("target_bundle_seq {target} must be between {after} and {latest}");
        return Err(Refusal::new(ProblemCode::InvalidRequest, text));
    }
    Ok(target.unwrap_or(latest))
}

pub(super) fn bundle_not_found(seq: BundleSeq) -> Refusal {
    Refusal::new(ProblemCode::CommittedBundleNotFound, format!("committed bundle {seq} was not found"))
}

/// Where a page of a bundle's rows begins.
pub(super) fn first_row(after: Option<i64>, row_count: i64) -> Result<i64, Refusal> {
    let start = after.map_or(0, |ordinal| ordinal + 1);
    if start >= row_count {
        let text = format!("after_row_ordinal must be below {}", row_count - 1);
        return Err(Refusal::new(ProblemCode::CommittedBundleChunkInvalid, text));
    }
    Ok(start)
}

pub(super) fn snapshot_not_found(snapshot_id: &str) -> Refusal {
    let text = format!("snapshot session {snapshot_id} was not found");
    Refusal::new(ProblemCode::SnapshotSessionNotFound, text)
}

pub(super) fn check_snapshot_owner(call: &Call, snapshot_id: &str, owner: &str) -> Result<(), Refusal> {
    if owner == call.source.as_str() {
        return Ok(());
    }
    let text = format!("snapshot session {snapshot_id} belongs to another source");
    Err(Refusal::new(ProblemCode::SnapshotSessionForbidden, text))
}

/// Refuses a snapshot page of an expired session, or beyond its end.
pub(super) fn check_snapshot_page(
    call: &Call,
    snapshot_id: &str,
    expires_at: i64,
    after: i64,
    row_count: i64,
) -> Result<(), Refusal> {
    if expires_at <= call.now_ms {
        let text = format!("snapshot session {snapshot_id} has expired");
        return Err(Refusal::new(ProblemCode::SnapshotSessionExpired, text));
    }
    if after > row_count {
        let text = format!("after_row_ordinal {after} is beyond {row_count} rows");
        return Err(Refusal::new(ProblemCode::SnapshotChunkInvalid, text));
    }
    Ok(())
}

/// Refuses a snapshot with a row that no chunk may carry.
pub(super) fn check_widest_row(call: &Call, widest: i64) -> Result<(), Refusal> {
    let limit = call.limits.max_bytes_per_snapshot_row;
    if !call.scope.generation.accounts_snapshot_bytes() || widest <= limit {
        return Ok(());
    }
    let text = format!("snapshot row_byte_count {widest} exceeds the limit {limit}");
    Err(Refusal::new(ProblemCode::SnapshotSessionLimitExceeded, text).with(|problem| {
        problem.dimension = Some("row_byte_count".into());
        problem.actual = Some(widest);
        problem.limit = Some(limit);
    }))
}

/// Tells a GEN-B client how many bytes the next snapshot row needs.
pub(super) fn chunk_too_small(size: i64) -> Refusal {
    let text = format!("the next snapshot row needs {size} bytes");
    Refusal::new(ProblemCode::SnapshotChunkTooSmall, text)
        .with(|problem| problem.required_byte_count = Some(size))
}

/// The keys of sessions beyond those that a user may have, given all of them, the one that expires first last. What
/// they staged is asked for again by the client that misses it.
pub(super) fn beyond<T>(mut newest_first: Vec<T>, most: usize) -> Vec<T> {
    newest_first.drain(..most.saturating_sub(1).min(newest_first.len()));
    newest_first
}

/// The floor after a commit: retention moves it on, a batch at a time.
pub(super) fn floor_after(call: &Call, latest: BundleSeq, floor: BundleSeq) -> Option<BundleSeq> {
    let wanted = latest.0 - call.limits.retained_bundles;
    (wanted > floor.0).then(|| BundleSeq(wanted.min(floor.0 + call.limits.prune_batch)))
}
