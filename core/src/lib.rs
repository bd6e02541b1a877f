#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod automatic;
mod client;
mod clock;
mod config;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod local_database;
mod observe;
mod packed;
pub mod protocol;
mod report;
pub mod schema;
#[doc(hidden)]
pub mod simulation;
mod storage;
mod sync;
mod transport;

pub use automatic::{Connectivity, Direction, LoopOptions, MeteredUse, WatchUse};
pub use client::{Client, Operation, RunningOperation};
pub use clock::{Clock, Rng, SystemClock, SystemRng};
pub use config::{AnonymousRows, Config, Hydrate, TransferLimits};
pub use error::{Error, ErrorKind, Result};
pub use local_database::{LocalDatabase, QueryPages, Snapshot, Transaction};
pub use observe::{ProgressChanges, StatusChanges, TableChanges};
pub use packed::{PackedError, PackedRows};
pub use protocol::value::SqlValue;
pub use report::{
    Activity, Automatic, Budget, Health, Outcome, Phase, Progress, Report, SourceInfo, State, Status,
};
pub use schema::{ColumnRule, ConflictPolicy, SyncTable, UnknownColumns, annotated_tables};
pub use storage::host_sql::{Execution, QueryRows};
pub use storage::pages::{Paging, RowPage};
pub use storage::refused_rows::{RefusedReason, RefusedRow};
pub use sync::{Decision, Resolver, ResolverError, RowConflict, RowValues};
#[cfg(feature = "http")]
pub use transport::HttpTransport;
pub use transport::{
    Method, Request, Response, StreamingResponse, TokenError, TokenProvider, TokenReason, Transport,
    TransportError,
};
