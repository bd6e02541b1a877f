//! Distrust of every response: what a server may not answer, found before anything is applied.

use super::ids::BundleSeq;
use super::message::{
    CommittedBundle, CommittedRow, ConnectResponse, PullResponse, Resolution, RowOp, SnapshotChunk,
    SnapshotSession, TableSpec,
};
use super::profile::WireGeneration;
use std::collections::BTreeSet;
use uuid::Uuid;

/// A response that breaks the protocol. The text names members and counters, never row contents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub String);

macro_rules! demand {
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            return Err(Violation(format!($($message)*)));
        }
    };
}

/// Name of the server's hidden column; it never travels.
pub const RESERVED_SCOPE_COLUMN: &str = "_sync_scope_id";

/// `initialization_id` is there exactly with `initialize_local`, as a lowercase dashed UUID.
pub fn connect(response: &ConnectResponse) -> Result<(), Violation> {
    match (response.resolution, &response.initialization_id) {
        (Resolution::InitializeLocal, Some(id)) => lease(id),
        (Resolution::InitializeLocal, None) => {
            Err(Violation("connect answered initialize_local without initialization_id".into()))
        }
        (_, Some(_)) => Err(Violation(
            "connect sent an initialization_id with another resolution than initialize_local".into(),
        )),
        (_, None) => Ok(()),
    }
}

fn lease(id: &str) -> Result<(), Violation> {
    let dashed = Uuid::try_parse(id).is_ok_and(|uuid| uuid.to_string() == id);
    demand!(dashed, "initialization_id is not a lowercase dashed UUID");
    Ok(())
}

/// One page of a pull against what was asked.
pub fn pull(
    response: &PullResponse<'_>,
    after: BundleSeq,
    target: Option<BundleSeq>,
) -> Result<(), Violation> {
    let stable = response.stable_bundle_seq;
    demand!(
        response.bundles.is_empty() || stable.0 > 0,
        "pull response is missing stable_bundle_seq for non-empty bundle list"
    );
    demand!(stable >= after, "stable_bundle_seq {stable} is behind requested after_bundle_seq {after}");
    if let Some(target) = target {
        demand!(stable == target, "stable_bundle_seq changed from {target} to {stable} between pages");
    }
    let mut previous = after;
    for bundle in &response.bundles {
        demand!(
            bundle.bundle_seq == previous.next(),
            "bundle {} follows bundle {previous}: history has a gap or is out of order",
            bundle.bundle_seq
        );
        demand!(
            bundle.bundle_seq <= stable,
            "bundle {} is above stable_bundle_seq {stable}",
            bundle.bundle_seq
        );
        demand!(bundle.source_bundle_id.0 >= 1, "bundle {} has source_bundle_id below 1", bundle.bundle_seq);
        if let Some(count) = bundle.row_count {
            let rows = bundle.rows.len();
            demand!(
                usize::try_from(count) == Ok(rows),
                "bundle {} announces {count} rows and has {rows}",
                bundle.bundle_seq
            );
        }
        for row in &bundle.rows {
            committed_row(row)?;
        }
        previous = bundle.bundle_seq;
    }
    demand!(
        response.has_more || previous == stable,
        "pull ended at bundle {previous}, short of stable_bundle_seq {stable}"
    );
    demand!(!response.has_more || previous > after, "has_more=true must include at least one bundle");
    Ok(())
}

/// Version and payload of a committed row.
pub fn committed_row(row: &CommittedRow<'_>) -> Result<(), Violation> {
    demand!(row.row_version.0 > 0, "bundle row row_version {} must be positive", row.row_version);
    match (row.op, row.payload) {
        (RowOp::Delete, Some(_)) => {
            Err(Violation(format!("DELETE of {}.{} carries a payload", row.schema, row.table)))
        }
        (RowOp::Insert | RowOp::Update, None) => {
            Err(Violation(format!("{} of {}.{} carries no payload", row.op.as_str(), row.schema, row.table)))
        }
        _ => Ok(()),
    }
}

/// Facts of a committed bundle against the bundle that was sent.
pub fn committed_bundle(bundle: &CommittedBundle, expected: &CommittedBundle) -> Result<(), Violation> {
    demand!(bundle == expected, "bundle {} is described differently than at its commit", expected.bundle_seq);
    Ok(())
}

/// A snapshot session's totals.
pub fn snapshot_session(generation: WireGeneration, session: &SnapshotSession) -> Result<(), Violation> {
    demand!(!session.snapshot_id.is_empty(), "snapshot session has no snapshot_id");
    demand!(session.snapshot_bundle_seq.0 >= 0, "snapshot_bundle_seq must be non-negative");
    demand!(session.row_count >= 0, "snapshot session row_count {} must be non-negative", session.row_count);
    demand!(
        session.byte_count >= 0,
        "snapshot session byte_count {} must be non-negative",
        session.byte_count
    );
    demand!(
        session.row_count == 0 || session.snapshot_bundle_seq.0 > 0,
        "snapshot session is missing snapshot_bundle_seq for non-empty row set"
    );
    if generation.accounts_snapshot_bytes() {
        demand!(
            (session.row_count == 0) == (session.byte_count == 0),
            "snapshot session has {} rows in {} bytes",
            session.row_count,
            session.byte_count
        );
    }
    demand!(
        session.expires_at.parse::<jiff::Timestamp>().is_ok(),
        "snapshot session expires_at must be an RFC3339/ISO-8601 instant"
    );
    Ok(())
}

