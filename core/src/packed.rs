//! Rows in one block of bytes: what crosses to Kotlin and Swift a page at a time, where a call costs more than a row.
//!
//! Cells follow each other, row by row. A cell is a tag and its value, little-endian: `0` NULL; `1` a signed 64-bit
//! integer; `2` an IEEE 754 binary64; `3` text and `4` a blob, each a 32-bit count of bytes and the bytes (UTF-8 for
//! text). The number of columns is known beside it.

use crate::protocol::value::SqlValue;

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;

/// Rows in one block of bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackedRows {
    bytes: Vec<u8>,
}

/// Bytes that are no packed rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the packed row breaks off or has an unknown tag at byte {0}")]
pub struct PackedError(usize);

/// A value to pack, borrowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl<'a> From<&'a SqlValue> for Cell<'a> {
    fn from(value: &'a SqlValue) -> Self {
        match value {
            SqlValue::Null => Self::Null,
            SqlValue::Integer(number) => Self::Integer(*number),
            SqlValue::Real(number) => Self::Real(*number),
            SqlValue::Text(text) => Self::Text(text),
            SqlValue::Blob(bytes) => Self::Blob(bytes),
        }
    }
}

impl PackedRows {
    /// Packs the cells of rows, row by row.
    pub fn pack<'a>(cells: impl IntoIterator<Item = &'a SqlValue>) -> Self {
        let mut packed = Self::default();
        for cell in cells {
            packed.push(cell.into());
        }
        packed
    }

    /// Bytes that were packed elsewhere.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no cell.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Reads the cells one after another.
    ///
    /// # Errors
    /// An item is an error where the bytes break off; it is the last one.
    pub fn into_cells(self) -> impl Iterator<Item = Result<SqlValue, PackedError>> + Send + 'static {
        let mut at = 0;
        std::iter::from_fn(move || {
            if at >= self.bytes.len() {
                return None;
            }
            let read = read(&self.bytes, at);
            at = read.as_ref().map_or(self.bytes.len(), |(_, next)| *next);
            Some(read.map(|(cell, _)| cell))
        })
    }

    pub(crate) fn push(&mut self, cell: Cell<'_>) {
        let bytes = &mut self.bytes;
        match cell {
            Cell::Null => bytes.push(NULL),
            Cell::Integer(number) => {
                bytes.push(INTEGER);
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            Cell::Real(number) => {
                bytes.push(REAL);
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            Cell::Text(text) => sized(bytes, TEXT, text.as_bytes()),
            Cell::Blob(blob) => sized(bytes, BLOB, blob),
        }
    }
}

fn sized(bytes: &mut Vec<u8>, tag: u8, content: &[u8]) {
    bytes.push(tag);
    let size = u32::try_from(content.len()).expect("SQLite holds at most 2 GiB in a cell");
    bytes.extend_from_slice(&size.to_le_bytes());
    bytes.extend_from_slice(content);
}

fn read(bytes: &[u8], at: usize) -> Result<(SqlValue, usize), PackedError> {
    let broken = PackedError(at);
    let after = at + 1;
    let eight = || bytes.get(after..after + 8).and_then(|eight| eight.try_into().ok()).ok_or(broken);
    let content = || {
        let size: [u8; 4] =
            bytes.get(after..after + 4).and_then(|four| four.try_into().ok()).ok_or(broken)?;
        let start = after + 4;
        let end = start.checked_add(u32::from_le_bytes(size) as usize).ok_or(broken)?;
        Ok((bytes.get(start..end).ok_or(broken)?, end))
    };
    Ok(match bytes[at] {
        NULL => (SqlValue::Null, after),
        INTEGER => (SqlValue::Integer(i64::from_le_bytes(eight()?)), after + 8),
        REAL => (SqlValue::Real(f64::from_le_bytes(eight()?)), after + 8),
        TEXT => {
            let (text, end) = content()?;
            (SqlValue::Text(std::str::from_utf8(text).map_err(|_| broken)?.to_owned()), end)
        }
        BLOB => {
            let (blob, end) = content()?;
            (SqlValue::Blob(blob.to_vec()), end)
        }
        _ => return Err(broken),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = SqlValue> {
        prop_oneof![
            Just(SqlValue::Null),
            any::<i64>().prop_map(SqlValue::Integer),
            any::<i32>().prop_map(|number| SqlValue::Real(f64::from(number) / 3.0)),
            ".*".prop_map(SqlValue::Text),
            proptest::collection::vec(any::<u8>(), 0..20).prop_map(SqlValue::Blob),
        ]
    }

    proptest! {
        #[test]
        fn cells_come_back_as_they_were_packed(cells in proptest::collection::vec(value(), 0..20)) {
            let packed = PackedRows::pack(&cells);
            let read: Result<Vec<_>, _> = PackedRows::from_bytes(packed.into_bytes()).into_cells().collect();
            prop_assert_eq!(read, Ok(cells));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = PackedRows::from_bytes(bytes).into_cells().count();
        }
    }

    #[test]
    fn cells_that_break_off_are_refused_and_nothing_follows() {
        let mut bytes = PackedRows::pack(&[SqlValue::from("text")]).into_bytes();
        bytes.pop();
        let cells: Vec<_> = PackedRows::from_bytes(bytes).into_cells().collect();
        assert_eq!(cells, [Err(PackedError(0))]);
    }
}
