//! History: pull pages and the rows of a committed bundle (`docs/protocol.md` sections 5 and 6).

use super::connection::{Tx, int8, text};
use super::failure::{PgError, PgResult};
use super::payload::in_generation;
use super::tables::Tables;
use super::{push, scope};
use crate::store::rules;
use crate::store::{BundlePage, Call, RowPage};
use crate::upload::write_identity;
use futures_util::TryStreamExt;
use rowtide::protocol::hash::BundleHasher;
use rowtide::protocol::ids::{BundleSeq, SourceBundleId, SourceId};
use rowtide::protocol::message::CommittedBundle;
use rowtide::protocol::value::encode_text;
use std::fmt::Write;
use tokio_postgres::Row;

/// What a row costs in a page beyond its payload, in bytes.
const FRAME_BYTES: i64 = 160;

/// Appends a row of the columns table, key, op and payload.
fn append_row(tables: &Tables, call: &Call, row: &Row, seq: BundleSeq, out: &mut String) -> PgResult<()> {
    let table = tables.by_id(row.get(0))?;
    write_identity(&tables.schema, &table.name, &table.key_column, row.get(1), out);
    let op: &str = row.get(2);
    write!(out, ",\"op\":\"{op}\",\"row_version\":{seq}").expect("a String takes every write");
    if let Some(payload) = row.get::<_, Option<&str>>(3) {
        out.push_str(",\"payload\":");
        out.push_str(&in_generation(payload, call.scope.generation));
    }
    out.push('}');
    Ok(())
}

/// A bundle of a page, before its rows.
struct Head {
    seq: BundleSeq,
    source: String,
    source_bundle_id: i64,
    rows: i64,
    /// The hash as the caller's generation has it, where it is stored.
    hash: Option<String>,
}

/// One page of bundles, bounded in number and bytes; it holds at least one bundle where any follows.
pub(super) async fn pull(
    tx: &Tx,
    tables: &Tables,
    call: &Call,
    after: BundleSeq,
    max_bundles: i64,
    target: Option<BundleSeq>,
) -> PgResult<BundlePage> {
    let user = &call.scope.user;
    let found = scope::initialized(tx, call).await?;
    let stable = rules::check_pull(&call.scope, &found, after, target)?;
    let heads = heads(tx, call, after, stable, max_bundles).await?;
    let last = heads.last().map_or(after, |head| head.seq);
    let mut bundles = String::from("[");
    let sql = "SELECT table_id, key, op, payload, bundle_seq FROM rowtide.bundle_rows
               WHERE user_id = $1 AND bundle_seq > $2 AND bundle_seq <= $3 ORDER BY bundle_seq, row_ordinal";
    let mut rows = std::pin::pin!(tx.stream(sql, &[text(user), int8(&after.0), int8(&last.0)]).await?);
    for head in heads {
        if bundles.len() > 1 {
            bundles.push(',');
        }
        write!(bundles, "{{\"bundle_seq\":{},\"source_id\":", head.seq).expect("a String takes every write");
        encode_text(&head.source, &mut bundles);
        write!(
            bundles,
            ",\"source_bundle_id\":{},\"row_count\":{},\"rows\":[",
            head.source_bundle_id, head.rows
        )
        .expect("a String takes every write");
        let mut hasher = head.hash.is_none().then(|| BundleHasher::new(call.scope.generation));
        for index in 0..head.rows {
            let row = rows.try_next().await?.filter(|row| row.get::<_, i64>(4) == head.seq.0);
            let row =
                row.ok_or_else(|| PgError::Other(format!("bundle {} lacks rows in the history", head.seq)))?;
            if index > 0 {
                bundles.push(',');
            }
            append_row(tables, call, &row, head.seq, &mut bundles)?;
            if let Some(hasher) = &mut hasher {
                push::add_to_hash(hasher, tables, call, &row, head.seq)?;
            }
        }
        let hash = head.hash.or_else(|| hasher.map(BundleHasher::finish)).unwrap_or_default();
        write!(bundles, "],\"bundle_hash\":\"{hash}\"}}").expect("a String takes every write");
    }
    bundles.push(']');
    Ok(BundlePage { stable, bundles, has_more: last < stable })
}

/// The bundles that fit into a page.
async fn heads(
    tx: &Tx,
    call: &Call,
    after: BundleSeq,
    stable: BundleSeq,
    max_bundles: i64,
) -> PgResult<Vec<Head>> {
    let rows = tx
        .rows(
            "SELECT bundle_seq, source_id, source_bundle_id, row_count, byte_count,
                    CASE WHEN generation = $5 THEN bundle_hash END
             FROM rowtide.bundle_log WHERE user_id = $1 AND bundle_seq > $2 AND bundle_seq <= $3
             ORDER BY bundle_seq LIMIT $4",
            &[
                text(&call.scope.user),
                int8(&after.0),
                int8(&stable.0),
                int8(&max_bundles),
                text(&call.scope.generation.as_str()),
            ],
        )
        .await?;
    let (mut heads, mut bytes) = (Vec::new(), 0);
    for row in rows {
        let count: i64 = row.get(3);
        if bytes >= call.limits.bytes_per_pull {
            break;
        }
        bytes += row.get::<_, i64>(4) + count * FRAME_BYTES;
        heads.push(Head {
            seq: BundleSeq(row.get(0)),
            source: row.get(1),
            source_bundle_id: row.get(2),
            rows: count,
            hash: row.get(5),
        });
    }
    Ok(heads)
}

/// One page of a committed bundle's rows.
pub(super) async fn committed_rows(
    tx: &Tx,
    tables: &Tables,
    call: &Call,
    seq: BundleSeq,
    after: Option<i64>,
    max_rows: i64,
) -> PgResult<RowPage<CommittedBundle>> {
    let user = &call.scope.user;
    let not_found = || rules::bundle_not_found(seq);
    let found = scope::find(tx, call).await?.ok_or_else(not_found)?;
    if seq <= found.floor {
        return Err(rules::pruned(&call.scope, seq, found.floor).into());
    }
    let row = tx
        .optional(
            "SELECT source_id, source_bundle_id, row_count, request_hash, CASE WHEN generation = $3 THEN bundle_hash END
             FROM rowtide.bundle_log WHERE user_id = $1 AND bundle_seq = $2",
            &[text(user), int8(&seq.0), text(&call.scope.generation.as_str())],
        )
        .await?
        .ok_or_else(not_found)?;
    let bundle_hash = match row.get(4) {
        Some(hash) => hash,
        None => push::bundle_hash(tx, tables, call, seq).await?,
    };
    let head = CommittedBundle {
        bundle_seq: seq,
        source_id: SourceId::parse(row.get(0))
            .ok_or_else(|| PgError::Other("a stored source is none".into()))?,
        source_bundle_id: SourceBundleId(row.get(1)),
        row_count: row.get(2),
        bundle_hash,
        canonical_request_hash: row.get(3),
    };
    let start = rules::first_row(after, head.row_count)?;
    let sql = "SELECT table_id, key, op, payload FROM rowtide.bundle_rows
               WHERE user_id = $1 AND bundle_seq = $2 AND row_ordinal >= $3 ORDER BY row_ordinal LIMIT $4";
    let mut rows = String::from("[");
    let mut count = 0;
    for row in tx.rows(sql, &[text(user), int8(&seq.0), int8(&start), int8(&max_rows)]).await? {
        if count > 0 {
            rows.push(',');
        }
        append_row(tables, call, &row, seq, &mut rows)?;
        count += 1;
    }
    let bytes = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    rows.push(']');
    Ok(RowPage { has_more: start + count < head.row_count, head, rows, count, bytes })
}
