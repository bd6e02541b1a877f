//! A device of the scenario: what each step does, and the line that it writes.

use crate::Log;
use crate::server::Server;
use async_trait::async_trait;
use rowtide::{
    Client, Config, ConflictPolicy, Decision, ErrorKind, LocalDatabase, Operation, Outcome, Resolver,
    ResolverError, RowConflict, SqlValue, SyncTable, TokenError, TokenProvider, TokenReason, TransferLimits,
};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

pub(crate) struct Device {
    name: String,
    client: Client,
    database: LocalDatabase,
    host: Host,
    log: Log,
    _folder: TempDir,
}

/// The app's callbacks, and what the scenario makes them do.
#[derive(Clone)]
struct Host {
    device: String,
    good: String,
    tokens: Arc<Mutex<VecDeque<String>>>,
    resolver: Arc<Mutex<String>>,
    log: Log,
}

#[async_trait]
impl TokenProvider for Host {
    async fn token(&self, reason: TokenReason) -> Result<String, TokenError> {
        let reason = match reason {
            TokenReason::FirstUse => "first_use",
            TokenReason::Expiring => "expiring",
            TokenReason::Rejected => "rejected",
        };
        self.log.line(format!("{} token {reason}", self.device));
        let mut tokens = self.tokens.lock().unwrap();
        let next = if tokens.len() > 1 { tokens.pop_front() } else { tokens.front().cloned() };
        Ok(match next.as_deref() {
            Some("stale") => "stale".to_owned(),
            _ => self.good.clone(),
        })
    }
}

#[async_trait]
impl Resolver for Host {
    async fn resolve(&self, conflicts: &[RowConflict]) -> Result<Vec<Decision>, ResolverError> {
        let title =
            |row: &Option<rowtide::RowValues>| row.as_ref().map_or("-".to_owned(), |row| text(&row["title"]));
        for conflict in conflicts {
            self.log.line(format!(
                "{} conflict {} {} local={} server={}",
                self.device,
                conflict.table,
                conflict.key,
                title(&conflict.local),
                title(&conflict.server)
            ));
        }
        if *self.resolver.lock().unwrap() == "throws" {
            return Err(ResolverError("the scenario wants it so".to_owned()));
        }
        let joined = conflicts.iter().map(|conflict| {
            let mut row = conflict.server.clone().unwrap();
            let title = format!("{} + {}", title(&conflict.server), title(&conflict.local));
            row.insert("title".to_owned(), title.into());
            Decision::KeepMerged(row)
        });
        Ok(joined.collect())
    }
}

