//! What the app configures.

use crate::error::RowtideError;
use std::path::Path;

/// Who wins where a local change meets a change of another device on the same row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum ConflictPolicy {
    /// The server's row replaces the local change.
    ServerWins,
    /// The local change is kept and uploaded on top of the server's row.
    ClientWins,
    /// Column by column, from the row that the local change was made on: a column that only one side changed takes that
    /// change, one that both changed follows its `ColumnRule`. An edit survives a delete of the other side.
    Merge,
    /// The `Resolver` decides row by row.
    Callback,
}

/// What becomes of a column that both sides changed, in a table with `ConflictPolicy.Merge`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum ColumnRule {
    /// The server's value.
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

/// The rule of one column.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct MergeRule {
    /// The column.
    pub column: String,
    /// Its rule.
    pub rule: ColumnRule,
}

/// A table to synchronise.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct SyncTable {
    /// Its local name, without a schema qualifier.
    pub name: String,
    /// The sync key column: the sole primary key, `TEXT` or 16-byte `BLOB`.
    pub key: String,
    /// The conflict policy.
    pub policy: ConflictPolicy,
    /// Rules of columns, where the policy is `Merge`; the others follow `ColumnRule.Theirs`.
    pub rules: Vec<MergeRule>,
    /// Whether each row is kept as it was before its first unsynchronised change, so that the `Resolver` gets it as
    /// `base`. Tables with `ConflictPolicy.Merge` do so anyway.
    pub keep_base: bool,
}

/// What happens to rows that were written while signed out, when the server turns out to have data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum AnonymousRows {
    /// They stay and are uploaded as local inserts on top of the server's data.
    Keep,
    /// They are deleted and the server's data takes their place.
    Discard,
    /// Attaching changes nothing and ends with `Outcome.BlockedUnsyncedData`.
    Refuse,
}

/// How the rows of a first download become visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Hydrate {
    /// All in one transaction, after the last one came: nobody sees a part. The app's own writes wait for it, seconds
    /// for a million rows.
    AtOnce,
    /// A slice a transaction, rows before those that refer to them; the app's own writes wait for one slice only. Until
    /// attaching has ended, the app sees a part of the server's rows.
    Progressive,
}

/// What happens to columns that the server has and this version of the app lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum UnknownColumns {
    /// The download ends with `RowtideError.Incompatible`, which names the column.
    Refuse,
    /// Their values are kept beside the row and go up again with it.
    Keep,
}

/// Sizes of requests and responses. The server's own limits are kept as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct TransferLimits {
    /// Rows of one upload chunk at most.
    pub upload_rows: i64,
    /// Bytes of one upload chunk at most; one row may be larger.
    pub upload_bytes: i64,
    /// Rows of one snapshot or replay page at most.
    pub download_rows: i64,
    /// Bytes of one snapshot chunk at most, where the server can be asked for it.
    pub download_bytes: i64,
    /// Bundles of one pull page at most.
    pub pull_bundles: i64,
    /// Bytes of any response at most; a larger one is an error.
    pub response_bytes: i64,
}

/// Sizes that suit a phone.
#[uniffi::export]
pub fn default_transfer_limits() -> TransferLimits {
    let limits = rowtide::TransferLimits::default();
    TransferLimits {
        upload_rows: limits.upload_rows,
        upload_bytes: i64::try_from(limits.upload_bytes).unwrap_or(i64::MAX),
        download_rows: limits.download_rows,
        download_bytes: limits.download_bytes,
        pull_bundles: limits.pull_bundles,
        response_bytes: i64::try_from(limits.response_bytes).unwrap_or(i64::MAX),
    }
}

/// What a client needs to know.
#[derive(Debug, Clone, uniffi::Record)]
pub struct ClientConfig {
    /// The server, `http` or `https`; a path prefix is kept.
    pub url: String,
    /// The server's schema that holds the tables.
    pub schema: String,
    /// The tables.
    pub tables: Vec<SyncTable>,
    /// What happens to rows written while signed out.
    pub anonymous_rows: AnonymousRows,
    /// How the rows of a first download become visible.
    pub hydrate: Hydrate,
    /// What happens to columns that the server has and this version of the app lacks.
    pub unknown_columns: UnknownColumns,
    /// Names this installation of the app, by anything that a backup of the phone does not carry over to another phone.
    /// Without it a file beside the database (`<database>-rowtide-installation`) tells: leave that out of backups.
    pub installation: Option<String>,
    /// Sizes of requests and responses.
    pub limits: TransferLimits,
    /// PEM texts of root certificates that are trusted beside Mozilla's.
    pub extra_roots: Vec<String>,
}

