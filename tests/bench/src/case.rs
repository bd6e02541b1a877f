//! What one process measures.

use crate::measure::{Meter, Usage};
use crate::{limits, local, transfer, waits};
use std::path::PathBuf;

/// A case's arguments.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Case {
    /// Which one.
    pub(crate) name: String,
    /// Where the databases are.
    #[arg(long)]
    folder: PathBuf,
    /// The database in it.
    #[arg(long)]
    device: String,
    #[arg(long)]
    pub(crate) rows: usize,
    #[arg(long)]
    pub(crate) url: String,
    /// Who signs in.
    #[arg(long, env = "ROWTIDE_BENCH_TOKEN", default_value = "")]
    pub(crate) token: String,
}

impl Case {
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join(format!("{}.db", self.device))
    }

    /// Runs it; answers what it cost.
    pub(crate) async fn run(&self) -> Result<Usage, Box<dyn std::error::Error>> {
        Ok(match self.name.as_str() {
            "insert-plain" => local::insert_plain(self).await?,
            "insert" => local::insert(self).await?,
            "update-plain" => local::update_plain(self).await?,
            "update" => local::update(self).await?,
            "open" => local::open(self).await?,
            "idle" => local::idle(self, "RssAnon").await?,
            "idle-resident" => local::idle(self, "VmRSS").await?,
            "fill" => transfer::fill(self).await?,
            "attach" => transfer::attach(self).await?,
            "push" => transfer::push(self).await?,
            "push-bundles" => transfer::push_bundles(self).await?,
            "pull" => transfer::pull(self).await?,
            "nothing" => transfer::nothing(self).await?,
            "touch" => transfer::touch(self).await?,
            "touch-and-push" => transfer::touch_and_push(self).await?,
            "push-limit" => limits::push(self).await?,
            "pull-limit" => limits::pull(self).await?,
            "hydrate-limit" => limits::hydrate(self).await?,
            "get-limit" => limits::get(self).await?,
            "wait-progressive" => waits::progressive(self).await?,
            "wait-at-once" => waits::at_once(self).await?,
            "wait-rebuild" => waits::rebuild(self).await?,
            other => return Err(format!("there is no case {other}").into()),
        })
    }
}

/// Measures nothing: a step that a later case needs.
pub(crate) fn prepared() -> Usage {
    Meter::begin().end()
}
