//! Rows as they cross: cells in one block of bytes.
//!
//! A call costs far more than a cell, so rows and arguments are packed. Cells follow each other, row by row. A cell is
//! a tag and its value, little-endian: `0` NULL; `1` a signed 64-bit integer; `2` an IEEE 754 binary64; `3` text and `4`
//! a blob, each a 32-bit count of bytes and the bytes (UTF-8 for text).

use crate::cells::Cells;
use crate::error::RowtideError;
use rowtide::{PackedRows, RowValues as CoreValues, SqlValue};

/// Rows of one page of a query.
#[derive(Debug, Clone, uniffi::Record)]
pub struct RowPage {
    /// How many rows.
    pub rows: i64,
    /// Their cells, packed.
    pub cells: Cells,
    /// Whether another page follows.
    pub more: bool,
}

impl From<rowtide::RowPage> for RowPage {
    fn from(page: rowtide::RowPage) -> Self {
        Self { rows: page.rows, cells: Cells(page.packed.into_bytes()), more: page.more }
    }
}

/// A row by column name, as the app's schema spells the names.
#[derive(Debug, Clone, uniffi::Record)]
pub struct RowValues {
    /// Column names.
    pub columns: Vec<String>,
    /// A cell for each, packed.
    pub cells: Cells,
}

impl From<CoreValues> for RowValues {
    fn from(values: CoreValues) -> Self {
        let cells = Cells(PackedRows::pack(values.values()).into_bytes());
        Self { columns: values.into_keys().collect(), cells }
    }
}

impl TryFrom<RowValues> for CoreValues {
    type Error = RowtideError;

    fn try_from(values: RowValues) -> Result<Self, RowtideError> {
        let cells = arguments(values.cells)?;
        if cells.len() != values.columns.len() {
            let reason = format!("a row has {} columns and {} cells", values.columns.len(), cells.len());
            return Err(RowtideError::Configuration { reason });
        }
        Ok(values.columns.into_iter().zip(cells).collect())
    }
}

/// Arguments of one statement.
pub(crate) fn arguments(cells: Cells) -> Result<Vec<SqlValue>, RowtideError> {
    PackedRows::from_bytes(cells.into())
        .into_cells()
        .collect::<Result<_, _>>()
        .map_err(|error| RowtideError::Configuration { reason: error.to_string() })
}

/// Arguments of a statement that runs once for each `width` cells, unpacked as they are needed.
pub(crate) fn batches(
    cells: Cells,
    width: i64,
) -> Result<impl Iterator<Item = Result<Vec<SqlValue>, String>> + Send + 'static, RowtideError> {
    let Some(width) = usize::try_from(width).ok().filter(|width| *width > 0) else {
        let reason = format!("a batch has {width} arguments a statement; it needs at least one");
        return Err(RowtideError::Configuration { reason });
    };
    let mut cells = PackedRows::from_bytes(cells.into()).into_cells();
    Ok(std::iter::from_fn(move || {
        let first = cells.next()?;
        let row: Result<Vec<_>, _> = std::iter::once(first).chain(cells.by_ref().take(width - 1)).collect();
        Some(row.map_err(|error| error.to_string()).and_then(|row| match row.len() == width {
            true => Ok(row),
            false => Err(format!("the last statement of a batch has {} of {width} arguments", row.len())),
        }))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(numbers: std::ops::Range<i64>) -> Cells {
        Cells(PackedRows::pack(&numbers.map(SqlValue::Integer).collect::<Vec<_>>()).into_bytes())
    }

    #[test]
    fn a_batch_is_cut_into_statements_and_one_that_is_short_is_refused() {
        let rows: Vec<_> = batches(packed(0..5), 2).unwrap().collect();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[1], Ok(vec![SqlValue::Integer(2), SqlValue::Integer(3)]));
        assert!(rows[2].as_ref().unwrap_err().contains("1 of 2 arguments"));
        assert!(matches!(batches(packed(0..1), 0), Err(RowtideError::Configuration { .. })));
    }

    #[test]
    fn a_row_with_a_cell_too_few_is_refused() {
        let values = RowValues { columns: vec!["id".into(), "title".into()], cells: packed(0..1) };
        assert!(matches!(CoreValues::try_from(values), Err(RowtideError::Configuration { .. })));
    }
}
