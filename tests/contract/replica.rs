//! A client on a database of its own, against a scripted transport.

use crate::ledger::Findings;
use crate::lens::Lens;
use rowtide::{Client, Config, ErrorKind, LocalDatabase, SqlValue, SyncTable, Transport};
use rowtide_tests::{FixedTokens, ImpatientClock, open};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// The user of every case.
pub(crate) const USER: &str = "user-1";
/// The schema of most cases.
pub(crate) const USERS: &str = "CREATE TABLE users (id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL);";

/// The client, its database and its transport.
pub(crate) struct Replica<T> {
    pub(crate) transport: T,
    pub(crate) tables: Vec<String>,
    schema: String,
    client: Option<Client>,
    folder: TempDir,
}

impl<T: Transport + Clone> Replica<T> {
    /// Creates the tables, whose key is `id`, and opens the database.
    pub(crate) async fn new(schema: &str, create: &str, tables: &[&str], transport: T) -> Self {
        let folder = TempDir::new().unwrap();
        let database = LocalDatabase::open(folder.path().join("app.db")).await.unwrap();
        database.execute_script(create).await.unwrap();
        drop(database);
        let tables = tables.iter().map(|table| (*table).to_owned()).collect();
        let mut replica = Self { transport, tables, schema: schema.to_owned(), client: None, folder };
        replica.reopen().await;
        replica
    }

    /// A database with the table `main.users`.
    pub(crate) async fn users(transport: &T) -> Self {
        Self::new("main", USERS, &["users"], transport.clone()).await
    }

    /// The same, attached.
    pub(crate) async fn attached(transport: &T) -> Self {
        let replica = Self::users(transport).await;
        replica.client().attach(USER).await.unwrap();
        replica
    }

    /// Closes the database and opens it again: nothing but the file is carried over.
    pub(crate) async fn reopen(&mut self) {
        drop(self.client.take());
        let config = || {
            Config::new(self.folder.path().join("app.db"), "https://sync.test/api/v1/", &self.schema)
                .unwrap()
                .tables(self.tables.iter().map(|table| SyncTable::new(table).key("id")))
                .tokens(FixedTokens("token".into()))
                .clock(ImpatientClock)
                .transport(self.transport.clone())
        };
        self.client = Some(open(&config()).await.unwrap());
    }

    pub(crate) fn client(&self) -> &Client {
        self.client.as_ref().unwrap()
    }

    async fn lens(&self) -> Lens {
        let mut tables = Vec::new();
        for table in &self.tables {
            let sql = format!("SELECT name FROM pragma_table_info('{table}')");
            let found = self.client().query(&sql, vec![]).await.unwrap();
            let columns = found.rows.iter().map(|row| text(&row[0])).collect();
            tables.push((table.clone(), "id".to_owned(), columns));
        }
        Lens::new(&self.schema, &tables)
    }

    /// Runs statements, which may speak of the references' tables.
    pub(crate) async fn execute(&self, sql: &str) {
        self.lens().await.execute(self.client(), sql).await;
    }

    /// The rows of a query as objects; the query may speak of the references' tables.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<Value> {
        let found = self.lens().await.query(self.client(), sql).await;
        let object = |row: &Vec<SqlValue>| {
            let members = found.columns.iter().cloned().zip(row.iter().map(cell));
            Value::Object(members.collect::<Map<_, _>>())
        };
        found.rows.iter().map(object).collect()
    }

    /// The first cell of a query.
    pub(crate) async fn value(&self, sql: &str) -> Value {
        let found = self.lens().await.query(self.client(), sql).await;
        found.rows.first().map_or(Value::Null, |row| cell(&row[0]))
    }

    /// Compares the members of the state that the contract names one by one; those of `known` are found by the
    /// caller.
    pub(crate) async fn state(
        &self,
        label: &str,
        expected: &Value,
        known: &[(&str, Value)],
        findings: &mut Findings,
    ) {
        let Some(members) = expected.as_object() else { return };
        for (member, expected) in members {
            let found = match known.iter().find(|(name, _)| name == member) {
                Some((_, found)) => found.clone(),
                None if member == "rowState" => {
                    let sql = "SELECT json_object('table', table_name, 'key', json(key_json), 'rowVersion',
                                   row_version, 'deleted', json(iif(deleted, 'true', 'false')))
                               FROM _sync_row_state";
                    serde_json::from_str(self.value(sql).await.as_str().unwrap_or("null")).unwrap()
                }
                None => self.value(sql_of(member)).await,
            };
            findings.check(format!("{label}{member}"), expected, &found);
        }
        self.agrees().await;
    }

    /// What the public API says of the state must be what the tables say.
    async fn agrees(&self) {
        let status = self.client().status().await.unwrap();
        assert_eq!(self.value(sql_of("lastBundleSeqSeen")).await, json!(status.checkpoint.0));
        let pending = "SELECT count(*) FROM (SELECT table_name, key_json FROM _sync_dirty_rows
                                             UNION SELECT table_name, key_json FROM _sync_outbox_rows)";
        assert_eq!(self.value(pending).await, json!(status.pending_rows));
        let info = self.client().source_info().await.unwrap();
        assert_eq!(self.value(sql_of("currentSourceId")).await, json!(info.source_id));
        assert_eq!(self.value(sql_of("nextSourceBundleId")).await, json!(info.next_source_bundle_id));
    }
}

