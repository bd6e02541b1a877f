//! The attachment: source, user, generation, checkpoint. One row.

use super::error::Result;
use crate::protocol::ids::{BundleSeq, SourceBundleId, SourceId};
use crate::protocol::profile::WireGeneration;
use crate::simulation::{mutated, mutation::Mutation};
use rusqlite::{Connection, Transaction, params};

/// The stored attachment.
#[derive(Debug, Clone)]
pub(crate) struct Attachment {
    pub(crate) source_id: SourceId,
    pub(crate) next_source_bundle_id: SourceBundleId,
    pub(crate) user: Option<String>,
    pub(crate) generation: Option<WireGeneration>,
    pub(crate) checkpoint: BundleSeq,
    pub(crate) initialization_id: Option<String>,
    pub(crate) last_error: Option<String>,
}

/// Writes the first attachment of a database.
pub(crate) fn create(transaction: &Transaction<'_>, source: &SourceId) -> Result<()> {
    transaction.execute(
        "INSERT INTO _rowtide_attachment (singleton, source_id) VALUES (1, ?1)",
        [source.as_str()],
    )?;
    Ok(())
}

/// Reads the attachment.
pub(crate) fn load(connection: &Connection) -> Result<Attachment> {
    let mut statement = connection.prepare_cached(
        "SELECT source_id, next_source_bundle_id, user_id, generation, checkpoint, initialization_id, last_error
         FROM _rowtide_attachment",
    )?;
    Ok(statement.query_row([], |row| {
        let source: String = row.get(0)?;
        let generation: Option<String> = row.get(3)?;
        Ok(Attachment {
            source_id: SourceId::parse(&source).ok_or(rusqlite::Error::InvalidQuery)?,
            next_source_bundle_id: SourceBundleId(row.get(1)?),
            user: row.get(2)?,
            generation: generation.as_deref().and_then(WireGeneration::parse),
            checkpoint: BundleSeq(row.get(4)?),
            initialization_id: row.get(5)?,
            last_error: row.get(6)?,
        })
    })?)
}

/// Binds the database to a user.
pub(crate) fn attach(
    transaction: &Transaction<'_>,
    user: &str,
    schema: &str,
    initialization_id: Option<&str>,
) -> Result<()> {
    transaction.execute(
        "UPDATE _rowtide_attachment SET user_id = ?1, schema_name = ?2, initialization_id = ?3",
        params![user, schema, initialization_id],
    )?;
    Ok(())
}

/// Makes the database anonymous; rows and intent stay as they are.
pub(crate) fn release(transaction: &Transaction<'_>) -> Result<()> {
    transaction.execute("UPDATE _rowtide_attachment SET user_id = NULL, initialization_id = NULL", [])?;
    Ok(())
}

/// The server has nothing of this user any more: what is here is local intent again, and waits for an attach as rows
/// do that were written while signed out.
pub(crate) fn release_lost_scope(transaction: &Transaction<'_>) -> Result<()> {
    super::outbox::thaw(transaction)?;
    super::row_state::recall_all(transaction)?;
    transaction.execute("UPDATE _rowtide_attachment SET checkpoint = 0, committed_seq = 0", [])?;
    release(transaction)?;
    // The server would ask for the first bundle of a source that it does not know.
    replace_source(transaction, &SourceId::mint())
}

/// Replaces the source, which starts again at bundle 1. A lease of the former one is of no use to it.
pub(crate) fn replace_source(transaction: &Transaction<'_>, source: &SourceId) -> Result<()> {
    transaction.execute(
        "UPDATE _rowtide_attachment SET source_id = ?1, next_source_bundle_id = 1, initialization_id = NULL",
        [source.as_str()],
    )?;
    Ok(())
}

/// Stores the generation.
pub(crate) fn set_generation(transaction: &Transaction<'_>, generation: WireGeneration) -> Result<()> {
    transaction.execute("UPDATE _rowtide_attachment SET generation = ?1", [generation.as_str()])?;
    Ok(())
}

/// Moves the checkpoint.
pub(crate) fn set_checkpoint(transaction: &Transaction<'_>, checkpoint: BundleSeq) -> Result<()> {
    transaction.prepare_cached("UPDATE _rowtide_attachment SET checkpoint = ?1")?.execute([checkpoint.0])?;
    Ok(())
}

/// Records that a bundle is done: the next number of its source follows it, unless the source was replaced
/// since, and the lease is used up.
pub(crate) fn finish_source_bundle(
    transaction: &Transaction<'_>,
    source: &SourceId,
    done: SourceBundleId,
) -> Result<()> {
    transaction.execute(
        "UPDATE _rowtide_attachment SET initialization_id = NULL, failed_commits = 0,
         next_source_bundle_id = CASE source_id WHEN ?1 THEN max(next_source_bundle_id, ?2)
                                                ELSE next_source_bundle_id END",
        params![source.as_str(), if mutated(Mutation::NumberReused) { done.0 } else { done.next().0 }],
    )?;
    Ok(())
}

/// Counts a run in which the server committed nothing and gave no reason; answers how many there were in a row.
pub(crate) fn count_failed_commit(transaction: &Transaction<'_>) -> Result<i64> {
    Ok(transaction.query_row(
        "UPDATE _rowtide_attachment SET failed_commits = failed_commits + 1 RETURNING failed_commits",
        [],
        |row| row.get(0),
    )?)
}

/// Records the newest bundle that this device committed.
pub(crate) fn set_committed_seq(transaction: &Transaction<'_>, seq: BundleSeq) -> Result<()> {
    transaction.execute("UPDATE _rowtide_attachment SET committed_seq = ?1", [seq.0])?;
    Ok(())
}

/// Keeps the last error's text for the status; `None` after a success.
pub(crate) fn set_last_error(transaction: &Transaction<'_>, error: Option<&str>) -> Result<()> {
    transaction
        .execute("UPDATE _rowtide_attachment SET last_error = ?1 WHERE last_error IS NOT ?1", [error])?;
    Ok(())
}
