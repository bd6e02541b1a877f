//! Kills one device at every durable step of a fixed script, once before it and once after it.

use crate::journal::{Entry, Kind, Lane};
use crate::run::{Run, run};
use crate::schema::{KeyKind, OnDelete, Reference, Table};
use crate::script::{Act, Call, Moment, Script, Setup, Step};
use crate::witness::View;
use rowtide::protocol::profile::WireGeneration;
use rowtide::{ConflictPolicy, Hydrate};
use std::fmt::Write;

const BEGIN: &str = "<!-- crash points: begin -->";
const END: &str = "<!-- crash points: end -->";

/// The table as Markdown, or what went wrong.
pub(crate) fn table() -> Result<String, String> {
    let script = script();
    let whole = run(&script, None);
    if let Some(failure) = whole.failure {
        return Err(format!("without any kill: {failure}"));
    }
    let mut rows = Vec::new();
    for (number, name) in &whole.steps {
        let before = killed(&script, Moment::BeforeCommit(*number))?;
        let after = killed(&script, Moment::AfterCommit(*number))?;
        rows.push((name, before, after));
    }
    let mut text = String::from(
        "| | durable step | killed right before it | killed right after it |\n| --- | --- | --- | --- |\n",
    );
    for (index, (name, before, after)) in rows.iter().enumerate() {
        writeln!(text, "| {} | {name} | {before} | {after} |", index + 1)
            .expect("a String takes every write");
    }
    Ok(text)
}

/// Puts the table into a document, between its marks.
pub(crate) fn put(document: &str, table: &str) -> Result<String, String> {
    let (head, rest) = document.split_once(BEGIN).ok_or(format!("the document lacks the line {BEGIN}"))?;
    let (_, tail) = rest.split_once(END).ok_or(format!("the document lacks the line {END}"))?;
    Ok(format!("{head}{BEGIN}\n\n{table}\n{END}{tail}"))
}

/// Where the device stood when it was opened again, and what it took to come to rest.
fn killed(script: &Script, when: Moment) -> Result<String, String> {
    let mut script = script.clone();
    script.steps.insert(0, step(Act::Kill { device: 0, when }));
    let Run { journal, failure, .. } = run(&script, None);
    if let Some(failure) = failure {
        return Err(format!("killed {when:?}: {failure}"));
    }
    let is_d0 = |entry: &&Entry| entry.lane == Lane::Device(0);
    let opened = journal.iter().rposition(|entry| is_d0(&entry) && entry.kind == Kind::Opened);
    let opened = opened.ok_or("it was never opened")?;
    let requests =
        journal[opened..].iter().filter(is_d0).filter(|entry| matches!(entry.kind, Kind::Sent(_))).count();
    let state = journal[opened].text.split_once(": ").map_or("", |(_, state)| state);
    Ok(format!("{state}; at rest after {requests} requests"))
}

/// What a commit did, by the database before and after it.
pub(crate) fn name(before: Option<&View>, after: &View) -> String {
    let Some(before) = before else { return "the database is opened the first time".into() };
    let text = if after.marks.len() > before.marks.len() {
        "the app writes"
    } else if before.user.is_none() && after.user.is_some() && before.operation.is_some() {
        "the snapshot is applied, and the user attached with it"
    } else if before.user.is_none() && after.user.is_some() {
        "the user is attached"
    } else if before.user.is_some() && after.user.is_none() {
        "the user is detached, the tables are emptied"
    } else if let (None, Some(kind)) = (&before.operation, &after.operation) {
        return format!("a download is decided: {}", kind.replace('_', " "));
    } else if before.operation.is_some() && after.operation.is_none() {
        "the snapshot is applied"
    } else if before.staged != after.staged && after.operation.is_some() {
        "a chunk of the snapshot is staged"
    } else if after.operation.is_some() && before.in_stage.1 != after.in_stage.1 {
        "what the snapshot differs in is noted"
    } else if after.operation.is_none() && before.in_stage.0 > after.in_stage.0 && !after.has_outbox {
        "rows that were applied leave the stage"
    } else if before.session != after.session {
        "a snapshot session is kept"
    } else if !before.has_outbox && after.has_outbox {
        "dirty rows are frozen into the outbox"
    } else if after.has_outbox && before.committed != after.committed {
        "the server's answer to the commit is kept"
    } else if before.has_outbox && !after.has_outbox && after.intent.len() == before.intent.len() {
        "the outbox thaws"
    } else if before.has_outbox && !after.has_outbox {
        "the committed bundle is replayed"
    } else if before.checkpoint != after.checkpoint {
        "a bundle is applied"
    } else if before.source != after.source {
        "the source is replaced"
    } else {
        "bookkeeping: changes are put in order, an error is noted"
    };
    text.to_owned()
}

fn step(act: Act) -> Step {
    Step { after_ms: 10, act }
}

/// Everything that one device does in its life, one thing after the other.
fn script() -> Script {
    let mut steps = Vec::new();
    let mut mark = 0;
    let mut write = |device, sql: &str| {
        mark += 1;
        let sql = sql.replace('?', &format!("'m{mark}'"));
        Step { after_ms: 5_000, act: Act::Write { device, mark, sql } }
    };
    let call = |device, call| Step { after_ms: 5_000, act: Act::Call { device, call } };
    steps.extend([
        write(0, "INSERT INTO notes (id, mark) VALUES ('a', ?), ('b', ?), ('c', ?)"),
        call(0, Call::Attach),
        write(0, "INSERT INTO tags (id, mark, p) VALUES ('t', ?, 'a')"),
        call(0, Call::Sync),
        call(1, Call::Attach),
        write(1, "UPDATE notes SET mark = ? WHERE id = 'a'; DELETE FROM notes WHERE id = 'c'"),
        call(1, Call::Sync),
        write(1, "INSERT INTO notes (id, mark) VALUES ('d', ?)"),
        call(1, Call::Sync),
        // Both changed one row.
        write(0, "UPDATE notes SET mark = ? WHERE id = 'a'; INSERT INTO notes (id, mark) VALUES ('e', ?)"),
        call(0, Call::Sync),
        // The history is gone.
        write(1, "DELETE FROM tags"),
        call(1, Call::Sync),
        Step { after_ms: 5_000, act: Act::Prune { user: "ada" } },
        write(0, "UPDATE notes SET mark = ? WHERE id = 'b'"),
        call(0, Call::Sync),
        // The source is gone.
        Step { after_ms: 5_000, act: Act::Retire { device: 0 } },
        write(0, "DELETE FROM notes WHERE id = 'd'"),
        call(0, Call::Sync),
        call(0, Call::SyncThenDetach),
        call(0, Call::Attach),
        // Until the last of them has ended.
        Step { after_ms: 5_000, act: Act::Weather { percent: 0 } },
    ]);
    let table = |name: &str, parent| Table {
        name: name.into(),
        key: KeyKind::Text,
        policy: ConflictPolicy::ClientWins,
        integer: false,
        real: false,
        blob: false,
        parent,
        without_rowid: false,
    };
    let parent = Reference { table: 0, on_delete: OnDelete::Cascade };
    let setup = Setup {
        generation: WireGeneration::B,
        tables: vec![table("notes", None), table("tags", Some(parent))],
        users: vec!["ada", "ada"],
        page_rows: 2,
        page_bundles: 10,
        bundle_rows: 0,
        session_seconds: 900,
        backups: false,
        hydrate: Hydrate::AtOnce,
    };
    Script { seed: 1, setup, steps }
}
