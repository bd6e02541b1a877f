//! What was committed for a user, bundle by bundle.

use crate::options::TestServerError;
use crate::server::TestServer;
use rowtide::protocol::ids::BundleSeq;
use rowtide::protocol::message::{Bundle, RowOp};
use rowtide_server::StoreError;
use serde_json::{Map, Value};

/// A bundle in a user's history.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerBundle {
    /// Its number.
    pub seq: i64,
    /// The database that sent it.
    pub source_id: String,
    /// Its number among those of that database.
    pub source_bundle_id: i64,
    /// Its rows, in their order.
    pub changes: Vec<ServerChange>,
}

/// A row of a bundle.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerChange {
    /// Its table.
    pub table: String,
    /// Its sync key as text; a BLOB key as dashed UUID.
    pub key: String,
    /// All columns as they travel (see [`ServerRow`](crate::ServerRow)); `None` where the row was deleted.
    pub columns: Option<Map<String, Value>>,
}

impl TestServer {
    /// The bundles of a user after one of them (0 for all), oldest first; none where the user has no data. History that
    /// was pruned is missing. No fault stands in the way, and no exchange is recorded.
    ///
    /// # Errors
    /// The store failed.
    pub async fn bundles(&self, user: &str, after: i64) -> Result<Vec<ServerBundle>, TestServerError> {
        let store = self.running().store.clone();
        let call = self.call(user);
        let newest = match store.latest(&call).await {
            Ok(newest) => newest,
            Err(error) if crate::rows::is_empty(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let (mut after, mut found) = (BundleSeq(after), Vec::new());
        while after < newest {
            let page = store.pull(&call, after, i64::MAX, Some(newest)).await?;
            let not_json = |error: serde_json::Error| StoreError::Failed(error.to_string());
            let bundles: Vec<Bundle<'_>> = serde_json::from_str(&page.bundles).map_err(not_json)?;
            let Some(last) = bundles.last() else { break };
            after = last.bundle_seq;
            for bundle in &bundles {
                found.push(read(bundle).map_err(not_json)?);
            }
        }
        Ok(found)
    }
}

fn read(bundle: &Bundle<'_>) -> serde_json::Result<ServerBundle> {
    let change = |row: &rowtide::protocol::message::CommittedRow<'_>| {
        let payload = row.payload.filter(|_| row.op != RowOp::Delete);
        Ok(ServerChange {
            table: row.table.clone().into_owned(),
            key: row.key.value.clone().into_owned(),
            columns: payload.map(|payload| serde_json::from_str(payload.get())).transpose()?,
        })
    };
    Ok(ServerBundle {
        seq: bundle.bundle_seq.0,
        source_id: bundle.source_id.to_string(),
        source_bundle_id: bundle.source_bundle_id.0,
        changes: bundle.rows.iter().map(change).collect::<serde_json::Result<_>>()?,
    })
}
