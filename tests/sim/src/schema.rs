//! Random schemas: tables with a text or UUID key, and references between them.

use rand::Rng;
use rand::seq::IndexedRandom;
use rowtide::protocol::value::ColumnKind;
use rowtide::{ColumnRule, ConflictPolicy, SyncTable};
use std::fmt::Write;

/// Keys of each table: few, so that devices meet.
pub(crate) const KEYS: usize = 4;
/// A table of the app's own, which is not synchronised: the numbers of the writes that are durable.
pub(crate) const MARKS: &str = "host_marks";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Text,
    Uuid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnDelete {
    Cascade,
    SetNull,
    Restrict,
}

#[derive(Debug, Clone)]
pub(crate) struct Reference {
    /// Number of the table that is referred to; a table may refer to itself.
    pub(crate) table: usize,
    pub(crate) on_delete: OnDelete,
}

/// A table: `id`, `mark`, and some of `n`, `r`, `b`, `p`.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) key: KeyKind,
    pub(crate) policy: ConflictPolicy,
    pub(crate) integer: bool,
    pub(crate) real: bool,
    pub(crate) blob: bool,
    pub(crate) parent: Option<Reference>,
    pub(crate) without_rowid: bool,
}

impl Table {
    /// Columns with their kinds, in the table's order.
    pub(crate) fn columns(&self, all: &[Self]) -> Vec<(&'static str, ColumnKind)> {
        let key = |table: &Self| match table.key {
            KeyKind::Text => ColumnKind::Text,
            KeyKind::Uuid => ColumnKind::Uuid,
        };
        let mut columns = vec![("id", key(self)), ("mark", ColumnKind::Text)];
        let mut push = |there: bool, column| {
            if there {
                columns.push(column);
            }
        };
        push(self.integer, ("n", ColumnKind::Integer));
        push(self.real, ("r", ColumnKind::Real));
        push(self.blob, ("b", ColumnKind::Blob));
        if let Some(parent) = &self.parent {
            columns.push(("p", key(&all[parent.table])));
        }
        columns
    }

    /// A key as an SQL literal.
    pub(crate) fn key_literal(&self, number: usize) -> String {
        match self.key {
            KeyKind::Text => format!("'k{number}'"),
            KeyKind::Uuid => {
                format!("x'{:032x}'", 0x0a00_0000_0000_4000_8000_0000_0000_0000_u128 + number as u128)
            }
        }
    }

    pub(crate) fn sync_table(&self) -> SyncTable {
        let table = SyncTable::new(&self.name).key("id").policy(self.policy);
        if self.policy == ConflictPolicy::Merge && self.integer {
            return table.merge("n", ColumnRule::SumOfDeltas);
        }
        table
    }
}

/// The statements that make the tables.
pub(crate) fn ddl(tables: &[Table]) -> String {
    let mut sql = format!("CREATE TABLE {MARKS} (mark INTEGER PRIMARY KEY);\n");
    for table in tables {
        let key = |table: &Table| match table.key {
            KeyKind::Text => "TEXT",
            KeyKind::Uuid => "BLOB",
        };
        write!(sql, "CREATE TABLE {} (id {} PRIMARY KEY NOT NULL, mark TEXT", table.name, key(table))
            .expect("a String takes every write");
        for (there, column) in [(table.integer, "n INTEGER"), (table.real, "r REAL"), (table.blob, "b BLOB")]
        {
            if there {
                sql.push_str(", ");
                sql.push_str(column);
            }
        }
        if let Some(parent) = &table.parent {
            let action = match parent.on_delete {
                OnDelete::Cascade => "CASCADE",
                OnDelete::SetNull => "SET NULL",
                OnDelete::Restrict => "RESTRICT",
            };
            let to = &tables[parent.table];
            write!(sql, ", p {} REFERENCES {} (id) ON DELETE {action}", key(to), to.name)
                .expect("a String takes every write");
        }
        sql.push_str(if table.without_rowid { ") WITHOUT ROWID;\n" } else { ");\n" });
    }
    sql
}

/// Draws one to three tables.
pub(crate) fn draw(random: &mut impl Rng) -> Vec<Table> {
    use ConflictPolicy::{Callback, ClientWins, Merge, ServerWins};
    let count = random.random_range(1..=3);
    (0..count)
        .map(|number| {
            let parent = random.random_bool(0.7).then(|| Reference {
                table: random.random_range(0..=number),
                on_delete: *[OnDelete::Cascade, OnDelete::SetNull, OnDelete::Restrict]
                    .choose(random)
                    .expect("not empty"),
            });
            Table {
                name: format!("t{number}"),
                key: if random.random_bool(0.7) { KeyKind::Text } else { KeyKind::Uuid },
                policy: *[ServerWins, ClientWins, Merge, Callback].choose(random).expect("not empty"),
                integer: random.random_bool(0.7),
                real: random.random_bool(0.3),
                blob: random.random_bool(0.3),
                parent,
                without_rowid: random.random_bool(0.2),
            }
        })
        .collect()
}
