//! `kill -9` of the client at random moments of push, pull and hydrate, then `sync` again: converged, no row
//! lost, none twice. Real processes: the `rowtide` binary as client and server.
#![allow(clippy::unwrap_used)]

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Kills that interrupted a running command, in each generation.
const KILLS: usize = 105;
/// More than enough rounds for them.
const ROUNDS: usize = 600;

/// The binary beside this test's own folder.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct World {
    folder: TempDir,
    _server: Killed,
    random: StdRng,
    /// Every acknowledged write.
    expected: BTreeMap<String, String>,
    next: usize,
    interrupted: usize,
}

impl World {
    fn new(wire: &str, seed: u64) -> Self {
        let folder = TempDir::new().unwrap();
        let mut server = Command::new(rowtide_tests::binary())
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--store",
                "sqlite:server.db",
                "--demo",
                "--wire",
                wire,
            ])
            .args(["--table", "items:id"])
            .env("ROWTIDE_JWT_SECRET", "a secret of the tests")
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap();
        let config = format!(
            "url = \"{url}\"\nschema = \"business\"\nsignin_url = \"{url}/dummy-signin\"\nuser = \"u\"\n\
             password = \"p\"\n[[tables]]\nname = \"items\"\nkey = \"id\"\n"
        );
        std::fs::write(folder.path().join("rowtide.toml"), config).unwrap();
        Self {
            folder,
            _server: Killed(server),
            random: StdRng::seed_from_u64(seed),
            expected: BTreeMap::new(),
            next: 0,
            interrupted: 0,
        }
    }

    fn command(&self, device: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(rowtide_tests::binary());
        command
            .current_dir(self.folder.path())
            .args(["--json", "--db", &format!("{device}.db")])
            .args(arguments);
        command
    }

    fn run(&self, device: &str, arguments: &[&str]) -> Output {
        self.command(device, arguments).output().unwrap()
    }

    fn succeed(&self, device: &str, arguments: &[&str]) -> String {
        let output = self.run(device, arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{device} {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn create(&self, device: &str) {
        self.succeed(device, &["exec", "CREATE TABLE items (id TEXT PRIMARY KEY NOT NULL, v TEXT NOT NULL)"]);
    }

    /// Writes on a device, and remembers what was acknowledged.
    fn write(&mut self, device: &str, count: usize) {
        let mut sql = String::new();
        for _ in 0..count {
            let known: Vec<&String> = self.expected.keys().filter(|key| key.starts_with(device)).collect();
            let old = (!known.is_empty()).then(|| known[self.random.random_range(0..known.len())].clone());
            match (self.random.random_range(0..4), old) {
                (0, Some(key)) => {
                    sql += &format!("DELETE FROM items WHERE id = '{key}';");
                    self.expected.remove(&key);
                }
                (1, Some(key)) => {
                    self.next += 1;
                    sql += &format!("UPDATE items SET v = '{}' WHERE id = '{key}';", self.next);
                    self.expected.insert(key, self.next.to_string());
                }
                _ => {
                    self.next += 1;
                    let key = format!("{device}-{:06}", self.next);
                    sql += &format!("INSERT INTO items VALUES ('{key}', '{0}');", self.next);
                    self.expected.insert(key, self.next.to_string());
                }
            }
        }
        self.succeed(device, &["exec", &sql]);
    }

    /// Runs a command and kills it at a random moment.
    #[allow(clippy::disallowed_methods)] // a moment of real time is the point
    fn kill(&mut self, device: &str, arguments: &[&str]) {
        let mut command = self.command(device, arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(self.random.random_range(0..25_000)));
        let finished = child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        child.wait().unwrap();
        self.interrupted += usize::from(!finished);
    }

    fn rows(&self, device: &str) -> BTreeMap<String, String> {
        let mut rows = BTreeMap::new();
        for line in self.succeed(device, &["query", "SELECT id, v FROM items"]).lines() {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            assert!(rows.insert(text("id"), text("v")).is_none(), "a row is there twice");
        }
        rows
    }

    fn settle(&self, device: &str) {
        self.succeed(device, &["attach", "u"]);
        self.succeed(device, &["sync"]);
    }
}

fn live(wire: &str) {
    let seed = rand::random();
    eprintln!("generation {wire}, seed {seed}");
    let mut world = World::new(wire, seed);
    world.create("a");
    world.write("a", 300);
    // The very first upload is interrupted too: it holds the lease.
    world.succeed("a", &["attach", "u"]);
    world.kill("a", &["push"]);
    world.settle("a");
    world.create("b");
    world.settle("b");
    for round in 0..ROUNDS {
        if world.interrupted >= KILLS {
            break;
        }
        let fresh = format!("c{round}");
        match round % 3 {
            0 => {
                world.write("a", 60);
                world.kill("a", &["push"]);
            }
            1 => {
                world.write("b", 60);
                world.settle("b");
                world.write("a", 10);
                world.kill("a", &["sync"]);
            }
            _ => {
                world.create(&fresh);
                world.kill(&fresh, &["attach", "u"]);
                world.kill(&fresh, &["attach", "u"]);
                world.settle(&fresh);
                assert_eq!(world.rows(&fresh), world.rows("b"), "seed {seed}, round {round}");
            }
        }
        world.settle("a");
        world.settle("b");
        assert_eq!(world.rows("a"), world.expected, "seed {seed}, round {round}: a");
        assert_eq!(world.rows("b"), world.expected, "seed {seed}, round {round}: b");
    }
    assert!(world.interrupted >= KILLS, "only {} kills came in time", world.interrupted);
}

#[test]
fn a_client_killed_at_any_moment_loses_nothing_and_sends_nothing_twice_in_the_first_generation() {
    live("a");
}

#[test]
fn a_client_killed_at_any_moment_loses_nothing_and_sends_nothing_twice_in_the_second_generation() {
    live("b");
}
