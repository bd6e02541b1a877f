//! The flow: settle, pull and rebase, push (design D5). One file a step; every step is durable before the
//! next begins.

mod attach;
mod conflict;
mod decide;
mod engine;
mod isolate;
mod merge;
mod negotiate;
mod pull;
mod push;
mod rebuild;
mod replay;
mod snapshot;
mod stop;

pub use conflict::{Decision, Resolver, ResolverError, RowConflict, RowValues};
pub(crate) use engine::Engine;
pub(crate) use stop::Stop;
