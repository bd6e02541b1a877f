//! History: pull pages and the rows of a committed bundle (`docs/protocol.md` sections 5 and 6).

use super::{Tables, commit, scope};
use crate::store::rules;
use crate::store::{BundlePage, Call, RowPage, StoreResult};
use crate::upload::write_identity;
use rowtide::protocol::ids::{BundleSeq, SourceBundleId, SourceId};
use rowtide::protocol::message::CommittedBundle;
use rowtide::protocol::value::encode_text;
use rowtide::simulation::{mutated, mutation::Mutation};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::fmt::Write;

fn append_row(tables: &Tables, row: &Row<'_>, seq: BundleSeq, out: &mut String) -> StoreResult<()> {
    let table = tables.by_id(row.get(0)?)?;
    let key = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
    write_identity(&tables.schema, &table.name, &table.key_column, key, out);
    write!(out, ",\"op\":\"{}\",\"row_version\":{seq}", commit::op(row, 2)?.as_str())
        .expect("a String takes every write");
    if let Some(payload) = row.get_ref(3)?.as_str_or_null().map_err(rusqlite::Error::from)? {
        out.push_str(",\"payload\":");
        out.push_str(payload);
    }
    out.push('}');
    Ok(())
}

/// One page of bundles, bounded in number and bytes; it holds at least one bundle where any follows.
pub(super) fn pull(
    connection: &Connection,
    tables: &Tables,
    call: &Call,
    after: BundleSeq,
    max_bundles: i64,
    target: Option<BundleSeq>,
) -> StoreResult<BundlePage> {
    let Call { scope, limits, .. } = call;
    let found = scope::initialized(connection, call)?;
    let stable = rules::check_pull(scope, &found, after, target)?;
    let mut statement = connection.prepare_cached(
        "SELECT bundle_seq, source_id, source_bundle_id, row_count, bundle_hash FROM bundles
         WHERE scope_id = ?1 AND bundle_seq > ?2 AND bundle_seq <= ?3 ORDER BY bundle_seq LIMIT ?4",
    )?;
    let mut row_statement = connection.prepare_cached(
        "SELECT table_id, key, op, payload FROM bundle_rows WHERE scope_id = ?1 AND bundle_seq = ?2 ORDER BY row_ordinal",
    )?;
    let mut bundles = String::from("[");
    let mut last = after;
    let mut heads = statement.query([found.id, after.0, stable.0, max_bundles])?;
    while let Some(head) = heads.next()? {
        if last > after {
            if i64::try_from(bundles.len()).is_ok_and(|bytes| bytes >= limits.bytes_per_pull) {
                break;
            }
            bundles.push(',');
        }
        let seq = BundleSeq(head.get(0)?);
        write!(bundles, "{{\"bundle_seq\":{seq},\"source_id\":").expect("a String takes every write");
        encode_text(head.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?, &mut bundles);
        let (id, count, hash): (i64, i64, String) = (head.get(2)?, head.get(3)?, head.get(4)?);
        write!(
            bundles,
            ",\"source_bundle_id\":{id},\"row_count\":{count},\"bundle_hash\":\"{hash}\",\"rows\":["
        )
        .expect("a String takes every write");
        let mut rows = row_statement.query([found.id, seq.0])?;
        let mut first = true;
        while let Some(row) = rows.next()? {
            if mutated(Mutation::DeletesNotTold) && row.get::<_, String>(2)? == "DELETE" {
                continue;
            }
            if !std::mem::take(&mut first) {
                bundles.push(',');
            }
            append_row(tables, row, seq, &mut bundles)?;
        }
        bundles.push_str("]}");
        last = seq;
    }
    bundles.push(']');
    Ok(BundlePage { stable, bundles, has_more: last < stable })
}

/// One page of a committed bundle's rows.
pub(super) fn committed_rows(
    connection: &Connection,
    tables: &Tables,
    call: &Call,
    seq: BundleSeq,
    after: Option<i64>,
    max_rows: i64,
) -> StoreResult<RowPage<CommittedBundle>> {
    let not_found = || rules::bundle_not_found(seq);
    let found = scope::find(connection, &call.scope, call.now_ms)?.ok_or_else(not_found)?;
    if seq <= found.floor {
        return Err(rules::pruned(&call.scope, seq, found.floor).into());
    }
    let head = connection
        .prepare_cached(
            "SELECT source_id, source_bundle_id, row_count, bundle_hash, request_hash FROM bundles
             WHERE scope_id = ?1 AND bundle_seq = ?2",
        )?
        .query_row([found.id, seq.0], |row| {
            let source: String = row.get(0)?;
            Ok(CommittedBundle {
                bundle_seq: seq,
                source_id: SourceId::parse(&source).ok_or(rusqlite::Error::InvalidQuery)?,
                source_bundle_id: SourceBundleId(row.get(1)?),
                row_count: row.get(2)?,
                bundle_hash: row.get(3)?,
                canonical_request_hash: row.get(4)?,
            })
        })
        .optional()?
        .ok_or_else(not_found)?;
    let start = rules::first_row(after, head.row_count)?;
    let mut statement = connection.prepare_cached(
        "SELECT table_id, key, op, payload FROM bundle_rows
         WHERE scope_id = ?1 AND bundle_seq = ?2 AND row_ordinal >= ?3 ORDER BY row_ordinal LIMIT ?4",
    )?;
    let mut found_rows = statement.query(params![found.id, seq.0, start, max_rows])?;
    let mut rows = String::from("[");
    let mut count = 0;
    while let Some(row) = found_rows.next()? {
        if count > 0 {
            rows.push(',');
        }
        append_row(tables, row, seq, &mut rows)?;
        count += 1;
    }
    let bytes = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    rows.push(']');
    Ok(RowPage { has_more: start + count < head.row_count, head, rows, count, bytes })
}
