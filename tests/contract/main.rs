//! The published contract data of GEN-B, and exchanges recorded from the real GEN-A server.
//!
//! Every case runs (`ledger.rs`); those that end differently on purpose are listed (`differences.rs`,
//! `docs/conformance.md`). Placeholders of the fixtures (hashes such as `fixture-hash`, the source `source-fixture`)
//! are replaced by what the client sent or by the hash of the fixture's own rows: this client verifies them.
#![allow(clippy::unwrap_used)]

mod behavior;
mod capacity;
mod configuration;
mod differences;
mod handshake;
mod ledger;
mod lens;
mod playbook;
mod push;
mod recorded;
mod replica;
mod requests;
mod rich_schema;
mod script;
mod snapshot;
mod values;
mod watch;
mod watch_server;
