//! Any sequence of statements on a random schema leaves dirty rows equal to the difference of before and after.

use proptest::prelude::*;
use rowtide::protocol::profile::WireGeneration;
use rowtide::{SqlValue, SyncTable};
use rowtide_tests::{Device, TestServer};
use std::collections::BTreeMap;

/// A random schema: two to four tables, keys of both kinds, references with any action, unique columns.
#[derive(Debug, Clone)]
struct Schema {
    tables: Vec<Table>,
}

#[derive(Debug, Clone)]
struct Table {
    blob_key: bool,
    without_rowid: bool,
    unique: bool,
    /// An earlier table or itself, and the action.
    parent: Option<(usize, &'static str)>,
}

fn schema() -> impl Strategy<Value = Schema> {
    let action = prop::sample::select(vec!["CASCADE", "SET NULL", "NO ACTION"]);
    let table = (any::<bool>(), any::<bool>(), any::<bool>(), prop::option::of((0..4_usize, action)));
    prop::collection::vec(table, 2..=4).prop_map(|tables| Schema {
        tables: tables
            .into_iter()
            .enumerate()
            .map(|(index, (blob_key, without_rowid, unique, parent))| Table {
                blob_key,
                without_rowid,
                unique,
                parent: parent.map(|(parent, action)| (parent.min(index), action)),
            })
            .collect(),
    })
}

impl Schema {
    fn sql(&self) -> String {
        let mut sql = String::new();
        for (index, table) in self.tables.iter().enumerate() {
            let kind = |blob: bool| if blob { "BLOB" } else { "TEXT" };
            let unique = if table.unique { "UNIQUE" } else { "" };
            let parent = table.parent.map_or_else(
                || "parent TEXT".to_owned(),
                |(parent, action)| {
                    let kind = kind(self.tables[parent].blob_key);
                    format!("parent {kind} REFERENCES t{parent} (id) ON DELETE {action} DEFERRABLE INITIALLY DEFERRED")
                },
            );
            let rowid = if table.without_rowid { "WITHOUT ROWID" } else { "" };
            let key = kind(table.blob_key);
            sql += &format!(
                "CREATE TABLE t{index} (id {key} PRIMARY KEY NOT NULL, v INTEGER {unique}, {parent}) {rowid};"
            );
        }
        sql
    }
}

/// A statement on tables, keys and values of small numbers, so that they meet.
#[derive(Debug, Clone)]
struct Statement {
    verb: usize,
    table: usize,
    key: u8,
    other: u8,
    value: u8,
}

fn statement() -> impl Strategy<Value = Statement> {
    (0..9_usize, 0..4_usize, 0..5_u8, 0..5_u8, 0..4_u8)
        .prop_map(|(verb, table, key, other, value)| Statement { verb, table, key, other, value })
}

impl Statement {
    fn sql(&self, schema: &Schema) -> String {
        let index = self.table % schema.tables.len();
        let table = &schema.tables[index];
        let literal = |blob: bool, number: u8| match blob {
            true => format!("x'{number:032x}'"),
            false => format!("'k{number}'"),
        };
        let (key, other) = (literal(table.blob_key, self.key), literal(table.blob_key, self.other));
        let parent = match table.parent {
            Some((parent, _)) if self.value > 0 => literal(schema.tables[parent].blob_key, self.other),
            _ => "NULL".into(),
        };
        let value = self.value;
        match self.verb {
            0 | 1 => format!("INSERT INTO t{index} VALUES ({key}, {value}, {parent})"),
            2 => format!("INSERT OR REPLACE INTO t{index} VALUES ({key}, {value}, {parent})"),
            3 => format!("INSERT OR IGNORE INTO t{index} VALUES ({key}, {value}, {parent})"),
            4 => format!(
                "INSERT INTO t{index} VALUES ({key}, {value}, {parent}) ON CONFLICT (id) DO UPDATE SET v = v + 10"
            ),
            5 => format!("UPDATE t{index} SET v = v + {value} WHERE id >= {key}"),
            6 => format!("UPDATE OR REPLACE t{index} SET id = {other} WHERE id = {key}"),
            7 => format!("DELETE FROM t{index} WHERE id = {key}"),
            _ => format!("DELETE FROM t{index} WHERE v = {value}"),
        }
    }
}

type Rows = BTreeMap<(usize, String), Vec<String>>;

async fn snapshot(device: &Device, schema: &Schema) -> Rows {
    let mut rows = Rows::new();
    for index in 0..schema.tables.len() {
        for row in device.rows(&format!("SELECT quote(id), quote(v), quote(parent) FROM t{index}")).await {
            let text: Vec<String> = row.iter().map(|cell| format!("{cell:?}")).collect();
            rows.insert((index, text[0].clone()), text);
        }
    }
    rows
}

/// Dirty rows as the database has them once a detach that they block has coalesced the log.
async fn dirty(device: &Device) -> Vec<(usize, String)> {
    let pending = device.pending().await;
    if pending == 0 {
        return vec![];
    }
    let blocked = device.client().detach().await.unwrap().outcome;
    assert_eq!(
        blocked,
        rowtide::Outcome::BlockedUnsyncedData { rows: pending },
        "the status counts the same"
    );
    let sql = "SELECT t.table_name, quote(d.key) FROM _rowtide_dirty_rows AS d JOIN _rowtide_tables AS t USING (table_id)";
    let rows = device.rows(sql).await;
    let mut keys: Vec<_> = rows
        .iter()
        .map(|row| {
            let SqlValue::Text(table) = &row[0] else { panic!("a table has a name") };
            (table[1..].parse().unwrap(), format!("{:?}", row[1]))
        })
        .collect();
    keys.sort();
    keys
}

fn run(schema: Schema, before: Vec<Statement>, after: Vec<Statement>) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let names: Vec<String> = (0..schema.tables.len()).map(|index| format!("t{index}")).collect();
        let tables: Vec<_> = names.iter().map(|name| (name.as_str(), "id")).collect();
        let server = TestServer::new(WireGeneration::B, &tables);
        let configured = names.clone();
        let device = Device::new(&server, "ada", &schema.sql(), move |config| {
            config.tables(configured.iter().map(|name| SyncTable::new(name).key("id")))
        })
        .await;
        let statements = async |list: &[Statement]| {
            for statement in list {
                // A statement that a constraint refuses has changed nothing.
                let _refused = device.client().execute(&statement.sql(&schema), vec![]).await;
            }
        };
        statements(&before).await;
        device.attach().await;
        device.sync().await;
        prop_assert_eq!(dirty(&device).await, vec![]);

