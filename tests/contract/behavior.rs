//! The cases of several steps: `push/behavior`, `pull-snapshot/behavior`, `lifecycle/behavior`.

use crate::ledger::Findings;
use crate::playbook::Playbook;
use crate::replica::{Replica, USER, USERS, ending};
use rowtide::Outcome;
use rowtide_tests::Endpoint;
use serde_json::{Value, json};

/// Tables by the contract's name for a schema.
fn schema(name: Option<&str>) -> String {
    let cycle = "
        CREATE TABLE authors (
            id TEXT PRIMARY KEY NOT NULL,
            profile_id TEXT NOT NULL REFERENCES profiles (id),
            name TEXT NOT NULL
        );
        CREATE TABLE profiles (
            id TEXT PRIMARY KEY NOT NULL,
            author_id TEXT NOT NULL REFERENCES authors (id),
            bio TEXT NOT NULL
        );";
    let posts = "
        CREATE TABLE posts (
            id TEXT PRIMARY KEY NOT NULL,
            user_id TEXT NOT NULL REFERENCES users (id),
            title TEXT NOT NULL
        );";
    let typed = "
        CREATE TABLE typed_rows (
            id TEXT PRIMARY KEY NOT NULL,
            name TEXT NOT NULL,
            note TEXT,
            count_value INTEGER,
            enabled_flag INTEGER NOT NULL,
            rating REAL,
            data BLOB,
            created_at TEXT
        );";
    match name {
        None | Some("users") => USERS.to_owned(),
        Some("users-posts") => format!("{USERS}{posts}"),
        Some("immediate-authors-profiles-cycle") => cycle.to_owned(),
        Some("typed-rows") => typed.to_owned(),
        Some(other) => panic!("the contract names a schema that is not known: {other}"),
    }
}

/// What a test may change of the server of a case, so that the rest of the case comes into play.
#[derive(Clone, Copy, PartialEq)]
enum Twist {
    None,
    /// The server commits the rows as updates, so that their hash proves nothing and they are fetched.
    CommitsUpdates,
    /// Snapshot sessions end with the step.
    SessionsEnd,
}

/// Members of a step that are looked at.
const STEP: [&str; 13] = [
    "action",
    "setupSql",
    "sql",
    "expectedException",
    "expectedErrorContains",
    "expectedKmpErrorContains",
    "expectedDartErrorContains",
    "expectedState",
    "expectedKmpState",
    "expectedAppState",
    "expectedServerState",
    "expectedCheckpointRecoveryBlocked",
    "expectedResult",
];

pub(crate) async fn run(_: &str, case: &Value) -> Findings {
    play(case, Twist::None).await
}

async fn play(case: &Value, twist: Twist) -> Findings {
    let named = case["syncTables"].as_array().into_iter().flatten();
    let mut tables: Vec<_> = named.map(|table| table["tableName"].as_str().unwrap()).collect();
    if tables.is_empty() {
        tables.push("users");
    }
    let server = Playbook::new(&case["serverScript"], "main", &tables);
    let replica = Replica::new("main", &schema(case["schema"].as_str()), &tables, server.clone()).await;
    let steps = case["steps"].as_array().unwrap();
    server.with(|play| {
        play.changes = (twist == Twist::CommitsUpdates).then(|| json!({}));
        // The script does not say how many bytes its sessions announce; what is expected of the state does.
        let sessions = steps.iter().map(|step| &step["expectedState"]["state"]["operation_state"][0]);
        play.session_bytes =
            sessions.filter_map(|state| state["snapshot_byte_count"].as_i64()).max().unwrap_or(0);
    });
    let source = replica.client().source_info().await.unwrap().source_id;
    let findings = Findings::default();
    let mut scene = Scene { replica, server, findings, first_source: source.clone(), source };
    if steps[0]["action"] != "open" {
        scene.replica.client().attach(USER).await.unwrap();
    }
    scene.local(case.get("localSetupSql")).await;
    for (index, step) in steps.iter().enumerate() {
        for member in step.as_object().unwrap().keys() {
            assert!(STEP.contains(&member.as_str()), "a step has a member that is not known: {member}");
        }
        scene.step(&case["serverScript"], step, &format!("step {}: ", index + 1)).await;
        if twist == Twist::SessionsEnd {
            scene.server.with(crate::playbook::Play::end_sessions);
        }
    }
    scene.findings
}

