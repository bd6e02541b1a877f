//! What only the store on PostgreSQL does: tables of the application, triggers, SQL writers, other processes.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, missing_docs)]

mod layouts;
mod people;
mod queries;
mod refused;
mod sql;
#[path = "../support/mod.rs"]
mod support;
mod tables;
mod users;
mod values;
