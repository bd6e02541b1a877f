//! Devices that write and sync in any order agree in the end. `ROWTIDE_LIVE_SEED=random` takes another order, whose
//! seed is printed; a number replays it.

use crate::{Device, World, agree, converge, worlds};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rowtide::{ConflictPolicy, ErrorKind};

/// The seed where none is asked for, so that a run can be repeated.
const SEED: u64 = 4;
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

/// As [`statement`], deletes of rows that others refer to included.
fn statement_on_relations(random: &mut StdRng, step: usize) -> String {
    let mut key = || random.random_range(1..=KEYS);
    let (row, other) = (key(), key());
    match random.random_range(0..20) {
        0 => format!("INSERT INTO users (id, name, email) VALUES (@{row}, 'user {step}', 'u@example.org')"),
        1 => format!("UPDATE users SET name = 'user {step}' WHERE id = @{row}"),
        2 => format!("DELETE FROM users WHERE id = @{row}"),
        3 | 4 => format!("INSERT INTO posts (id, title, author_id) VALUES (@{row}, 'post {step}', @{other})"),
        5 => format!("UPDATE posts SET author_id = @{other} WHERE id = @{row}"),
        6 => format!("DELETE FROM posts WHERE id = @{row}"),
        7 => format!("INSERT INTO categories VALUES (@{row}, 'category {step}', NULL)"),
        8 => format!("INSERT INTO categories VALUES (@{row}, 'category {step}', @{other})"),
        9 => format!("UPDATE categories SET parent_id = @{other} WHERE id = @{row}"),
        10 => format!("UPDATE categories SET name = 'category {step}', parent_id = NULL WHERE id = @{row}"),
        11 => format!("DELETE FROM categories WHERE id = @{row}"),
        12 => format!(
            "INSERT INTO teams VALUES (@{row}, 'team {step}', @{other});
             INSERT INTO team_members VALUES (@{other}, 'captain {step}', @{row})"
        ),
        13 => format!("INSERT INTO team_members VALUES (@{other}, 'member {step}', @{row})"),
        14 => format!("UPDATE teams SET captain_member_id = @{other} WHERE id = @{row}"),
        15 => format!(
            "UPDATE teams SET captain_member_id = NULL WHERE id = @{row}; DELETE FROM team_members WHERE id = @{other}"
        ),
        16 => format!("DELETE FROM teams WHERE id = @{row}"),
        17 => format!("INSERT INTO files VALUES (${row}, 'file {step}', x'{step:08x}')"),
        18 => format!("INSERT INTO file_reviews VALUES (${other}, 'review {step}', ${row})"),
        _ => format!("DELETE FROM files WHERE id = ${row}"),
    }
}

/// Pushes without a pull: a server that enforces references may refuse a child whose parent is gone there.
async fn push(device: &Device) {
    if let Err(error) = device.client().push().await {
        assert_eq!(error.kind(), ErrorKind::Server, "{error}");
    }
}

/// Runs a statement, which a constraint of the tables may forbid.
async fn attempt(device: &Device, sql: &str) {
    let result = device.client().execute_script(&crate::device::expand(sql)).await;
    if let Err(error) = result {
        assert_eq!(error.kind(), ErrorKind::Database, "{sql}");
    }
}

type Statement = fn(&mut StdRng, usize) -> String;

async fn agree_in_the_end(world: &World, policies: [ConflictPolicy; 3], statement: Statement) {
    let seed = match std::env::var("ROWTIDE_LIVE_SEED") {
        Ok(seed) if seed == "random" => rand::random(),
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => SEED,
    };
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
            15..=19 => _ = push(device).await,
            20..=24 => _ = device.client().pull().await.unwrap(),
            25 => _ = device.client().rebuild().await.unwrap(),
            26..=27 => device.reopen().await,
            _ => attempt(device, &statement(&mut random, step)).await,
        }
    }
    let devices: Vec<&Device> = devices.iter().collect();
    // What one device's decision brings back or takes away, the others hear of in the round after.
    for device in &devices {
        device.sync().await;
    }
    converge(&devices).await;
    let fresh = world.attached().await;
    agree(&[devices[0], &fresh]).await;
    assert!(fresh.count("users").await + fresh.count("posts").await > 0, "nothing was left to compare");
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_to_whom_the_server_is_right_agree_after_any_order_of_steps() {
    for world in worlds() {
        agree_in_the_end(&world, [ConflictPolicy::ServerWins; 3], statement).await;
        agree_in_the_end(&world, [ConflictPolicy::ServerWins; 3], statement_on_relations).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_that_think_themselves_right_agree_after_any_order_of_steps() {
    for world in worlds() {
        agree_in_the_end(&world, [ConflictPolicy::ClientWins; 3], statement).await;
        agree_in_the_end(&world, [ConflictPolicy::ClientWins; 3], statement_on_relations).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_of_different_opinions_agree_after_any_order_of_steps() {
    use ConflictPolicy::{ClientWins, ServerWins};
    for world in worlds() {
        agree_in_the_end(&world, [ServerWins, ClientWins, ServerWins], statement).await;
        agree_in_the_end(&world, [ServerWins, ClientWins, ServerWins], statement_on_relations).await;
    }
}
