//! One file a group of commands.

pub(crate) mod database;
pub(crate) mod doctor;
pub(crate) mod serve;
pub(crate) mod sync;
