//! What a user's tables hold at the server.

use crate::options::TestServerError;
use crate::server::TestServer;
use rowtide::Clock;
use rowtide::protocol::ids::{BundleSeq, SourceId};
use rowtide::protocol::message::SnapshotRow;
use rowtide::protocol::problem::ProblemCode;
use rowtide_server::{Call, Scope, StoreError};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A live row at the server.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerRow {
    /// The sync key as text; a BLOB key as dashed UUID.
    pub key: String,
    /// Its version: the number of the bundle that last changed it.
    pub version: i64,
    /// All columns as they travel. Blobs are base64, BLOB keys and references to them dashed UUIDs; numbers are JSON
    /// numbers in generation A, and their decimal text in generation B.
    pub columns: Map<String, Value>,
}

impl TestServer {
    /// The rows of a user's table, by key; none where the user has no data yet. No fault and no limit stands in the
    /// way, and no exchange is recorded.
    ///
    /// # Errors
    /// The table is not registered, or the store failed.
    pub async fn rows(&self, user: &str, table: &str) -> Result<Vec<ServerRow>, TestServerError> {
        let store = self.running().store.clone();
        let call = self.call(user);
        let schema = &self.founding.config.schema;
        let session = match store.create_snapshot(&call, None, Some(vec![format!("{schema}.{table}")])).await
        {
            Ok(session) => session,
            Err(error) if is_empty(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let page = store.snapshot_rows(&call, &session.snapshot_id, 0, i64::MAX, i64::MAX).await?;
        store.delete_snapshot(&call, &session.snapshot_id).await?;
        let not_json = |error: serde_json::Error| StoreError::Failed(error.to_string());
        let rows: Vec<SnapshotRow<'_>> = serde_json::from_str(&page.rows).map_err(not_json)?;
        let row = |row: SnapshotRow<'_>| -> Result<ServerRow, TestServerError> {
            Ok(ServerRow {
                key: row.key.value.into_owned(),
                version: row.row_version.0,
                columns: serde_json::from_str(row.payload.get()).map_err(not_json)?,
            })
        };
        rows.into_iter().map(row).collect()
    }

    /// Forgets the history of a user up to the newest bundle, as retention would: a device that has not seen all of it
    /// must rebuild. Answers that bundle's number, 0 where the user has no data.
    ///
    /// # Errors
    /// The store failed.
    pub async fn prune_history(&self, user: &str) -> Result<i64, TestServerError> {
        let store = self.running().store.clone();
        let newest = match store.latest(&self.call(user)).await {
            Ok(newest) => newest,
            Err(error) if is_empty(&error) => BundleSeq(0),
            Err(error) => return Err(error.into()),
        };
        self.service().set_retained_floor(user, newest).await?;
        Ok(newest.0)
    }

    pub(crate) fn call(&self, user: &str) -> Call {
        Call {
            scope: Scope { generation: self.generation, user: user.to_owned() },
            source: SourceId::mint(),
            now_ms: self.founding.clock.now_ms(),
            limits: Arc::new(self.founding.config.limits.clone()),
        }
    }
}

/// Whether this says that the user has no data yet.
pub(crate) fn is_empty(error: &StoreError) -> bool {
    let empty = [ProblemCode::ScopeUninitialized, ProblemCode::ScopeInitializing];
    matches!(error, StoreError::Refused(refusal) if empty.contains(&refusal.code))
}
