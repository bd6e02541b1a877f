//! Every statement of the store names the user for every table that it touches, so that a database that is sharded by user
//! sends it to one place.

use std::path::Path;

/// Tables whose key begins with the user.
const TABLES: [&str; 11] = [
    "user_state",
    "source_state",
    "row_state",
    "bundle_log",
    "bundle_rows",
    "push_sessions",
    "push_rows",
    "snapshot_sessions",
    "snapshot_rows",
    "open_bundle",
    "bundle_capture",
];

/// Statements that are of all users, by a part of each: they are no step of the protocol.
const OF_ALL_USERS: [&str; 4] = [
    "SELECT count(*), coalesce(sum(byte_count), 0)::int8 FROM rowtide.bundle_log",
    "SELECT coalesce(max(latest_bundle_seq), 0), coalesce(min(retained_floor), 0)",
    "UNION SELECT user_id FROM rowtide.snapshot_sessions WHERE expires_at <= $1 LIMIT 100",
    "DELETE FROM rowtide.snapshot_rows; DELETE FROM rowtide.snapshot_sessions;",
];

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/postgres"))
}

/// The text literals of a Rust file.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find(['"', '/', '\'']) {
        let from = &rest[at..];
        rest = if from.starts_with("//") {
            from.split_once('\n').map_or("", |(_, after)| after)
        } else if from.starts_with("'\"'") || from.starts_with("'\\\"'") {
            &from[3..]
        } else if let Some(text) = from.strip_prefix('"') {
            let mut end = 0;
            let bytes = text.as_bytes();
            while bytes[end] != b'"' {
                end += if bytes[end] == b'\\' { 2 } else { 1 };
            }
            found.push(text[..end].to_owned());
            &text[end + 1..]
        } else {
            &from[1..]
        };
    }
    found
}

/// Statements of the store: those in Rust whole, those in SQL between semicolons.
fn statements() -> Vec<String> {
    let mut all = Vec::new();
    for file in std::fs::read_dir(folder()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(path).unwrap();
            all.extend(literals(source.split("#[cfg(test)]").next().unwrap()));
        }
    }
    for file in ["001_functions.sql", "002_capture_by_statement.sql"] {
        let functions = std::fs::read_to_string(folder().join("sql").join(file)).unwrap();
        let code: String =
            functions.lines().map(|line| line.split("--").next().unwrap_or("").to_owned() + "\n").collect();
        all.extend(code.split(';').map(str::to_owned));
    }
    all
}

/// How often a table is read or written.
fn touches(statement: &str) -> usize {
    let is_whole = |after: &str| !after.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_');
    let of = |table: &str| {
        let name = format!("rowtide.{table}");
        let verbs = ["FROM ", "JOIN ", "INTO ", "UPDATE "];
        let places = statement.match_indices(&name).filter(|(at, _)| is_whole(&statement[at + name.len()..]));
        places.filter(|(at, _)| verbs.iter().any(|verb| statement[..*at].ends_with(verb))).count()
    };
    TABLES.iter().map(|table| of(table)).sum()
}

#[test]
fn every_statement_names_the_user_of_every_table_that_it_touches() {
    let statements = statements();
    let mut checked = 0;
    for statement in &statements {
        let touched = touches(statement);
        if touched == 0 || OF_ALL_USERS.iter().any(|part| statement.contains(part)) {
            continue;
        }
        checked += 1;
        // `staged` is a condition that itself begins with the user.
        let named = statement.matches("user_id").count() + statement.matches("{staged}").count();
        assert!(named >= touched, "{touched} tables and {named} mentions of their user in\n{statement}");
    }
    assert!(statements.iter().any(|statement| statement.starts_with("p.user_id = $1 AND p.push_id = $2")));
    assert!(checked > 50, "only {checked} statements were found");
    for part in OF_ALL_USERS {
        assert!(statements.iter().any(|statement| statement.contains(part)), "no statement has {part}");
    }
}

#[test]
fn every_statement_on_an_applications_table_names_the_user() {
    let mut checked = 0;
    for statement in statements() {
        let is_one =
            ["FROM {table}", "INTO {table}", "UPDATE {table}", "FROM {child}", "FROM {parent}", "FROM %I.%I"]
                .iter()
                .any(|part| statement.contains(part));
        if is_one {
            checked += 1;
            assert!(statement.contains("_sync_scope_id"), "{statement}");
        }
    }
    assert!(checked >= 7, "only {checked} statements were found");
}
