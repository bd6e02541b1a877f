//! Three-way merge by column: what only one side changed stands, what both changed follows the column's rule.

use crate::protocol::value::SqlValue;
use crate::schema::{ColumnRule, ManagedTable};
use crate::storage::apply::Verdict;
use serde_json::Value;
use std::cmp::Ordering;

/// Merges a local row with the server's. Without a base every differing column counts as changed by both. An edit
/// survives a delete of the other side.
pub(super) fn merge(
    table: &ManagedTable,
    base: Option<&[SqlValue]>,
    local: Option<&[SqlValue]>,
    server: Option<&[SqlValue]>,
) -> Verdict {
    let (Some(local), Some(server)) = (local, server) else {
        return if local.is_some() { Verdict::KeepLocal } else { Verdict::AcceptServer };
    };
    let merged: Vec<SqlValue> = table
        .rules
        .iter()
        .enumerate()
        .map(|(index, rule)| column(*rule, base.map(|base| &base[index]), &local[index], &server[index]))
        .collect();
    if merged == server {
        Verdict::AcceptServer
    } else if merged == local {
        Verdict::KeepLocal
    } else {
        Verdict::KeepMerged(merged)
    }
}

fn column(rule: ColumnRule, base: Option<&SqlValue>, local: &SqlValue, server: &SqlValue) -> SqlValue {
    if base == Some(local) {
        return server.clone();
    }
    if base == Some(server) {
        return local.clone();
    }
    // Both changed it alike, which is one change, unless it counts: one more here and one more there are two.
    if local == server && (rule != ColumnRule::SumOfDeltas || base.is_none()) {
        return server.clone();
    }
    let larger = |a: &SqlValue, b: &SqlValue| order(a, b) == Ordering::Greater;
    match rule {
        ColumnRule::Theirs => server.clone(),
        ColumnRule::Mine => local.clone(),
        ColumnRule::Max => if larger(local, server) { local } else { server }.clone(),
        ColumnRule::Min => match (local, server) {
            (SqlValue::Null, other) | (other, SqlValue::Null) => other.clone(),
            _ => if larger(server, local) { local } else { server }.clone(),
        },
        ColumnRule::SumOfDeltas => sum(base, local, server).unwrap_or_else(|| server.clone()),
        ColumnRule::SetUnion => union(base, local, server).unwrap_or_else(|| server.clone()),
    }
}

/// SQLite's order of storage classes: NULL, numbers, text, blobs.
fn order(a: &SqlValue, b: &SqlValue) -> Ordering {
    let class = |value: &SqlValue| match value {
        SqlValue::Null => 0,
        SqlValue::Integer(_) | SqlValue::Real(_) => 1,
        SqlValue::Text(_) => 2,
        SqlValue::Blob(_) => 3,
    };
    match (a, b) {
        (SqlValue::Integer(a), SqlValue::Integer(b)) => a.cmp(b),
        (SqlValue::Text(a), SqlValue::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (SqlValue::Blob(a), SqlValue::Blob(b)) => a.cmp(b),
        _ => match (real(a), real(b)) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => class(a).cmp(&class(b)),
        },
    }
}

#[allow(clippy::cast_precision_loss)] // only where a REAL is involved anyway
fn real(value: &SqlValue) -> Option<f64> {
    match value {
        SqlValue::Integer(number) => Some(*number as f64),
        SqlValue::Real(number) => Some(*number),
        _ => None,
    }
}

/// `server + (local - base)`, exact for integers; `None` where that is no number or does not fit.
fn sum(base: Option<&SqlValue>, local: &SqlValue, server: &SqlValue) -> Option<SqlValue> {
    let zero = SqlValue::Integer(0);
    let number = |value: &SqlValue| if value.is_null() { zero.clone() } else { value.clone() };
    let (base, local, server) = (number(base.unwrap_or(&zero)), number(local), number(server));
    if let (SqlValue::Integer(base), SqlValue::Integer(local), SqlValue::Integer(server)) =
        (&base, &local, &server)
    {
        return local.checked_sub(*base)?.checked_add(*server).map(SqlValue::Integer);
    }
    let total = real(&server)? + (real(&local)? - real(&base)?);
    total.is_finite().then_some(SqlValue::Real(total))
}

