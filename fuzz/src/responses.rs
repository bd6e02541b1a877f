//! Bodies of the server's responses. The first byte says of which endpoint, the second what was asked for.

use rowtide::protocol::hash::{BundleHasher, HashedRow};
use rowtide::protocol::ids::BundleSeq;
use rowtide::protocol::message::{
    Capabilities, CommittedBundle, CommittedRows, ConnectResponse, PullResponse, PushChunkResponse,
    PushSessionReply, Resolution, RowOp, SnapshotChunk, SnapshotRow, SnapshotSession, TableSpec, WatchEvent,
};
use rowtide::protocol::problem::Problem;
use rowtide::protocol::profile::WireGeneration;
use rowtide::protocol::validate;

/// Read, written, read again, written again: the two writings are equal.
macro_rules! same {
    ($message:ty, $body:expr) => {
        if let Ok(read) = serde_json::from_slice::<$message>($body) {
            let once = serde_json::to_string(&read).expect("messages serialise");
            let again: $message = serde_json::from_str(&once).expect("what is written can be read");
            assert_eq!(serde_json::to_string(&again).expect("messages serialise"), once);
        }
    };
}

/// A body is read or refused; what is read is written and read again as the same; what is accepted keeps the rules.
pub fn check(data: &[u8]) {
    let [endpoint, asked, body @ ..] = data else { return };
    let asked = i64::from(*asked % 8);
    match endpoint {
        b'a' => capabilities(body),
        b'c' => connect(body),
        b'p' => same!(PushSessionReply, body),
        b'n' => same!(PushChunkResponse, body),
        b'b' => committed_bundle(body),
        b'r' => committed_rows(body),
        b'l' => pull(body, asked),
        b's' => snapshot_session(body),
        b'k' => snapshot_chunk(body, asked),
        b'w' => same!(WatchEvent, body),
        b'e' => problem(body),
        _ => {}
    }
}

