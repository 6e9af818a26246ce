//! Element types of tensors and their values as f32.

use half::{bf16, f16};
use std::fmt;

/// Element type of a stored tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// 16-bit IEEE floating point.
    F16,
    /// The upper half of an f32.
    Bf16,
    /// 32-bit floating point.
    F32,
    /// 64-bit floating point; becomes the nearest f32.
    F64,
    /// Anything that is not read, by its name in the file.
    Other(&'static str),
}

impl Dtype {
    /// Whether it holds floating-point numbers that are read.
    #[must_use]
    pub const fn is_float(self) -> bool {
        self.size().is_some()
    }

    /// Bytes of one element of the types that are read.
    pub(crate) const fn size(self) -> Option<usize> {
        match self {
            Self::F16 | Self::Bf16 => Some(2),
            Self::F32 => Some(4),
            Self::F64 => Some(8),
            Self::Other(_) => None,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Other(name) => name,
        })
    }
}

/// Appends little-endian elements as f32. An incomplete last element is left out, as are types that are not read.
pub(crate) fn append_f32(dtype: Dtype, bytes: &[u8], out: &mut Vec<f32>) {
    match dtype {
        Dtype::F16 => out.extend(bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32())),
        Dtype::Bf16 => out.extend(bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32())),
        Dtype::F32 => out.extend(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b))),
        // Rounds to nearest; what f32 cannot hold becomes an infinity, which the reader refuses.
        #[allow(clippy::cast_possible_truncation)]
        Dtype::F64 => out.extend(bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32)),
        Dtype::Other(_) => {}
    }
}
