//! Writes of a user's other device, one that the test does not run: the protocol's push, past all faults.

use crate::options::TestServerError;
use crate::server::TestServer;
use axum::body::to_bytes;
use rowtide::protocol::hash::{BundleHasher, HashedRow};
use rowtide::protocol::ids::{RowVersion, SourceBundleId, SourceId};
use rowtide::protocol::message::{
    ConnectRequest, ConnectResponse, PushChunkRequest, PushRow, PushSessionReply, PushSessionRequest, RowOp,
    WireKey,
};
use rowtide::protocol::problem::{Problem, ProblemCode};
use rowtide::protocol::value::{ColumnKind, SqlValue, encode, encode_text};
use rowtide::{Method, Request};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A row of the bundle to be pushed.
struct Change {
    op: RowOp,
    base: RowVersion,
    payload: Option<Box<RawValue>>,
}

/// A bundle that one try pushes: rows of one table by key.
struct Bundle<'a> {
    user: &'a str,
    table: &'a str,
    key_column: &'a str,
    changes: BTreeMap<String, Change>,
}

impl TestServer {
    /// Inserts and updates rows of a user's table in one bundle, as another device of the user would: the first rows of
    /// a user are the seed. Each row is a JSON object of all its columns, lowercase, with the key as text. Numbers and
    /// booleans become what the wire generation has for them; blobs are given in base64, BLOB keys and references to
    /// them as dashed UUIDs.
    ///
    /// # Errors
    /// The table is not registered, a row has no key, comes twice or holds arrays and objects, another device is just
    /// seeding, or the server refuses the rows. Nothing is written then.
    pub async fn put_rows(&self, user: &str, table: &str, rows: &[Value]) -> Result<(), TestServerError> {
        let mut bundle = self.bundle(user, table)?;
        let live = self.versions(user, table).await?;
        for (number, row) in rows.iter().enumerate() {
            let invalid = |what: &str| TestServerError::Rows(format!("row {number} of {table} {what}"));
            let columns = row.as_object().ok_or_else(|| invalid("is no JSON object"))?;
            let key = columns.get(bundle.key_column).and_then(Value::as_str).unwrap_or_default();
            if key.is_empty() {
                return Err(invalid(&format!("needs its key {} as text", bundle.key_column)));
            }
            let payload = Some(self.payload(columns).map_err(|what| invalid(&what))?);
            let change = match live.get(key) {
                Some(base) => Change { op: RowOp::Update, base: *base, payload },
                None => Change { op: RowOp::Insert, base: RowVersion(0), payload },
            };
            if bundle.changes.insert(key.to_owned(), change).is_some() {
                return Err(invalid("has the key of an earlier row"));
            }
        }
        self.push(bundle).await
    }

    /// Deletes rows of a user's table in one bundle, as another device of the user would. Rows that are not there are
    /// left out.
    ///
    /// # Errors
    /// The table is not registered, or the server refuses. Nothing is written then.
    pub async fn delete_rows(&self, user: &str, table: &str, keys: &[&str]) -> Result<(), TestServerError> {
        let mut bundle = self.bundle(user, table)?;
        let live = self.versions(user, table).await?;
        for key in keys {
            if let Some(base) = live.get(*key) {
                let change = Change { op: RowOp::Delete, base: *base, payload: None };
                bundle.changes.insert((*key).to_owned(), change);
            }
        }
        self.push(bundle).await
    }

