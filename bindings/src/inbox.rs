//! The inbox: rows that cannot be synchronised as they are.

use crate::values::RowValues;

/// Why a row is in the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum RefusedReason {
    /// A value has no wire form: an infinite number, or a storage class that the column does not declare.
    InvalidValue,
    /// The server refused the row for good: a constraint, a forbidden value, its size, or a rule of its own.
    ServerRefused,
    /// The row belongs together with a refused one: it refers to it, or one local transaction wrote both.
    RefusedTogether,
    /// A row that it refers to was deleted on another device.
    ParentMissing,
    /// Another device stored a row with the same unique value first.
    UniqueCollision,
    /// The resolver's answer was not a row of the table; the server's row took its place.
    InvalidResolution,
}

/// A row that cannot be synchronised as it is.
#[derive(Debug, Clone, uniffi::Record)]
pub struct RefusedRow {
    /// The table.
    pub table: String,
    /// The sync key as it travels: text, or a dashed UUID.
    pub key: String,
    /// Why.
    pub reason: RefusedReason,
    /// Why, and what to do.
    pub message: String,
    /// What was meant; absent where the row was deleted.
    pub content: Option<RowValues>,
    /// Whether the row is still in its table; one that constraints forbade to stay is only here.
    pub in_table: bool,
    /// When, in milliseconds since 1970 UTC.
    pub refused_at_ms: i64,
}

impl From<rowtide::RefusedRow> for RefusedRow {
    fn from(row: rowtide::RefusedRow) -> Self {
        Self {
            table: row.table,
            key: row.key,
            reason: row.reason.into(),
            message: row.message,
            content: row.content.map(RowValues::from),
            in_table: row.in_table,
            refused_at_ms: row.refused_at_ms,
        }
    }
}

impl From<rowtide::RefusedReason> for RefusedReason {
    fn from(reason: rowtide::RefusedReason) -> Self {
        match reason {
            rowtide::RefusedReason::InvalidValue => Self::InvalidValue,
            rowtide::RefusedReason::ServerRefused => Self::ServerRefused,
            rowtide::RefusedReason::RefusedTogether => Self::RefusedTogether,
            rowtide::RefusedReason::ParentMissing => Self::ParentMissing,
            rowtide::RefusedReason::UniqueCollision => Self::UniqueCollision,
            rowtide::RefusedReason::InvalidResolution => Self::InvalidResolution,
        }
    }
}
