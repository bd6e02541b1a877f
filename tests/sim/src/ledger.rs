//! What the server committed, kept by the simulator itself: the truth that devices are compared with.

use rowtide_testing::{ServerBundle, TestServer};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A row: its table and its key as it travels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowId {
    pub(crate) table: String,
    pub(crate) key: String,
}

impl std::fmt::Display for RowId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "row {} of {}", self.key, self.table)
    }
}

/// A row's columns, as generation and kind have them on the wire.
pub(crate) type Content = Map<String, Value>;

/// One version of a row; no content where it was deleted.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) seq: i64,
    pub(crate) source: String,
    pub(crate) content: Option<Content>,
}

/// The history of one user.
#[derive(Debug, Default, Clone)]
pub(crate) struct History {
    pub(crate) newest: i64,
    rows: BTreeMap<RowId, Vec<Version>>,
    bundles: BTreeSet<(String, i64)>,
}

impl History {
    /// The newest version of a row that is not newer than a bundle.
    pub(crate) fn at(&self, row: &RowId, seq: i64) -> Option<&Version> {
        self.rows.get(row)?.iter().rev().find(|version| version.seq <= seq)
    }

    /// The newest version of a row, where it is newer than a bundle.
    pub(crate) fn after(&self, row: &RowId, seq: i64) -> Option<&Version> {
        self.rows.get(row)?.last().filter(|version| version.seq > seq)
    }

    /// The version of a row that a bundle made.
    pub(crate) fn exactly(&self, row: &RowId, seq: i64) -> Option<&Version> {
        self.rows.get(row)?.iter().find(|version| version.seq == seq)
    }

    /// Rows that there ever were.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &RowId> {
        self.rows.keys()
    }

    /// The rows that live after the newest bundle.
    pub(crate) fn live(&self) -> BTreeMap<RowId, Content> {
        let newest = |versions: &Vec<Version>| versions.last().and_then(|version| version.content.clone());
        self.rows.iter().filter_map(|(row, versions)| Some((row.clone(), newest(versions)?))).collect()
    }

    fn add(&mut self, bundle: ServerBundle) -> Result<(), String> {
        let ServerBundle { seq, source_id, source_bundle_id, changes } = bundle;
        if seq != self.newest + 1 {
            return Err(format!("bundle {seq} follows bundle {}", self.newest));
        }
        if changes.is_empty() {
            return Err(format!("bundle {seq} has no rows"));
        }
        self.newest = seq;
        if !self.bundles.insert((source_id.clone(), source_bundle_id)) {
            return Err(format!("bundle {source_bundle_id} of source {source_id} was committed twice"));
        }
        for change in changes {
            let row = RowId { table: change.table, key: change.key };
            let versions = self.rows.entry(row.clone()).or_default();
            let before = versions.last();
            if before.is_some_and(|before| before.content.is_none()) && change.columns.is_none() {
                return Err(format!("bundle {seq} deletes {row}, which is deleted"));
            }
            if before.is_some_and(|before| before.source == source_id && before.content == change.columns) {
                return Err(format!("bundle {seq} brings {row} once more as it is, from the same source"));
            }
            versions.push(Version { seq, source: source_id.clone(), content: change.columns });
        }
        Ok(())
    }
}

/// The histories of all users.
#[derive(Debug, Default, Clone)]
pub(crate) struct Ledger {
    users: BTreeMap<String, History>,
}

impl Ledger {
    pub(crate) fn with<T>(&self, user: &str, read: impl FnOnce(&History) -> T) -> T {
        match self.users.get(user) {
            Some(history) => read(history),
            None => read(&History::default()),
        }
    }

    pub(crate) fn newest(&self, user: &str) -> i64 {
        self.users.get(user).map_or(0, |history| history.newest)
    }

    /// Adds what was committed since; an error says what is wrong with it.
    pub(crate) fn add(&mut self, user: &str, bundles: Vec<ServerBundle>) -> Result<(), String> {
        let history = self.users.entry(user.to_owned()).or_default();
        bundles
            .into_iter()
            .try_for_each(|bundle| history.add(bundle).map_err(|error| format!("{user}: {error}")))
    }
}

/// Reads what was committed for a user after a bundle.
pub(crate) async fn read(server: &TestServer, user: &str, after: i64) -> Result<Vec<ServerBundle>, String> {
    server
        .bundles(user, after)
        .await
        .map_err(|error| format!("the history of {user} cannot be read: {error}"))
}
