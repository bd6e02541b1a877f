//! Server processes die by `kill -9` and PostgreSQL by an immediate stop, at random moments under the load of eight
//! devices: no accepted bundle is lost, none is applied twice, and sequences have no gaps.
//!
//! `ROWTIDE_CRASHES` says how often, `ROWTIDE_CRASH_SEED` from which seed.
#![allow(clippy::unwrap_used)]

mod cluster;
mod device;

use cluster::{Cluster, Process};
use device::{Device, Field};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rowtide_tests::database::connect;
use std::sync::Arc;

const DEVICES: usize = 8;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_and_its_postgresql_die_and_no_bundle_is_lost_or_doubled() {
    let cluster = Cluster::start().await;
    let processes = vec![Process::start(&cluster.url, &cluster.url)];
    survive(&cluster, processes, setting("ROWTIDE_CRASHES", 6)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_processes_behind_a_transaction_pooler_die_and_no_bundle_is_lost_or_doubled() {
    let cluster = Cluster::start().await;
    let pooler = cluster.pooler();
    let processes = (0..3).map(|_| Process::start(&pooler, &cluster.url)).collect();
    survive(&cluster, processes, setting("ROWTIDE_CRASHES", 6)).await;
}

/// Kills under load, as often as asked for, and looks at what is there in the end.
async fn survive(cluster: &Cluster, mut processes: Vec<Process>, crashes: u64) {
    let seed = setting("ROWTIDE_CRASH_SEED", rand::random());
    println!("ROWTIDE_CRASH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let field = Arc::new(Field::new(processes.iter().map(|process| process.address.clone()).collect()));
    let mut devices = Vec::new();
    for number in 0..DEVICES {
        let user = if number < DEVICES / 2 { "ada" } else { "bob's \"other\" device" };
        let device = Device::new(&field, user, number);
        device.connect().await;
        devices.push(tokio::spawn(device.run()));
    }
    let mut requests = field.requests.subscribe();
    for _ in 0..crashes {
        // Some requests later, in the middle of whatever is going on then.
        let moment = *requests.borrow() + random.random_range(20..120);
        requests.wait_for(|count| *count >= moment).await.unwrap();
        if random.random_bool(0.4) {
            tokio::task::block_in_place(|| cluster.crash());
        } else {
            let process = random.random_range(0..processes.len());
            tokio::task::block_in_place(|| processes[process].crash());
        }
    }
    let moment = *requests.borrow() + 100;
    requests.wait_for(|count| *count >= moment).await.unwrap();
    field.going.send_replace(false);
    let mut done = Vec::new();
    for device in devices {
        done.push(device.await.unwrap());
    }
    let bundles: usize = done.iter().map(|device| device.committed.len()).sum();
    println!("{crashes} crashes, {bundles} bundles");
    assert!(bundles > DEVICES, "there was a load");
    judge(cluster, &done).await;
}

/// Compares what PostgreSQL has with what the devices were told.
async fn judge(cluster: &Cluster, devices: &[Device]) {
    let client = connect(&cluster.url).await;
    for device in devices {
        let log = client
            .query(
                "SELECT source_bundle_id, bundle_seq FROM rowtide.bundle_log
                 WHERE user_id = $1 AND source_id = $2 ORDER BY source_bundle_id",
                &[&device.user, &device.source],
            )
            .await
            .unwrap();
        let log: Vec<(i64, i64)> = log.iter().map(|row| (row.get(0), row.get(1))).collect();
        let told: Vec<(i64, i64)> = (1..).zip(device.committed.iter().copied()).collect();
        assert_eq!(log, told, "the history of {} is what it was told", device.source);
        let rows: i64 = client
            .query_one(
                "SELECT count(*) FROM business.items WHERE _sync_scope_id = $1 AND (
                     (id = $2 || ' counter' AND name = $3::text)
                     OR (id = $2 || ' ' || name AND name::int BETWEEN 1 AND $3::text::int))",
                &[&device.user, &device.source, &device.committed.len().to_string()],
            )
            .await
            .unwrap()
            .get(0);
        assert_eq!(rows, i64::try_from(device.committed.len()).unwrap() + 1, "rows of {}", device.source);
    }
    // Each counts what is wrong.
    for (what, sql) in [
        (
            "sequences with gaps",
            "SELECT count(*) FROM rowtide.user_state AS u WHERE u.latest_bundle_seq <> (
                 SELECT count(*) FROM rowtide.bundle_log AS b WHERE b.user_id = u.user_id AND b.bundle_seq BETWEEN 1 AND u.latest_bundle_seq)",
        ),
        (
            "bundles without their rows",
            "SELECT count(*) FROM rowtide.bundle_log AS b WHERE b.row_count <> (
                 SELECT count(*) FROM rowtide.bundle_rows AS r WHERE r.user_id = b.user_id AND r.bundle_seq = b.bundle_seq)",
        ),
        (
            "rows that are not what the history says",
            "SELECT count(*) FROM business.items AS i FULL JOIN (
                 SELECT DISTINCT ON (user_id, key) user_id, key, payload::json ->> 'name' AS name FROM rowtide.bundle_rows
                 ORDER BY user_id, key, bundle_seq DESC) AS last
             ON last.user_id = i._sync_scope_id AND last.key = i.id WHERE last.name IS DISTINCT FROM i.name",
        ),
        (
            "versions that are not of the last bundle",
            "SELECT count(*) FROM rowtide.row_state AS s FULL JOIN (
                 SELECT user_id, key, max(bundle_seq) AS seq FROM rowtide.bundle_rows GROUP BY user_id, key) AS last
             ON last.user_id = s.user_id AND last.key = s.key WHERE last.seq IS DISTINCT FROM s.row_version",
        ),
        ("captures that were left", "SELECT count(*) FROM rowtide.bundle_capture"),
        ("open bundles that were left", "SELECT count(*) FROM rowtide.open_bundle"),
    ] {
        let found: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
        assert_eq!(found, 0, "{what}");
    }
}
