//! Bundles that the host's own code writes.

use super::PostgresStore;
use super::connection::{Access, Connections, Tx, text};
use super::failure::{PgError, PgResult};
use crate::refusal::Refusal;
use crate::store::{StoreError, StoreResult};
use futures_util::future::BoxFuture;
use rowtide::protocol::ids::BundleSeq;
use rowtide::protocol::problem::ProblemCode;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

/// A transaction that writes a bundle of a user. Statements are sent with the types of their parameters, so that a
/// transaction pooler may stand in between.
pub struct BundleWriter<'a> {
    tx: &'a Tx,
}

impl BundleWriter<'_> {
    /// Runs a statement; answers how many rows it wrote. `INSERT` may leave `_sync_scope_id` out, everything else names
    /// the user in `WHERE`.
    ///
    /// # Errors
    /// PostgreSQL refuses it. Give the error back from the work, which undoes all of it.
    pub async fn execute(
        &self,
        sql: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<u64, WriteError> {
        Ok(self.tx.execute(sql, params).await?)
    }

    /// Runs a query; answers its rows.
    ///
    /// # Errors
    /// PostgreSQL refuses it. Give the error back from the work, which undoes all of it.
    pub async fn query(
        &self,
        sql: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, WriteError> {
        Ok(self.tx.rows(sql, params).await?)
    }
}

/// Why the work of a bundle ended early. Nothing of it is kept.
#[derive(Debug)]
pub struct WriteError(PgError);

impl WriteError {
    /// The work gives up by itself; the text is what [`PostgresStore::write_bundle`] answers.
    pub fn abort(text: impl Into<String>) -> Self {
        Self(PgError::Other(text.into()))
    }
}

impl From<PgError> for WriteError {
    fn from(error: PgError) -> Self {
        Self(error)
    }
}

impl PostgresStore {
    /// Writes a bundle of a user, as a device would: `work` changes rows of registered tables, the commit makes one
    /// bundle of it and wakes the user's devices. `writer` is the name under which the host writes, visible ASCII; its
    /// bundles are numbered. Waits for other bundles of the user, and initialises a scope that nobody used yet.
    ///
    /// When this answers, the bundle is as durable as PostgreSQL's commits are. `work` runs again from the beginning
    /// where others stood in its way, so it does nothing that a rollback does not undo.
    ///
    /// # Errors
    /// [`StoreError::Refused`] with `scope_initializing` while a device uploads the user's first data: try again later.
    /// [`StoreError::Failed`] where a statement failed, where nothing was changed, or where PostgreSQL is not reached.
    /// Nothing is written then.
    ///
    /// # Cancellation
    /// Dropping the future rolls back what was not committed yet.
    pub async fn write_bundle<T, F>(&self, user: &str, writer: &str, work: F) -> StoreResult<(BundleSeq, T)>
    where
        T: Send,
        F: for<'a> Fn(BundleWriter<'a>) -> BoxFuture<'a, Result<T, WriteError>> + Send + Sync,
    {
        let _turn = self.connections.turn(user).await;
        let mut attempt = 1;
        loop {
            let tx = self.connections.begin(Access::Write).await?;
            let written = match write(&tx, user, writer, &work).await {
                Ok(written) => tx.end("COMMIT").await.map(|()| written),
                Err(error) => {
                    // The connection stays in the pool, unless it is the connection that failed.
                    let _ = tx.end("ROLLBACK").await;
                    Err(error)
                }
            };
            match written {
                Err(error) if Connections::tries_again(&error, attempt).await => attempt += 1,
                written => return Ok(written?),
            }
        }
    }
}

async fn write<T, F>(tx: &Tx, user: &str, writer: &str, work: &F) -> PgResult<(BundleSeq, T)>
where
    F: for<'a> Fn(BundleWriter<'a>) -> BoxFuture<'a, Result<T, WriteError>>,
{
    begin(tx, user, writer).await?;
    let answer = work(BundleWriter { tx }).await.map_err(|WriteError(error)| error)?;
    // The bundle is made now, so that what stands against it is an answer of this statement.
    tx.batch("SET CONSTRAINTS ALL IMMEDIATE").await?;
    let sql = "SELECT latest_bundle_seq FROM rowtide.user_state WHERE user_id = $1";
    let seq = tx.one(sql, &[text(&user)]).await?.get(0);
    Ok((BundleSeq(seq), answer))
}

async fn begin(tx: &Tx, user: &str, writer: &str) -> PgResult<()> {
    let sql = "SELECT rowtide.begin_bundle($1, $2)";
    match tx.one(sql, &[text(&user), text(&writer)]).await {
        Err(PgError::Database(error)) if error.code().is_some_and(|code| code.code() == "RT003") => {
            let text = "a device of the user is uploading its first data";
            Err(Refusal::new(ProblemCode::ScopeInitializing, text).retry_after(1).into())
        }
        begun => begun.map(drop),
    }
}

impl std::fmt::Display for WriteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for WriteError {}

impl From<WriteError> for StoreError {
    fn from(WriteError(error): WriteError) -> Self {
        error.into()
    }
}
