//! `rowtide refused`: the inbox.

use super::database::{from_json, to_json};
use crate::Device;
use crate::config;
use crate::failure::{EXIT_NOT_NOW, Failure};
use clap::Args;
use rowtide::{Client, RefusedRow, RowValues, SqlValue};
use serde_json::{Map, Value, json};

/// What to do with the rows of the inbox; without anything, they are listed.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Make them pending again.
    #[arg(long, conflicts_with = "discard")]
    retry: bool,
    /// Drop them for good.
    #[arg(long)]
    discard: bool,
    /// The table of the one row that --retry or --discard is for.
    #[arg(long, requires = "key")]
    table: Option<String>,
    /// The key of that row, as the list shows it.
    #[arg(long, requires = "table", allow_hyphen_values = true)]
    key: Option<String>,
    /// With --retry of one row: a column's new value, as JSON (a number, null, a string in quotes) or as plain text.
    #[arg(long = "set", value_name = "COLUMN=VALUE", value_parser = parse_change, requires_all = ["retry", "table"])]
    changes: Vec<(String, Value)>,
    /// Show what the rows of the list hold.
    #[arg(long, conflicts_with_all = ["retry", "discard"])]
    content: bool,
}

fn parse_change(text: &str) -> Result<(String, Value), String> {
    let (column, value) = text.split_once('=').ok_or("expected COLUMN=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    Ok((column.to_owned(), value))
}

/// `rowtide refused`.
pub(crate) async fn run(device: &Device, options: Options, json: bool) -> Result<u8, Failure> {
    let row = options.table.clone().zip(options.key.clone());
    if row.is_some() && !options.retry && !options.discard {
        return Err(Failure::configuration("--table and --key name the row of --retry or --discard"));
    }
    let client = config::open(device, json).await?;
    if !options.retry && !options.discard {
        for row in client.refused_rows().await? {
            show(&row, options.content, json);
        }
        return Ok(0);
    }
    let done = match (&row, options.retry) {
        (None, true) => client.retry_refused().await?,
        (None, false) => client.discard_refused().await?,
        (Some((table, key)), true) => {
            let changes = values(&client, table, options.changes).await?;
            i64::from(client.retry_refused_row(table, key, changes).await?)
        }
        (Some((table, key)), false) => i64::from(client.discard_refused_row(table, key).await?),
    };
    let (name, words) =
        if options.retry { ("retried_rows", "are pending again") } else { ("discarded_rows", "discarded") };
    if json {
        println!("{}", json!({ name: done }));
    } else {
        println!("{done} rows {words}");
    }
    // A row that was named and is not there is no success.
    Ok(if row.is_some() && done == 0 { EXIT_NOT_NOW } else { 0 })
}

/// The changes as values of their columns.
async fn values(client: &Client, table: &str, changes: Vec<(String, Value)>) -> Result<RowValues, Failure> {
    let sql = "SELECT type FROM pragma_table_info(?1) WHERE lower(name) = lower(?2)";
    let mut values = RowValues::new();
    for (column, value) in changes {
        let names = vec![SqlValue::from(table), SqlValue::from(column.as_str())];
        let found = client.query(sql, names).await?;
        // The core names the column that is not there.
        let declared = match found.rows.first().and_then(|row| row.first()) {
            Some(SqlValue::Text(declared)) => declared.clone(),
            _ => String::new(),
        };
        let value = from_json(value, &column, &declared).map_err(Failure::configuration)?;
        values.insert(column, value);
    }
    Ok(values)
}

fn show(row: &RefusedRow, content: bool, json: bool) {
    let values = row.content.as_ref().map(|values| {
        Value::Object(
            values.iter().map(|(name, value)| (name.clone(), to_json(value))).collect::<Map<_, _>>(),
        )
    });
    if json {
        let mut object = json!({
            "table": row.table,
            "key": row.key,
            "reason": row.reason.as_str(),
            "message": row.message,
            "in_table": row.in_table,
            "refused_at_ms": row.refused_at_ms,
        });
        if content {
            object["content"] = values.unwrap_or(Value::Null);
        }
        println!("{object}");
        return;
    }
    println!("{} {}: {} ({})", row.table, row.key, row.reason.as_str(), row.message);
    if content {
        println!("  {}", values.map_or("deleted".into(), |values| values.to_string()));
    }
}
