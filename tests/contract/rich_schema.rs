//! `rich-schema` and `local-schema/business-rich-v0`: a schema with cycles, BLOB keys and every kind of number.

use crate::ledger::Findings;
use crate::playbook::Playbook;
use crate::replica::{Replica, USER, ending};
use rowtide::SqlValue;
use rowtide_tests::{contract, contract_text};
use serde_json::{Value, json};

const SCHEMA: &str = "business";

/// A database with the published schema and configuration.
async fn replica() -> (Replica<Playbook>, Playbook) {
    let config = contract("local-schema/business-rich-v0/config.json").unwrap();
    assert_eq!(config["schema"], SCHEMA);
    let listed = config["syncTables"].as_array().unwrap();
    let tables: Vec<_> = listed.iter().map(|table| table["tableName"].as_str().unwrap()).collect();
    let create = contract_text("local-schema/business-rich-v0/schema.sql").unwrap();
    let server = Playbook::new(&json!({ "kind": "echo_committed_rows" }), SCHEMA, &tables);
    (Replica::new(SCHEMA, &create, &tables, server.clone()).await, server)
}

pub(crate) async fn configured(name: &str, case: &Value) -> Findings {
    let mut findings = Findings::default();
    let (replica, _) = replica().await;
    let managed = "SELECT t.schema_name, r.key_column FROM _sync_managed_tables AS t
                   JOIN _rowtide_tables AS r USING (table_name)";
    let found = replica.rows(&format!("{managed} WHERE table_name = '{name}'")).await;
    let expected = json!([{ "schema_name": SCHEMA, "key_column": case["syncKeyColumnName"] }]);
    findings.check("managed", &expected, &json!(found));
    findings
}

pub(crate) async fn described(name: &str, case: &Value) -> Findings {
    let mut findings = Findings::default();
    let (replica, _) = replica().await;
    let columns = format!(
        "SELECT name, lower(type) AS logicalType, \"notnull\" = 0 AS nullable FROM pragma_table_info('{name}')"
    );
    findings.check("columns", &case["columns"], &json!(replica.rows(&columns).await));
    let references = format!(
        "SELECT \"from\", \"table\" AS toTable, \"to\" AS toColumn, on_delete AS onDelete
         FROM pragma_foreign_key_list('{name}')"
    );
    findings.check("foreignKeys", &case["foreignKeys"], &json!(replica.rows(&references).await));
    let key = format!("SELECT name FROM pragma_table_info('{name}') WHERE pk > 0");
    let key = replica.value(&key).await;
    findings.check("primaryKey", &case["primaryKey"], &json!([key]));
    findings.check("syncKeyColumnName", &case["syncKeyColumnName"], &key);
    findings
}

/// A row of `typed_rows` with the local values is pushed; the server commits its own spelling of them.
pub(crate) async fn number(_: &str, case: &Value) -> Findings {
    let mut findings = Findings::default();
    let (replica, server) = replica().await;
    replica.client().attach(USER).await.unwrap();
    let described = contract("rich-schema/business-rich-v0.json").unwrap();
    let tables = described["tables"].as_array().unwrap();
    let columns = tables.iter().find(|table| table["name"] == "typed_rows").unwrap()["columns"].clone();
    let kind = |name: &str| {
        let column = columns.as_array().unwrap().iter().find(|column| column["name"] == name).unwrap();
        column["logicalType"].as_str().unwrap().to_owned()
    };
    let value = |name: &str, text: &str| match kind(name).as_str() {
        "integer" => SqlValue::Integer(text.parse().unwrap()),
        "real" => SqlValue::Real(text.parse().unwrap()),
        _ => SqlValue::from(text),
    };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let local = case["local"].as_object().unwrap();
    replica.execute("INSERT INTO typed_rows (id, name, enabled_flag) VALUES ('t', 'n', 0)").await;
    for (column, spelled) in local {
        let sql = format!("UPDATE typed_rows SET {column} = ?1");
        replica.client().execute(&sql, vec![value(column, &text(spelled))]).await.unwrap();
    }
    // Booleans come down as such.
    let committed = |spelled: &Value| match spelled.as_str().unwrap() {
        "true" => json!(true),
        "false" => json!(false),
        other => json!(other),
    };
    let members = case["committed"].as_object().unwrap();
    let changes = members.iter().map(|(column, spelled)| (column.clone(), committed(spelled)));
    server.with(|play| play.changes = Some(Value::Object(changes.collect())));
    ending("", "none", None, &replica.client().push().await, &mut findings);

    let uploaded = server.with(|play| play.uploaded[0]["payload"].clone());
    for (column, spelled) in local {
        match kind(column).as_str() {
            "real" => {
                let sent: f64 = text(&uploaded[column]).parse().unwrap();
                findings.check(
                    format!("uploaded {column}"),
                    &json!(text(spelled).parse::<f64>().unwrap() + 0.0),
                    &json!(sent),
                );
            }
            _ => findings.check(format!("uploaded {column}"), spelled, &uploaded[column]),
        }
    }
    let found = replica.rows("SELECT * FROM typed_rows").await;
    for (column, spelled) in members {
        let expected = match committed(spelled) {
            Value::Bool(truth) => json!(truth),
            _ => crate::replica::cell(&value(column, &text(spelled))),
        };
        findings.check(column, &expected, &found[0][column]);
    }
    replica.state("", &json!({ "dirtyRowCount": 0, "outboxState": "none" }), &[], &mut findings).await;
    findings
}
