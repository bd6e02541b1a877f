//! Emptying the managed tables: at detach, or where anonymous rows are to be discarded.

use super::error::Result;
use super::{attachment, base_images, dirty_rows, operation, outbox, quote, refused_rows};
use crate::protocol::ids::SourceId;
use crate::schema::ManagedSchema;
use crate::simulation::{mutated, mutation::Mutation};
use rusqlite::Transaction;

/// Detaches and wipes, unless rows are unsynced; answers how many are, and nothing was done then. Checked and
/// done in one transaction, so a write cannot slip in between.
pub(crate) fn detach(transaction: &Transaction<'_>, schema: &ManagedSchema) -> Result<i64> {
    let unsynced = dirty_rows::pending(transaction, schema)? + refused_rows::count(transaction)?;
    if unsynced > 0 && !mutated(Mutation::DetachDropsUnsynced) {
        return Ok(unsynced);
    }
    wipe(transaction, schema)?;
    operation::finish(transaction)?;
    attachment::release(transaction)?;
    // The next user's uploads must not continue this user's numbering.
    attachment::replace_source(transaction, &SourceId::mint())?;
    if !mutated(Mutation::CheckpointKeptAtDetach) {
        attachment::set_checkpoint(transaction, crate::protocol::ids::BundleSeq(0))?;
    }
    transaction.execute(
        "UPDATE _rowtide_attachment SET generation = NULL, schema_name = NULL, committed_seq = 0",
        [],
    )?;
    Ok(0)
}

/// Deletes every managed row, and everything that is known and intended about them.
pub(crate) fn wipe(transaction: &Transaction<'_>, schema: &ManagedSchema) -> Result<()> {
    transaction.execute_batch("UPDATE _rowtide_apply SET applying = 1; PRAGMA defer_foreign_keys = ON")?;
    for table in schema.tables.iter().rev().skip(usize::from(mutated(Mutation::DetachKeepsRows))) {
        transaction.execute(&format!("DELETE FROM {}", quote(&table.name)), [])?;
    }
    outbox::clear(transaction)?;
    base_images::clear(transaction, schema)?;
    transaction.execute_batch(
        "UPDATE _rowtide_apply SET applying = 0;
         DELETE FROM _rowtide_row_state;
         DELETE FROM _rowtide_dirty_rows;
         DELETE FROM _rowtide_change_log;
         DELETE FROM _rowtide_refused_rows;
         DELETE FROM _rowtide_commits;
         DELETE FROM _rowtide_kept_columns;",
    )?;
    Ok(())
}
