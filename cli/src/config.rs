//! `rowtide.toml`.

use crate::Device;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::tokens::Tokens;
use rowtide::{
    AnonymousRows, Client, ColumnRule, Config, ConflictPolicy, Hydrate, SyncTable, UnknownColumns,
    annotated_tables,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileConfig {
    pub(crate) url: String,
    pub(crate) schema: String,
    #[serde(default)]
    tables: Vec<TableConfig>,
    /// A schema file with `-- @@{ enableSync=true }` above its tables, instead of `[[tables]]`.
    tables_from: Option<PathBuf>,
    #[serde(default)]
    anonymous_rows: AnonymousRowsConfig,
    #[serde(default)]
    hydrate: HydrateConfig,
    #[serde(default)]
    unknown_columns: UnknownColumnsConfig,
    token_env: Option<String>,
    token_command: Option<String>,
    signin_url: Option<String>,
    user: Option<String>,
    password: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableConfig {
    name: String,
    key: Option<String>,
    #[serde(default)]
    policy: PolicyConfig,
    /// Rules of columns, for the policy `merge`.
    #[serde(default)]
    merge: BTreeMap<String, RuleConfig>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RuleConfig {
    Theirs,
    Mine,
    Max,
    Min,
    SumOfDeltas,
    SetUnion,
}

impl From<RuleConfig> for ColumnRule {
    fn from(rule: RuleConfig) -> Self {
        match rule {
            RuleConfig::Theirs => Self::Theirs,
            RuleConfig::Mine => Self::Mine,
            RuleConfig::Max => Self::Max,
            RuleConfig::Min => Self::Min,
            RuleConfig::SumOfDeltas => Self::SumOfDeltas,
            RuleConfig::SetUnion => Self::SetUnion,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum UnknownColumnsConfig {
    #[default]
    Refuse,
    Keep,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PolicyConfig {
    #[default]
    #[serde(alias = "server-wins", alias = "server")]
    ServerWins,
    #[serde(alias = "client-wins", alias = "client")]
    ClientWins,
    Merge,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AnonymousRowsConfig {
    #[default]
    Keep,
    Discard,
    Refuse,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum HydrateConfig {
    #[default]
    AtOnce,
    Progressive,
}

impl FileConfig {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let named =
            |error: &dyn std::fmt::Display| Failure::configuration(format!("{}: {error}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| named(&error))?;
        let mut config: Self = toml::from_str(&text).map_err(|error| named(&error))?;
        if let (Some(from), Some(folder)) = (&config.tables_from, path.parent()) {
            config.tables_from = Some(folder.join(from));
        }
        Ok(config)
    }

    fn sync_tables(&self) -> Result<Vec<SyncTable>, Failure> {
        let mut tables: Vec<SyncTable> = Vec::new();
        if let Some(path) = &self.tables_from {
            let named = |error: &dyn std::fmt::Display| {
                Failure::configuration(format!("{}: {error}", path.display()))
            };
            let sql = std::fs::read_to_string(path).map_err(|error| named(&error))?;
            tables.extend(annotated_tables(&sql).map_err(|error| named(&error))?);
        }
        tables.extend(self.tables.iter().map(|table| {
            let policy = match table.policy {
                PolicyConfig::ServerWins => ConflictPolicy::ServerWins,
                PolicyConfig::ClientWins => ConflictPolicy::ClientWins,
                PolicyConfig::Merge => ConflictPolicy::Merge,
            };
            let rules = table.merge.iter();
            let named = rules.fold(SyncTable::new(&table.name), |named, (column, rule)| {
                named.merge(column, ColumnRule::from(*rule))
            });
            let named = named.policy(policy);
            match &table.key {
                Some(key) => named.key(key),
                None => named,
            }
        }));
        Ok(tables)
    }

    fn tokens(&self) -> Result<Option<Tokens>, Failure> {
        let sign_in = match (&self.signin_url, &self.user) {
            (Some(url), Some(user)) => Some(Tokens::SignIn {
                url: url.clone(),
                user: user.clone(),
                password: self.password.clone().unwrap_or_default(),
            }),
            (Some(_), None) => return Err(Failure::configuration("signin_url needs user and password")),
            (None, _) => None,
        };
        let mut ways = [
            self.token_env.clone().map(Tokens::Environment),
            self.token_command.clone().map(Tokens::Command),
            sign_in,
        ]
        .into_iter()
        .flatten();
        let first = ways.next();
        if ways.next().is_some() {
            return Err(Failure::configuration(
                "name one of token_env, token_command and signin_url, not several",
            ));
        }
        Ok(first)
    }
}

/// Opens the client that the options describe.
pub(crate) async fn open(device: &Device, json: bool) -> Result<Client, Failure> {
    let path = device.db.clone().ok_or_else(|| Failure::configuration("name the database with --db FILE"))?;
    let file = FileConfig::read(&device.config)?;
    let anonymous = match file.anonymous_rows {
        AnonymousRowsConfig::Keep => AnonymousRows::Keep,
        AnonymousRowsConfig::Discard => AnonymousRows::Discard,
        AnonymousRowsConfig::Refuse => AnonymousRows::Refuse,
    };
    let hydrate = match file.hydrate {
        HydrateConfig::AtOnce => Hydrate::AtOnce,
        HydrateConfig::Progressive => Hydrate::Progressive,
    };
    let unknown_columns = match file.unknown_columns {
        UnknownColumnsConfig::Refuse => UnknownColumns::Refuse,
        UnknownColumnsConfig::Keep => UnknownColumns::Keep,
    };
    let mut config = Config::new(path, &file.url, &file.schema)?
        .tables(file.sync_tables()?)
        .anonymous_rows(anonymous)
        .hydrate(hydrate)
        .unknown_columns(unknown_columns);
    if let Some(tokens) = file.tokens()? {
        config = config.tokens(tokens);
    }
    if let Some(progress) = Progress::new(json) {
        config = config.progress(move |now| progress.show(now));
    }
    Ok(Client::open(config).await?)
}
