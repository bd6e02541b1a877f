//! Snapshot sessions: a frozen copy of the live rows, made in SQL from one consistent view and served by ordinal
//! (`docs/protocol.md` section 7). No lock is held while it is made, and no row passes through this process.

use super::connection::{Tx, int4, int8, text};
use super::failure::{PgError, PgResult};
use super::scope;
use super::tables::{Table, Tables};
use crate::refusal::Refusal;
use crate::store::rules::{self, rfc3339};
use crate::store::{Call, RowPage, SnapshotPage};
use crate::upload::write_snapshot_row;
use futures_util::TryStreamExt;
use rowtide::protocol::ids::BundleSeq;
use rowtide::protocol::message::{SnapshotSession, SourceReplacement};
use rowtide::protocol::problem::ProblemCode;
use uuid::Uuid;

/// Copies the live rows, of all tables or only some, into a new session, parents before children, and replaces the
/// source where that is asked for.
pub(super) async fn create(
    tx: &Tx,
    tables: &Tables,
    call: &Call,
    replacement: Option<&SourceReplacement>,
    wanted: Option<&[String]>,
) -> PgResult<SnapshotSession> {
    let user = &call.scope.user;
    let found = match replacement {
        Some(replacement) => {
            let found = scope::find_locked(tx, call).await?;
            rules::require_initialized(&call.scope, found.as_ref())?;
            scope::replace_source(tx, call, replacement).await?;
            found.unwrap_or_default()
        }
        None => {
            let found = scope::initialized(tx, call).await?;
            rules::refuse_retired(&call.scope, &call.source, &scope::source(tx, call, &call.source).await?)?;
            found
        }
    };
    let chosen = choose(tables, wanted)?;
    purge_expired(tx, user, call.now_ms).await?;
    let open = tx
        .rows(
            "SELECT snapshot_id FROM rowtide.snapshot_sessions WHERE user_id = $1 ORDER BY expires_at DESC, snapshot_id",
            &[text(user)],
        )
        .await?;
    for row in rules::beyond(open, call.limits.snapshot_sessions_per_user) {
        drop_session(tx, user, row.get(0)).await?;
    }
    let snapshot_id = Uuid::new_v4().to_string();
    let (mut row_count, mut byte_count, mut widest) = (0, 0, 0);
    for table in chosen {
        let (rows, bytes, most) = copy(tx, table, call, &snapshot_id, row_count).await?;
        row_count += rows;
        byte_count += bytes;
        widest = widest.max(most);
    }
    rules::check_widest_row(call, widest)?;
    let expires_at = call.expires_at();
    tx.execute(
        "INSERT INTO rowtide.snapshot_sessions (user_id, snapshot_id, source_id, generation, bundle_seq, row_count, byte_count, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            text(user),
            text(&snapshot_id),
            text(&call.source.as_str()),
            text(&call.scope.generation.as_str()),
            int8(&found.latest.0),
            int8(&row_count),
            int8(&byte_count),
            int8(&expires_at),
        ],
    )
    .await?;
    Ok(SnapshotSession {
        snapshot_id,
        snapshot_bundle_seq: found.latest,
        row_count,
        byte_count,
        expires_at: rfc3339(expires_at),
    })
}

fn choose<'a>(tables: &'a Tables, wanted: Option<&[String]>) -> Result<Vec<&'a Table>, Refusal> {
    let Some(names) = wanted else { return Ok(tables.list.iter().collect()) };
    let qualified = |table: &Table| format!("{}.{}", table.schema, table.name);
    if let Some(name) = names.iter().find(|name| !tables.list.iter().any(|table| qualified(table) == **name))
    {
        let text = format!("table {name} is not registered");
        return Err(Refusal::new(ProblemCode::SnapshotSessionInvalid, text));
    }
    Ok(tables.list.iter().filter(|table| names.contains(&qualified(table))).collect())
}

/// Copies a table; answers its rows, their bytes, and the bytes of the widest.
async fn copy(
    tx: &Tx,
    table: &Table,
    call: &Call,
    snapshot_id: &str,
    start: i64,
) -> PgResult<(i64, i64, i64)> {
    let user = &call.scope.user;
    let generation = call.scope.generation;
    let bytes = match generation.accounts_snapshot_bytes() {
        true => format!(
            "{} + octet_length(to_json(key)::text) + length(row_version::text) + octet_length(payload)",
            table.snapshot_frame_bytes()
        ),
        false => "octet_length(payload)".to_owned(),
    };
    let sql = format!(
        "WITH copied AS (
             INSERT INTO rowtide.snapshot_rows (user_id, snapshot_id, row_ordinal, table_id, key, row_version, payload)
             SELECT $1, $2, $3 + row_number() OVER (ORDER BY t.{key}) - 1, $4, t.{key}::text, r.row_version, {payload}
             FROM {table} AS t
             CROSS JOIN LATERAL (
                 SELECT s.row_version FROM rowtide.row_state AS s
                 WHERE s.user_id = $1 AND s.table_id = $4 AND s.key = t.{key}::text AND NOT s.deleted OFFSET 0
             ) AS r
             WHERE t._sync_scope_id = $1
             RETURNING {bytes} AS bytes
         )
         SELECT count(*), coalesce(sum(bytes), 0)::int8, coalesce(max(bytes), 0)::int8,
                (SELECT count(*) FROM {table} AS t WHERE t._sync_scope_id = $1),
                (SELECT count(*) FROM rowtide.row_state AS r WHERE r.user_id = $1 AND r.table_id = $4 AND NOT r.deleted)
         FROM copied",
        key = table.key(),
        payload = table.payload_sql(generation),
        table = table.qualified(),
    );
    let row = tx.one(&sql, &[text(user), text(&snapshot_id), int8(&start), int4(&table.id)]).await?;
    let (copied, live, versions): (i64, i64, i64) = (row.get(0), row.get(3), row.get(4));
    if copied != live || copied != versions {
        return Err(PgError::Other(format!(
            "table {} has {live} rows of a user and {versions} versions of them; it was written outside of bundles",
            table.name
        )));
    }
    Ok((copied, row.get(1), row.get(2)))
}