/// The server's elements without those removed here, then those added here; `None` where a side is no JSON array.
fn union(base: Option<&SqlValue>, local: &SqlValue, server: &SqlValue) -> Option<SqlValue> {
    let elements = |value: &SqlValue| -> Option<Vec<Value>> {
        match value {
            SqlValue::Null => Some(Vec::new()),
            SqlValue::Text(text) => serde_json::from_str(text).ok(),
            _ => None,
        }
    };
    let (base, local, server) =
        (elements(base.unwrap_or(&SqlValue::Null))?, elements(local)?, elements(server)?);
    let mut merged: Vec<Value> = Vec::new();
    let kept = server.into_iter().filter(|element| !base.contains(element) || local.contains(element));
    let added = local.iter().filter(|element| !base.contains(element)).cloned();
    for element in kept.chain(added) {
        if !merged.contains(&element) {
            merged.push(element);
        }
    }
    serde_json::to_string(&merged).ok().map(SqlValue::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> SqlValue {
        SqlValue::from(json)
    }

    #[test]
    fn a_column_that_one_side_changed_takes_that_change_whatever_its_rule() {
        let (one, two) = (SqlValue::Integer(1), SqlValue::Integer(2));
        for rule in
            [ColumnRule::Theirs, ColumnRule::Mine, ColumnRule::Max, ColumnRule::Min, ColumnRule::SumOfDeltas]
        {
            assert_eq!(column(rule, Some(&one), &one, &two), two);
            assert_eq!(column(rule, Some(&one), &two, &one), two);
        }
    }

    #[test]
    fn deltas_add_up_exactly_and_what_does_not_fit_is_the_servers() {
        let number = SqlValue::Integer;
        let merged = |base, local, server| column(ColumnRule::SumOfDeltas, Some(&base), &local, &server);
        assert_eq!(merged(number(10), number(13), number(8)), number(11));
        assert_eq!(merged(SqlValue::Null, number(2), number(3)), number(5));
        assert_eq!(merged(number(0), number(i64::MAX), number(5)), number(5));
        assert_eq!(merged(number(1), SqlValue::Real(1.5), number(3)), SqlValue::Real(3.5));
        assert_eq!(
            merged(number(3), number(4), number(4)),
            number(5),
            "the same change twice is two changes"
        );
        assert_eq!(column(ColumnRule::SumOfDeltas, None, &number(4), &number(4)), number(4));
        let large = 9_007_199_254_740_993;
        assert_eq!(merged(number(0), number(large), number(1)), number(large + 1));
    }

    #[test]
    fn a_set_has_what_either_side_added_and_lacks_what_either_removed() {
        let base = text(r#"["a","b","c"]"#);
        let merged =
            column(ColumnRule::SetUnion, Some(&base), &text(r#"["a","c","x"]"#), &text(r#"["b","c","y"]"#));
        assert_eq!(merged, text(r#"["c","y","x"]"#));
        assert_eq!(column(ColumnRule::SetUnion, None, &text("[1]"), &text("[2]")), text("[2,1]"));
        assert_eq!(column(ColumnRule::SetUnion, None, &text("no array"), &text("[2]")), text("[2]"));
    }

    #[test]
    fn larger_and_smaller_compare_numbers_as_numbers_and_prefer_values_to_null() {
        let (nine, ten) = (SqlValue::Real(9.5), SqlValue::Integer(10));
        assert_eq!(column(ColumnRule::Max, None, &nine, &ten), ten);
        assert_eq!(column(ColumnRule::Min, None, &nine, &ten), nine);
        assert_eq!(column(ColumnRule::Min, None, &SqlValue::Null, &ten), ten);
        assert_eq!(column(ColumnRule::Max, None, &text("b"), &text("a")), text("b"));
    }
}
