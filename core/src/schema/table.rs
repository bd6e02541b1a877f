//! A table as configured, and as managed once it is found to be synchronisable.

use crate::protocol::message::TableSpec;
use crate::protocol::payload::WireColumn;
use crate::protocol::value::{SqlValue, ValueError};
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use uuid::Uuid;

/// Who wins where a local change meets a change of another device on the same row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConflictPolicy {
    /// The server's row replaces the local change.
    #[default]
    ServerWins,
    /// The local change is kept and uploaded on top of the server's row.
    ClientWins,
    /// Column by column, from the row that the local change was made on: a column that only one side changed takes
    /// that change, one that both changed follows its [`ColumnRule`]. An edit survives a delete of the other side.
    Merge,
    /// The configured `Resolver` decides row by row.
    Callback,
}

/// What becomes of a column that both sides changed, in a table with [`ConflictPolicy::Merge`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColumnRule {
    /// The server's value.
    #[default]
    Theirs,
    /// The local value.
    Mine,
    /// The larger one of both, numbers as numbers, text byte by byte; any value is larger than NULL.
    Max,
    /// The smaller one of both; any value is preferred to NULL.
    Min,
    /// Both changes of a number added up: a counter. NULL counts as 0.
    SumOfDeltas,
    /// The JSON array of both sides as a set: what either added is in it, what either removed is not.
    SetUnion,
}

/// A table to synchronise, as the app configures it.
///
/// ```
/// use rowtide::{ConflictPolicy, SyncTable};
/// let notes = SyncTable::new("notes").key("id").policy(ConflictPolicy::ClientWins);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncTable {
    pub(crate) name: String,
    pub(crate) key_columns: Vec<String>,
    pub(crate) policy: ConflictPolicy,
    pub(crate) rules: Vec<(String, ColumnRule)>,
    pub(crate) keep_base: bool,
}

impl SyncTable {
    /// A table by its local name, without a schema qualifier. A key must follow with [`SyncTable::key`].
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            key_columns: Vec::new(),
            policy: ConflictPolicy::default(),
            rules: Vec::new(),
            keep_base: false,
        }
    }

    /// Names the sync key column: the sole primary key, `TEXT` or 16-byte `BLOB`.
    #[must_use]
    pub fn key(mut self, column: impl Into<String>) -> Self {
        self.key_columns.push(column.into());
        self
    }

    /// Chooses the conflict policy; the default is [`ConflictPolicy::ServerWins`].
    #[must_use]
    pub fn policy(mut self, policy: ConflictPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Chooses [`ConflictPolicy::Merge`] and a rule for one column; the others follow [`ColumnRule::Theirs`].
    #[must_use]
    pub fn merge(mut self, column: impl Into<String>, rule: ColumnRule) -> Self {
        self.policy = ConflictPolicy::Merge;
        self.rules.push((column.into(), rule));
        self
    }

    /// Keeps each row as it was before its first unsynchronised change, so that a `Resolver` gets it as `base`.
    /// Tables with [`ConflictPolicy::Merge`] do so anyway. Costs a second copy of what is unsynchronised.
    #[must_use]
    pub fn keep_base(mut self) -> Self {
        self.keep_base = true;
        self
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The sync key's columns, as configured; opening accepts exactly one.
    pub fn key_columns(&self) -> &[String] {
        &self.key_columns
    }
}

/// Number of a managed table inside one database; stable for the database's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub i64);

/// The two kinds of sync key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// `TEXT`; travels as it is.
    Text,
    /// 16-byte `BLOB`; travels as dashed lowercase UUID.
    Uuid,
}

impl KeyKind {
    /// The key as it travels.
    pub fn to_wire(self, key: &SqlValue) -> Result<String, ValueError> {
        match (self, key) {
            (Self::Text, SqlValue::Text(text)) => Ok(text.clone()),
            (Self::Uuid, SqlValue::Blob(bytes)) => {
                Uuid::from_slice(bytes).map(|uuid| uuid.to_string()).map_err(|_| ValueError::NotUuid)
            }
            _ => Err(ValueError::NotUuid),
        }
    }

    /// The key as SQLite holds it.
    pub fn from_wire(self, key: &str) -> Result<SqlValue, ValueError> {
        match self {
            Self::Text => Ok(SqlValue::from(key)),
            Self::Uuid => {
                let uuid = Uuid::try_parse(key).map_err(|_| ValueError::NotUuid)?;
                Ok(SqlValue::Blob(uuid.as_bytes().to_vec()))
            }
        }
    }
}

/// What SQLite does with a referencing row when the referenced one is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteAction {
    /// It is deleted too.
    Cascade,
    /// It stays, without the reference (`SET NULL`, `SET DEFAULT`).
    Unlink,
    /// The delete is refused (`NO ACTION`, `RESTRICT`).
    Refuse,
}

impl DeleteAction {
    /// Reads the action as SQLite names it.
    pub(crate) fn parse(name: &str) -> Self {
        match name {
            "CASCADE" => Self::Cascade,
            "SET NULL" | "SET DEFAULT" => Self::Unlink,
            _ => Self::Refuse,
        }
    }
}

