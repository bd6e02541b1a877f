//! What the server can do, and which generation it speaks. Asked once a client, kept until something changes.

use super::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::ids::SourceId;
use crate::protocol::message::Capabilities;
use crate::protocol::profile::WireGeneration;
use crate::protocol::validate::{self, TableContractMismatch};
use crate::storage::freeze::BundleBudget;
use crate::storage::outbox;
use crate::storage::{attachment, managed_tables};
use crate::transport::api::Refusal;

/// Limits of both sides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Negotiated {
    pub(crate) generation: WireGeneration,
    pub(crate) upload_rows: i64,
    pub(crate) replay_rows: i64,
    pub(crate) snapshot_rows: i64,
    /// Bytes of a snapshot chunk to ask for, where the generation has them.
    pub(crate) snapshot_bytes: Option<i64>,
    pub(crate) pull_bundles: i64,
    pub(crate) bundle: BundleBudget,
    /// Whether the server has a watch stream for this user.
    pub(crate) watch: bool,
    /// Whether a snapshot can be limited to some tables.
    pub(crate) snapshot_tables: bool,
}

impl Engine {
    /// The negotiated limits, from the server the first time.
    pub(crate) async fn negotiate(&self, source: &SourceId) -> Result<Negotiated> {
        if let Some(negotiated) = *self.negotiated.lock().await {
            return Ok(negotiated);
        }
        let capabilities = match self.api.capabilities(source).await {
            Ok(capabilities) => capabilities,
            Err(Refusal::Problem { status: 404 | 405 | 501, error, .. }) => {
                let text = format!(
                    "the server does not speak this protocol ({error}); check the URL and its path prefix"
                );
                return Err(Error::with_source(ErrorKind::ServerTooOld, text, error));
            }
            Err(refusal) => return Err(refusal.into()),
        };
        let former = self.database.read(managed_tables::former).await?;
        let negotiated = self.accept(&capabilities, &former)?;
        self.store_generation(negotiated.generation).await?;
        *self.negotiated.lock().await = Some(negotiated);
        Ok(negotiated)
    }

    fn accept(&self, capabilities: &Capabilities, former: &[String]) -> Result<Negotiated> {
        let protocol =
            |text: String| Error::new(ErrorKind::Protocol, format!("GET /sync/capabilities: {text}"));
        let generation = WireGeneration::detect(capabilities).map_err(|error| protocol(error.to_string()))?;
        let feature = |name: &str| capabilities.features.get(name).copied().unwrap_or(false);
        if !feature("connect_lifecycle") {
            let text =
                "GET /sync/capabilities: the server does not offer connect_lifecycle; update the server";
            return Err(Error::new(ErrorKind::ServerTooOld, text));
        }
        self.check_tables(generation, capabilities, former)?;
        let limits = &capabilities.bundle_limits;
        let least = |ours: i64, theirs: Option<i64>| theirs.filter(|n| *n > 0).map_or(ours, |n| n.min(ours));
        let ours = self.limits;
        let snapshot_bytes = generation
            .accounts_snapshot_bytes()
            .then(|| least(ours.download_bytes, limits.max_bytes_per_snapshot_chunk));
        Ok(Negotiated {
            generation,
            watch: feature("bundle_change_watch"),
            snapshot_tables: feature("snapshot_tables"),
            upload_rows: least(ours.upload_rows, limits.max_rows_per_push_chunk),
            replay_rows: least(ours.download_rows, limits.max_rows_per_committed_bundle_chunk),
            snapshot_rows: least(ours.download_rows, limits.max_rows_per_snapshot_chunk),
            snapshot_bytes,
            pull_bundles: least(ours.pull_bundles, limits.max_bundles_per_pull),
            bundle: BundleBudget {
                rows: limits.max_rows_per_bundle.unwrap_or(0),
                bytes: limits.max_bytes_per_bundle.unwrap_or(0),
            },
        })
    }

    /// GEN-B demands equal tables, those aside that were configured here once; a GEN-A server must at least have
    /// ours, or every push would be refused. Rows of what only the server has are passed over.
    fn check_tables(
        &self,
        generation: WireGeneration,
        capabilities: &Capabilities,
        former: &[String],
    ) -> Result<()> {
        let advertised = capabilities.registered_table_specs.as_deref();
        if advertised.is_none() && !generation.demands_table_contract() {
            return Ok(());
        }
        let found = validate::table_contract(advertised, &self.schema.specs())
            .map_err(|error| Error::new(ErrorKind::Protocol, format!("GET /sync/capabilities: {error}")))?;
        let TableContractMismatch { server_only, client_only, key_differs } = found.unwrap_or_default();
        let prefix = format!("{}.", self.schema.name);
        let ours = |name: &String| name.strip_prefix(&prefix).map(str::to_owned);
        let passed_over = |name: &String| {
            !generation.demands_table_contract() || ours(name).is_some_and(|name| former.contains(&name))
        };
        let (ignored, server_only): (Vec<String>, Vec<String>) =
            server_only.into_iter().partition(passed_over);
        self.schema.ignore(ignored.iter().filter_map(ours).collect());
        if server_only.is_empty() && client_only.is_empty() && key_differs.is_empty() {
            return Ok(());
        }
        let list = |name: &str, tables: &[String]| match tables.is_empty() {
            true => String::new(),
            false => format!("; {name}: {}", tables.join(", ")),
        };
        let text = format!(
            "the server's tables are not the configured ones{}{}{}; configure the same tables on both sides",
            list("only at the server", &server_only),
            list("only here", &client_only),
            list("another sync key", &key_differs)
        );
        Err(Error::new(ErrorKind::TableMismatch, text))
    }

    /// Values and hashes differ between generations, so a frozen bundle pins the one it was frozen for.
    async fn store_generation(&self, generation: WireGeneration) -> Result<()> {
        let pinned = self
            .database
            .transaction(move |transaction| {
                let stored = attachment::load(transaction)?.generation;
                if stored == Some(generation) {
                    return Ok(None);
                }
                if stored.is_some() && outbox::load(transaction)?.is_some() {
                    return Ok(stored);
                }
                attachment::set_generation(transaction, generation)?;
                Ok(None)
            })
            .await?;
        match pinned {
            None => Ok(()),
            Some(stored) => Err(Error::new(
                ErrorKind::Protocol,
                format!(
                    "an upload is frozen for wire generation {}, the server now speaks generation {}; \
                     let the former server finish the upload first",
                    stored.as_str(),
                    generation.as_str()
                ),
            )),
        }
    }
}
