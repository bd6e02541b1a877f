//! A server whose tables stand in a file.

use crate::{World, rowtide};
use serde_json::Value;
use std::process::Output;
use tempfile::TempDir;

/// A server that does not come so far as to serve.
fn refused(file: &str, more: &[&str]) -> (Option<i32>, String) {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("tables.toml"), file).unwrap();
    let Output { status, stderr, .. } = rowtide()
        .args(["--json", "serve", "--demo", "--tables", "tables.toml"])
        .args(more)
        .env("ROWTIDE_JWT_SECRET", "a secret of the tests")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let error: Value = serde_json::from_slice(&stderr).unwrap();
    (status.code(), error["message"].as_str().unwrap().to_owned())
}

#[test]
fn the_tables_of_a_file_are_served() {
    let file = "schema = \"business\"\n[[tables]]\nname = \"items\"\nkey = \"id\"\n";
    let world = World::of_tables("b", &["--tables", "tables.toml"], |folder| {
        std::fs::write(folder.join("tables.toml"), file).unwrap();
    });
    world.device("a");
    world.succeed("a", &["exec", "INSERT INTO items VALUES ('a1', 'text', 1.5)"]);
    let report: Value = serde_json::from_str(&world.succeed("a", &["sync"])).unwrap();
    assert_eq!(report["pushed_rows"], 1);
}

#[test]
fn what_a_file_of_tables_may_not_say_is_named() {
    for (file, named) in [
        ("schema = \"s\"\ntable = 1\n", "unknown field `table`"),
        (
            "schema = \"s\"\n[[tables]]\nname = \"t\"\nkey = \"id\"\npolicy = \"merge\"\n",
            "unknown field `policy`",
        ),
        ("schema = \"s\"\n[[tables]]\nname = \"t\"\n", "missing field `key`"),
        ("[[tables]]\nname = \"t\"\nkey = \"id\"\n", "missing field `schema`"),
        ("schema = \"s\"\n", "missing field `tables`"),
        ("schema = \"s\"\ntables = []\n", "tables is empty"),
        (
            "schema = \"s\"\n[[tables]]\nname = \"Posts\"\nkey = \"id\"\n",
            "table \"Posts\" must be made of a-z",
        ),
        ("schema = 's", "tables.toml"),
    ] {
        let (code, text) = refused(file, &[]);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains(named), "{named}\nis not in\n{text}");
    }
    let file = "schema = \"s\"\n[[tables]]\nname = \"t\"\nkey = \"id\"\n";
    for option in [["--table", "t:id"], ["--schema", "s"]] {
        let (code, text) = refused(file, &option);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains("cannot be used with"), "one way to say a thing: {text}");
    }
}
