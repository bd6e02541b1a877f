//! UniFFI bindings of the Rowtide core for Kotlin and Swift.
//!
//! The bridge is thin and is not the API: each exported method is one delegation to the core, and the
//! hand-written Kotlin and Swift layers above it are what apps see. Calls are few and large: a statement crosses with
//! all of its arguments, rows come back a page at a time (`values.rs` has their form). Host code is called from one
//! thread (`host.rs`), never with a lock or a transaction held.

mod automatic;
mod cells;
mod client;
mod config;
mod conflict;
mod database;
mod error;
mod host;
mod inbox;
mod log;
mod observe;
mod operation;
mod reply;
mod report;
mod runtime;
mod schema_file;
mod snapshot;
mod token;
mod transaction;
mod values;

pub use automatic::*;
pub use cells::*;
pub use client::*;
pub use config::*;
pub use conflict::*;
pub use database::*;
pub use error::*;
pub use inbox::*;
pub use log::*;
pub use observe::*;
pub use operation::*;
pub use report::*;
pub use schema_file::*;
pub use snapshot::*;
pub use token::*;
pub use transaction::*;
pub use values::*;

uniffi::setup_scaffolding!();

/// Version of the core library, as in its package.
#[uniffi::export]
pub fn core_version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