fn capabilities(body: &[u8]) {
    same!(Capabilities, body);
    let Ok(read) = serde_json::from_slice::<Capabilities>(body) else { return };
    let limits = &read.bundle_limits;
    let marks = [
        limits.default_bytes_per_snapshot_chunk,
        limits.max_bytes_per_snapshot_chunk,
        limits.max_bytes_per_snapshot_row,
        limits.max_concurrent_snapshot_builds,
        limits.max_concurrent_snapshot_chunk_requests,
    ];
    match WireGeneration::detect(&read) {
        Ok(found) => {
            assert_eq!(read.protocol_version, "v1");
            match found {
                WireGeneration::A => assert!(marks.iter().all(Option::is_none)),
                WireGeneration::B => {
                    assert!(marks.iter().all(|mark| mark.is_some_and(|limit| limit >= 1)));
                    assert!(
                        marks[0] <= marks[1] && marks[2] <= marks[1],
                        "limits that contradict each other"
                    );
                }
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let ours =
        [TableSpec { schema: "business".into(), table: "notes".into(), sync_key_columns: vec!["id".into()] }];
    let advertised = read.registered_table_specs.as_deref();
    if let Ok(None) = validate::table_contract(advertised, &ours) {
        assert_eq!(advertised, Some(ours.as_slice()), "tables that differ are taken for the same");
    }
}

fn connect(body: &[u8]) {
    same!(ConnectResponse, body);
    let Ok(read) = serde_json::from_slice::<ConnectResponse>(body) else { return };
    if validate::connect(&read).is_err() {
        return;
    }
    match (&read.initialization_id, read.resolution) {
        (Some(id), Resolution::InitializeLocal) => {
            let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
            let digits = id.bytes().filter(hex).count();
            assert!(
                id.len() == 36 && digits == 32 && id.matches('-').count() == 4,
                "not a lowercase dashed UUID"
            );
        }
        (None, resolution) => assert_ne!(resolution, Resolution::InitializeLocal, "a lease without an id"),
        (Some(_), _) => panic!("an id without a lease"),
    }
}

fn committed_bundle(body: &[u8]) {
    same!(CommittedBundle, body);
    let Ok(read) = serde_json::from_slice::<CommittedBundle>(body) else { return };
    assert!(validate::committed_bundle(&read, &read).is_ok());
    let mut other = read.clone();
    other.row_count = other.row_count.wrapping_add(1);
    assert!(
        validate::committed_bundle(&other, &read).is_err(),
        "another row count is taken for the same bundle"
    );
}

fn committed_rows(body: &[u8]) {
    same!(CommittedRows<'_>, body);
    let Ok(read) = serde_json::from_slice::<CommittedRows<'_>>(body) else { return };
    for row in &read.rows {
        if validate::committed_row(row).is_ok() {
            assert!(row.row_version.0 > 0 && row.payload.is_some() != (row.op == RowOp::Delete));
        }
    }
}

fn pull(body: &[u8], asked: i64) {
    same!(PullResponse<'_>, body);
    let Ok(read) = serde_json::from_slice::<PullResponse<'_>>(body) else { return };
    let after = BundleSeq(asked / 2);
    let target = (asked % 2 == 1).then_some(BundleSeq(asked));
    if validate::pull(&read, after, target).is_err() {
        return;
    }
    assert!(target.is_none_or(|target| read.stable_bundle_seq == target), "the end moved between pages");
    let mut expected = after;
    for bundle in &read.bundles {
        expected = expected.next();
        assert_eq!(bundle.bundle_seq, expected, "history with a gap");
        assert!(bundle.source_bundle_id.0 >= 1);
        assert!(bundle.row_count.is_none_or(|count| usize::try_from(count) == Ok(bundle.rows.len())));
        for generation in [WireGeneration::A, WireGeneration::B] {
            let mut hasher = BundleHasher::new(generation);
            let hashed = bundle.rows.iter().try_for_each(|row| {
                assert!(row.row_version.0 > 0 && row.payload.is_some() != (row.op == RowOp::Delete));
                hasher.committed_row(&HashedRow::from(row), row.row_version)
            });
            // A number beyond binary64 has no hash.
            assert!(hashed.is_err() || hasher.finish().len() == 64);
        }
    }
    assert!(read.stable_bundle_seq >= expected);
    assert!(if read.has_more { expected > after } else { expected == read.stable_bundle_seq });
}

fn snapshot_session(body: &[u8]) {
    same!(SnapshotSession, body);
    let Ok(read) = serde_json::from_slice::<SnapshotSession>(body) else { return };
    for generation in [WireGeneration::A, WireGeneration::B] {
        if validate::snapshot_session(generation, &read).is_err() {
            continue;
        }
        assert!(!read.snapshot_id.is_empty() && read.row_count >= 0 && read.byte_count >= 0);
        assert!(read.row_count == 0 || read.snapshot_bundle_seq.0 > 0);
        assert!(generation == WireGeneration::A || (read.row_count == 0) == (read.byte_count == 0));
    }
}

/// A session and a chunk of it, on two lines.
fn snapshot_chunk(body: &[u8], after: i64) {
    let Some(line) = body.iter().position(|byte| *byte == b'\n') else { return };
    let (session, body) = (&body[..line], &body[line + 1..]);
    same!(SnapshotChunk<'_>, body);
    let Ok(session) = serde_json::from_slice::<SnapshotSession>(session) else { return };
    let Ok(read) = serde_json::from_slice::<SnapshotChunk<'_>>(body) else { return };
    for row in &read.rows {
        same!(SnapshotRow<'_>, row.get().as_bytes());
    }
    let bytes: usize = read.rows.iter().map(|row| row.get().len()).sum();
    for generation in [WireGeneration::A, WireGeneration::B] {
        let before = if after == 0 { 0 } else { session.byte_count / 2 };
        if validate::snapshot_session(generation, &session).is_err()
            || validate::snapshot_chunk(generation, &read, &session, after, before).is_err()
        {
            continue;
        }
        let end = after + i64::try_from(read.rows.len()).expect("few rows");
        assert_eq!((&read.snapshot_id, read.next_row_ordinal), (&session.snapshot_id, end));
        assert_eq!(read.has_more, end < session.row_count);
        assert!(!read.has_more || !read.rows.is_empty(), "a download that never ends");
        if generation == WireGeneration::B {
            assert_eq!(read.byte_count.and_then(|count| usize::try_from(count).ok()), Some(bytes));
        }
    }
}

fn problem(body: &[u8]) {
    same!(Problem, body);
    let Ok(read) = serde_json::from_slice::<Problem>(body) else { return };
    if let Some(code) = read.code() {
        assert_eq!(code.as_str(), read.error);
        assert!((400..600).contains(&code.status()));
    }
}