struct Scene {
    replica: Replica<Playbook>,
    server: Playbook,
    findings: Findings,
    first_source: String,
    /// The source at the beginning of the step.
    source: String,
}

impl Scene {
    /// Runs statements in one transaction, in which cyclic rows can be written one after the other.
    async fn local(&self, statements: Option<&Value>) {
        let statements: Vec<_> =
            statements.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        if !statements.is_empty() {
            let script = format!("PRAGMA defer_foreign_keys = ON;{};", statements.join(";"));
            self.replica.execute(&script).await;
        }
    }

    async fn step(&mut self, script: &Value, step: &Value, label: &str) {
        for statement in step["setupSql"].as_array().into_iter().flatten() {
            self.replica.execute(statement.as_str().unwrap()).await;
        }
        let exception = step["expectedException"].as_str().unwrap_or("none");
        // Scripts count the references' own requests. Here it is the step that sees the failure or the version.
        self.server.with(|play| {
            play.uploaded.clear();
            play.fetches_fail =
                exception == "http_error" && script["kind"] == "committed_replay_first_fetch_http_error";
            let versions = script["protocolVersions"].as_array().map(Vec::as_slice).unwrap_or_default();
            let version =
                if exception == "protocol_version_mismatch" { versions.last() } else { versions.first() };
            play.version = version.and_then(Value::as_str).unwrap_or("v1").to_owned();
        });
        self.source = self.replica.client().source_info().await.unwrap().source_id;
        let client = self.replica.client().clone();
        let ended = match step["action"].as_str().unwrap() {
            "pushPending" => client.push().await.map(Some),
            "pullToStable" => client.pull().await.map(Some),
            "rebuild" => client.rebuild().await.map(Some),
            "attach" => client.attach(USER).await.map(Some),
            "syncThenDetach" => client.sync_then_detach().await.map(Some),
            "localSql" => {
                self.local(step.get("sql")).await;
                Ok(None)
            }
            // It was opened when the case began.
            "open" => Ok(None),
            "reopenOpen" => {
                drop(client);
                self.replica.reopen().await;
                Ok(None)
            }
            other => panic!("the contract names an action that is not known: {other}"),
        };
        ending(label, exception, step["expectedErrorContains"].as_str(), &ended, &mut self.findings);
        if let Some(kind) = step["expectedResult"]["outcome"].as_str() {
            assert_eq!(kind, "started_empty", "an outcome that is not known");
            let report = ended.as_ref().ok().and_then(Option::as_ref);
            let empty =
                report.is_some_and(|report| report.outcome == Outcome::Attached && report.hydrated_rows == 0);
            self.findings.demand(format!("{label}started_empty"), empty);
        }
        if !step["expectedCheckpointRecoveryBlocked"].is_null() && ended.is_ok() {
            self.findings.note(format!("{label}blocked"), "no", &step["expectedCheckpointRecoveryBlocked"]);
        }
        self.state(step, label).await;
        self.app_state(&step["expectedAppState"], label).await;
        self.server_state(&step["expectedServerState"], label);
    }

    /// The contract has a state for each of two references where they differ; either will do.
    async fn state(&mut self, step: &Value, label: &str) {
        let expected = &step["expectedState"];
        if expected.get("formatVersion").is_some() {
            return self.whole_state(&expected["state"], label).await;
        }
        let now = self.replica.client().source_info().await.unwrap().source_id;
        // A replaced source is not kept, but the server is told of it.
        let replaced = self.server.with(|play| {
            play.snapshot_requests.iter().any(|request| {
                let replacement = &request["source_replacement"];
                replacement["previous_source_id"] == self.source && replacement["new_source_id"] == now
            })
        });
        let known = [
            ("currentSourceChangedFromStepStart", json!(now != self.source)),
            ("oldSourceReplacedByCurrent", json!(replaced)),
        ];
        let mut best: Option<Findings> = None;
        for expected in [Some(expected), step.get("expectedKmpState")].into_iter().flatten() {
            let mut findings = Findings::default();
            self.replica.state(label, expected, &known, &mut findings).await;
            if best.as_ref().is_none_or(|best| findings.len() < best.len()) {
                best = Some(findings);
            }
        }
        self.findings.extend(best.unwrap());
    }

