//! Sources: the identities of client databases at the server.

use crate::options::TestServerError;
use crate::server::TestServer;
use rowtide::protocol::ids::SourceId;
use rowtide::protocol::message::{ReplacementReason, SourceReplacement};
use rowtide_server::StoreError;

impl TestServer {
    /// Retires the source of a client database, as if another copy of it had taken on a source of its own: its next
    /// upload is refused, and it goes on under the source that this answers. No fault stands in the way.
    ///
    /// # Errors
    /// The source is retired already, the user has no data, or the store failed.
    pub async fn retire_source(&self, user: &str, source_id: &str) -> Result<String, TestServerError> {
        let store = self.running().store.clone();
        let source = SourceId::parse(source_id)
            .ok_or_else(|| StoreError::Failed(format!("{source_id:?} is no source")))?;
        let call = rowtide_server::Call { source: source.clone(), ..self.call(user) };
        let replacement = SourceReplacement {
            previous_source_id: source,
            new_source_id: SourceId::mint(),
            reason: ReplacementReason::SourceRetired,
        };
        let session = store.create_snapshot(&call, Some(&replacement), None).await?;
        store.delete_snapshot(&call, &session.snapshot_id).await?;
        Ok(replacement.new_source_id.to_string())
    }
}
