//! Rows in one block of bytes, as they come from Kotlin and Swift.

use rowtide::{PackedRows, SqlValue};

/// Bytes are read whole or refused, and what was read packs into the same bytes.
pub fn check(data: &[u8]) {
    let cells: Vec<_> = PackedRows::from_bytes(data.to_vec()).into_cells().collect();
    let held: usize = cells.iter().flatten().map(size).sum();
    assert!(held <= data.len(), "cells hold more than was sent");
    match cells.iter().position(Result::is_err) {
        Some(place) => assert_eq!(place + 1, cells.len(), "nothing follows an error"),
        None => {
            let cells: Vec<SqlValue> = cells.into_iter().flatten().collect();
            assert_eq!(PackedRows::pack(&cells).into_bytes(), data, "packing gives other bytes");
        }
    }
}

fn size(cell: &SqlValue) -> usize {
    match cell {
        SqlValue::Null => 0,
        SqlValue::Integer(_) | SqlValue::Real(_) => 8,
        SqlValue::Text(text) => text.len(),
        SqlValue::Blob(bytes) => bytes.len(),
    }
}
