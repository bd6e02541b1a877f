//! Pure decisions: what a server's answer means for the flow. No async, no SQL, no HTTP.

use crate::protocol::ids::SourceId;
use crate::protocol::message::ReplacementReason;
use crate::protocol::problem::{Problem, ProblemCode};
use crate::storage::operation::CHECKPOINT_AHEAD;

/// What a refused step of a push session means (`docs/protocol.md` section 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PushRefusal {
    /// The session is gone or out of step: create it again from the unchanged outbox.
    Recreate,
    /// The lease is of no use: ask without it, the bundle may have been committed.
    LeaseLost,
    /// The source is of no use: replace it, by the server's choice where it names one.
    ReplaceSource { reason: ReplacementReason, replacement: Option<SourceId> },
    /// A row's base is not what the server has.
    Conflict,
    /// A row that the server refuses for good is among them; whether it is named or not.
    Rows,
    /// A short failure: wait, then create the session again.
    Transient,
    /// Nothing the flow can mend: tell the host, keep the outbox.
    Surface,
}

/// Classifies a refusal of create, chunk or commit.
pub(super) fn after_push_refusal(
    code: Option<ProblemCode>,
    problem: &Problem,
    transient: bool,
    with_lease: bool,
) -> PushRefusal {
    let replace =
        |reason| PushRefusal::ReplaceSource { reason, replacement: problem.replaced_by_source_id.clone() };
    match code {
        Some(
            ProblemCode::PushChunkOutOfOrder
            | ProblemCode::PushSessionNotFound
            | ProblemCode::PushSessionExpired,
        ) => PushRefusal::Recreate,
        Some(ProblemCode::InitializationStale | ProblemCode::InitializationExpired) => PushRefusal::LeaseLost,
        // The server has lost even the scope that the lease is of.
        Some(ProblemCode::ScopeUninitialized) if with_lease => PushRefusal::LeaseLost,
        // The lease is refused with this code once the scope is initialised, also by this very bundle.
        Some(ProblemCode::PushSessionInvalid) if with_lease => PushRefusal::LeaseLost,
        Some(ProblemCode::HistoryPruned) => replace(ReplacementReason::HistoryPruned),
        Some(ProblemCode::SourceSequenceOutOfOrder) => replace(ReplacementReason::SourceSequenceOutOfOrder),
        Some(ProblemCode::SourceSequenceChanged) => replace(ReplacementReason::SourceSequenceChanged),
        Some(ProblemCode::SourceRetired) => replace(ReplacementReason::SourceRetired),
        Some(ProblemCode::PushConflict) => PushRefusal::Conflict,
        Some(
            ProblemCode::PushRowRefused
            | ProblemCode::PushChunkInvalid
            | ProblemCode::PushCommitInvalid
            | ProblemCode::RequestTooLarge,
        ) => PushRefusal::Rows,
        _ if transient => PushRefusal::Transient,
        _ => PushRefusal::Surface,
    }
}

/// What is left to think once a short failure did not pass: a commit that fails while everything before it
/// succeeded is about the rows (GEN-A answers a constraint failure like that).
pub(super) fn after_patience(code: Option<ProblemCode>) -> PushRefusal {
    match code {
        Some(ProblemCode::PushSessionCommitFailed) => PushRefusal::Rows,
        _ => PushRefusal::Surface,
    }
}

/// Whether a refused pull means that the checkpoint is of no use; answers the reason.
pub(super) fn pull_needs_rebuild(code: Option<ProblemCode>) -> Option<&'static str> {
    match code {
        Some(ProblemCode::HistoryPruned) => Some("history_pruned"),
        Some(ProblemCode::CheckpointAhead) => Some(CHECKPOINT_AHEAD),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(code: ProblemCode, with_lease: bool) -> PushRefusal {
        after_push_refusal(Some(code), &Problem::default(), code.status() >= 500, with_lease)
    }

    #[test]
    fn a_lost_session_is_created_again() {
        assert_eq!(decide(ProblemCode::PushSessionNotFound, false), PushRefusal::Recreate);
        assert_eq!(decide(ProblemCode::PushChunkOutOfOrder, false), PushRefusal::Recreate);
    }

    #[test]
    fn an_invalid_session_means_a_lost_lease_only_where_one_was_sent() {
        assert_eq!(decide(ProblemCode::PushSessionInvalid, true), PushRefusal::LeaseLost);
        assert_eq!(decide(ProblemCode::PushSessionInvalid, false), PushRefusal::Surface);
    }

    #[test]
    fn a_scope_that_is_gone_takes_its_lease_along() {
        assert_eq!(decide(ProblemCode::ScopeUninitialized, true), PushRefusal::LeaseLost);
        assert_eq!(decide(ProblemCode::ScopeUninitialized, false), PushRefusal::Surface);
    }

    #[test]
    fn the_servers_replacement_is_adopted() {
        let other = SourceId::mint();
        let problem = Problem { replaced_by_source_id: Some(other.clone()), ..Problem::default() };
        let step = after_push_refusal(Some(ProblemCode::SourceRetired), &problem, false, false);
        let reason = ReplacementReason::SourceRetired;
        assert_eq!(step, PushRefusal::ReplaceSource { reason, replacement: Some(other) });
    }

    #[test]
    fn failures_of_the_server_are_transient_and_unknown_refusals_surface() {
        assert_eq!(decide(ProblemCode::PushSessionCommitFailed, false), PushRefusal::Transient);
        assert_eq!(after_push_refusal(None, &Problem::default(), false, false), PushRefusal::Surface);
    }

    #[test]
    fn a_commit_that_keeps_failing_is_about_its_rows_and_any_other_failure_is_not() {
        assert_eq!(after_patience(Some(ProblemCode::PushSessionCommitFailed)), PushRefusal::Rows);
        assert_eq!(after_patience(Some(ProblemCode::PushSessionCreateFailed)), PushRefusal::Surface);
        assert_eq!(after_patience(None), PushRefusal::Surface);
        assert_eq!(decide(ProblemCode::PushRowRefused, false), PushRefusal::Rows);
    }
}
