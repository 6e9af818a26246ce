//! Stored elements as f32 and back.

use crate::{ArrayError, Precision};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use std::fmt;

/// Element type of a stored array; little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dtype {
    Bool,
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F16,
    Bf16,
    F32,
    F64,
}

impl Dtype {
    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            Self::Bool | Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 | Self::F16 | Self::Bf16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", format!("{self:?}").to_lowercase())
    }
}

impl Precision {
    /// The element type that it is stored as.
    pub(crate) const fn dtype(self) -> Dtype {
        match self {
            Self::F16 => Dtype::F16,
            Self::F32 => Dtype::F32,
        }
    }
}

/// Values converted at once on their way through f16.
const PIECE: usize = 1024;

/// Appends stored elements as f32; what f32 cannot hold exactly becomes the nearest value. An incomplete last element is
/// left out.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
pub(crate) fn append_values(dtype: Dtype, bytes: &[u8], out: &mut Vec<f32>) {
    macro_rules! append {
        ($from:expr) => {
            out.extend(bytes.as_chunks().0.iter().map(|bytes| $from(*bytes)))
        };
    }
    match dtype {
        Dtype::Bool => append!(|b: [u8; 1]| f32::from(u8::from(b != [0]))),
        Dtype::I8 => append!(|b| f32::from(i8::from_le_bytes(b))),
        Dtype::U8 => append!(|b| f32::from(u8::from_le_bytes(b))),
        Dtype::I16 => append!(|b| f32::from(i16::from_le_bytes(b))),
        Dtype::U16 => append!(|b| f32::from(u16::from_le_bytes(b))),
        Dtype::I32 => append!(|b| i32::from_le_bytes(b) as f32),
        Dtype::U32 => append!(|b| u32::from_le_bytes(b) as f32),
        Dtype::I64 => append!(|b| i64::from_le_bytes(b) as f32),
        Dtype::U64 => append!(|b| u64::from_le_bytes(b) as f32),
        Dtype::Bf16 => append!(|b| bf16::from_le_bytes(b).to_f32()),
        Dtype::F32 => append!(f32::from_le_bytes),
        Dtype::F64 => append!(|b| f64::from_le_bytes(b) as f32),
        Dtype::F16 => {
            let mut halves = [f16::ZERO; PIECE];
            for piece in bytes.as_chunks().0.chunks(PIECE) {
                for (half, bytes) in halves.iter_mut().zip(piece) {
                    *half = f16::from_le_bytes(*bytes);
                }
                let start = out.len();
                out.resize(start + piece.len(), 0.0);
                halves[..piece.len()].convert_to_f32_slice(&mut out[start..]);
            }
        }
    }
}

/// Values as they are stored at a precision, little-endian.
pub(crate) fn to_bytes(values: &[f32], precision: Precision) -> Result<Vec<u8>, ArrayError> {
    let mut bytes = Vec::with_capacity(values.len().saturating_mul(precision.size()));
    append_bytes(values, precision, &mut bytes)?;
    Ok(bytes)
}

/// Appends values as they are stored at a precision, little-endian.
pub(crate) fn append_bytes(values: &[f32], precision: Precision, out: &mut Vec<u8>) -> Result<(), ArrayError> {
    if precision == Precision::F32 {
        out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        return Ok(());
    }
    let mut halves = [f16::ZERO; PIECE];
    for (piece, number) in values.chunks(PIECE).zip(0_usize..) {
        let halves = &mut halves[..piece.len()];
        halves.convert_from_f32_slice(piece);
        if let Some(at) = (0..piece.len()).find(|at| piece[*at].is_finite() && !halves[*at].is_finite()) {
            return Err(ArrayError::Beyond {
                index: number * PIECE + at,
                value: piece[at],
            });
        }
        out.extend(halves.iter().flat_map(|half| half.to_le_bytes()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_type_gives_its_numbers() {
        let cases: [(Dtype, Vec<u8>, [f32; 2]); 13] = [
            (Dtype::Bool, vec![1, 0], [1.0, 0.0]),
            (Dtype::I8, vec![0xff, 5], [-1.0, 5.0]),
            (Dtype::U8, vec![0xff, 5], [255.0, 5.0]),
            (
                Dtype::I16,
                [(-300_i16).to_le_bytes(), 7_i16.to_le_bytes()].concat(),
                [-300.0, 7.0],
            ),
            (
                Dtype::U16,
                [65000_u16.to_le_bytes(), 7_u16.to_le_bytes()].concat(),
                [65000.0, 7.0],
            ),
            (
                Dtype::I32,
                [(-70000_i32).to_le_bytes(), 7_i32.to_le_bytes()].concat(),
                [-70000.0, 7.0],
            ),
            (
                Dtype::U32,
                [70000_u32.to_le_bytes(), 7_u32.to_le_bytes()].concat(),
                [70000.0, 7.0],
            ),
            (
                Dtype::I64,
                [(-70000_i64).to_le_bytes(), 7_i64.to_le_bytes()].concat(),
                [-70000.0, 7.0],
            ),
            (
                Dtype::U64,
                [70000_u64.to_le_bytes(), 7_u64.to_le_bytes()].concat(),
                [70000.0, 7.0],
            ),
            (
                Dtype::F16,
                [f16::from_f32(0.5).to_le_bytes(), f16::from_f32(-2.0).to_le_bytes()].concat(),
                [0.5, -2.0],
            ),
            (
                Dtype::Bf16,
                [bf16::from_f32(0.5).to_le_bytes(), bf16::from_f32(-2.0).to_le_bytes()].concat(),
                [0.5, -2.0],
            ),
            (
                Dtype::F32,
                [0.1_f32.to_le_bytes(), (-2.0_f32).to_le_bytes()].concat(),
                [0.1, -2.0],
            ),
            (
                Dtype::F64,
                [0.1_f64.to_le_bytes(), (-2.0_f64).to_le_bytes()].concat(),
                [0.1, -2.0],
            ),
        ];
        for (dtype, mut bytes, expected) in cases {
            assert_eq!(bytes.len(), 2 * dtype.size(), "{dtype}");
            if dtype.size() > 1 {
                bytes.push(0);
            }
            let mut values = vec![9.0];
            append_values(dtype, &bytes, &mut values);
            assert_eq!(values, [9.0, expected[0], expected[1]], "{dtype}");
        }
    }

    #[test]
    fn half_precision_reads_and_writes_more_than_one_piece() {
        let values: Vec<f32> = (0..3000_u16).map(|i| f32::from(i) / 2.0).collect();
        let mut read = Vec::new();
        append_values(Dtype::F16, &to_bytes(&values, Precision::F16).unwrap(), &mut read);
        assert_eq!(values[..2048], read[..2048]);
        assert_eq!(read.len(), 3000);
        let mut late = values;
        late[2500] = 1e5;
        let error = to_bytes(&late, Precision::F16).unwrap_err();
        assert!(matches!(error, ArrayError::Beyond { index: 2500, .. }));
    }
}
