//! The single rows of the other client: who it is, what it was doing, what it had frozen.

use super::super::error::Result;
use super::super::operation::{self, OperationKind};
use super::super::replay;
use super::refusal;
use crate::protocol::ids::{BundleSeq, RowVersion, SourceBundleId, SourceId};
use crate::protocol::message::CommittedBundle;
use crate::protocol::profile::WireGeneration;
use crate::schema::ManagedSchema;
use rusqlite::{Connection, OptionalExtension, Row};

/// Everything but rows.
#[derive(Debug)]
pub(super) struct FormerState {
    pub(super) source: SourceId,
    pub(super) next_source_bundle_id: i64,
    /// The attached user.
    pub(super) user: Option<String>,
    pub(super) schema: String,
    pub(super) checkpoint: i64,
    pub(super) initialization_id: Option<String>,
    pub(super) operation: Option<OperationKind>,
    /// Why the operation was started.
    pub(super) reason: String,
    pub(super) outbox: Option<FormerOutbox>,
}

/// The head of the frozen bundle.
#[derive(Debug)]
pub(super) struct FormerOutbox {
    pub(super) source: SourceId,
    pub(super) source_bundle_id: i64,
    pub(super) request_hash: String,
    /// Rows that were sent; rows that were committed where the server answered how many.
    pub(super) row_count: i64,
    /// Sequence and hash at the server, once it was committed.
    pub(super) remote: Option<(i64, String)>,
}

/// Reads the state, and refuses what contradicts itself.
pub(super) fn read(connection: &Connection) -> Result<FormerState> {
    let (source, binding, user, schema, checkpoint, rebuild, lease): (String, String, _, _, _, bool, String) =
        single(
            connection,
            "_sync_attachment_state",
            "current_source_id, binding_state, attached_user_id, schema_name, last_bundle_seq_seen, \
             rebuild_required <> 0, pending_initialization_id",
            |row| {
                let start = (row.get(0)?, row.get(1)?, row.get::<_, String>(2)?, row.get(3)?);
                Ok((start.0, start.1, start.2, start.3, row.get(4)?, row.get(5)?, row.get(6)?))
            },
        )?;
    let attached = binding == "attached";
    if attached && user.is_empty() {
        return Err(broken("it is attached to a user without a name"));
    }
    let outbox = read_outbox(connection)?;
    let untouched = source.is_empty() && !attached && outbox.is_none();
    let (source, next) = match untouched {
        // That client was never opened successfully.
        true => (SourceId::mint(), 1),
        false => (parse_source(&source)?, next_bundle(connection, &source)?),
    };
    let (operation, reason) = read_operation(connection, attached && rebuild)?;
    Ok(FormerState {
        source,
        next_source_bundle_id: next,
        user: attached.then_some(user),
        schema,
        checkpoint,
        initialization_id: Some(lease).filter(|lease| !lease.is_empty()),
        operation,
        reason,
        outbox,
    })
}

fn next_bundle(connection: &Connection, source: &str) -> Result<i64> {
    let next: Option<i64> = connection
        .query_row(
            "SELECT next_source_bundle_id FROM _sync_source_state WHERE source_id = ?1",
            [source.trim()],
            |row| row.get(0),
        )
        .optional()?;
    next.filter(|next| *next > 0).ok_or_else(|| broken("_sync_source_state does not know the current source"))
}

fn read_operation(connection: &Connection, rebuild: bool) -> Result<(Option<OperationKind>, String)> {
    let (kind, user, reason, replacement): (String, String, String, String) = single(
        connection,
        "_sync_operation_state",
        "kind, target_user_id, reason, replacement_source_id",
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
    )?;
    let operation = match kind.as_str() {
        "" | "none" => rebuild.then_some(OperationKind::Rebuild),
        "remote_replace" if user.is_empty() => return Err(broken("a download is for a user without a name")),
        "remote_replace" => Some(OperationKind::RemoteReplace { user }),
        "source_recovery" => {
            let reason = operation::known_reason(&reason)
                .ok_or_else(|| broken("the source is to be replaced for a reason that is not known"))?;
            let replacement = match replacement.is_empty() {
                true => SourceId::mint(),
                false => parse_source(&replacement)?,
            };
            Some(OperationKind::SourceRecovery { reason, replacement })
        }
        _ => return Err(broken("_sync_operation_state.kind is not known")),
    };
    Ok((operation, if reason.is_empty() { "adopted".to_owned() } else { reason }))
}

