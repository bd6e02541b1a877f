//! The scenario that every language runs (`README.md` beside this), in Rust.
#![allow(clippy::unwrap_used)]

mod device;
mod server;

use device::Device;
use serde_json::Value;
use server::Server;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What was done, line by line.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn line(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }
}

async fn run(wire: &str) -> String {
    let scenario: Value = serde_json::from_str(include_str!("scenario.json")).unwrap();
    let (server, log) = (Server::start(wire), Log::default());
    let mut devices: BTreeMap<String, Device> = BTreeMap::new();
    for step in scenario["steps"].as_array().unwrap() {
        let name = step["device"].as_str().unwrap();
        if step["open"] == true {
            let device = Device::open(name, &scenario, &server, log.clone()).await;
            devices.insert(name.to_owned(), device);
        } else if step["close"] == true {
            devices.remove(name).unwrap().close().await;
        } else {
            devices[name].step(step).await;
        }
    }
    let lines = log.0.lock().unwrap();
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scenario_writes_the_same_log_in_both_wire_generations() {
    for wire in ["b", "a"] {
        let log = run(wire).await;
        assert!(log == include_str!("expected.log"), "wire generation {wire} wrote:\n{log}");
    }
}
