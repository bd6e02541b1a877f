//! Blocks of bytes that cross in one piece. UniFFI moves a `Vec<u8>` byte by byte, which costs more than reading the
//! rows does (docs/adr/0008).

use uniffi::deps::anyhow::{Result, bail};
use uniffi::{FfiConverter, MetadataBuffer, RustBuffer, TypeId};

/// Packed cells. On the other side they are plain bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cells(pub(crate) Vec<u8>);

impl From<Vec<u8>> for Cells {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<Cells> for Vec<u8> {
    fn from(cells: Cells) -> Self {
        cells.0
    }
}

// SAFETY: what crosses is what UniFFI lays down for bytes, in the same kind of buffer: their number in 32 bits,
// big-endian, and the bytes.
unsafe impl FfiConverter<crate::UniFfiTag> for Cells {
    type FfiType = RustBuffer;

    const TYPE_ID_META: MetadataBuffer = <Vec<u8> as TypeId<crate::UniFfiTag>>::TYPE_ID_META;

    fn lower(cells: Self) -> RustBuffer {
        let mut buffer = Vec::with_capacity(4 + cells.0.len());
        Self::write(cells, &mut buffer);
        RustBuffer::from_vec(buffer)
    }

    fn try_lift(buffer: RustBuffer) -> Result<Self> {
        let bytes = buffer.destroy_into_vec();
        let mut rest = bytes.as_slice();
        let cells = Self::try_read(&mut rest)?;
        if !rest.is_empty() {
            bail!("{} bytes follow the cells", rest.len());
        }
        Ok(cells)
    }

    fn write(cells: Self, buffer: &mut Vec<u8>) {
        let count = i32::try_from(cells.0.len()).expect("a page is far smaller than 2 GiB");
        buffer.extend_from_slice(&count.to_be_bytes());
        buffer.extend_from_slice(&cells.0);
    }

    fn try_read(buffer: &mut &[u8]) -> Result<Self> {
        let Some((count, rest)) = buffer.split_first_chunk() else { bail!("the cells have no count") };
        match usize::try_from(i32::from_be_bytes(*count)) {
            Ok(count) if count <= rest.len() => {
                let (cells, rest) = rest.split_at(count);
                *buffer = rest;
                Ok(Self(cells.to_vec()))
            }
            _ => bail!("the cells break off"),
        }
    }
}

uniffi::derive_ffi_traits!(local Cells);

#[cfg(test)]
mod tests {
    use super::*;
    use uniffi::{Lift, Lower};

    #[test]
    fn cells_cross_as_bytes_do() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut as_bytes = Vec::new();
        <Vec<u8> as Lower<crate::UniFfiTag>>::write(bytes.clone(), &mut as_bytes);
        let mut as_cells = Vec::new();
        <Cells as Lower<crate::UniFfiTag>>::write(Cells(bytes.clone()), &mut as_cells);
        assert_eq!(as_cells, as_bytes);
        let mut rest = as_bytes.as_slice();
        assert_eq!(<Cells as Lift<crate::UniFfiTag>>::try_read(&mut rest).unwrap(), Cells(bytes));
        assert!(rest.is_empty());
    }

    #[test]
    fn cells_that_break_off_are_refused() {
        for broken in [&[0, 0][..], &[0, 0, 0, 2, 1], &[255, 255, 255, 255, 1]] {
            assert!(<Cells as Lift<crate::UniFfiTag>>::try_read(&mut &*broken).is_err());
        }
    }
}
