//! What the suites share: devices of a server with faults, contract data.

mod binary;
mod columns;
mod contracts;
#[path = "../../../server/tests/support/database.rs"]
pub mod database;
mod device;
mod on_postgres;
mod opening;
mod pair;
mod server;

pub use binary::binary;
pub use contracts::{contract, contract_files, contract_text};
pub use device::{Device, FixedTokens, ImpatientClock, NOTES, Notes};
pub use opening::{open, open_local};
pub use pair::{BOTH, converge, two_devices};
pub use rowtide_testing::{Endpoint, Exchange, Fault, VirtualClock};
pub use server::{TestServer, on_postgres};
