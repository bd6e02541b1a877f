//! Observation: streams that start with the current value, coalesce what was missed, and never grow.

use crate::client::Client;
use crate::error::Result;
use crate::report::{Progress, Status};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, watch};

/// Tables whose rows changed, after the commit, whoever wrote: the app, a download, a rebuild, a detach.
///
/// Dropping it ends the observation. What changed between two calls of [`next`](Self::next) comes in one.
#[derive(Debug)]
pub struct TableChanges {
    slot: Arc<Slot>,
}

/// One observer's tables that changed and were not taken yet.
#[derive(Debug, Default)]
struct Slot {
    observed: BTreeSet<String>,
    changed: Mutex<(BTreeSet<String>, bool)>,
    wake: Notify,
}

impl Slot {
    fn lock(&self) -> std::sync::MutexGuard<'_, (BTreeSet<String>, bool)> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All observers of tables of one client.
#[derive(Debug, Default)]
pub(crate) struct TableObservers(Mutex<Vec<std::sync::Weak<Slot>>>);

impl TableObservers {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<std::sync::Weak<Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to observe tables; the first change is all of them, so that the observer reads what is there.
    pub(crate) fn observe(&self, tables: BTreeSet<String>) -> TableChanges {
        let slot = Arc::new(Slot {
            changed: Mutex::new((tables.clone(), false)),
            observed: tables,
            wake: Notify::new(),
        });
        self.lock().push(Arc::downgrade(&slot));
        TableChanges { slot }
    }

    /// Tells the observers what a commit changed.
    pub(crate) fn tell(&self, tables: &BTreeSet<String>) {
        self.lock().retain(|slot| {
            let Some(slot) = slot.upgrade() else { return false };
            let hit: Vec<String> = slot
                .observed
                .iter()
                .filter(|observed| tables.iter().any(|table| table.eq_ignore_ascii_case(observed)))
                .cloned()
                .collect();
            if !hit.is_empty() {
                slot.lock().0.extend(hit);
                slot.wake.notify_one();
            }
            true
        });
    }
}

impl Drop for TableObservers {
    fn drop(&mut self) {
        for slot in self.lock().drain(..).filter_map(|slot| slot.upgrade()) {
            slot.lock().1 = true;
            slot.wake.notify_one();
        }
    }
}

impl TableChanges {
    /// Waits until an observed table has changed, and names those that have; the first call names all of them at
    /// once. `None` once the client was closed.
    pub async fn next(&mut self) -> Option<BTreeSet<String>> {
        loop {
            {
                let mut changed = self.slot.lock();
                if !changed.0.is_empty() {
                    return Some(std::mem::take(&mut changed.0));
                }
                if changed.1 {
                    return None;
                }
            }
            self.slot.wake.notified().await;
        }
    }
}

/// The client's status, whenever it may have changed. Reading it costs a look at the database, so it is read when it
/// is asked for, not when it changes.
#[derive(Debug)]
pub struct StatusChanges {
    pub(crate) client: Client,
    pub(crate) versions: watch::Receiver<u64>,
    pub(crate) started: bool,
}

impl StatusChanges {
    /// The status: at once the first time, then as soon as something has changed since.
    ///
    /// # Errors
    /// Of the database.
    pub async fn next(&mut self) -> Result<Status> {
        if self.started {
            // The sender lives as long as the client that is held here.
            let _ = self.versions.changed().await;
        }
        self.started = true;
        self.versions.mark_unchanged();
        self.client.status().await
    }
}

/// Progress of long operations; a slow observer misses steps, never the newest one.
#[derive(Debug)]
pub struct ProgressChanges {
    pub(crate) latest: watch::Receiver<Option<Progress>>,
}

impl ProgressChanges {
    /// The newest progress: at once the first time, where an operation has made some, then with the next step.
    /// `None` once the client was closed.
    pub async fn next(&mut self) -> Option<Progress> {
        loop {
            self.latest.changed().await.ok()?;
            if let Some(progress) = *self.latest.borrow_and_update() {
                return Some(progress);
            }
        }
    }
}
