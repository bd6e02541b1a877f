//! SQL on the database, without the server: `exec`, `query`, `import`.

use crate::Device;
use crate::failure::{EXIT_OTHER, Failure};
use base64::{Engine, engine::general_purpose::STANDARD};
use rowtide::{LocalDatabase, SqlValue};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

async fn open(device: &Device) -> Result<LocalDatabase, Failure> {
    let path =
        device.db.as_ref().ok_or_else(|| Failure::configuration("name the database with --db FILE"))?;
    Ok(LocalDatabase::open(path).await?)
}

/// `rowtide exec SQL`.
pub(crate) async fn exec(device: &Device, sql: &str, json: bool) -> Result<u8, Failure> {
    let changed = open(device).await?.execute_script(sql).await?;
    report_changed(changed, json);
    Ok(0)
}

fn report_changed(changed: i64, json: bool) {
    if json {
        println!("{}", serde_json::json!({ "changed_rows": changed }));
    } else {
        println!("{changed} rows changed");
    }
}

/// `rowtide uninstall`.
pub(crate) async fn uninstall(device: &Device, json: bool) -> Result<u8, Failure> {
    let uninstalled = open(device).await?.uninstall_sync().await?;
    match (json, uninstalled) {
        (true, _) => println!("{}", serde_json::json!({ "uninstalled": uninstalled })),
        (false, true) => println!("uninstalled"),
        (false, false) => println!("nothing to uninstall"),
    }
    Ok(0)
}

/// `rowtide query SQL`.
pub(crate) async fn query(device: &Device, sql: &str) -> Result<u8, Failure> {
    let found = open(device).await?.query(sql, Vec::new()).await?;
    let mut out = std::io::stdout().lock();
    for row in &found.rows {
        let object: Map<String, Value> = found.columns.iter().cloned().zip(row.iter().map(to_json)).collect();
        let written = writeln!(out, "{}", Value::Object(object));
        written.map_err(|error| Failure::new("output", error.to_string(), EXIT_OTHER))?;
    }
    Ok(0)
}

/// Blobs as UUID where they have its size, as base64 otherwise.
pub(crate) fn to_json(value: &SqlValue) -> Value {
    match value {
        SqlValue::Null => Value::Null,
        SqlValue::Integer(number) => Value::from(*number),
        SqlValue::Real(number) => Value::from(*number),
        SqlValue::Text(text) => Value::from(text.as_str()),
        SqlValue::Blob(bytes) => match uuid::Uuid::from_slice(bytes) {
            Ok(uuid) => Value::from(uuid.to_string()),
            Err(_) => Value::from(STANDARD.encode(bytes)),
        },
    }
}

/// `rowtide import TABLE FILE`.
pub(crate) async fn import(device: &Device, table: &str, file: &Path, json: bool) -> Result<u8, Failure> {
    let database = open(device).await?;
    let columns = columns(&database, table).await?;
    let named =
        |error: &dyn std::fmt::Display| Failure::configuration(format!("{}: {error}", file.display()));
    let lines = BufReader::new(File::open(file).map_err(|error| named(&error))?).lines();
    let quoted: Vec<_> = columns.iter().map(|(name, _)| quote(name)).collect();
    // A column that a line leaves out takes its default, so each line decides by itself which ones it sets.
    let places: Vec<_> = (1..=columns.len()).map(|place| format!("?{place}")).collect();
    let sql = format!("INSERT INTO {} ({}) VALUES ({})", quote(table), quoted.join(", "), places.join(", "));
    let path = file.display().to_string();
    let rows = lines.enumerate().filter_map(move |(index, line)| {
        let place = |reason: &str| format!("{path}, line {}: {reason}", index + 1);
        let line = match line {
            Ok(line) if line.trim().is_empty() => return None,
            Ok(line) => line,
            Err(error) => return Some(Err(place(&error.to_string()))),
        };
        Some(parse_row(&line, &columns).map_err(|reason| place(&reason)))
    });
    let changed = database.execute_rows(&sql, rows).await?;
    report_changed(changed, json);
    Ok(0)
}

/// Names and declared types.
async fn columns(database: &LocalDatabase, table: &str) -> Result<Vec<(String, String)>, Failure> {
    let sql = "SELECT name, type FROM pragma_table_info(?1) ORDER BY cid";
    let found = database.query(sql, vec![SqlValue::from(table)]).await?;
    let text = |value: &SqlValue| match value {
        SqlValue::Text(text) => text.clone(),
        _ => String::new(),
    };
    if found.rows.is_empty() {
        return Err(Failure::configuration(format!(
            "table {table} does not exist; create it with exec first"
        )));
    }
    Ok(found.rows.iter().map(|row| (text(&row[0]), text(&row[1]))).collect())
}

fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

fn parse_row(line: &str, columns: &[(String, String)]) -> Result<Vec<SqlValue>, String> {
    let mut object: Map<String, Value> =
        serde_json::from_str(line).map_err(|_| "not a JSON object".to_owned())?;
    let row = columns
        .iter()
        .map(|(name, declared)| from_json(object.remove(name).unwrap_or(Value::Null), name, declared))
        .collect::<Result<Vec<_>, _>>()?;
    match object.keys().next() {
        Some(name) => Err(format!("the table has no column {name}")),
        None => Ok(row),
    }
}

/// A value as `import` and `--set` read it: blobs as UUID or base64.
pub(crate) fn from_json(value: Value, name: &str, declared: &str) -> Result<SqlValue, String> {
    Ok(match value {
        Value::Null => SqlValue::Null,
        Value::Bool(flag) => SqlValue::from(flag),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => SqlValue::Integer(integer),
            None => SqlValue::Real(number.as_f64().ok_or_else(|| format!("column {name} is out of range"))?),
        },
        Value::String(text) if declared.to_ascii_uppercase().contains("BLOB") => {
            match uuid::Uuid::try_parse(&text) {
                Ok(uuid) => SqlValue::Blob(uuid.as_bytes().to_vec()),
                Err(_) => {
                    let bytes = STANDARD.decode(&text);
                    SqlValue::Blob(bytes.map_err(|_| format!("column {name} is neither UUID nor base64"))?)
                }
            }
        }
        Value::String(text) => SqlValue::Text(text),
        nested => SqlValue::Text(nested.to_string()),
    })
}
