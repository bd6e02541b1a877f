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
mod recovery;
mod refusals;
mod transfer;
mod triggers;
mod values;

use rowtide::protocol::profile::WireGeneration;
use rowtide_tests::{Device, Notes, TestServer};

const BOTH: [WireGeneration; 2] = [WireGeneration::A, WireGeneration::B];

/// A server with device A attached and seeding, and device B hydrated from it.
async fn two_devices(generation: WireGeneration, seed: &str) -> (TestServer, Device, Device) {
    let server = TestServer::new(generation, &Notes::TABLES);
    let a = Device::notes(&server, "ada").await;
    a.exec(seed).await;
    a.attach().await;
    a.sync().await;
    let b = Device::notes(&server, "ada").await;
    b.attach().await;
    assert_eq!(a.dump().await, b.dump().await);
    (server, a, b)
}

/// Both sync until both have seen everything, and must agree.
async fn converge(a: &Device, b: &Device) {
    for device in [a, b, a, b] {
        device.sync().await;
    }
    assert_eq!(a.dump().await, b.dump().await);
    assert_eq!((a.pending().await, b.pending().await), (0, 0));
}
