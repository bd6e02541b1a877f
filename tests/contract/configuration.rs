//! `local-schema/config-validation.json`.

use crate::ledger::Findings;
use crate::lens::Lens;
use crate::replica::cell;
use rowtide::{Client, Config, ErrorKind, LocalDatabase, QueryRows, SyncTable};
use rowtide_tests::{open, open_local};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

fn tables(config: &Value) -> Vec<SyncTable> {
    let table = |table: &Value| {
        let named = SyncTable::new(table["tableName"].as_str().unwrap());
        let one = table.get("syncKeyColumnName").and_then(Value::as_str);
        let several = table.get("syncKeyColumns").and_then(Value::as_array).into_iter().flatten();
        one.into_iter().chain(several.filter_map(Value::as_str)).fold(named, SyncTable::key)
    };
    config["syncTables"].as_array().unwrap().iter().map(table).collect()
}

fn statements<'a>(case: &'a Value, member: &str) -> impl Iterator<Item = &'a str> {
    case[member].as_array().into_iter().flatten().map(|sql| sql.as_str().unwrap())
}

/// Members of a case that are looked at.
const CASE: [&str; 9] = [
    "name",
    "description",
    "schemaSql",
    "config",
    "initializeBeforeValidation",
    "beforeValidationSql",
    "afterOpenSql",
    "expectedError",
    "expectedQueries",
];

pub(crate) async fn validation(_: &str, case: &Value) -> Findings {
    for member in case.as_object().unwrap().keys() {
        assert!(CASE.contains(&member.as_str()), "a case has a member that is not known: {member}");
    }
    let mut findings = Findings::default();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("app.db");
    let database = LocalDatabase::open(&path).await.unwrap();
    for sql in statements(case, "schemaSql") {
        database.execute_script(sql).await.unwrap();
    }
    drop(database);
    let config = || {
        let schema = case["config"]["schema"].as_str().unwrap();
        Config::new(&path, "https://sync.test", schema).unwrap().tables(tables(&case["config"]))
    };
    // Every case that speaks of the references' tables has this table.
    let columns = vec!["id".to_owned(), "name".to_owned()];
    let lens = Lens::new("main", &[("users".to_owned(), "id".to_owned(), columns)]);
    if case["initializeBeforeValidation"] == true {
        let client = open(&config()).await.unwrap();
        for sql in statements(case, "beforeValidationSql") {
            lens.execute(&client, sql).await;
        }
    }

    let opened = open(&config()).await;
    match (&opened, case["expectedError"].as_object()) {
        (Ok(_), None) => {}
        (Ok(_), Some(_)) => findings.note("opened", "accepted", "refused"),
        (Err(error), None) => findings.note("opened", error, "accepted"),
        (Err(error), Some(expected)) => {
            assert_eq!(expected["kind"], "configuration");
            findings.check("error", &json!(ErrorKind::Configuration.as_str()), &json!(error.kind().as_str()));
            for word in expected["messageContains"].as_array().unwrap() {
                let word = word.as_str().unwrap();
                if !error.to_string().contains(word) {
                    findings.note("message", error, word);
                }
            }
        }
    }
    let client = opened.as_ref().ok();
    for sql in statements(case, "afterOpenSql") {
        lens.execute(client.unwrap(), sql).await;
    }
    for query in case["expectedQueries"].as_array().into_iter().flatten() {
        let found = select(client, &lens, &path, query["sql"].as_str().unwrap()).await;
        findings.check(query["name"].as_str().unwrap(), &query["value"], &cell(&found.rows[0][0]));
    }
    if client.is_none() {
        // Nothing is written before every check has passed.
        let own = "SELECT count(*) FROM sqlite_schema WHERE name LIKE '!_rowtide!_%' ESCAPE '!'";
        let found = select(None, &lens, &path, own).await;
        assert_eq!(cell(&found.rows[0][0]), json!(0), "{}: there is residue", case["name"]);
    }
    findings
}

/// Runs a query on the client's database, or on the file of one that was not opened.
async fn select(client: Option<&Client>, lens: &Lens, path: &Path, sql: &str) -> QueryRows {
    if let Some(client) = client {
        return lens.query(client, sql).await;
    }
    open_local(path).await.query(sql, Vec::new()).await.unwrap()
}
