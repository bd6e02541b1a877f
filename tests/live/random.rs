//! Devices that write and sync in any order agree in the end. The seed is printed; `ROWTIDE_LIVE_SEED` replays it.

use crate::{Device, World, agree, converge, worlds};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rowtide::{ConflictPolicy, ErrorKind};

/// Steps of each world.
const STEPS: usize = 250;
/// Keys of each table: few, so that devices meet.
const KEYS: u64 = 6;

/// A statement on a row that somebody else may be working on too. Rows that others refer to are not deleted.
fn statement(random: &mut StdRng, step: usize) -> String {
    let mut key = || random.random_range(1..=KEYS);
    let (row, other) = (key(), key());
    match random.random_range(0..18) {
        0 => format!("INSERT INTO users (id, name, email) VALUES (@{row}, 'user {step}', 'u@example.org')"),
        1 => format!("UPDATE users SET name = 'user {step}' WHERE id = @{row}"),
        2 | 3 => format!("INSERT INTO posts (id, title, author_id) VALUES (@{row}, 'post {step}', @{other})"),
        4 => format!("UPDATE posts SET author_id = @{other} WHERE id = @{row}"),
        5 => format!("UPDATE posts SET title = 'post {step}', author_id = NULL WHERE id = @{row}"),
        6 => format!("DELETE FROM posts WHERE id = @{row}"),
        7 => format!("INSERT INTO categories VALUES (@{row}, 'category {step}', @{other})"),
        8 => format!("INSERT INTO categories VALUES (@{row}, 'category {step}', NULL)"),
        9 => format!("UPDATE categories SET parent_id = @{other} WHERE id = @{row}"),
        10 => format!("INSERT INTO files VALUES (${row}, 'file {step}', x'{step:08x}')"),
        11 => format!("UPDATE files SET data = x'{step:08x}' WHERE id = ${row}"),
        12 => format!("INSERT INTO file_reviews VALUES (${other}, 'review {step}', ${row})"),
        13 => format!("DELETE FROM file_reviews WHERE id = ${row}"),
        14 | 15 => {
            format!("INSERT OR REPLACE INTO typed_rows (id, name, rating) VALUES (@{row}, 't', {step}.25)")
        }
        16 => format!("UPDATE typed_rows SET note = ifnull(note, '') || '{other}' WHERE id = @{row}"),
        _ => format!("DELETE FROM typed_rows WHERE id = @{row}"),
    }
}

/// Runs a statement, which a constraint of the tables may forbid.
async fn attempt(device: &Device, sql: &str) {
    let result = device.client().execute_script(&crate::device::expand(sql)).await;
    if let Err(error) = result {
        assert_eq!(error.kind(), ErrorKind::Database, "{sql}");
    }
}

async fn agree_in_the_end(world: &World, policies: [ConflictPolicy; 3]) {
    let seed =
        std::env::var("ROWTIDE_LIVE_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    eprintln!("seed {seed} of {policies:?}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut devices = Vec::new();
    for policy in policies {
        devices.push(world.device_of_policy(policy).await);
    }
    for step in 0..STEPS {
        let number = random.random_range(0..devices.len());
        let device = &mut devices[number];
        match random.random_range(0..100) {
            0..=14 => _ = device.sync().await,
            15..=19 => _ = device.client().push().await.unwrap(),
            20..=24 => _ = device.client().pull().await.unwrap(),
            25 => _ = device.client().rebuild().await.unwrap(),
            26..=27 => device.reopen().await,
            _ => attempt(device, &statement(&mut random, step)).await,
        }
    }
    let devices: Vec<&Device> = devices.iter().collect();
    converge(&devices).await;
    let fresh = world.attached().await;
    agree(&[devices[0], &fresh]).await;
    assert!(fresh.count("posts").await + fresh.count("typed_rows").await > 0, "nothing was left to compare");
    for device in devices {
        assert!(device.inbox().await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_to_whom_the_server_is_right_agree_after_any_order_of_steps() {
    for world in worlds() {
        agree_in_the_end(&world, [ConflictPolicy::ServerWins; 3]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_that_think_themselves_right_agree_after_any_order_of_steps() {
    for world in worlds() {
        agree_in_the_end(&world, [ConflictPolicy::ClientWins; 3]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_of_different_opinions_agree_after_any_order_of_steps() {
    use ConflictPolicy::{ClientWins, ServerWins};
    for world in worlds() {
        agree_in_the_end(&world, [ServerWins, ClientWins, ServerWins]).await;
    }
}
