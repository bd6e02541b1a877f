//! Which installation a database belongs to (design D5): a file that was restored from a backup or copied to another
//! phone must not upload under the source of the original.

use super::error::{Result, StorageError};
use super::operation::{self, OperationKind};
use super::{attachment, outbox};
use crate::protocol::ids::{SourceId, mint_uuid};
use rusqlite::{Transaction, params};
use std::path::{Path, PathBuf};

/// The installation's id: the host's, or that of the file beside the database, which is written where there is none.
/// `None` for a database without a file.
pub(crate) fn marker(path: &Path, host: Option<&str>) -> Result<Option<String>> {
    if let Some(id) = host {
        return Ok(Some(id.to_owned()));
    }
    if path == Path::new(":memory:") {
        return Ok(None);
    }
    let mut file = path.as_os_str().to_owned();
    file.push("-rowtide-installation");
    let file = PathBuf::from(file);
    let failed = |source| StorageError::File { path: file.display().to_string(), source };
    match std::fs::read_to_string(&file) {
        Ok(id) if !id.trim().is_empty() => return Ok(Some(id.trim().to_owned())),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let id = mint_uuid();
    std::fs::write(&file, &id).map_err(failed)?;
    Ok(Some(id))
}

/// Binds the database to an installation. One that was bound to another goes on under a new source: what was frozen
/// under the former one is dirty again, unless the server has it already, and meets the original's rows in a pull.
pub(crate) fn bind(transaction: &Transaction<'_>, marker: Option<&str>) -> Result<()> {
    let Some(marker) = marker else { return Ok(()) };
    let stored: Option<String> =
        transaction.query_row("SELECT installation_id FROM _rowtide_attachment", [], |row| row.get(0))?;
    if stored.as_deref() == Some(marker) {
        return Ok(());
    }
    transaction.execute("UPDATE _rowtide_attachment SET installation_id = ?1", params![marker])?;
    if stored.is_none() {
        return Ok(());
    }
    log::info!("the database was copied or restored from a backup; it goes on under a new source");
    if outbox::load(transaction)?.is_some_and(|outbox| outbox.committed.is_none()) {
        outbox::thaw(transaction)?;
    }
    match operation::load(transaction)?.map(|found| found.kind) {
        // The reserved source is the original's.
        Some(OperationKind::SourceRecovery { .. }) => {
            operation::finish(transaction)?;
            operation::start(transaction, &OperationKind::Rebuild, "copied")?;
        }
        Some(OperationKind::RemoteReplace { .. } | OperationKind::Rebuild | OperationKind::AddTables) => {
            operation::set_session(transaction, None)?;
        }
        None => {}
    }
    if attachment::load(transaction)?.initialization_id.is_some() {
        // The lease is the original's too; whoever attaches again is told who seeds.
        attachment::release(transaction)?;
    }
    attachment::replace_source(transaction, &SourceId::mint())
}
