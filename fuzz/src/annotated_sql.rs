//! Annotated SQL: a schema file of the app.

use rowtide::annotated_tables;

/// Any text is read or refused, an error names a line of it, and what stands above moves lines only.
pub fn check(data: &[u8]) {
    let Ok(sql) = std::str::from_utf8(data) else { return };
    let found = annotated_tables(sql);
    let moved = annotated_tables(&format!("\n/* above */\n{sql}"));
    match (found, moved) {
        (Ok(tables), Ok(again)) => {
            assert_eq!(tables, again, "a comment above changes what is found");
            for table in tables {
                assert_eq!(table.key_columns().len(), 1, "a table without a key is refused");
                assert!(sql.contains(table.name()) || doubled(sql), "a name that the text does not have");
            }
        }
        (Err(error), Err(again)) => {
            assert!(
                (1..=sql.matches('\n').count() + 1).contains(&error.line),
                "an error names a line of the text"
            );
            assert_eq!(error.line + 2, again.line);
            assert_eq!(error.reason, again.reason);
        }
        (found, moved) => panic!("a comment above decides: {found:?}, {moved:?}"),
    }
}

/// Whether a quote may have been written twice inside a name, which is one quote of it.
fn doubled(sql: &str) -> bool {
    ["\"\"", "''", "``", "]]"].iter().any(|twice| sql.contains(twice))
}
