//! UNIQUE constraints between the server's rows and what is here: SQLite cannot defer them, so values are freed before
//! they are written.

use super::apply::Applier;
use super::error::{Result, StorageError};
use super::refused_rows::RefusedReason;
use super::{dirty_rows, quote, rows};
use crate::protocol::value::{ColumnKind, SqlValue};
use crate::schema::ManagedTable;
use rusqlite::Transaction;
use std::rc::Rc;

impl Applier<'_> {
    /// Frees the unique values of a row that is about to be written. A dirty row that holds one goes to the inbox.
    /// A clean one is parked: SQLite cannot defer UNIQUE, so a row that gets another value later in the same
    /// bundle (a swap) gives up its old one first.
    pub(super) fn free_unique_values(&mut self, table: &ManagedTable, values: &[SqlValue]) -> Result<()> {
        if !self.unique_columns.contains_key(&table.id) {
            let found = unique_columns(self.transaction, table)?;
            self.unique_columns.insert(table.id, Rc::from(found));
        }
        let unique = self.unique_columns[&table.id].clone();
        for columns in unique.iter() {
            for key in self.holders(table, columns, values)? {
                if self.any_dirty && dirty_rows::last_change(self.transaction, table.id, &key)?.is_some() {
                    self.refuse_dependants(table, &key)?;
                    let message = "another device stored a row with the same unique value first";
                    self.refuse(table, &key, RefusedReason::UniqueCollision, message)?;
                } else {
                    self.park(table, columns, &key)?;
                }
            }
        }
        let own = &values[table.key_index];
        self.parked.retain(|(parked, key)| *parked != table.id || key != own);
        Ok(())
    }

    /// Keys of other rows that hold the values of a unique constraint.
    fn holders(&self, table: &ManagedTable, columns: &[usize], values: &[SqlValue]) -> Result<Vec<SqlValue>> {
        let equal: Vec<_> = columns
            .iter()
            .enumerate()
            .map(|(place, index)| format!("{} = ?{}", quote(&table.column_names[*index]), place + 2))
            .collect();
        let key = quote(table.key_column());
        let sql = format!(
            "SELECT {key} FROM {} WHERE {key} IS NOT ?1 AND {}",
            quote(&table.name),
            equal.join(" AND ")
        );
        let mut parameters = vec![&values[table.key_index]];
        parameters.extend(columns.iter().map(|index| &values[*index]));
        let mut statement = self.transaction.prepare_cached(&sql)?;
        let keys = statement.query_map(rusqlite::params_from_iter(parameters), |row| rows::key(row, 0))?;
        Ok(keys.collect::<rusqlite::Result<_>>()?)
    }

    fn park(&mut self, table: &ManagedTable, columns: &[usize], key: &SqlValue) -> Result<()> {
        // One column of the constraint is enough, and a random value of its kind collides with nothing.
        let index = columns[0];
        let value = match table.columns[index].kind {
            ColumnKind::Integer | ColumnKind::Real | ColumnKind::Numeric => "random()",
            ColumnKind::Text => "hex(randomblob(16))",
            ColumnKind::Blob | ColumnKind::Uuid => "randomblob(16)",
        };
        let sql = format!(
            "UPDATE {} SET {} = {value} WHERE {} = ?1",
            quote(&table.name),
            quote(&table.column_names[index]),
            quote(table.key_column())
        );
        self.transaction.prepare_cached(&sql)?.execute([key])?;
        self.parked.push((table.id, key.clone()));
        Ok(())
    }

    /// A parked row that the bundle did not write again would keep a value that nobody gave it.
    pub(super) fn check_parked(&self) -> Result<()> {
        match self.parked.first() {
            None => Ok(()),
            Some((id, _)) => {
                let table = self.schema.by_id(*id).map_or("", |table| &table.name);
                let text = format!("the server has two rows of table {table} with the same unique value");
                Err(StorageError::Violation(text))
            }
        }
    }
}

/// Column positions of each UNIQUE constraint or index of a table, the sync key's own left out.
fn unique_columns(transaction: &Transaction<'_>, table: &ManagedTable) -> Result<Vec<Vec<usize>>> {
    let mut statement = transaction.prepare_cached(
        "SELECT l.name, group_concat(i.name, char(31)) FROM pragma_index_list(?1) AS l, pragma_index_info(l.name) AS i
         WHERE l.\"unique\" = 1 AND l.origin <> 'pk' AND l.partial = 0 GROUP BY l.name",
    )?;
    let names = statement
        .query_map([&table.name], |row| row.get::<_, Option<String>>(1))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let position = |name: &str| table.column_names.iter().position(|column| column == name);
    // An index over an expression has no column names and is left to SQLite's own check.
    Ok(names
        .into_iter()
        .flatten()
        .filter_map(|list| list.split('\u{1f}').map(position).collect::<Option<Vec<_>>>())
        .collect())
}