async fn session(tx: &Tx, call: &Call, snapshot_id: &str) -> PgResult<(SnapshotSession, i64)> {
    let row = tx
        .optional(
            "SELECT source_id, bundle_seq, row_count, byte_count, expires_at FROM rowtide.snapshot_sessions
             WHERE user_id = $1 AND snapshot_id = $2 AND generation = $3",
            &[text(&call.scope.user), text(&snapshot_id), text(&call.scope.generation.as_str())],
        )
        .await?
        .ok_or_else(|| rules::snapshot_not_found(snapshot_id))?;
    rules::check_snapshot_owner(call, snapshot_id, row.get(0))?;
    let expires_at: i64 = row.get(4);
    let session = SnapshotSession {
        snapshot_id: snapshot_id.to_owned(),
        snapshot_bundle_seq: BundleSeq(row.get(1)),
        row_count: row.get(2),
        byte_count: row.get(3),
        expires_at: rfc3339(expires_at),
    };
    Ok((session, expires_at))
}

/// One chunk, bounded in rows and bytes. Where not even one row fits, GEN-B is told how much it needs.
pub(super) async fn rows(
    tx: &Tx,
    tables: &Tables,
    call: &Call,
    snapshot_id: &str,
    after: i64,
    max_rows: i64,
    max_bytes: i64,
) -> PgResult<SnapshotPage> {
    let (head, expires_at) = session(tx, call, snapshot_id).await?;
    rules::check_snapshot_page(call, snapshot_id, expires_at, after, head.row_count)?;
    let sql = "SELECT table_id, key, row_version, payload FROM rowtide.snapshot_rows
               WHERE user_id = $1 AND snapshot_id = $2 AND row_ordinal >= $3 ORDER BY row_ordinal LIMIT $4";
    let params = [text(&call.scope.user), text(&snapshot_id), int8(&after), int8(&max_rows)];
    let mut found = std::pin::pin!(tx.stream(sql, &params).await?);
    let (mut rows, mut object) = (String::from("["), String::new());
    let (mut count, mut bytes, mut full) = (0, 0, false);
    // What does not fit any more is read to its end, so that the connection is free again.
    while let Some(row) = found.try_next().await? {
        if full {
            continue;
        }
        let table = tables.by_id(row.get(0))?;
        let version = row.get::<_, i64>(2).to_string();
        object.clear();
        write_snapshot_row(
            &tables.schema,
            &table.name,
            &table.key_column,
            row.get(1),
            &version,
            row.get(3),
            &mut object,
        );
        let size = i64::try_from(object.len()).unwrap_or(i64::MAX);
        if bytes + size > max_bytes {
            if count == 0 && call.scope.generation.accounts_snapshot_bytes() {
                return Err(rules::chunk_too_small(size).into());
            }
            full = count > 0;
            if full {
                continue;
            }
        }
        if count > 0 {
            rows.push(',');
        }
        rows.push_str(&object);
        count += 1;
        bytes += size;
    }
    rows.push(']');
    Ok(RowPage { has_more: after + count < head.row_count, head, rows, count, bytes })
}

/// Ends a session.
pub(super) async fn delete(tx: &Tx, call: &Call, snapshot_id: &str) -> PgResult<()> {
    session(tx, call, snapshot_id).await?;
    drop_session(tx, &call.scope.user, snapshot_id).await
}

async fn drop_session(tx: &Tx, user: &str, snapshot_id: &str) -> PgResult<()> {
    for sql in [
        "DELETE FROM rowtide.snapshot_rows WHERE user_id = $1 AND snapshot_id = $2",
        "DELETE FROM rowtide.snapshot_sessions WHERE user_id = $1 AND snapshot_id = $2",
    ] {
        tx.execute(sql, &[text(&user), text(&snapshot_id)]).await?;
    }
    Ok(())
}

/// Deletes a user's sessions that have expired.
pub(super) async fn purge_expired(tx: &Tx, user: &str, now_ms: i64) -> PgResult<()> {
    let sql = "SELECT snapshot_id FROM rowtide.snapshot_sessions WHERE user_id = $1 AND expires_at <= $2";
    for row in tx.rows(sql, &[text(&user), int8(&now_ms)]).await? {
        drop_session(tx, user, row.get(0)).await?;
    }
    Ok(())
}
