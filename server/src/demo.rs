//! The tables of the demonstration: the business schema that other servers of the protocol show as well.

use crate::config::Registration;

/// The tables, with their keys.
pub(crate) fn tables() -> Vec<Registration> {
    let names =
        ["users", "posts", "categories", "teams", "team_members", "files", "file_reviews", "typed_rows"];
    let table = |name: &str| Registration { table: name.into(), key_column: "id".into() };
    names.map(table).into()
}

/// Creates the tables in PostgreSQL where they are missing.
#[cfg(feature = "postgres")]
pub(crate) fn schema(schema: &str) -> String {
    include_str!("demo.sql").replace("business", &format!("\"{schema}\""))
}
