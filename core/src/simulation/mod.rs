//! Threads that simulate, for `rowtide-sim`; behind the feature `simulation`, off in everything that ships.
//!
//! On a thread that has begun a [`Simulation`], storage runs on the task that asks for it, so that nothing depends on
//! the scheduler; identities follow from a seed; and a [`Disk`] hears of every job and every commit, and may fail them.
//! Without the feature each function here is a constant.
//!
//! Not simulated are what needs a thread to wait on: transactions held by a handle, and queries read page by page.

#[cfg(not(feature = "simulation"))]
mod absent;
pub mod mutation;
#[cfg(feature = "simulation")]
mod thread;

#[cfg(not(feature = "simulation"))]
pub(crate) use absent::{after_job, before_job, delay, may_commit, opened, uuid};
#[cfg(not(feature = "simulation"))]
pub use absent::{is_on, mutated};
#[cfg(feature = "simulation")]
pub use thread::{Disk, Simulation, is_on, mutated};
#[cfg(feature = "simulation")]
pub(crate) use thread::{after_job, before_job, delay, may_commit, opened, uuid};
