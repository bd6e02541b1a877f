//! Rows of figures, for people and for programs.

use comfy_table::{CellAlignment, Table};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// The same work at its cheapest, in the same run and unit.
    pub(crate) limit: Option<f64>,
    /// A peer's figure, in the same unit.
    pub(crate) peer: Option<f64>,
    /// `value` by `limit`, or by `peer` where there is no limit.
    pub(crate) ratio: Option<f64>,
    /// What `ratio` may be at most, or `value` where there is no ratio.
    pub(crate) goal: Option<f64>,
    /// Whether the goal is reached; true where there is none.
    pub(crate) ok: bool,
}

impl Row {
    /// A figure beside its limit; the goal is the largest ratio.
    pub(crate) fn beside(name: &str, value: f64, unit: &'static str, limit: f64, goal: f64) -> Self {
        let ratio = value / limit;
        Self {
            limit: Some(limit),
            ratio: Some(ratio),
            ok: ratio <= goal,
            ..Self::at_most(name, value, unit, goal)
        }
    }

    /// A figure with a largest value.
    pub(crate) fn at_most(name: &str, value: f64, unit: &'static str, goal: f64) -> Self {
        let (name, goal, ok) = (name.to_owned(), Some(goal), value <= goal);
        Self { name, value, unit, limit: None, peer: None, ratio: None, goal, ok }
    }

    /// A figure that is only stated.
    pub(crate) fn stated(name: &str, value: f64, unit: &'static str) -> Self {
        Self { goal: None, ok: true, ..Self::at_most(name, value, unit, 0.0) }
    }
}

/// A peer's figure for the same work.
#[derive(Debug, Deserialize)]
pub(crate) struct PeerRow {
    name: String,
    value: f64,
    unit: String,
}

/// Reads a peer's rows: `{"rows":[{name,value,unit}]}`, or the list alone.
pub(crate) fn read_peer(path: &Path) -> Result<Vec<PeerRow>, Box<dyn std::error::Error>> {
    let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let rows = json.get("rows").unwrap_or(&json).clone();
    Ok(serde_json::from_value(rows)?)
}

/// Adds a row for each figure that the peer has too; the goal is the largest part of the peer's.
pub(crate) fn beside_peer(rows: &mut Vec<Row>, peer: &[PeerRow], goals: &[(&str, f64)]) {
    let found: Vec<Row> = rows
        .iter()
        .filter_map(|row| {
            let theirs = peer.iter().find(|other| other.name == row.name && other.unit == row.unit)?;
            let goal = goals.iter().find(|(name, _)| *name == row.name).map(|(_, goal)| *goal);
            let ratio = row.value / theirs.value;
            Some(Row {
                name: format!("{}, beside the peer", row.name),
                limit: None,
                peer: Some(theirs.value),
                ratio: Some(ratio),
                goal,
                ok: goal.is_none_or(|goal| ratio <= goal),
                ..row.clone()
            })
        })
        .collect();
    rows.extend(found);
}

/// The table for people.
pub(crate) fn print(rows: &[Row]) {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(["work", "value", "unit", "limit", "peer", "ratio", "goal", "ok"]);
    let number = |value: Option<f64>| value.map(shown).unwrap_or_default();
    for row in rows {
        table.add_row([
            row.name.clone(),
            shown(row.value),
            row.unit.to_owned(),
            number(row.limit),
            number(row.peer),
            number(row.ratio),
            number(row.goal),
            if row.ok { "yes" } else { "NO" }.to_owned(),
        ]);
    }
    for column in table.column_iter_mut().skip(1).filter(|column| column.index != 2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
}

fn shown(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        large if large >= 1000.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}