        let old = snapshot(&device, &schema).await;
        statements(&after).await;
        let new = snapshot(&device, &schema).await;
        let keys = dirty(&device).await;
        // A row that is new, gone or different is dirty; a row that neither side has is not. A row that was
        // written but reads as before may be dirty: capture keeps no old content to compare with.
        for key in old.keys().chain(new.keys()) {
            if old.get(key) != new.get(key) {
                prop_assert!(keys.contains(key), "changed but not dirty: {:?}", key);
            }
        }
        for key in &keys {
            prop_assert!(old.contains_key(key) || new.contains_key(key), "dirty without effect: {:?}", key);
        }
        // What goes up makes another device equal, so nothing was missed.
        device.sync().await;
        let configured = names.clone();
        let other = Device::new(&server, "ada", &schema.sql(), move |config| {
            config.tables(configured.iter().map(|name| SyncTable::new(name).key("id")))
        })
        .await;
        other.attach().await;
        prop_assert_eq!(snapshot(&other, &schema).await, new);
        Ok(())
    })
}

proptest! {
    #![proptest_config(crate::config(160))]

    #[test]
    fn dirty_rows_are_the_difference_of_before_and_after(
        schema in schema(),
        before in prop::collection::vec(statement(), 0..20),
        after in prop::collection::vec(statement(), 0..20),
    ) {
        run(schema, before, after)?;
    }
}
