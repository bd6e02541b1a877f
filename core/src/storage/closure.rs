//! What belongs together (design D6): rows that refer to each other, and rows that one local transaction wrote.

use super::error::Result;
use super::refused_rows::{self, Refusal, RefusedReason};
use super::{commits, quote, row_state, rows};
use crate::protocol::value::SqlValue;
use crate::schema::{ManagedSchema, ManagedTable, Reference, TableId};
use rusqlite::{Connection, Transaction, params};
use std::collections::{BTreeSet, HashMap, HashSet};

/// A row by its table and local key.
pub(crate) type RowKey = (TableId, SqlValue);

/// Moves rows to the inbox, and with them the dirty rows that cannot go up without them: those that refer to
/// one that the server lacks, and those of the same local transactions.
pub(crate) fn refuse(
    transaction: &Transaction<'_>,
    schema: &ManagedSchema,
    culprits: &[RowKey],
    refusal: Refusal<'_>,
    now_ms: i64,
) -> Result<()> {
    let rows = companions(transaction, schema, culprits)?;
    let message = "belongs together with a refused row: it refers to it, or one local transaction wrote both; \
                   retry or discard them together";
    let together = Refusal { reason: RefusedReason::RefusedTogether, message };
    for (index, (table, key)) in rows.iter().enumerate() {
        let Some(table) = schema.by_id(*table) else { continue };
        let why = if index < culprits.len() { refusal } else { together };
        refused_rows::add(transaction, table, key, why, now_ms)?;
    }
    Ok(())
}

/// The rows, and after them the dirty rows that cannot go up without them.
pub(crate) fn companions(
    connection: &Connection,
    schema: &ManagedSchema,
    culprits: &[RowKey],
) -> Result<Vec<RowKey>> {
    let mut found = Companions::default();
    let mut waiting = Vec::new();
    for (table, key) in culprits {
        found.add(schema, *table, key, &mut waiting);
    }
    while let Some((table, key)) = waiting.pop() {
        found.of_transactions(connection, schema, table, &key, &mut waiting)?;
        if !row_state::get(connection, table, &key)?.is_live() {
            found.referring(connection, schema, table, &key, &mut waiting)?;
        }
    }
    Ok(found.rows)
}

#[derive(Default)]
struct Companions {
    rows: Vec<RowKey>,
    seen: HashSet<(TableId, String)>,
    transactions: BTreeSet<i64>,
}

impl Companions {
    fn add(&mut self, schema: &ManagedSchema, table: TableId, key: &SqlValue, waiting: &mut Vec<RowKey>) {
        let wire_key = schema.by_id(table).and_then(|table| table.key_kind.to_wire(key).ok());
        if wire_key.is_some_and(|wire_key| self.seen.insert((table, wire_key))) {
            self.rows.push((table, key.clone()));
            waiting.push((table, key.clone()));
        }
    }

    fn of_transactions(
        &mut self,
        connection: &Connection,
        schema: &ManagedSchema,
        table: TableId,
        key: &SqlValue,
        waiting: &mut Vec<RowKey>,
    ) -> Result<()> {
        let mut changes = connection.prepare_cached(
            "SELECT first_change, last_change FROM _rowtide_dirty_rows WHERE table_id = ?1 AND key = ?2",
        )?;
        let changes = changes
            .query_map(params![table.0, key], |row| Ok([row.get(0)?, row.get(1)?]))?
            .collect::<rusqlite::Result<Vec<[i64; 2]>>>()?;
        for change in changes.into_iter().flatten() {
            let Some((first, last)) = commits::around(connection, change)? else { continue };
            if !self.transactions.insert(last) {
                continue;
            }
            let mut members = connection.prepare_cached(
                "SELECT table_id, key FROM _rowtide_dirty_rows
                 WHERE first_change BETWEEN ?1 AND ?2 OR last_change BETWEEN ?1 AND ?2",
            )?;
            let mut members = members.query([first, last])?;
            while let Some(row) = members.next()? {
                self.add(schema, TableId(row.get(0)?), &rows::key(row, 1)?, waiting);
            }
        }
        Ok(())
    }

    fn referring(
        &mut self,
        connection: &Connection,
        schema: &ManagedSchema,
        table: TableId,
        key: &SqlValue,
        waiting: &mut Vec<RowKey>,
    ) -> Result<()> {
        let Some(parent) = schema.by_id(table) else { return Ok(()) };
        for child in &schema.tables {
            for reference in child.references.iter().filter(|reference| reference.table == parent.name) {
                let sql = format!(
                    "{} WHERE p.{} = ?2",
                    pairs(child, reference, parent),
                    quote(parent.key_column())
                );
                let mut statement = connection.prepare_cached(&format!("SELECT d.key {sql}"))?;
                let mut found = statement.query(params![child.id.0, key])?;
                while let Some(row) = found.next()? {
                    self.add(schema, child.id, &rows::key(row, 0)?, waiting);
                }
            }
        }
        Ok(())
    }
}

