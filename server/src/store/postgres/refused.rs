//! Finds the row that stands against a commit, so that the client can put it aside and send the rest.

use super::commit::Step;
use super::connection::{Tx, int4, int8, text};
use super::failure::PgResult;
use super::payload::in_generation;
use super::tables::Tables;
use crate::refusal::Refusal;
use crate::store::Call;
use rowtide::protocol::ids::BundleSeq;
use rowtide::protocol::profile::WireGeneration;

/// What stands against a row that a statement left out without an error.
pub(super) const NOT_WRITTEN: &str =
    "the database left it out: it is missing in its table, or a trigger dropped it";

/// The first row with which a statement fails: a search by halves, each half undone.
pub(super) async fn by_statement(
    tx: &Tx,
    step: &Step<'_>,
    user: &str,
    push_id: &str,
    fault: String,
) -> PgResult<Refusal> {
    let rows = tx
        .rows(
            "SELECT row_ordinal, key FROM rowtide.push_rows
             WHERE user_id = $1 AND push_id = $2 AND table_id = $3 AND op = $4 AND missing = $5 ORDER BY row_ordinal",
            &[text(&user), text(&push_id), int4(&step.table.id), text(&step.op.as_str()), text(&step.missing)],
        )
        .await?;
    let ordinals: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let (mut low, mut high) = (0, ordinals.len().saturating_sub(1));
    let mut fault = fault;
    while low < high {
        let middle = low + (high - low) / 2;
        tx.batch("SAVEPOINT half").await?;
        let result = step.run(tx, user, push_id, ordinals[middle]).await;
        tx.batch("ROLLBACK TO half").await?;
        match result {
            Ok(written) if step.wrote_all(written, middle + 1) => low = middle + 1,
            Ok(_) => {
                fault = NOT_WRITTEN.into();
                high = middle;
            }
            Err(error) => {
                fault = error.fault_of_a_row().unwrap_or(fault);
                high = middle;
            }
        }
    }
    let key: String = rows.get(low).map(|row| row.get(1)).unwrap_or_default();
    Ok(step.table.refuse(&key, &fault))
}

/// The row that refers to nothing, or else the deleted row that others refer to.
pub(super) async fn by_reference(
    tx: &Tx,
    tables: &Tables,
    user: &str,
    push_id: &str,
    (table, constraint): (&str, &str),
) -> PgResult<Option<Refusal>> {
    let Some((child, reference, parent)) = tables.reference(table, constraint) else { return Ok(None) };
    let column = super::payload::quoted(&reference.column);
    let orphans = tx
        .rows(
            &format!(
                "SELECT c.{key}::text, c.{column}::text FROM {child} AS c WHERE c._sync_scope_id = $1 AND c.{column} IS NOT NULL
                 AND NOT EXISTS (SELECT FROM {parent} AS p WHERE p._sync_scope_id = $1 AND p.{parent_key} = c.{column})",
                key = child.key(),
                child = child.qualified(),
                parent = parent.qualified(),
                parent_key = parent.key(),
            ),
            &[text(&user)],
        )
        .await?;
    for (table, at, deleted) in [(child, 0, false), (parent, 1, true)] {
        let keys: Vec<&str> = orphans.iter().map(|row| row.get(at)).collect();
        let staged = tx
            .optional(
                "SELECT key FROM rowtide.push_rows WHERE user_id = $1 AND push_id = $2 AND table_id = $3
                     AND key = ANY ($4) AND (op = 'DELETE') = $5 ORDER BY row_ordinal LIMIT 1",
                &[
                    text(&user),
                    text(&push_id),
                    int4(&table.id),
                    super::connection::texts(&keys),
                    (&deleted, tokio_postgres::types::Type::BOOL),
                ],
            )
            .await?;
        if let Some(row) = staged {
            return Ok(Some(table.refuse(row.get(0), constraint)));
        }
    }
    Ok(None)
}

/// A row of a sealed bundle, whose widest payload has `widest` bytes, that no snapshot may carry: it may be wider than it was
/// sent, by defaults, triggers and the text of its types.
pub(super) async fn by_size(
    tx: &Tx,
    tables: &Tables,
    call: &Call,
    seq: BundleSeq,
    widest: i64,
) -> PgResult<Option<Refusal>> {
    let limit = call.limits.max_bytes_per_snapshot_row;
    // Quoted numbers and the frame at most double what is not tiny.
    let suspicious = (limit / 2).saturating_sub(1_024);
    if widest <= suspicious {
        return Ok(None);
    }
    let rows = tx
        .rows(
            "SELECT table_id, key, payload FROM rowtide.bundle_rows
             WHERE user_id = $1 AND bundle_seq = $2 AND octet_length(payload) > $3 ORDER BY row_ordinal",
            &[text(&call.scope.user), int8(&seq.0), int8(&suspicious)],
        )
        .await?;
    for row in rows {
        let (table, key) = (tables.by_id(row.get(0))?, row.get::<_, String>(1));
        let payload = in_generation(row.get(2), WireGeneration::B);
        let key_bytes = serde_json::to_string(&key).map_err(super::push::not_json)?.len();
        let bytes = i64::try_from(payload.len() + key_bytes).unwrap_or(i64::MAX);
        if call.limits.is_too_wide(table.snapshot_frame_bytes() + bytes) {
            return Ok(Some(table.refuse(&key, &call.limits.widest_row())));
        }
    }
    Ok(None)
}