/// A foreign key of a managed table to a managed table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The referencing column.
    pub column: String,
    /// The referenced table.
    pub table: String,
    /// The referenced column.
    pub to: String,
    /// What happens to the referencing row when the referenced one goes.
    pub on_delete: DeleteAction,
}

/// A table that was found synchronisable.
#[derive(Debug, Clone)]
pub struct ManagedTable {
    /// Its number; 0 until the database has given one.
    pub id: TableId,
    /// Its name as the app's schema spells it.
    pub name: String,
    /// Column names as the app's schema spells them, in the order of `columns`.
    pub column_names: Vec<String>,
    /// Columns as they travel, sorted by lowercase name, generated columns left out.
    pub columns: Vec<WireColumn>,
    /// Position of the sync key in `columns`.
    pub key_index: usize,
    /// Kind of the sync key.
    pub key_kind: KeyKind,
    /// Whether the key column lacks `NOT NULL`, so that NULL must be refused at the write.
    pub key_nullable: bool,
    /// Foreign keys to managed tables.
    pub references: Vec<Reference>,
    /// What a column holds that a row of the server lacks, in the order of `columns`: its default, or NULL; `None`
    /// where it may not be NULL. Read only where [`ManagedSchema::unknown_columns`] allows rows that lack columns.
    pub absent: Vec<Option<SqlValue>>,
    /// Conflict policy.
    pub policy: ConflictPolicy,
    /// The rule of each column, in the order of `columns`.
    pub rules: Vec<ColumnRule>,
    /// Whether rows are kept as they were before their first unsynchronised change.
    pub keeps_base: bool,
    /// Statements about one row.
    pub(crate) statements: RowStatements,
}

/// Texts of the statements about one row, made by storage when they are asked for first: made for each row, they would cost
/// more than what they do.
#[derive(Debug, Default)]
pub(crate) struct RowStatements {
    pub(crate) read: OnceLock<String>,
    pub(crate) insert: OnceLock<String>,
    pub(crate) upsert: OnceLock<String>,
    pub(crate) delete: OnceLock<String>,
}

impl Clone for RowStatements {
    /// Empty: a copy of a table may be changed.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl ManagedTable {
    /// Name of the key column as the app's schema spells it.
    pub fn key_column(&self) -> &str {
        &self.column_names[self.key_index]
    }

    /// Name of the key column as it travels.
    pub fn wire_key_column(&self) -> &str {
        &self.columns[self.key_index].name
    }

    /// Whether a counter was changed from `base` to `local`, so that another device's equal change is one more.
    pub(crate) fn counts(&self, base: Option<&[SqlValue]>, local: Option<&[SqlValue]>) -> bool {
        let (Some(base), Some(local)) = (base, local) else { return false };
        let changed = |index: usize| base[index] != local[index];
        self.policy == ConflictPolicy::Merge
            && self
                .rules
                .iter()
                .enumerate()
                .any(|(index, rule)| *rule == ColumnRule::SumOfDeltas && changed(index))
    }
}

/// All managed tables of a database, parents before children.
#[derive(Debug, Clone)]
pub struct ManagedSchema {
    /// Name of the schema at the server.
    pub name: String,
    /// Tables in dependency order.
    pub tables: Vec<Arc<ManagedTable>>,
    /// What happens to columns that only the server has.
    pub unknown_columns: UnknownColumns,
    /// Tables of the server that are not configured here and whose rows are passed over.
    pub(crate) ignored: Arc<RwLock<BTreeSet<String>>>,
}

/// What happens to columns of the server that this version of the app lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownColumns {
    /// Sync stops with [`ErrorKind::TableMismatch`](crate::ErrorKind::TableMismatch); nothing is lost.
    #[default]
    Refuse,
    /// Their values are kept by row, sent back unchanged with every change of the row, and moved into the column once
    /// the app has it. A row of the server may lack columns too, and takes their defaults here.
    Keep,
}

impl ManagedSchema {
    /// The table of a number.
    pub fn by_id(&self, id: TableId) -> Option<&Arc<ManagedTable>> {
        self.tables.iter().find(|table| table.id == id)
    }

    /// The table that the wire calls `schema.table`.
    pub fn by_wire_name(&self, schema: &str, table: &str) -> Option<&Arc<ManagedTable>> {
        if schema != self.name {
            return None;
        }
        self.tables.iter().find(|candidate| candidate.name == table)
    }

    /// Whether rows of a table are passed over.
    pub(crate) fn ignores(&self, schema: &str, table: &str) -> bool {
        schema == self.name && self.ignored.read().unwrap_or_else(PoisonError::into_inner).contains(table)
    }

    /// Names the tables whose rows are passed over.
    pub(crate) fn ignore(&self, tables: BTreeSet<String>) {
        *self.ignored.write().unwrap_or_else(PoisonError::into_inner) = tables;
    }

    /// The tables as the server should have them registered.
    pub fn specs(&self) -> Vec<TableSpec> {
        let spec = |table: &Arc<ManagedTable>| TableSpec {
            schema: self.name.clone(),
            table: table.name.clone(),
            sync_key_columns: vec![table.wire_key_column().to_owned()],
        };
        self.tables.iter().map(spec).collect()
    }
}