/// `FROM` clause that pairs dirty rows of a child table (number `?1`) with the rows they refer to.
fn pairs(child: &ManagedTable, reference: &Reference, parent: &ManagedTable) -> String {
    format!(
        "FROM _rowtide_dirty_rows AS d JOIN {} AS c ON d.table_id = ?1 AND c.{} = d.key
         JOIN {} AS p ON p.{} = c.{}",
        quote(&child.name),
        quote(child.key_column()),
        quote(&parent.name),
        quote(&reference.to),
        quote(&reference.column)
    )
}

/// The dirty rows in groups that can be uploaded one by one: one group is what a local transaction wrote, or rows
/// that refer to each other in a cycle. In upload order: a group refers only to groups before it, where the
/// schema allows that.
pub(crate) fn groups(transaction: &Transaction<'_>, schema: &ManagedSchema) -> Result<Vec<Vec<RowKey>>> {
    let (order, mut sets) = dirty_in_upload_order(transaction, schema)?;
    let position: HashMap<(TableId, String), usize> =
        order.iter().enumerate().map(|(index, row)| (row.name.clone(), index)).collect();
    // A reference to a row further down can only be met together with it.
    for child in &schema.tables {
        for reference in &child.references {
            let Some(parent) = schema.tables.iter().find(|table| table.name == reference.table) else {
                continue;
            };
            let sql =
                format!("SELECT d.key, p.{} {}", quote(parent.key_column()), pairs(child, reference, parent));
            let mut statement = transaction.prepare_cached(&sql)?;
            let mut found = statement.query([child.id.0])?;
            while let Some(row) = found.next()? {
                let name = |table: &ManagedTable, key: &SqlValue| {
                    table.key_kind.to_wire(key).ok().and_then(|key| position.get(&(table.id, key)).copied())
                };
                let from = name(child, &rows::key(row, 0)?);
                let to = name(parent, &rows::key(row, 1)?);
                if let (Some(from), Some(to)) = (from, to)
                    && to > from
                {
                    sets.join(from, to);
                }
            }
        }
    }
    let mut members: Vec<Vec<RowKey>> = vec![Vec::new(); order.len()];
    for (index, row) in order.into_iter().enumerate() {
        members[sets.root(index)].push((row.name.0, row.key));
    }
    Ok(members.into_iter().filter(|group| !group.is_empty()).collect())
}

struct Ordered {
    name: (TableId, String),
    key: SqlValue,
}

/// Dirty rows as a freeze would order them, those of one local transaction joined.
fn dirty_in_upload_order(
    transaction: &Transaction<'_>,
    schema: &ManagedSchema,
) -> Result<(Vec<Ordered>, DisjointSets)> {
    let mut order: Vec<Ordered> = Vec::new();
    let mut of_transaction: Vec<(usize, i64)> = Vec::new();
    let passes = schema
        .tables
        .iter()
        .map(|table| (table, ""))
        .chain(schema.tables.iter().rev().map(|table| (table, "NOT ")));
    for (table, gone) in passes {
        let sql = format!(
            "SELECT d.key, d.first_change, d.last_change FROM _rowtide_dirty_rows AS d
             WHERE d.table_id = ?1 AND {gone}EXISTS (SELECT 1 FROM {} AS t WHERE t.{} = d.key)
             ORDER BY d.first_change",
            quote(&table.name),
            quote(table.key_column())
        );
        let mut statement = transaction.prepare_cached(&sql)?;
        let mut found = statement.query([table.id.0])?;
        while let Some(row) = found.next()? {
            let key = rows::key(row, 0)?;
            let Ok(wire_key) = table.key_kind.to_wire(&key) else { continue };
            for change in [row.get(1)?, row.get(2)?] {
                of_transaction.push((order.len(), change));
            }
            order.push(Ordered { name: (table.id, wire_key), key });
        }
    }
    let mut sets = DisjointSets::of(order.len());
    let mut first_of: HashMap<i64, usize> = HashMap::new();
    for (index, change) in of_transaction {
        if let Some((_, last)) = commits::around(transaction, change)? {
            let first = *first_of.entry(last).or_insert(index);
            sets.join(first, index);
        }
    }
    Ok((order, sets))
}

/// Disjoint sets whose root is their smallest member.
struct DisjointSets(Vec<usize>);

impl DisjointSets {
    fn of(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn root(&mut self, mut index: usize) -> usize {
        while self.0[index] != index {
            self.0[index] = self.0[self.0[index]];
            index = self.0[index];
        }
        index
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}

/// Limits the next freeze to some groups; to none, and it takes everything.
pub(crate) fn select(transaction: &Transaction<'_>, groups: &[Vec<RowKey>]) -> Result<()> {
    transaction.execute("DELETE FROM _rowtide_selected_rows", [])?;
    let mut insert = transaction
        .prepare_cached("INSERT OR IGNORE INTO _rowtide_selected_rows (table_id, key) VALUES (?1, ?2)")?;
    for (table, key) in groups.iter().flatten() {
        insert.execute(params![table.0, key])?;
    }
    Ok(())
}