    fn bundle<'a>(&'a self, user: &'a str, table: &'a str) -> Result<Bundle<'a>, TestServerError> {
        let registered = self.founding.config.tables.iter().find(|registered| registered.table == table);
        let registered =
            registered.ok_or_else(|| TestServerError::Rows(format!("table {table} is not registered")))?;
        Ok(Bundle { user, table, key_column: &registered.key_column, changes: BTreeMap::new() })
    }

    async fn versions(
        &self,
        user: &str,
        table: &str,
    ) -> Result<BTreeMap<String, RowVersion>, TestServerError> {
        let rows = self.rows(user, table).await?;
        Ok(rows.into_iter().map(|row| (row.key, RowVersion(row.version))).collect())
    }

    fn payload(&self, columns: &Map<String, Value>) -> Result<Box<RawValue>, String> {
        let mut json = String::from("{");
        for (column, value) in columns {
            if json.len() > 1 {
                json.push(',');
            }
            encode_text(column, &mut json);
            json.push(':');
            let (kind, value) = typed(value).map_err(|what| format!("has {what} in column {column}"))?;
            encode(self.generation, kind, &value, &mut json).map_err(|error| format!("{column}: {error}"))?;
        }
        json.push('}');
        RawValue::from_string(json).map_err(|error| error.to_string())
    }

    /// Pushes until no row stands against it: another device may be faster, and a tombstone's version is only told by
    /// the conflict with it.
    async fn push(&self, mut bundle: Bundle<'_>) -> Result<(), TestServerError> {
        while !bundle.changes.is_empty() {
            let Err(problem) = self.try_push(&bundle).await? else { return Ok(()) };
            let Some(conflict) = problem.conflict.as_ref() else {
                return Err(refused(409, *problem));
            };
            let key = conflict.key.value.as_ref();
            let Some(change) = bundle.changes.get_mut(key) else { return Err(refused(409, *problem)) };
            change.base = conflict.server_row_version;
            change.op = match (change.op, conflict.server_row_deleted || conflict.server_row_version.0 == 0) {
                (RowOp::Delete, true) => {
                    bundle.changes.remove(key);
                    continue;
                }
                (RowOp::Delete, false) => RowOp::Delete,
                (_, true) => RowOp::Insert,
                (_, false) => RowOp::Update,
            };
        }
        Ok(())
    }

    /// One push from a source of its own; a conflict is an answer.
    async fn try_push(&self, bundle: &Bundle<'_>) -> Result<Result<(), Box<Problem>>, TestServerError> {
        let device = Caller { server: self, user: bundle.user, source: SourceId::mint() };
        let connect = json!(ConnectRequest { has_local_pending_rows: true });
        let connected: ConnectResponse = read(device.post("/sync/connect", connect.to_string()).await?)?;
        if connected.retry_after_seconds.is_some() {
            let text = format!("another device is seeding user {}; let it finish first", bundle.user);
            return Err(TestServerError::Rows(text));
        }
        let schema = &self.founding.config.schema;
        let rows: Vec<_> =
            bundle.changes.iter().map(|(key, change)| bundle.row(schema, key, change)).collect();
        let request = PushSessionRequest {
            source_bundle_id: SourceBundleId(1),
            planned_row_count: i64::try_from(rows.len()).unwrap_or(i64::MAX),
            initialization_id: connected.initialization_id,
            canonical_request_hash: self
                .generation
                .sends_request_hash()
                .then(|| self.hash(&rows))
                .transpose()?,
        };
        let created = device.post("/sync/push-sessions", json!(request).to_string()).await?;
        let PushSessionReply::Staging { push_id, .. } = read(created)? else {
            return Err(TestServerError::Rows("a new source has committed before".into()));
        };
        let session = format!("/sync/push-sessions/{push_id}");
        let size = usize::try_from(self.founding.config.limits.max_rows_per_chunk).unwrap_or(1).max(1);
        let mut start_row_ordinal = 0;
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let chunk = PushChunkRequest { start_row_ordinal, rows: rows.by_ref().take(size).collect() };
            start_row_ordinal += i64::try_from(chunk.rows.len()).unwrap_or(i64::MAX);
            let body = serde_json::to_string(&chunk).map_err(not_protocol)?;
            let staged = device.post(&format!("{session}/chunks"), body).await?;
            read::<Value>(staged)?;
        }
        match device.post(&format!("{session}/commit"), String::new()).await? {
            (409, body) => {
                let problem: Problem = serde_json::from_slice(&body).map_err(not_protocol)?;
                match problem.code() {
                    Some(ProblemCode::PushConflict) => Ok(Err(Box::new(problem))),
                    _ => Err(refused(409, problem)),
                }
            }
            committed => read::<Value>(committed).map(|_| Ok(())),
        }
    }

    fn hash(&self, rows: &[PushRow<'_>]) -> Result<String, TestServerError> {
        let mut hasher = BundleHasher::new(self.generation);
        for row in rows {
            let hashed = HashedRow {
                schema: &row.schema,
                table: &row.table,
                key_column: &row.key.column,
                key: &row.key.value,
                op: row.op,
                payload: row.payload.map(RawValue::get),
            };
            hasher.request_row(&hashed, row.base_row_version).map_err(not_protocol)?;
        }
        Ok(hasher.finish())
    }
}

impl Bundle<'_> {
    fn row<'a>(&'a self, schema: &'a str, key: &'a str, change: &'a Change) -> PushRow<'a> {
        PushRow {
            schema: schema.into(),
            table: self.table.into(),
            key: WireKey { column: self.key_column.into(), value: key.into() },
            op: change.op,
            base_row_version: change.base,
            payload: change.payload.as_deref(),
        }
    }
}

/// A device that is not there.
struct Caller<'a> {
    server: &'a TestServer,
    user: &'a str,
    source: SourceId,
}

impl Caller<'_> {
    async fn post(&self, path: &str, body: String) -> Result<(u16, Vec<u8>), TestServerError> {
        let headers = vec![
            ("authorization", format!("Bearer {}", self.server.token(self.user))),
            ("oversync-source-id", self.source.to_string()),
            ("content-type", "application/json".to_owned()),
        ];
        let url = format!("{}{path}", TestServer::URL);
        let body = Some(body).filter(|body| !body.is_empty());
        let request = Request { method: Method::Post, url, headers, body, max_response_bytes: u64::MAX };
        let reply = self.server.answer(request).await;
        let status = reply.status().as_u16();
        let body = to_bytes(reply.into_body(), usize::MAX).await;
        Ok((status, body.map(Into::into).unwrap_or_default()))
    }
}

fn read<T: serde::de::DeserializeOwned>((status, body): (u16, Vec<u8>)) -> Result<T, TestServerError> {
    if status == 200 {
        return serde_json::from_slice(&body).map_err(not_protocol);
    }
    Err(refused(status, serde_json::from_slice(&body).map_err(not_protocol)?))
}

fn refused(status: u16, problem: Problem) -> TestServerError {
    TestServerError::Refused { status, code: problem.error, message: problem.message }
}

fn not_protocol(error: serde_json::Error) -> TestServerError {
    TestServerError::Rows(format!(
        "not what the protocol says at line {} column {}",
        error.line(),
        error.column()
    ))
}

/// A plain JSON value as the SQLite value that a device would send.
fn typed(value: &Value) -> Result<(ColumnKind, SqlValue), &'static str> {
    match value {
        Value::Null => Ok((ColumnKind::Text, SqlValue::Null)),
        Value::Bool(flag) => Ok((ColumnKind::Integer, SqlValue::from(*flag))),
        Value::String(text) => Ok((ColumnKind::Text, SqlValue::from(text.as_str()))),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok((ColumnKind::Integer, SqlValue::Integer(whole))),
            (None, Some(real)) if !number.is_u64() => Ok((ColumnKind::Real, SqlValue::Real(real))),
            _ => Err("a number beyond 64 bits"),
        },
        Value::Array(_) | Value::Object(_) => Err("an array or object; give its text"),
    }
}