impl Device {
    pub(crate) async fn open(name: &str, scenario: &Value, server: &Server, log: Log) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("app.db");
        let database = LocalDatabase::open(&path).await.unwrap();
        database.execute_script(scenario["schema"].as_str().unwrap()).await.unwrap();
        let host = Host {
            device: name.to_owned(),
            good: server.token("ada").await,
            tokens: Arc::default(),
            resolver: Arc::default(),
            log: log.clone(),
        };
        let limits = TransferLimits {
            upload_rows: scenario["limits"]["upload_rows"].as_i64().unwrap(),
            download_rows: scenario["limits"]["download_rows"].as_i64().unwrap(),
            ..TransferLimits::default()
        };
        let table = SyncTable::new(scenario["table"]["name"].as_str().unwrap())
            .key(scenario["table"]["key"].as_str().unwrap())
            .policy(ConflictPolicy::Callback);
        let config = Config::new(path, &server.url, "business")
            .unwrap()
            .table(table)
            .limits(limits)
            .tokens(host.clone())
            .resolver(host.clone());
        let client = Client::open_in(&database, config).await.unwrap();
        log.line(format!("{name} open {}", client.status().await.unwrap().state.as_str()));
        Self { name: name.to_owned(), client, database, host, log, _folder: folder }
    }

    pub(crate) async fn close(self) {
        self.client.close().await;
        self.database.close().await;
        self.log.line(format!("{} close", self.name));
    }

    pub(crate) async fn step(&self, step: &Value) {
        if let Some(tokens) = step["tokens"].as_array() {
            *self.host.tokens.lock().unwrap() =
                tokens.iter().map(|token| token.as_str().unwrap().to_owned()).collect();
        }
        if let Some(resolver) = step["resolver"].as_str() {
            *self.host.resolver.lock().unwrap() = resolver.to_owned();
        }
        let line = if let Some(sql) = step["execute"].as_str() {
            let arguments = step["arguments"].as_array().unwrap().iter().map(argument).collect();
            match self.client.execute(sql, arguments).await {
                Ok(rows) => format!("execute {rows}"),
                Err(error) => format!("execute error {}", case(error.kind())),
            }
        } else if let Some(count) = step["fill"].as_i64() {
            format!("fill {}", self.fill(count).await)
        } else if let Some(sql) = step["query"].as_str() {
            let rows = self.client.query(sql, Vec::new()).await.unwrap().rows;
            let rows: Vec<String> =
                rows.iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join(" | ")).collect();
            format!("query {}", rows.join("\n"))
        } else if step["status"] == true {
            let status = self.client.status().await.unwrap();
            format!("status {} pending={}", status.state.as_str(), status.pending_rows)
        } else if step["credentials_changed"] == true {
            self.client.credentials_changed();
            "credentials_changed".to_owned()
        } else {
            let name = step["operation"].as_str().unwrap();
            format!("{name} {}", self.operate(name, step["cancel_at"].as_str()).await)
        };
        self.log.line(format!("{} {line}", self.name));
    }

    async fn fill(&self, count: i64) -> i64 {
        let rows = (0..count).map(|index| {
            vec![format!("bulk-{index:05}").into(), format!("row {index}").into(), index.into()]
        });
        let sql = "INSERT INTO notes (id, title, stars) VALUES (?, ?, ?)";
        self.client.execute_batch(sql, rows.collect()).await.unwrap()
    }

    async fn operate(&self, name: &str, cancel_at: Option<&str>) -> String {
        let operation = match name {
            "attach" => Operation::Attach { user: "ada".to_owned() },
            "push" => Operation::Push,
            "sync" => Operation::Sync,
            "detach" => Operation::Detach,
            "sync_then_detach" => Operation::SyncThenDetach,
            other => panic!("no such operation: {other}"),
        };
        let mut progress = self.client.observe_progress();
        let running = self.client.begin(operation);
        if let Some(phase) = cancel_at {
            loop {
                let made = progress.next().await.unwrap();
                if made.phase.as_str() == phase && made.rows > 0 && made.activity.as_str() == name {
                    break;
                }
            }
            running.cancel();
            self.log.line(format!("{} progress {phase}", self.name));
        }
        match running.wait().await {
            Ok(report) => format!(
                "{} pushed={} pulled={} conflicts={}",
                outcome(&report.outcome),
                report.pushed_rows,
                report.pulled_rows,
                report.conflicts
            ),
            Err(error) => format!("error {}", case(error.kind())),
        }
    }
}

fn argument(value: &Value) -> SqlValue {
    match value {
        Value::String(text) => text.as_str().into(),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| number.as_f64().unwrap().into(), SqlValue::Integer)
        }
        other => panic!("no argument: {other}"),
    }
}

fn text(value: &SqlValue) -> String {
    match value {
        SqlValue::Null => "NULL".to_owned(),
        SqlValue::Integer(number) => number.to_string(),
        SqlValue::Real(number) => format!("{number:?}"),
        SqlValue::Text(text) => text.clone(),
        SqlValue::Blob(bytes) => format!("{} bytes", bytes.len()),
    }
}

fn outcome(outcome: &Outcome) -> &'static str {
    outcome.as_str()
}

/// The case of the bindings' error.
fn case(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::SourceMismatch => "protocol",
        ErrorKind::ServerTooOld | ErrorKind::TableMismatch => "incompatible",
        ErrorKind::NotAttached | ErrorKind::AttachedToAnother => "attachment",
        ErrorKind::ConflictsRemain | ErrorKind::Resolver => "undecided",
        kind => kind.as_str(),
    }
}
