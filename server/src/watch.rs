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

    pub(crate) fn publish(&self, scope: &Scope, event: WatchEvent) {
        let scopes = self.scopes.lock().expect("no code panics while holding the lock");
        if let Some(sender) = scopes.get(scope) {
            sender.send_replace(Some(event));
        }
    }
}