fn read_outbox(connection: &Connection) -> Result<Option<FormerOutbox>> {
    type Head = (String, String, i64, String, i64, String, i64);
    let (state, source, number, request_hash, row_count, hash, seq): Head = single(
        connection,
        "_sync_outbox_bundle",
        "state, source_id, source_bundle_id, canonical_request_hash, row_count, remote_bundle_hash, \
         remote_bundle_seq",
        |row| {
            let start = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            Ok((start.0, start.1, start.2, start.3, row.get(4)?, row.get(5)?, row.get(6)?))
        },
    )?;
    let committed = match state.as_str() {
        "" | "none" => {
            let stray: i64 =
                connection.query_row("SELECT count(*) FROM _sync_outbox_rows", [], |row| row.get(0))?;
            return match stray {
                0 => Ok(None),
                _ => Err(broken(
                    "_sync_outbox_rows has rows of a bundle that _sync_outbox_bundle does not know",
                )),
            };
        }
        "prepared" => false,
        "committed_remote" => true,
        _ => return Err(broken("_sync_outbox_bundle.state is not known")),
    };
    if number < 1 || !is_hash(&request_hash) {
        return Err(broken("the frozen bundle has no number or no request hash"));
    }
    Ok(Some(FormerOutbox {
        source: parse_source(&source)?,
        source_bundle_id: number,
        request_hash,
        row_count,
        remote: Some((seq, hash)).filter(|(seq, hash)| committed && *seq > 0 && is_hash(hash)),
    }))
}

impl FormerOutbox {
    /// The commit as the server answered it, where that is known for certain; otherwise the bundle is asked for
    /// again, which the server answers from its history.
    pub(super) fn committed(
        &self,
        connection: &Connection,
        schema: &ManagedSchema,
        generation: WireGeneration,
        sent_rows: i64,
    ) -> Result<Option<CommittedBundle>> {
        let Some((seq, hash)) = &self.remote else { return Ok(None) };
        // GEN-B clients keep the number of rows that were sent, which is the server's only where the hash says so.
        let row_count = match generation {
            WireGeneration::A if self.row_count > 0 => self.row_count,
            WireGeneration::A => return Ok(None),
            WireGeneration::B => {
                if replay::expected_hash(connection, schema, generation, RowVersion(*seq))?.as_ref()
                    != Some(hash)
                {
                    return Ok(None);
                }
                sent_rows
            }
        };
        Ok(Some(CommittedBundle {
            bundle_seq: BundleSeq(*seq),
            source_id: self.source.clone(),
            source_bundle_id: SourceBundleId(self.source_bundle_id),
            row_count,
            bundle_hash: hash.clone(),
            canonical_request_hash: generation.sends_request_hash().then(|| self.request_hash.clone()),
        }))
    }
}

fn parse_source(source: &str) -> Result<SourceId> {
    SourceId::parse(source.trim())
        .ok_or_else(|| broken("a source id is empty or not of visible ASCII characters"))
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Reads columns of the one row of a table.
fn single<T>(
    connection: &Connection,
    table: &str,
    columns: &str,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<T> {
    connection
        .query_row(&format!("SELECT {columns} FROM {table} WHERE singleton_key = 1"), [], read)
        .optional()?
        .ok_or_else(|| broken(&format!("{table} has no row")))
}

fn broken(what: &str) -> super::StorageError {
    refusal(format!(
        "the state of the other sync client in this database contradicts itself: {what}; open the database with that \
         client once and let it synchronise"
    ))
}
