//! The automatic loop and observation.

use super::Client;
use crate::automatic::{Connectivity, Direction, LoopOptions, News, World, drive, watch};
use crate::error::Result;
use crate::observe::{ProgressChanges, StatusChanges, TableChanges};
use crate::report::{Health, Status};
use std::sync::Arc;

impl Client {
    /// Starts to sync by itself: uploads after local commits, downloads when the server tells of changes or at an
    /// interval. A loop that runs already goes on with these options. It waits for [`attach`](Self::attach) where no
    /// user is attached, and ends with [`stop`](Self::stop), [`close`](Self::close) or the last clone of the client.
    ///
    /// Failures are shown by the [`Status`] and tried again; none has to be handled.
    pub fn start(&self, options: LoopOptions) {
        let shared = &self.shared;
        let now_ms = self.now_ms();
        let run = shared.signals.change(|inputs| {
            inputs.run += 1;
            inputs.running = Some(options.clone());
            inputs.watching = false;
            // What an earlier run left is uploaded with the first sync.
            inputs.local = inputs.local.or(Some((now_ms, now_ms)));
            // The first sync is due at once, even where the stream is open before the loop looks.
            inputs.news = inputs.news.or(Some(News::Perhaps));
            inputs.not_before_ms = None;
            // The first sync does not wait for a stream to tell of anything.
            inputs.news = Some(News::Perhaps);
            inputs.run
        });
        let world = World {
            client: Arc::downgrade(shared),
            signals: shared.signals.clone(),
            clock: shared.engine.clock.clone(),
            rng: shared.engine.rng.clone(),
            options,
            run,
        };
        tokio::spawn(drive(world.clone()));
        tokio::spawn(watch(world));
    }

    /// Stops to sync by itself. An operation that runs is finished.
    pub fn stop(&self) {
        self.shared.signals.change(|inputs| {
            inputs.running = None;
            inputs.watching = false;
        });
    }

    /// Holds the loop's uploads or downloads. Operations that the host calls work all the same, and their report
    /// says what is paused.
    pub fn pause(&self, direction: Direction) {
        self.set_paused(direction, true);
    }

    /// Lets the loop's uploads or downloads go on, at once.
    pub fn resume(&self, direction: Direction) {
        self.set_paused(direction, false);
    }

    fn set_paused(&self, direction: Direction, paused: bool) {
        self.shared.signals.change(|inputs| match direction {
            Direction::Uploads => inputs.uploads_paused = paused,
            Direction::Downloads => inputs.downloads_paused = paused,
        });
    }

    /// Tells the loop of the network. When it comes back, the loop tries at once.
    pub fn set_connectivity(&self, connectivity: Connectivity) {
        self.shared.signals.change(|inputs| {
            if inputs.connectivity == Connectivity::None && connectivity != Connectivity::None {
                inputs.not_before_ms = None;
                if inputs.health == Health::Offline {
                    inputs.health = Health::Well;
                }
            }
            inputs.connectivity = connectivity;
        });
    }

    /// Tells that the token provider can give a valid token (again): the loop, which waits after
    /// [`Health::AuthRequired`], tries at once.
    pub fn credentials_changed(&self) {
        self.shared.engine.api.forget_token();
        self.shared.signals.change(|inputs| {
            inputs.credentials_rejected = false;
            inputs.not_before_ms = None;
            if inputs.health == Health::AuthRequired {
                inputs.health = Health::Well;
            }
        });
    }

    /// Observes tables: the first item names all of them, later ones those that commits changed since.
    pub fn observe_tables<'a>(&self, tables: impl IntoIterator<Item = &'a str>) -> TableChanges {
        self.shared.observers.observe(tables.into_iter().map(str::to_owned).collect())
    }

    /// Observes the status: the first item is the current one. Holds the client.
    pub fn observe_status(&self) -> StatusChanges {
        StatusChanges { client: self.clone(), versions: self.shared.signals.subscribe(), started: false }
    }

    /// Observes progress of long operations.
    pub fn observe_progress(&self) -> ProgressChanges {
        let mut latest = self.shared.engine.latest_progress.subscribe();
        latest.mark_changed();
        ProgressChanges { latest }
    }

    /// Explains in plain words what keeps rows from being synchronised, and what would let them go on; `None`
    /// where nothing does.
    ///
    /// # Errors
    /// Only of the database.
    pub async fn why_stuck(&self) -> Result<Option<String>> {
        let status = self.status().await?;
        let reasons = reasons(&status, self.now_ms());
        Ok((!reasons.is_empty()).then(|| reasons.join("\n")))
    }
}

fn reasons(status: &Status, now_ms: i64) -> Vec<String> {
    let mut reasons = Vec::new();
    let waiting = format!("{} rows wait to be uploaded", status.pending_rows);
    if status.user.is_none() {
        if status.pending_rows > 0 {
            reasons.push(format!("{waiting}: no user is attached. Call attach."));
        }
        return reasons;
    }
    let last_error = status.last_error.as_deref().unwrap_or("no error is recorded");
    match status.health {
        Health::Well => {}
        Health::Offline => reasons.push(format!(
            "The server could not be reached ({last_error}). It is tried again by itself, or with the next sync."
        )),
        Health::AuthRequired => reasons.push(format!(
            "The server accepts no token ({last_error}). Sign in again, then call credentials_changed or sync."
        )),
        Health::ServerTooOld => reasons.push(format!(
            "The server does not speak this protocol ({last_error}). Update it, or correct its URL."
        )),
        Health::TableMismatch => {
            reasons.push(format!("{last_error}. Update the app or the server."));
        }
        Health::Blocked(kind) => {
            reasons.push(format!("The last operation failed with {}: {last_error}.", kind.as_str()));
        }
    }
    if status.host_transaction_open {
        reasons
            .push("A transaction of the app is open, and sync waits for it. Commit or drop it.".to_owned());
    }
    let automatic = &status.automatic;
    if automatic.running {
        if automatic.connectivity == Connectivity::None {
            reasons.push(
                "There is no network, as the app said. Call set_connectivity when there is.".to_owned(),
            );
        }
        for direction in &automatic.paused {
            let name = if *direction == Direction::Uploads { "uploads" } else { "downloads" };
            reasons.push(format!("The app paused {name}. Call resume."));
        }
        if let Some(at) = automatic.next_attempt_ms.filter(|at| *at > now_ms) {
            reasons.push(format!("The next attempt is in {} ms.", at - now_ms));
        }
    } else if status.pending_rows > 0 {
        reasons.push(format!("{waiting}, and the automatic loop is not running. Call sync, or start."));
    }
    if status.refused_rows > 0 {
        reasons.push(format!(
            "{} rows are in the inbox and are not synchronised as they are. See refused_rows; edit, retry or discard \
             them.",
            status.refused_rows
        ));
    }
    reasons
}
