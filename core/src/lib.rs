//! Rowtide core.

pub mod protocol;
