//! Who wins where a local change meets another device's change (design D6).

use super::merge::merge;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::value::SqlValue;
use crate::schema::{ConflictPolicy, ManagedSchema, ManagedTable, TableId};
use crate::storage::apply::{Arbiter, Meeting, Verdict};
use async_trait::async_trait;
use std::collections::{BTreeMap, HashMap};

/// A row as typed values by column name, as the app's schema spells the names.
pub type RowValues = BTreeMap<String, SqlValue>;

/// A local change and the server's row that it meets.
#[derive(Debug, Clone, PartialEq)]
pub struct RowConflict {
    /// The table.
    pub table: String,
    /// The sync key as it travels: text, or a dashed UUID.
    pub key: String,
    /// The row that the local change was made on, where the table keeps it
    /// ([`SyncTable::keep_base`](crate::SyncTable::keep_base)) and there was one.
    pub base: Option<RowValues>,
    /// The local row; `None` where it was deleted here.
    pub local: Option<RowValues>,
    /// The server's row; `None` where it was deleted by another device.
    pub server: Option<RowValues>,
}

/// A decision about one conflict.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// The server's row replaces the local change, which is dropped.
    AcceptServer,
    /// The local change is uploaded on top of the server's row.
    KeepLocal,
    /// The row becomes these values, all columns of the table, and is uploaded. Values that are no row of the table
    /// send the local row to the inbox, and the server's row takes its place.
    KeepMerged(RowValues),
}

/// The resolver could not decide. Nothing is lost: the rows stay pending.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct ResolverError(pub String);

/// The host's own conflict decisions. Called without any lock or transaction held.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// Decides all conflicts of one round; answers one decision for each, in their order.
    ///
    /// # Errors
    /// No decision can be made now; the operation ends with an error and the rows stay pending.
    async fn resolve(&self, conflicts: &[RowConflict]) -> Result<Vec<Decision>, ResolverError>;
}

/// Policies and the resolver's decisions, as the apply asks for them.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    decided: HashMap<(TableId, String), Decided>,
    /// Conflicts met that wait for the resolver, the newest server row of each key.
    pub(super) open: Vec<OpenConflict>,
}

#[derive(Debug, Clone)]
struct Decided {
    last_change: i64,
    server_version: i64,
    verdict: Verdict,
}

/// A conflict on its way to the resolver.
#[derive(Debug, Clone)]
pub(super) struct OpenConflict {
    table: TableId,
    last_change: i64,
    server_version: i64,
    pub(super) conflict: RowConflict,
}

impl Arbiter for Decisions {
    fn decide(&mut self, meeting: &Meeting<'_>) -> Option<Verdict> {
        match meeting.table.policy {
            ConflictPolicy::ServerWins => return Some(Verdict::AcceptServer),
            ConflictPolicy::ClientWins => return Some(Verdict::KeepLocal),
            ConflictPolicy::Merge => {
                return Some(merge(meeting.table, meeting.base.row(), meeting.local, meeting.server));
            }
            ConflictPolicy::Callback => {}
        }
        let key = (meeting.table.id, meeting.wire_key.to_owned());
        if let Some(decided) = self.decided.get(&key).filter(|d| d.last_change == meeting.last_change) {
            if decided.server_version == meeting.server_version.0 {
                return Some(decided.verdict.clone());
            }
            if decided.server_version > meeting.server_version.0 {
                // Decided about a newer row of the same round: the local change stays until that comes.
                return Some(Verdict::KeepLocal);
            }
        }
        let open = OpenConflict {
            table: meeting.table.id,
            last_change: meeting.last_change,
            server_version: meeting.server_version.0,
            conflict: RowConflict {
                table: meeting.table.name.clone(),
                key: meeting.wire_key.to_owned(),
                base: meeting.base.row().map(|values| named(meeting.table, values)),
                local: meeting.local.map(|values| named(meeting.table, values)),
                server: meeting.server.map(|values| named(meeting.table, values)),
            },
        };
        self.open.retain(|other| other.table != open.table || other.conflict.key != open.conflict.key);
        self.open.push(open);
        None
    }
}

fn named(table: &ManagedTable, values: &[SqlValue]) -> RowValues {
    table.column_names.iter().cloned().zip(values.iter().cloned()).collect()
}

impl Decisions {
    /// Asks the resolver about everything open.
    pub(super) async fn ask(
        &mut self,
        resolver: Option<&dyn Resolver>,
        schema: &ManagedSchema,
    ) -> Result<()> {
        let open = std::mem::take(&mut self.open);
        let conflicts: Vec<RowConflict> = open.iter().map(|found| found.conflict.clone()).collect();
        let Some(resolver) = resolver else {
            let text = format!(
                "table {} has the callback policy, but no resolver is configured",
                conflicts[0].table
            );
            return Err(Error::new(ErrorKind::Resolver, text));
        };
        let decisions = resolver.resolve(&conflicts).await.map_err(|error| {
            Error::with_source(ErrorKind::Resolver, format!("the resolver failed: {error}"), error)
        })?;
        if decisions.len() != conflicts.len() {
            let text = format!(
                "the resolver answered {} decisions to {} conflicts",
                decisions.len(),
                conflicts.len()
            );
            return Err(Error::new(ErrorKind::Resolver, text));
        }
        for (found, decision) in open.into_iter().zip(decisions) {
            let verdict = match decision {
                Decision::AcceptServer => Verdict::AcceptServer,
                Decision::KeepLocal => Verdict::KeepLocal,
                Decision::KeepMerged(values) => match merged(schema, &found, values) {
                    Ok(row) => Verdict::KeepMerged(row),
                    Err(text) => Verdict::Refuse(text),
                },
            };
            let decided =
                Decided { last_change: found.last_change, server_version: found.server_version, verdict };
            self.decided.insert((found.table, found.conflict.key), decided);
        }
        Ok(())
    }
}

/// A merged row must have exactly the table's columns, and its key.
fn merged(schema: &ManagedSchema, found: &OpenConflict, values: RowValues) -> Result<Vec<SqlValue>, String> {
    let table = schema.by_id(found.table).expect("a conflict was met in a managed table");
    let invalid = |what: String| format!("the resolver's merged row of table {} {what}", table.name);
    let mut by_name: BTreeMap<String, SqlValue> =
        values.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let mut row = Vec::with_capacity(table.columns.len());
    for column in &table.columns {
        row.push(
            by_name.remove(&column.name).ok_or_else(|| invalid(format!("lacks column {}", column.name)))?,
        );
    }
    if let Some(name) = by_name.keys().next() {
        return Err(invalid(format!("has column {name}, which the table lacks")));
    }
    if table.key_kind.to_wire(&row[table.key_index]).ok().as_ref() != Some(&found.conflict.key) {
        return Err(invalid("changes the sync key".into()));
    }
    Ok(row)
}
