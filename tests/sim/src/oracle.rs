//! What must be true: of a device at every moment, and of all of them once it is quiet.

use crate::device::Device;
use crate::draw::USERS;
use crate::ledger::{Content, History, Ledger, RowId};
use crate::schema::Table;
use crate::witness::{View, Witness};
use crate::world::{Seen, World};
use rowtide::ConflictPolicy;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Tables hold a few rows each, and the schema's own texts are the longest of them.
const PAGES_OF_A_TREE: i64 = 2;

/// Every bundle is visible whole or not at all: what is no local intent is exactly what the server had at the
/// checkpoint, own bundles beyond it included.
pub(crate) fn visible(ledger: &Ledger, seen: &Seen, view: &View) -> Result<(), String> {
    let Some(user) = &view.user else { return shown_early(ledger, view) };
    if seen.ahead {
        return Ok(());
    }
    ledger.with(user, |history| {
        if view.checkpoint > history.newest {
            return Err(format!("the checkpoint {} is beyond bundle {}", view.checkpoint, history.newest));
        }
        let rows: BTreeSet<&RowId> = history.rows().chain(view.rows.keys()).collect();
        for row in rows.into_iter().filter(|row| !view.intent.contains(row) && !view.refused.contains(row)) {
            let known = view.versions.get(row).map_or(0, |(version, _)| *version);
            if known == 0 && view.operation.is_some() {
                // It is known to be stale, and a download that is recorded brings it back.
                continue;
            }
            let expected = expected(history, seen, view, row, known)?;
            let found = view.rows.get(row);
            let own =
                history.after(row, view.checkpoint).filter(|version| seen.sources.contains(&version.source));
            if view.operation.is_some() && own.is_some_and(|version| version.content.as_ref() == found) {
                // Its own bundle was pruned before it was replayed; the download brings the version.
                continue;
            }
            if found != expected {
                return Err(format!(
                    "{row} is {} at checkpoint {} of {user}, the server had {}",
                    show(found),
                    view.checkpoint,
                    show(expected)
                ));
            }
        }
        Ok(())
    })
}

/// A progressive download shows rows before its end: each as the server has it, or as the app wrote it since.
fn shown_early(ledger: &Ledger, view: &View) -> Result<(), String> {
    let Some(user) = &view.download_for else { return Ok(()) };
    ledger.with(user, |history| {
        for (row, (version, deleted)) in view.versions.iter().filter(|(row, _)| !view.intent.contains(row)) {
            let found = view.rows.get(row);
            let expected = history.exactly(row, *version).and_then(|version| version.content.as_ref());
            if *deleted || *version == 0 || found.is_none() || found != expected {
                return Err(format!(
                    "{row} is {} in a download for {user}, the server has {} as version {version}",
                    show(found),
                    show(expected)
                ));
            }
        }
        Ok(())
    })
}

/// Nothing of what the app wrote gets lost: a row of local intent leaves it only by being committed, by a version of
/// another device that its policy lets win, or by way of the inbox.
pub(crate) fn kept(
    ledger: &Ledger,
    tables: &[Table],
    seen: &Seen,
    before: &View,
    after: &View,
) -> Result<(), String> {
    if seen.ahead {
        return Ok(());
    }
    if after.download_for.is_some()
        && before.marks == after.marks
        && let Some(row) = after.intent.difference(&before.intent).next()
    {
        return Err(format!("{row} became a local change in a download, and the app wrote nothing"));
    }
    overwritten(tables, before, after)?;
    let gone = before.intent.iter().filter(|row| !after.intent.contains(row) && !after.refused.contains(row));
    let user = after.user.as_deref().unwrap_or_default();
    ledger.with(user, |history| {
        for row in gone {
            let (meant, found) = (before.rows.get(row), after.rows.get(row));
            let known = before.versions.get(row).map_or(0, |(version, _)| *version);
            let now = after.versions.get(row).map_or(0, |(version, _)| *version).max(after.checkpoint);
            let news = history.at(row, now).filter(|version| version.seq > known);
            match news {
                Some(version) if seen.sources.contains(&version.source) => {}
                // Each policy may let the other device's version win, but for this one.
                Some(_) if !wins(tables, row) || meant.is_none() || meant == found => {}
                Some(version) => {
                    return Err(format!(
                        "the local change of {row} to {} gave way to bundle {}, and its table lets the client win",
                        show(meant),
                        version.seq
                    ));
                }
                // It is as it was, or its delete was undone because another device refers to the row.
                None if meant == found || meant.is_none() => {}
                None => {
                    return Err(format!("the local change of {row} to {} is lost, nothing overruled it", show(meant)));
                }
            }
        }
        Ok(())
    })
}

