//! The published contract data of GEN-B, and exchanges recorded from the real GEN-A server.
//!
//! Placeholders of the fixtures (hashes such as `fixture-hash`, the source `source-fixture`) are replaced by what
//! the client sent or by the hash of the fixture's own rows: this client verifies them.
#![allow(clippy::unwrap_used)]

mod configuration;
mod handshake;
mod push;
mod recorded;
mod requests;
mod script;
mod snapshot;
mod values;
