//! Adoption (design D4): a database that another client of the protocol left behind goes on where that client stood.
//! What was known, meant and frozen there is carried over, then the other client's tables and triggers go, all in the
//! transaction that installs Rowtide; whatever fails leaves the database as it was.

mod former;
mod rows;
mod state;

use super::error::{Result, StorageError};
use super::operation::{self, OperationKind};
use super::{attachment, outbox};
use crate::protocol::profile::WireGeneration;
use crate::schema::{ManagedSchema, SchemaError};
use rusqlite::{Transaction, params};
use state::{FormerOutbox, FormerState};

pub(super) use former::find;
pub(super) use former::refuse_dependents;

/// Carries the other client's state over into the installed tables, and removes that client.
pub(super) fn adopt(
    transaction: &Transaction<'_>,
    schema: &ManagedSchema,
    generation: WireGeneration,
) -> Result<()> {
    let former = state::read(transaction)?;
    if !former.schema.is_empty() && former.schema != schema.name {
        return Err(refusal(format!(
            "the database was synchronised with schema {:?} of the server, the configured one is {:?}; configure {:?}",
            former.schema, schema.name, former.schema
        )));
    }
    let newest = rows::carry_row_states(transaction, schema)?;
    let frozen = rows::carry_outbox(transaction, schema, former.outbox.as_ref())?;
    let changes = rows::carry_dirty_rows(transaction, schema, frozen)?;
    let changes = rows::repair_frozen(transaction, schema, generation, changes)?;
    write_attachment(transaction, schema, generation, &former, newest, changes)?;
    rows::forget_captured(transaction)?;
    if let Some(frozen) = &former.outbox {
        settle_outbox(transaction, schema, generation, &former, frozen)?;
    }
    if let Some(kind) = &former.operation {
        operation::start(transaction, kind, &former.reason)?;
    }
    former::remove(transaction)?;
    log::info!("the database of another client was adopted, under its source {}", former.source);
    Ok(())
}

fn write_attachment(
    transaction: &Transaction<'_>,
    schema: &ManagedSchema,
    generation: WireGeneration,
    former: &FormerState,
    newest_version: i64,
    changes: i64,
) -> Result<()> {
    let attached = former.user.is_some();
    // The number of a bundle that is frozen or was given up is not used yet.
    let unused = former.outbox.as_ref().filter(|frozen| frozen.remote.is_none());
    let next = match unused.filter(|frozen| frozen.source == former.source) {
        Some(frozen) => frozen.source_bundle_id,
        None => former.next_source_bundle_id,
    };
    attachment::set_generation(transaction, generation)?;
    transaction.execute(
        "UPDATE _rowtide_attachment SET source_id = ?1, next_source_bundle_id = ?2, user_id = ?3, schema_name = ?4,
         checkpoint = ?5, committed_seq = ?6, initialization_id = ?7, changes_coalesced = ?8",
        params![
            former.source.as_str(),
            next,
            former.user,
            attached.then_some(&schema.name),
            // Whoever attaches next begins anew.
            if attached { former.checkpoint } else { 0 },
            if attached { newest_version } else { 0 },
            former.initialization_id.as_ref().filter(|_| attached),
            changes
        ],
    )?;
    Ok(())
}

/// Decides how a frozen bundle goes on. Rowtide has one only while it is attached and no source is being replaced;
/// otherwise its rows are dirty again, or of no interest any more because the coming snapshot has them.
fn settle_outbox(
    transaction: &Transaction<'_>,
    schema: &ManagedSchema,
    generation: WireGeneration,
    former: &FormerState,
    frozen: &FormerOutbox,
) -> Result<()> {
    let replaces = matches!(former.operation, Some(OperationKind::SourceRecovery { .. }));
    if replaces && frozen.remote.is_some() {
        return outbox::clear(transaction);
    }
    if replaces || former.user.is_none() {
        return outbox::thaw(transaction);
    }
    let row_count = rows::write_head(transaction, frozen)?;
    if let Some(committed) = frozen.committed(transaction, schema, generation, row_count)? {
        // A server without request hashes may have answered for another copy's bundle: its rows are compared.
        outbox::set_committed(transaction, &committed, !generation.sends_request_hash())?;
    }
    Ok(())
}

/// A database that cannot be adopted as it is.
fn refusal(text: String) -> StorageError {
    SchemaError(text).into()
}
