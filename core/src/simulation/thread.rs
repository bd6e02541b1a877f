//! What a simulating thread has instead of chance, threads and a disk that never fails.

use super::mutation::Mutation;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rusqlite::Connection;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use uuid::Uuid;

/// The disk under all simulated databases of a thread, told apart by their files.
pub trait Disk {
    /// A connection was opened; limits can be set on it.
    fn opened(&self, file: &Path, connection: &Connection);
    /// How long the next job waits, in virtual time.
    fn delay(&self, file: &Path) -> Duration;
    /// A job is about to run; `false` where the process that asks is dead, and nothing happens any more.
    fn before_job(&self, file: &Path, connection: &Connection) -> bool;
    /// A job ended.
    fn after_job(&self, file: &Path, connection: &Connection);
    /// A transaction is about to become durable; `false` rolls it back.
    fn may_commit(&self, file: &Path) -> bool;
}

struct State {
    disk: Rc<dyn Disk>,
    random: StdRng,
    mutation: Option<Mutation>,
}

thread_local! {
    static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
}

/// This thread simulates until it is dropped.
#[derive(Debug)]
pub struct Simulation {
    _of_this_thread: PhantomData<*const ()>,
}

impl Simulation {
    /// Begins, with identities from a seed, and a bug if one is to be found.
    ///
    /// # Panics
    /// The thread simulates already.
    pub fn begin(seed: u64, disk: Rc<dyn Disk>, mutation: Option<Mutation>) -> Self {
        let state = State { disk, random: StdRng::seed_from_u64(seed), mutation };
        let former = STATE.replace(Some(state));
        assert!(former.is_none(), "one simulation a thread at a time");
        Self { _of_this_thread: PhantomData }
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        STATE.set(None);
    }
}

/// Whether this thread simulates.
pub fn is_on() -> bool {
    STATE.with_borrow(Option::is_some)
}

/// Whether this bug is on.
pub fn mutated(bug: Mutation) -> bool {
    STATE.with_borrow(|state| state.as_ref().is_some_and(|state| state.mutation == Some(bug)))
}

fn disk() -> Option<Rc<dyn Disk>> {
    STATE.with_borrow(|state| state.as_ref().map(|state| state.disk.clone()))
}

pub(crate) fn uuid() -> Option<Uuid> {
    STATE.with_borrow_mut(|state| {
        let bytes: [u8; 16] = state.as_mut()?.random.random();
        Some(uuid::Builder::from_random_bytes(bytes).into_uuid())
    })
}

pub(crate) fn opened(file: &Path, connection: &Connection) {
    if let Some(disk) = disk() {
        disk.opened(file, connection);
    }
}

pub(crate) fn delay(file: &Path) -> Duration {
    disk().map_or(Duration::ZERO, |disk| disk.delay(file))
}

pub(crate) fn before_job(file: &Path, connection: &Connection) -> bool {
    disk().is_none_or(|disk| disk.before_job(file, connection))
}

pub(crate) fn after_job(file: &Path, connection: &Connection) {
    if let Some(disk) = disk() {
        disk.after_job(file, connection);
    }
}

pub(crate) fn may_commit(file: &Path) -> bool {
    disk().is_none_or(|disk| disk.may_commit(file))
}
