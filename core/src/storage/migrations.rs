//! Installs Rowtide's tables in a database and binds the configured tables to it, in one transaction.

use super::error::{Result, StorageError};
use super::{adoption, attachment, managed_tables};
use crate::protocol::ids::SourceId;
use crate::schema::ManagedSchema;
use rusqlite::{Connection, Transaction};
use std::sync::Arc;

/// What each layout adds to the one before it.
const LAYOUTS: [&str; 3] = [
    include_str!("sql/001_init.sql"),
    include_str!("sql/002_inbox.sql"),
    include_str!("sql/003_differences.sql"),
];
const NEWEST: i64 = LAYOUTS.len() as i64;

/// The layout version of a database; `None` where Rowtide never was.
pub(crate) fn layout(connection: &Connection) -> Result<Option<i64>> {
    let exists: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_rowtide_layout')",
        [],
        |row| row.get(0),
    )?;
    if !exists {
        return Ok(None);
    }
    let version = connection.query_row("SELECT layout_version FROM _rowtide_layout", [], |row| row.get(0))?;
    if version > NEWEST {
        return Err(StorageError::NewerLayout(version, NEWEST));
    }
    Ok(Some(version))
}

/// Creates what is missing, numbers the tables, installs the triggers; a table that is new here has its
/// existing rows captured once, as local inserts. A database that another client left behind is adopted.
pub(crate) fn install(transaction: &Transaction<'_>, schema: &ManagedSchema) -> Result<ManagedSchema> {
    let former = match layout(transaction)? {
        None => adoption::find(transaction)?,
        Some(_) => None,
    };
    upgrade(transaction)?;
    transaction.execute("UPDATE _rowtide_apply SET applying = 0 WHERE applying <> 0", [])?;
    managed_tables::retire_removed(transaction, schema)?;
    let mut tables = Vec::with_capacity(schema.tables.len());
    for table in &schema.tables {
        tables.push(Arc::new(managed_tables::install(transaction, table)?));
    }
    let managed = ManagedSchema { tables, ..schema.clone() };
    if let Some(generation) = former {
        adoption::adopt(transaction, &managed, generation)?;
    }
    Ok(managed)
}

/// Brings the layout up to date, from whichever version the database has.
fn upgrade(transaction: &Transaction<'_>) -> Result<()> {
    let found = layout(transaction)?;
    let done = usize::try_from(found.unwrap_or(0)).unwrap_or(0);
    for step in &LAYOUTS[done..] {
        transaction.execute_batch(step)?;
    }
    if done < LAYOUTS.len() {
        transaction.execute("UPDATE _rowtide_layout SET layout_version = ?1", [NEWEST])?;
    }
    if found.is_none() {
        attachment::create(transaction, &SourceId::mint())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{SyncTable, UnknownColumns, validate};
    use crate::storage::{catalog, dirty_rows, refused_rows};

    #[test]
    fn a_database_of_the_first_layout_is_brought_up_to_date_with_everything_that_it_held() {
        let mut connection = Connection::open_in_memory().expect("a database");
        connection.execute_batch("CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, x REAL)").expect("a table");
        connection.execute_batch(LAYOUTS[0]).expect("the first layout");
        connection
            .execute_batch(
                "INSERT INTO t VALUES ('dirty', 1.0), ('sent', 2.0), ('refused', 9e999);
                 INSERT INTO _rowtide_tables VALUES (1, 't', 'id');
                 INSERT INTO _rowtide_attachment (singleton, source_id, next_source_bundle_id, user_id)
                 VALUES (1, 'source-1', 5, 'ada');
                 INSERT INTO _rowtide_dirty_rows VALUES (1, 'dirty', 1, 1);
                 INSERT INTO _rowtide_outbox VALUES (1, 'source-1', 5, 1, 'hash', NULL);
                 INSERT INTO _rowtide_outbox_rows VALUES (0, 1, 'sent', 'sent', 'INSERT', 0, '{}', 2);
                 INSERT INTO _rowtide_refused_rows VALUES (1, 'refused', 'invalid_value', 'no', NULL, 7);",
            )
            .expect("what it held");
        let found = catalog::read(&connection).expect("the catalog");
        let schema =
            validate("s", &[SyncTable::new("t").key("id")], UnknownColumns::Refuse, &found).expect("valid");
        let transaction = connection.transaction().expect("a transaction");
        let schema = install(&transaction, &schema).expect("the upgrade");
        assert_eq!(layout(&transaction).expect("a layout"), Some(NEWEST));
        let kept = attachment::load(&transaction).expect("an attachment");
        assert_eq!((kept.source_id.as_str(), kept.next_source_bundle_id.0), ("source-1", 5));
        assert_eq!(dirty_rows::pending(&transaction, &schema).expect("a count"), 2);
        let inbox = refused_rows::list(&transaction, &schema).expect("the inbox");
        assert_eq!((inbox[0].key.as_str(), inbox[0].in_table), ("refused", true));
        let last: i64 = transaction
            .query_row("SELECT last_change FROM _rowtide_outbox_rows", [], |row| row.get(0))
            .expect("the frozen row");
        assert_eq!(last, 2);
    }
}
