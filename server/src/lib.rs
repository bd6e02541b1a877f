//! A server for the oversync protocol: an axum router to mount in a host's own app, a store on PostgreSQL, and an
//! embedded SQLite store for development, tests and one small machine.
//!
//! [`Service`] is the protocol for one wire generation on a [`Store`]; [`router`] puts HTTP in front of it,
//! with the host's own [`Authenticator`]; [`BoundServer`] is both on a port, as `rowtide serve` runs it.

mod auth;
mod config;
mod demo;
mod http;
mod limits;
mod metrics;
mod refusal;
mod serve;
mod service;
mod store;
mod upload;
mod watch;

pub use auth::{AuthError, Authenticator, JwksAuthenticator, JwtAuthenticator};
pub use config::{Registration, ServiceConfig, TableConfigError};
pub use http::{demo_router, router};
pub use limits::Limits;
pub use metrics::metrics_router;
pub use refusal::Refusal;
pub use serve::{BoundServer, ServeError, ServeOptions, StoreLocation};
pub use service::Service;
pub use store::{
    BundlePage, Call, RowPage, Scope, SnapshotPage, SqliteStore, StagedRow, Store, StoreChange, StoreError,
    StoreStatus,
};
#[cfg(feature = "postgres")]
pub use store::{BundleWriter, PostgresStore, WriteError};
#[cfg(feature = "postgres")]
pub use tokio_postgres;
