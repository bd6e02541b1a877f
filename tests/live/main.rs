//! Devices and a server over TCP, in scenarios that hold for any server of the protocol.
//!
//! `ROWTIDE_SERVER_URL` names a running server with the tables of [`device::BUSINESS`], `POST /dummy-signin` and
//! `POST /test/retention-floor`. Without it the suite starts `rowtide serve --demo` and runs every scenario in
//! both wire generations. Every scenario has users of its own, so a server that keeps its data will do.
#![allow(clippy::unwrap_used)]

mod attach;
mod conflicts;
mod constraints;
mod device;
mod lifecycle;
mod random;
mod recovery;
mod relations;
mod resolver;
mod transfer;
mod values;
mod wire;
mod world;

use device::Device;
use wire::{Cut, Wire};
use world::{World, worlds};

/// All devices sync until each has seen what the others wrote, and must hold the same, with nothing left over.
async fn converge(devices: &[&Device]) {
    for device in devices.iter().chain(devices) {
        device.sync().await;
    }
    agree(devices).await;
}

/// All devices hold the same rows, and have nothing left to send.
async fn agree(devices: &[&Device]) {
    let expected = devices[0].dump().await;
    for (number, device) in devices.iter().enumerate() {
        let found = device.dump().await;
        for (left, right) in expected.iter().zip(&found) {
            assert_eq!(left, right, "device {number} differs from the first one");
        }
        assert_eq!(device.pending().await, 0, "device {number} has rows to send");
    }
}
