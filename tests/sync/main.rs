//! Two devices and a server, in both wire generations.
#![allow(clippy::unwrap_used)]

mod adoption;
mod adoption_outbox;
mod adoption_refused;
mod attach;
mod automatic;
mod configuration;
mod conflicts;
mod copies;
mod evolution;
mod former;
mod local;
mod merge;
mod observation;
mod operations;
mod pages;
mod progressive;
mod recovery;
mod refusals;
mod transfer;
mod triggers;
mod values;

use rowtide_tests::{BOTH, converge, two_devices};
