//! Wakes watchers after a commit: one slot a scope, so what is missed is coalesced.

use crate::store::Scope;
use rowtide::protocol::message::WatchEvent;
use std::collections::HashMap;
use std::sync::Mutex;
use tokio::sync::watch;

/// The newest bundle of each scope that is being watched.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    scopes: Mutex<HashMap<Scope, watch::Sender<Option<WatchEvent>>>>,
}

impl Watchers {
    pub(crate) fn subscribe(&self, scope: &Scope) -> watch::Receiver<Option<WatchEvent>> {
        let mut scopes = self.scopes.lock().expect("no code panics while holding the lock");
        scopes.retain(|_, sender| sender.receiver_count() > 0);
        scopes.entry(scope.clone()).or_insert_with(|| watch::channel(None).0).subscribe()
    }

    /// Wakes a scope's watchers. An event that comes late takes no place from a newer one.
    pub(crate) fn publish(&self, scope: &Scope, event: WatchEvent) {
        let scopes = self.scopes.lock().expect("no code panics while holding the lock");
        if let Some(sender) = scopes.get(scope) {
            sender.send_if_modified(|newest| {
                let newer = newest.as_ref().is_none_or(|newest| newest.bundle_seq < event.bundle_seq);
                if newer {
                    *newest = Some(event);
                }
                newer
            });
        }
    }

    /// The scopes that are watched.
    pub(crate) fn scopes(&self) -> Vec<Scope> {
        let scopes = self.scopes.lock().expect("no code panics while holding the lock");
        scopes
            .iter()
            .filter(|(_, sender)| sender.receiver_count() > 0)
            .map(|(scope, _)| scope.clone())
            .collect()
    }

    /// How many streams watch a user.
    pub(crate) fn count(&self, scope: &Scope) -> usize {
        let scopes = self.scopes.lock().expect("no code panics while holding the lock");
        scopes.get(scope).map_or(0, watch::Sender::receiver_count)
    }

    /// Ends every stream: what they have seen counts no more.
    pub(crate) fn end(&self) {
        self.scopes.lock().expect("no code panics while holding the lock").clear();
    }
}