/// A row that stays local intent keeps what the app wrote, unless its table merges. References may be unlinked.
fn overwritten(tables: &[Table], before: &View, after: &View) -> Result<(), String> {
    if before.marks != after.marks {
        return Ok(());
    }
    for row in before.intent.intersection(&after.intent) {
        let Some(meant) = before.rows.get(row) else { continue };
        let Some(found) = after.rows.get(row) else {
            if before.versions.get(row) != after.versions.get(row) {
                // It met a version of another device, and a local delete reached that.
                continue;
            }
            return Err(format!(
                "the local change of {row} to {} vanished while it waits",
                show(Some(meant))
            ));
        };
        let changed = meant.iter().any(|(column, value)| column != "p" && found.get(column) != Some(value));
        let policy = tables.iter().find(|table| table.name == row.table).map(|table| table.policy);
        if changed && matches!(policy, Some(ConflictPolicy::ServerWins | ConflictPolicy::ClientWins)) {
            return Err(format!(
                "the local change of {row} to {} became {} while it waits",
                show(Some(meant)),
                show(Some(found))
            ));
        }
    }
    Ok(())
}

/// Whether the local change of a row always wins.
fn wins(tables: &[Table], row: &RowId) -> bool {
    tables.iter().any(|table| table.name == row.table && table.policy == ConflictPolicy::ClientWins)
}

fn expected<'h>(
    history: &'h History,
    seen: &Seen,
    view: &View,
    row: &RowId,
    known: i64,
) -> Result<Option<&'h Content>, String> {
    if known > view.checkpoint {
        let version = history.exactly(row, known);
        let own = version.filter(|version| seen.sources.contains(&version.source));
        let own =
            own.ok_or_else(|| format!("{row} has version {known} beyond checkpoint {}", view.checkpoint))?;
        return Ok(own.content.as_ref());
    }
    Ok(history.at(row, view.checkpoint).and_then(|version| version.content.as_ref()))
}

pub(crate) fn show(content: Option<&Content>) -> String {
    content
        .map_or_else(|| "absent".to_owned(), |content| serde_json::Value::Object(content.clone()).to_string())
}

/// Everything is quiet: all hold the same rows, nothing waits, nothing is left over.
pub(crate) async fn at_rest(world: &World, devices: &[Arc<Device>]) {
    for (number, device) in devices.iter().enumerate() {
        if let Err(wrong) = device_at_rest(world, number, device).await {
            world.journal.fail(format!("d{number}: {wrong}"));
        }
    }
    for user in USERS {
        if let Err(wrong) = server_at_rest(world, user).await {
            world.journal.fail(format!("{user}: {wrong}"));
        }
    }
}

async fn device_at_rest(world: &World, number: usize, device: &Device) -> Result<(), String> {
    let (client, _) = device.client().ok_or("it does not run")?;
    let status = client.status().await.map_err(|error| error.to_string())?;
    if status.pending_rows != 0 {
        return Err(format!("{} rows are pending", status.pending_rows));
    }
    let seen = world.seen()[number].clone();
    let view = seen.view.as_ref().ok_or("nothing of it was seen")?;
    if let Some(lost) = seen.acknowledged.iter().find(|mark| !view.marks.contains(mark)) {
        return Err(format!("write {lost} was acknowledged and is not in the database"));
    }
    let user = view.user.as_deref().ok_or("no user is attached")?;
    let live = world.ledger().with(user, History::live);
    for row in live.keys().chain(view.rows.keys()).collect::<BTreeSet<_>>() {
        if view.rows.get(row) != live.get(row) && !view.refused.contains(row) {
            let (here, there) = (show(view.rows.get(row)), show(live.get(row)));
            return Err(format!("{row} is {here}, the server has {there} for {user}"));
        }
    }
    let file = device.running_file().ok_or("it does not run")?;
    let witness = |error: rusqlite::Error| format!("it cannot be looked at: {error}");
    let inside = Witness::open(&file, &world.setup.tables, world.setup.generation).map_err(witness)?;
    let broken = inside.broken_references().map_err(witness)?;
    if broken > 0 {
        return Err(format!("{broken} references lead to nothing"));
    }
    if let Some((table, rows)) = inside.left_over().map_err(witness)?.first() {
        return Err(format!("{rows} rows are left in {table}"));
    }
    let (pages, trees) = inside.pages().map_err(witness)?;
    if pages > trees * PAGES_OF_A_TREE {
        return Err(format!("the file grew: {pages} pages for {trees} tables and indices of a few rows"));
    }
    Ok(())
}

/// The server's rows are what its history makes of them.
async fn server_at_rest(world: &World, user: &str) -> Result<(), String> {
    let mut stored = BTreeMap::new();
    for table in &world.setup.tables {
        let rows = world.server.rows(user, &table.name).await.map_err(|error| error.to_string())?;
        for row in rows {
            stored.insert(RowId { table: table.name.clone(), key: row.key }, row.columns);
        }
    }
    let live = world.ledger().with(user, History::live);
    for row in live.keys().chain(stored.keys()).collect::<BTreeSet<_>>() {
        if live.get(row) != stored.get(row) {
            let (there, made) = (show(stored.get(row)), show(live.get(row)));
            return Err(format!("the server holds {row} as {there}, its history makes it {made}"));
        }
    }
    Ok(())
}
