//! `local-schema/config-validation.json`.

use rowtide::{Client, Config, ErrorKind, LocalDatabase, SyncTable};
use rowtide_tests::contract;
use serde_json::Value;
use tempfile::TempDir;

/// Cases that differ on purpose, with the reason.
const DIFFERENT: [(&str, &str); 4] = [
    (
        "nullable-text-primary-key-rejected",
        "accepted as the published guides write it; NULL is refused at the write",
    ),
    ("nullable-blob-primary-key-rejected", "accepted likewise"),
    (
        "previously-initialized-nullable-drift-preserves-runtime-state",
        "a nullable key is accepted; other local layout",
    ),
    (
        "anonymous-apply-mode-suppresses-dirty-capture",
        "speaks of the reference's own tables; other local layout",
    ),
];

fn tables(config: &Value) -> Vec<SyncTable> {
    let table = |table: &Value| {
        let named = SyncTable::new(table["tableName"].as_str().unwrap());
        let one = table.get("syncKeyColumnName").and_then(Value::as_str);
        let several = table.get("syncKeyColumns").and_then(Value::as_array).into_iter().flatten();
        one.into_iter().chain(several.filter_map(Value::as_str)).fold(named, SyncTable::key)
    };
    config["syncTables"].as_array().unwrap().iter().map(table).collect()
}

#[tokio::test]
async fn configurations_are_accepted_and_refused_as_the_contract_says() {
    let Some(file) = contract("local-schema/config-validation.json") else { return };
    for case in file["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        if let Some((_, reason)) = DIFFERENT.iter().find(|(different, _)| *different == name) {
            println!("{name}: different on purpose: {reason}");
            continue;
        }
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("app.db");
        let database = LocalDatabase::open(&path).await.unwrap();
        for sql in case["schemaSql"].as_array().unwrap() {
            database.execute_script(sql.as_str().unwrap()).await.unwrap();
        }
        drop(database);
        let config = Config::new(&path, "https://sync.test", case["config"]["schema"].as_str().unwrap())
            .unwrap()
            .tables(tables(&case["config"]));
        let opened = Client::open(config).await;
        let words = case["expectedError"]["messageContains"].as_array().cloned().unwrap_or_default();
        match opened {
            Ok(_) => assert!(case["expectedError"].is_null(), "{name}: accepted"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Configuration, "{name}");
                for word in &words {
                    let word = word.as_str().unwrap();
                    assert!(error.to_string().contains(word), "{name}: {error} should mention {word:?}");
                }
                assert!(!words.is_empty(), "{name}: {error}");
            }
        }
    }
}
