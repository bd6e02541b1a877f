//! What the suites share: a real server in process with a vocabulary of faults, devices, contract data.

mod binary;
mod contracts;
mod device;
mod faults;
mod opening;
mod pair;
mod server;
mod virtual_clock;

pub use binary::binary;
pub use contracts::{contract, contract_files, contract_text};
pub use device::{Device, FixedTokens, ImpatientClock, NOTES, Notes};
pub use faults::{Endpoint, Fault};
pub use opening::{open, open_local};
pub use pair::{BOTH, converge, two_devices};
pub use server::{Exchange, TestServer};
pub use virtual_clock::VirtualClock;
