//! Parents before children. A cycle keeps the configured order: its constraints are deferred anyway.

use super::table::ManagedTable;

/// Sorts tables so that each comes after the tables that it refers to, cycles and self references aside.
pub(super) fn parents_first(mut tables: Vec<ManagedTable>) -> Vec<ManagedTable> {
    let mut ordered: Vec<ManagedTable> = Vec::with_capacity(tables.len());
    while !tables.is_empty() {
        let waits_for_another = |table: &ManagedTable| {
            let parents = table.references.iter().map(|reference| &reference.table);
            parents
                .filter(|parent| **parent != table.name)
                .any(|parent| tables.iter().any(|t| t.name == *parent))
        };
        let next = tables.iter().position(|table| !waits_for_another(table)).unwrap_or(0);
        ordered.push(tables.remove(next));
    }
    ordered
}
