//! Nothing is simulated.

use super::mutation::Mutation;
use rusqlite::Connection;
use std::path::Path;
use std::time::Duration;
use uuid::Uuid;

/// Whether this thread simulates.
pub const fn is_on() -> bool {
    false
}

/// Whether this bug is on.
pub const fn mutated(_: Mutation) -> bool {
    false
}

pub(crate) const fn uuid() -> Option<Uuid> {
    None
}

pub(crate) const fn opened(_: &Path, _: &Connection) {}

pub(crate) const fn delay(_: &Path) -> Duration {
    Duration::ZERO
}

pub(crate) const fn before_job(_: &Path, _: &Connection) -> bool {
    true
}

pub(crate) const fn after_job(_: &Path, _: &Connection) {}

pub(crate) const fn may_commit(_: &Path) -> bool {
    true
}
