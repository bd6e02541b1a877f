//! What the suites share: a real server in process with a vocabulary of faults, devices, contract data.

mod contracts;
mod device;
mod faults;
mod server;
mod virtual_clock;

pub use contracts::{contract, contract_files, contract_text};
pub use device::{Device, FixedTokens, ImpatientClock, NOTES, Notes};
pub use faults::{Endpoint, Fault};
pub use server::{Exchange, TestServer};
pub use virtual_clock::VirtualClock;
