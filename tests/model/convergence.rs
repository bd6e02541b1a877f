//! Devices that edit at random and sync through a failing network agree once it is quiet.

use proptest::prelude::*;
use rowtide::protocol::profile::WireGeneration;
use rowtide::{ConflictPolicy, SyncTable};
use rowtide_server::Limits;
use rowtide_tests::{Device, Endpoint, Fault, NOTES, Notes, TestServer};

#[derive(Debug, Clone)]
enum Step {
    Insert { device: usize, key: u8 },
    Edit { device: usize, key: u8, value: u8 },
    Delete { device: usize, key: u8 },
    Tag { device: usize, key: u8 },
    Sync { device: usize },
    SyncWithFault { device: usize, endpoint: usize, skip: usize, fault: usize },
    Restart { device: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let device = 0..3_usize;
    let key = 0..6_u8;
    prop_oneof![
        2 => (device.clone(), key.clone()).prop_map(|(device, key)| Step::Insert { device, key }),
        3 => (device.clone(), key.clone(), any::<u8>()).prop_map(|(device, key, value)| Step::Edit { device, key, value }),
        1 => (device.clone(), key.clone()).prop_map(|(device, key)| Step::Delete { device, key }),
        1 => (device.clone(), key).prop_map(|(device, key)| Step::Tag { device, key }),
        2 => device.clone().prop_map(|device| Step::Sync { device }),
        2 => (device.clone(), 0..Endpoint::ALL.len(), 0..3_usize, 0..3_usize)
            .prop_map(|(device, endpoint, skip, fault)| Step::SyncWithFault { device, endpoint, skip, fault }),
        1 => device.prop_map(|device| Step::Restart { device }),
    ]
}

async fn device(server: &TestServer, policy: ConflictPolicy) -> Device {
    Device::new(server, "ada", NOTES, move |config| {
        config
            .table(SyncTable::new("notes").key("id").policy(policy))
            .table(SyncTable::new("tags").key("id").policy(policy))
    })
    .await
}

async fn sync(device: &Device) -> bool {
    match device.client().attach("ada").await {
        Ok(report) if !matches!(report.outcome, rowtide::Outcome::RetryLater { .. }) => {
            device.client().sync().await.is_ok()
        }
        _ => false,
    }
}

fn run(generation: WireGeneration, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let limits = Limits { default_rows_per_chunk: 3, max_rows_per_chunk: 3, ..Limits::default() };
        let server = TestServer::with_limits(generation, &Notes::TABLES, limits);
        let mut devices = vec![
            device(&server, ConflictPolicy::ServerWins).await,
            device(&server, ConflictPolicy::ClientWins).await,
            device(&server, ConflictPolicy::ServerWins).await,
        ];
        for step in steps {
            match step {
                Step::Insert { device, key } => {
                    let sql = format!("INSERT OR IGNORE INTO notes (id, title) VALUES ('n{key}', 'by {device}')");
                    devices[device].exec(&sql).await;
                }
                Step::Edit { device, key, value } => {
                    devices[device].exec(&format!("UPDATE notes SET stars = {value} WHERE id = 'n{key}'")).await;
                }
                Step::Delete { device, key } => {
                    devices[device].exec(&format!("DELETE FROM notes WHERE id = 'n{key}'")).await;
                }
                Step::Tag { device, key } => {
                    let sql = format!("INSERT INTO tags (name, note_id) SELECT 't{device}', id FROM notes WHERE id = 'n{key}'");
                    devices[device].exec(&sql).await;
                }
                Step::Sync { device } => {
                    sync(&devices[device]).await;
                }
                Step::SyncWithFault { device, endpoint, skip, fault } => {
                    let fault = [Fault::DropRequest, Fault::ApplyThenDropReply, Fault::ApplyThenTruncateReply][fault].clone();
                    server.fail(Endpoint::ALL[endpoint], skip, 4, fault);
                    sync(&devices[device]).await;
                    server.heal();
                }
                Step::Restart { device } => devices[device].reopen().await,
            }
        }
        // Quiet: no faults any more, everybody syncs until nothing moves. A seeding device goes first.
        for _ in 0..4 {
            for device in &devices {
                sync(device).await;
            }
        }
        for device in &devices {
            prop_assert!(sync(device).await, "{:?}", device.client().sync().await);
            prop_assert_eq!(device.pending().await, 0);
        }
        let expected = devices[0].dump().await;
        for device in &devices {
            prop_assert_eq!(&device.dump().await, &expected);
            let broken = device.rows("SELECT * FROM pragma_foreign_key_check").await;
            prop_assert!(broken.is_empty(), "a reference leads nowhere");
        }
        let fresh = device(&server, ConflictPolicy::ServerWins).await;
        prop_assert!(sync(&fresh).await);
        prop_assert_eq!(&fresh.dump().await, &expected);
        Ok(())
    })
}

proptest! {
    #![proptest_config(crate::config(80))]

    #[test]
    fn devices_agree_once_it_is_quiet_in_the_first_generation(steps in prop::collection::vec(step(), 1..60)) {
        run(WireGeneration::A, steps)?;
    }

    #[test]
    fn devices_agree_once_it_is_quiet_in_the_second_generation(steps in prop::collection::vec(step(), 1..60)) {
        run(WireGeneration::B, steps)?;
    }
}
