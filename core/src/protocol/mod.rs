//! The wire contract of oversync, without any I/O: messages, values, canonical JSON, hashes, distrust.
//!
//! Shared by the client core and `rowtide-server`. The rules are those of `docs/protocol.md`.

pub mod canonical_json;
pub mod hash;
pub mod ids;
pub mod message;
pub mod payload;
pub mod problem;
pub mod profile;
pub mod validate;
pub mod value;
