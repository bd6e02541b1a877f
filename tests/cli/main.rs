//! The command line as its users have it: real processes, the `rowtide` binary as server and devices.
#![allow(clippy::unwrap_used)]

mod serve;

use serde_json::Value;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use tempfile::TempDir;

/// The binary beside this test's own folder.
fn rowtide() -> Command {
    Command::new(rowtide_tests::binary())
}

/// A process that does not outlive the test.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The first JSON line that is as wanted.
    fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.lines.next().expect("the process goes on").unwrap();
            let object: Value = serde_json::from_str(&line).unwrap();
            if wanted(&object) {
                return object;
            }
        }
    }

    /// Tells it to end, and answers whether it ended well.
    fn terminate(mut self) -> bool {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        told.success() && self.child.wait().unwrap().code() == Some(0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct World {
    folder: TempDir,
    _server: Running,
}

impl World {
    fn new(wire: &str) -> Self {
        Self::of_tables(wire, &["--table", "items:id"], |_| ())
    }

    /// A world whose server is told its tables in other words, in a folder that is furnished before.
    fn of_tables(wire: &str, tables: &[&str], furnish: impl FnOnce(&Path)) -> Self {
        let folder = TempDir::new().unwrap();
        furnish(folder.path());
        let mut server = Running::start(
            rowtide()
                .args(["serve", "--listen", "127.0.0.1:0", "--demo", "--wire", wire])
                .args(tables)
                .env("ROWTIDE_JWT_SECRET", "a secret of the tests")
                .current_dir(folder.path()),
        );
        let line = server.lines.next().unwrap().unwrap();
        let url = line.strip_prefix("listening on ").unwrap();
        let config = format!(
            "url = \"{url}\"\nschema = \"business\"\nsignin_url = \"{url}/dummy-signin\"\nuser = \"u\"\n\
             password = \"p\"\n[[tables]]\nname = \"items\"\nkey = \"id\"\n"
        );
        std::fs::write(folder.path().join("rowtide.toml"), config).unwrap();
        Self { folder, _server: server }
    }

    fn command(&self, device: &str, arguments: &[&str]) -> Command {
        let mut command = rowtide();
        command
            .current_dir(self.folder.path())
            .args(["--json", "--db", &format!("{device}.db")])
            .args(arguments);
        command
    }

    fn run(&self, device: &str, arguments: &[&str]) -> Output {
        self.command(device, arguments).output().unwrap()
    }

    /// What a command prints that must succeed.
    fn succeed(&self, device: &str, arguments: &[&str]) -> String {
        let output = self.run(device, arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{device} {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn device(&self, name: &str) {
        let table = "CREATE TABLE items (id TEXT PRIMARY KEY NOT NULL, v TEXT NOT NULL, n REAL)";
        self.succeed(name, &["exec", table]);
        self.succeed(name, &["attach", "u"]);
    }

    fn items(&self, device: &str) -> String {
        self.succeed(device, &["query", "SELECT * FROM items ORDER BY id"])
    }
}

#[test]
fn a_running_device_uploads_what_was_left_follows_another_one_and_ends_when_it_is_told_to() {
    for wire in ["a", "b"] {
        let world = World::new(wire);
        world.device("a");
        world.succeed("a", &["exec", "INSERT INTO items VALUES ('a1', 'written before', 1.5)"]);
        let mut running = Running::start(&mut world.command("a", &["run"]));
        let at_rest = running.until(|line| {
            line["state"] == "attached" && line["pending_rows"] == 0 && line["automatic"]["watching"] == true
        });
        assert_eq!(at_rest["health"], "well");
        world.device("b");
        world.succeed(
            "b",
            &["exec", "UPDATE items SET v = 'of b'; INSERT INTO items VALUES ('b1', 'new', NULL)"],
        );
        let report: Value = serde_json::from_str(&world.succeed("b", &["sync"])).unwrap();
        assert_eq!(report["pushed_rows"], 2);
        let status: Value = serde_json::from_str(&world.succeed("b", &["status"])).unwrap();
        running.until(|line| line["checkpoint"] == status["checkpoint"]);
        assert!(!world.run("a", &["status"]).status.success(), "the running command owns the database");
        assert!(running.terminate());
        assert_eq!(world.items("a"), world.items("b"));
    }
}

#[test]
fn running_without_a_user_says_what_to_do() {
    let world = World::new("b");
    let output = world.run("a", &["exec", "CREATE TABLE items (id TEXT PRIMARY KEY NOT NULL, v TEXT)"]);
    assert!(output.status.success());
    let output = world.run("a", &["run"]);
    assert_eq!(output.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["error"], "not_attached");
    assert!(error["message"].as_str().unwrap().contains("rowtide attach"));
}

#[test]
fn one_row_of_the_inbox_is_shown_on_demand_corrected_and_uploaded() {
    let world = World::new("b");
    world.device("a");
    // An infinite number has no wire form.
    world.succeed("a", &["exec", "INSERT INTO items VALUES ('x', 'secret', 9e999), ('y', 'secret', 9e999)"]);
    world.succeed("a", &["sync"]);
    let listed = world.succeed("a", &["refused"]);
    assert_eq!(listed.lines().count(), 2);
    assert!(!listed.contains("secret"));
    assert!(world.succeed("a", &["refused", "--content"]).contains("\"v\":\"secret\""));
    let doctor = world.succeed("a", &["doctor"]);
    assert!(doctor.contains("2 rows are in the inbox"), "{doctor}");

    let of_x =
        ["refused", "--retry", "--table", "items", "--key", "x", "--set", "n=2.5", "--set", "v=mended"];
    assert_eq!(world.succeed("a", &of_x).trim(), r#"{"retried_rows":1}"#);
    let again = world.run("a", &of_x);
    assert_eq!(again.status.code(), Some(3));
    let of_y = ["refused", "--discard", "--table", "items", "--key", "y"];
    assert_eq!(world.succeed("a", &of_y).trim(), r#"{"discarded_rows":1}"#);
    let wrong = world.run("a", &["refused", "--table", "items", "--key", "y"]);
    assert_eq!(wrong.status.code(), Some(2));
    world.succeed("a", &["sync"]);
    world.device("b");
    assert_eq!(world.items("b").trim(), r#"{"id":"x","n":2.5,"v":"mended"}"#);
    let status: Value = serde_json::from_str(&world.succeed("a", &["status"])).unwrap();
    assert_eq!((&status["health"], &status["host_transaction_open"]), (&"well".into(), &false.into()));
    assert_eq!((&status["automatic"]["running"], &status["refused_rows"]), (&false.into(), &0.into()));
}