impl ClientConfig {
    pub(crate) fn into_core(self, path: &Path) -> Result<rowtide::Config, RowtideError> {
        let roots: Vec<&str> = self.extra_roots.iter().map(String::as_str).collect();
        let transport = rowtide::HttpTransport::with_roots(&roots)
            .map_err(|error| RowtideError::Configuration { reason: error.to_string() })?;
        let mut config = rowtide::Config::new(path, &self.url, self.schema)?
            .tables(self.tables.into_iter().map(rowtide::SyncTable::from))
            .anonymous_rows(self.anonymous_rows.into())
            .hydrate(self.hydrate.into())
            .unknown_columns(self.unknown_columns.into())
            .limits(self.limits.into_core()?)
            .transport(transport);
        if let Some(id) = self.installation {
            config = config.installation(id);
        }
        Ok(config)
    }
}

impl TransferLimits {
    fn into_core(self) -> Result<rowtide::TransferLimits, RowtideError> {
        let positive = |name: &str, value: i64| match value {
            1.. => Ok(value),
            _ => Err(RowtideError::Configuration {
                reason: format!("{name} is {value}; it must be at least 1"),
            }),
        };
        let upload_bytes = positive("upload_bytes", self.upload_bytes)?;
        let response_bytes = positive("response_bytes", self.response_bytes)?;
        Ok(rowtide::TransferLimits {
            upload_rows: positive("upload_rows", self.upload_rows)?,
            upload_bytes: usize::try_from(upload_bytes).unwrap_or(usize::MAX),
            download_rows: positive("download_rows", self.download_rows)?,
            download_bytes: positive("download_bytes", self.download_bytes)?,
            pull_bundles: positive("pull_bundles", self.pull_bundles)?,
            response_bytes: response_bytes.unsigned_abs(),
        })
    }
}

impl From<SyncTable> for rowtide::SyncTable {
    fn from(table: SyncTable) -> Self {
        let mut core = Self::new(table.name).key(table.key);
        for MergeRule { column, rule } in table.rules {
            core = core.merge(column, rule.into());
        }
        if table.keep_base {
            core = core.keep_base();
        }
        core.policy(table.policy.into())
    }
}

impl From<ConflictPolicy> for rowtide::ConflictPolicy {
    fn from(policy: ConflictPolicy) -> Self {
        match policy {
            ConflictPolicy::ServerWins => Self::ServerWins,
            ConflictPolicy::ClientWins => Self::ClientWins,
            ConflictPolicy::Merge => Self::Merge,
            ConflictPolicy::Callback => Self::Callback,
        }
    }
}

impl From<ColumnRule> for rowtide::ColumnRule {
    fn from(rule: ColumnRule) -> Self {
        match rule {
            ColumnRule::Theirs => Self::Theirs,
            ColumnRule::Mine => Self::Mine,
            ColumnRule::Max => Self::Max,
            ColumnRule::Min => Self::Min,
            ColumnRule::SumOfDeltas => Self::SumOfDeltas,
            ColumnRule::SetUnion => Self::SetUnion,
        }
    }
}

impl From<AnonymousRows> for rowtide::AnonymousRows {
    fn from(choice: AnonymousRows) -> Self {
        match choice {
            AnonymousRows::Keep => Self::Keep,
            AnonymousRows::Discard => Self::Discard,
            AnonymousRows::Refuse => Self::Refuse,
        }
    }
}

impl From<Hydrate> for rowtide::Hydrate {
    fn from(choice: Hydrate) -> Self {
        match choice {
            Hydrate::AtOnce => Self::AtOnce,
            Hydrate::Progressive => Self::Progressive,
        }
    }
}

impl From<UnknownColumns> for rowtide::UnknownColumns {
    fn from(choice: UnknownColumns) -> Self {
        match choice {
            UnknownColumns::Refuse => Self::Refuse,
            UnknownColumns::Keep => Self::Keep,
        }
    }
}