/// One chunk against its session and what was received before; `after` is the count of rows so far.
pub fn snapshot_chunk(
    generation: WireGeneration,
    chunk: &SnapshotChunk<'_>,
    session: &SnapshotSession,
    after: i64,
    bytes_before: i64,
) -> Result<(), Violation> {
    let rows = i64::try_from(chunk.rows.len()).expect("a body holds fewer than 2^63 rows");
    demand!(chunk.snapshot_id == session.snapshot_id, "snapshot chunk belongs to another session");
    demand!(
        rows == 0 || chunk.snapshot_bundle_seq.0 > 0,
        "snapshot chunk is missing snapshot_bundle_seq for non-empty row set"
    );
    demand!(
        chunk.snapshot_bundle_seq == session.snapshot_bundle_seq,
        "snapshot chunk shows bundle {}, its session bundle {}",
        chunk.snapshot_bundle_seq,
        session.snapshot_bundle_seq
    );
    let next = after + rows;
    demand!(
        chunk.next_row_ordinal == next,
        "snapshot chunk next_row_ordinal {} does not match expected {next}",
        chunk.next_row_ordinal
    );
    demand!(!chunk.has_more || rows > 0, "snapshot chunk with has_more=true must include at least one row");
    demand!(next <= session.row_count, "snapshot sent {next} rows of {} announced", session.row_count);
    demand!(
        chunk.has_more == (next < session.row_count),
        "snapshot has_more={} after {next} of {} rows",
        chunk.has_more,
        session.row_count
    );
    if generation.accounts_snapshot_bytes() {
        let actual: usize = chunk.rows.iter().map(|row| row.get().len()).sum();
        let announced = chunk.byte_count;
        demand!(
            announced.and_then(|n| usize::try_from(n).ok()) == Some(actual),
            "snapshot chunk announces byte_count {announced:?} and has {actual}"
        );
        let total = bytes_before + announced.unwrap_or_default();
        let exact = if chunk.has_more { total < session.byte_count } else { total == session.byte_count };
        demand!(
            exact,
            "snapshot sent {total} bytes of {} announced, has_more={}",
            session.byte_count,
            chunk.has_more
        );
    }
    Ok(())
}

/// How the advertised tables differ from the configured ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableContractMismatch {
    /// `schema.table` that only the server has.
    pub server_only: Vec<String>,
    /// `schema.table` that only the client has.
    pub client_only: Vec<String>,
    /// `schema.table` whose sync key differs.
    pub key_differs: Vec<String>,
}

/// Compares the advertised tables with the configured ones, in both directions; `Ok(None)` is a match.
pub fn table_contract(
    advertised: Option<&[TableSpec]>,
    configured: &[TableSpec],
) -> Result<Option<TableContractMismatch>, Violation> {
    let Some(advertised) = advertised else {
        return Err(Violation("capabilities carry no registered_table_specs".into()));
    };
    let name = |spec: &TableSpec| format!("{}.{}", spec.schema, spec.table);
    let server: BTreeSet<String> = advertised.iter().map(name).collect();
    demand!(server.len() == advertised.len(), "registered_table_specs lists a table twice");
    let client: BTreeSet<String> = configured.iter().map(name).collect();
    let key_of = |specs: &[TableSpec], table: &str| {
        specs.iter().find(|spec| name(spec) == table).map(|spec| spec.sync_key_columns.clone())
    };
    let mismatch = TableContractMismatch {
        server_only: server.difference(&client).cloned().collect(),
        client_only: client.difference(&server).cloned().collect(),
        key_differs: server
            .intersection(&client)
            .filter(|table| key_of(advertised, table) != key_of(configured, table))
            .cloned()
            .collect(),
    };
    Ok((mismatch != TableContractMismatch::default()).then_some(mismatch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_follows_the_largest_bundle_that_a_server_can_claim() {
        let json = format!(
            r#"{{"stable_bundle_seq":{0},"bundles":[{{"bundle_seq":{0},"source_id":"s","source_bundle_id":1,"rows":[]}}]}}"#,
            i64::MAX
        );
        let page: PullResponse<'_> = serde_json::from_str(&json).expect("a page");
        assert!(pull(&page, BundleSeq(i64::MAX), None).is_err());
        assert_eq!(pull(&page, BundleSeq(i64::MAX - 1), None), Ok(()));
    }
}
