//! Two devices of one user, and their agreement.

use crate::device::{Device, Notes};
use crate::server::TestServer;
use rowtide::protocol::profile::WireGeneration;

/// Both wire generations.
pub const BOTH: [WireGeneration; 2] = [WireGeneration::A, WireGeneration::B];

/// A server with device A attached and seeding, and device B hydrated from it.
///
/// # Panics
/// They do not hold the same rows then.
pub async fn two_devices(generation: WireGeneration, seed: &str) -> (TestServer, Device, Device) {
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
///
/// # Panics
/// They do not agree, or have rows left to send.
pub async fn converge(a: &Device, b: &Device) {
    for device in [a, b, a, b] {
        device.sync().await;
    }
    assert_eq!(a.dump().await, b.dump().await);
    assert_eq!((a.pending().await, b.pending().await), (0, 0));
}