fn sql_of(member: &str) -> &'static str {
    match member {
        "rebuildRequired" => "SELECT rebuild_required FROM _sync_attachment_state",
        "lastBundleSeqSeen" => "SELECT last_bundle_seq_seen FROM _sync_attachment_state",
        "currentSourceId" => "SELECT current_source_id FROM _sync_attachment_state",
        "nextSourceBundleId" => "SELECT next_source_bundle_id FROM _sync_source_state",
        "outboxState" => "SELECT state FROM _sync_outbox_bundle",
        "outboxRowCount" => "SELECT count(*) FROM _sync_outbox_rows",
        "dirtyRowCount" => "SELECT count(*) FROM _sync_dirty_rows",
        "snapshotStageCount" => "SELECT count(*) FROM _sync_snapshot_stage",
        "rowStateCount" => "SELECT count(*) FROM _sync_row_state",
        "rowStateDeleted" => "SELECT count(*) FROM _sync_row_state WHERE deleted",
        "applyMode" => "SELECT apply_mode FROM _sync_apply_state",
        "usersRowCount" => "SELECT count(*) FROM users",
        other => panic!("the contract names a member of the state that is not known: {other}"),
    }
}

/// A value as JSON; bytes in lowercase hex.
pub(crate) fn cell(value: &SqlValue) -> Value {
    match value {
        SqlValue::Null => Value::Null,
        SqlValue::Integer(number) => json!(number),
        SqlValue::Real(number) => json!(number),
        SqlValue::Text(text) => json!(text),
        SqlValue::Blob(bytes) => json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}

fn text(value: &SqlValue) -> String {
    cell(value).as_str().unwrap_or_default().to_owned()
}

/// Kinds of errors by the contract's names for exceptions.
const EXCEPTIONS: [(&str, &[ErrorKind]); 6] = [
    ("http_error", &[ErrorKind::Server, ErrorKind::Network]),
    ("protocol_error", &[ErrorKind::Protocol, ErrorKind::TableMismatch]),
    ("protocol_version_mismatch", &[ErrorKind::Protocol]),
    ("unsupportedCapability", &[ErrorKind::ServerTooOld]),
    ("source_sequence_mismatch", &[ErrorKind::SourceMismatch]),
    // Where a rebuild is needed it is done, so there is no such error.
    ("rebuild_required", &[]),
];

/// Words of the contract's messages that this client puts differently. A contradiction inside of a response may
/// show as another one that it implies.
const WORDS: [(&str, &str); 4] = [
    ("stable bundle seq changed from 2 to 3", "stable_bundle_seq changed from 2 to 3"),
    ("payload for users must contain every table column", "the payload lacks column name"),
    ("row total 1 does not match session row_count 2", "has_more=false after 1 of 2 rows"),
    ("staged snapshot row count 1 does not match expected row_count 2", "has_more=false after 1 of 2 rows"),
];

/// Compares how an operation ended with the contract's name for its exception and the words of its message.
pub(crate) fn ending<R>(
    label: &str,
    exception: &str,
    words: Option<&str>,
    ended: &rowtide::Result<R>,
    findings: &mut Findings,
) {
    let found = ended.as_ref().map_or_else(|error| error.kind().as_str(), |_| "none");
    let fits = match (exception, ended) {
        ("none", ended) => ended.is_ok(),
        ("any_error", ended) => ended.is_err(),
        (name, ended) => {
            let known = EXCEPTIONS.iter().find(|(known, _)| *known == name);
            let (_, kinds) = known.unwrap_or_else(|| panic!("an exception that is not known: {name}"));
            ended.as_ref().is_err_and(|error| kinds.contains(&error.kind()))
        }
    };
    if !fits {
        let text = ended.as_ref().err().map(ToString::to_string).unwrap_or_default();
        findings.note(format!("{label}ended"), found, format!("{exception} {text}"));
    }
    if let (true, Some(words), Err(error)) = (fits, words, ended) {
        let message = error.to_string();
        let put = WORDS.iter().find(|(theirs, _)| words.contains(theirs)).map(|(_, ours)| *ours);
        if !message.contains(words) && !put.is_some_and(|ours| message.contains(ours)) {
            findings.note(format!("{label}message"), &message, words);
        }
    }
}
