//! What is left to do, read at once: an operation leaves out the steps that have nothing to do, so that one without work
//! costs little more than its request.

use super::attachment::{self, Attachment};
use super::error::Result;
use rusqlite::Connection;

/// What is left to do.
#[derive(Debug, Clone)]
pub(crate) struct Agenda {
    pub(crate) attachment: Attachment,
    /// An upload or a download to finish, or what a download left in the stage.
    pub(crate) unsettled: bool,
    /// Tables whose rows at the server were never downloaded.
    pub(crate) added_tables: bool,
    /// Local intent, or a search for a refused row that was interrupted.
    pub(crate) intent: bool,
    /// Rows in the inbox, which wait for the app.
    pub(crate) refused_rows: i64,
}

/// Reads what is left to do.
pub(crate) fn load(connection: &Connection) -> Result<Agenda> {
    let moment = connection.unchecked_transaction()?;
    let attachment = attachment::load(&moment)?;
    let mut statement = moment.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM _rowtide_operation) OR EXISTS (SELECT 1 FROM _rowtide_stage)
                OR EXISTS (SELECT 1 FROM _rowtide_outbox),
                EXISTS (SELECT 1 FROM _rowtide_tables WHERE managed = 1 AND hydrated = 0),
                EXISTS (SELECT 1 FROM _rowtide_change_log) OR EXISTS (SELECT 1 FROM _rowtide_dirty_rows)
                OR EXISTS (SELECT 1 FROM _rowtide_selected_rows),
                (SELECT count(*) FROM _rowtide_refused_rows)",
    )?;
    Ok(statement.query_row([], |row| {
        Ok(Agenda {
            attachment,
            unsettled: row.get(0)?,
            added_tables: row.get(1)?,
            intent: row.get(2)?,
            refused_rows: row.get(3)?,
        })
    })?)
}