    /// Every row of every table that the references keep their state in.
    async fn whole_state(&mut self, expected: &Value, label: &str) {
        // Columns that Rowtide has no word for.
        const WITHOUT: [&str; 4] = ["created_at", "updated_at", "row_ordinal", "canonical_json_contract"];
        for (table, expected) in expected.as_object().unwrap() {
            let found = self.replica.rows(&format!("SELECT * FROM _sync_{table}")).await;
            let expected = expected.as_array().unwrap();
            self.findings.check(format!("{label}{table} rows"), &json!(expected.len()), &json!(found.len()));
            for (expected, found) in expected.iter().zip(&found) {
                for (column, expected) in expected.as_object().unwrap() {
                    let (first, another) = (json!("<source-1>"), json!("<source-2>"));
                    let found = match found.get(column) {
                        _ if WITHOUT.contains(&column.as_str()) => continue,
                        Some(found) if *expected == first && *found == self.first_source => &first,
                        Some(_) if *expected == first => &another,
                        Some(found) => found,
                        None => panic!("{table} has a column that is not known: {column}"),
                    };
                    self.findings.check(format!("{label}{table}.{column}"), expected, found);
                }
            }
        }
    }

    async fn app_state(&mut self, expected: &Value, label: &str) {
        for (table, expected) in expected.as_object().into_iter().flatten() {
            let name = if table == "typedRows" { "typed_rows" } else { table.as_str() };
            let found = self.replica.rows(&format!("SELECT * FROM {name} ORDER BY id")).await;
            self.findings.check(format!("{label}{table}"), expected, &json!(found));
        }
    }

    fn server_state(&mut self, expected: &Value, label: &str) {
        for (member, expected) in expected.as_object().into_iter().flatten() {
            let found = match member.as_str() {
                "createRequestCount" => json!(self.server.count(Endpoint::PushCreate)),
                "snapshotSessionCreateCount" => json!(self.server.count(Endpoint::SnapshotCreate)),
                "uploadedRows" => {
                    let text = |member: &Value| member.as_str().unwrap().to_owned();
                    let row = |row: &Value| {
                        json!(format!(
                            "{}:{}:{}",
                            text(&row["table"]),
                            text(&row["op"]),
                            text(&row["key"]["id"])
                        ))
                    };
                    self.server.with(|play| play.uploaded.iter().map(row).collect())
                }
                other => panic!("the contract asks the server for something that is not known: {other}"),
            };
            self.findings.check(format!("{label}{member}"), expected, &found);
        }
    }
}

async fn play_named(file: &str, name: &str, twist: Twist, differs: &[&str]) {
    let Some(data) = rowtide_tests::contract(file) else { return };
    let cases = data["cases"].as_array().unwrap();
    let case = cases.iter().find(|case| case["name"] == name).unwrap();
    play(case, twist).await.assert(name, differs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_local_delete_outlives_a_replay_that_has_to_fetch_and_fails_at_first() {
    let name = "committed-replay-preserves-newer-local-delete";
    // The push that settles the replay uploads the delete as well.
    let goes_on =
        ["step 3: dirtyRowCount = 0", "step 3: lastBundleSeqSeen = 2", "step 3: nextSourceBundleId = 3"];
    play_named("push/behavior/apply.json", name, Twist::CommitsUpdates, &goes_on).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_whose_session_ended_is_staged_anew_from_row_zero() {
    let name = "snapshot-restart-clears-stage-and-restarts-from-zero";
    play_named("pull-snapshot/behavior/apply.json", name, Twist::SessionsEnd, &[]).await;
}
