//! The only SQL of the core. One writer connection on its own thread, a few readers, WAL (design D1).
//!
//! A function that must be atomic takes a `&Transaction`; one that only reads takes a `&Connection`.
//! No network call, host callback or wait happens inside a write transaction.

pub(crate) mod adoption;
pub(crate) mod agenda;
pub(crate) mod app_migration;
pub(crate) mod apply;
pub(crate) mod attachment;
pub(crate) mod base_images;
pub(crate) mod bundle;
pub(crate) mod catalog;
pub(crate) mod changes;
pub(crate) mod closure;
pub(crate) mod commits;
pub(crate) mod connection;
pub(crate) mod detach;
pub(crate) mod differences;
pub(crate) mod dirty_rows;
pub(crate) mod error;
pub(crate) mod freeze;
pub(crate) mod host_snapshot;
pub(crate) mod host_sql;
pub(crate) mod host_transaction;
pub(crate) mod installation;
pub(crate) mod integrity;
pub(crate) mod kept_columns;
pub(crate) mod managed_tables;
pub(crate) mod migrations;
pub(crate) mod operation;
pub(crate) mod outbox;
pub(crate) mod pages;
pub(crate) mod progressive;
mod readers;
pub(crate) mod refused_rows;
pub(crate) mod replay;
pub(crate) mod row_content;
pub(crate) mod row_state;
pub(crate) mod rows;
pub(crate) mod snapshot;
pub(crate) mod stage;
pub(crate) mod triggers;
pub(crate) mod uninstall;
pub(crate) mod unique_values;
mod worker;

pub(crate) use connection::{ClientPlace, Database};
pub(crate) use error::StorageError;
// The flow hands these through without knowing what they are made of.
pub(crate) use rusqlite::{Connection, Transaction};

/// Quotes an SQL identifier.
pub(crate) fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
