//! The inbox: rows that cannot be synchronised as they are.

use super::Client;
use crate::error::Result;
use crate::storage::refused_rows::{self, RefusedRow};
use crate::sync::RowValues;

impl Client {
    /// Lists rows that cannot be synchronised as they are, oldest first.
    ///
    /// # Errors
    /// Only of the database.
    pub async fn refused_rows(&self) -> Result<Vec<RefusedRow>> {
        let schema = self.shared.engine.schema.clone();
        Ok(self.storage().read(move |connection| refused_rows::list(connection, &schema)).await?)
    }

    /// Makes all refused rows pending again; those that had left their table are put back. Answers how many.
    ///
    /// # Errors
    /// SQLite's, where a row still cannot be put back (its parent or a unique value is still in the way);
    /// nothing was changed then.
    pub async fn retry_refused(&self) -> Result<i64> {
        self.act_on_inbox(refused_rows::Action::Retry(RowValues::new())).await
    }

    /// Makes one refused row pending again, with `changes` to its columns; the key as [`RefusedRow::key`] has it.
    /// Answers whether it was in the inbox.
    ///
    /// # Errors
    /// As [`retry_refused`](Self::retry_refused); [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) where the table is not configured or
    /// has no such column.
    pub async fn retry_refused_row(&self, table: &str, key: &str, changes: RowValues) -> Result<bool> {
        self.act_on_refused_row(table, key, refused_rows::Action::Retry(changes)).await
    }

    /// Gives up the local changes of all refused rows. Rows that the server never had leave their tables; what the
    /// server has comes back with the next sync, which downloads everything anew for that. Answers how many.
    ///
    /// # Errors
    /// Only of the database.
    pub async fn discard_refused(&self) -> Result<i64> {
        self.act_on_inbox(refused_rows::Action::Discard).await
    }

    /// Gives up the local change of one refused row, as [`discard_refused`](Self::discard_refused) does for all.
    /// Answers whether it was in the inbox.
    ///
    /// # Errors
    /// Of the database; [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) where the table is not configured.
    pub async fn discard_refused_row(&self, table: &str, key: &str) -> Result<bool> {
        self.act_on_refused_row(table, key, refused_rows::Action::Discard).await
    }

    async fn act_on_inbox(&self, action: refused_rows::Action) -> Result<i64> {
        let (schema, now_ms) = (self.shared.engine.schema.clone(), self.now_ms());
        Ok(self
            .storage()
            .host_transaction(now_ms, move |transaction| {
                refused_rows::act_on_all(transaction, &schema, &action, now_ms)
            })
            .await?)
    }

    async fn act_on_refused_row(&self, table: &str, key: &str, action: refused_rows::Action) -> Result<bool> {
        let (schema, now_ms) = (self.shared.engine.schema.clone(), self.now_ms());
        let (table, key) = (table.to_owned(), key.to_owned());
        Ok(self
            .storage()
            .host_transaction(now_ms, move |transaction| {
                refused_rows::act(transaction, &schema, &table, &key, &action, now_ms)
            })
            .await?)
    }
}
