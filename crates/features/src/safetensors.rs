//! The header of `.safetensors` files.

use crate::convert::Dtype;
use crate::file::Tensor;
use safetensors::tensor::{Dtype as Stored, Metadata};
use std::collections::BTreeMap;
use std::io::Read;

/// Largest header that the format allows.
const MAX_HEADER: u64 = 100_000_000;

/// Reads the header of a file of `length` bytes, or says what is wrong with it. The format's crate checks that tensors
/// follow one another without gaps and have the sizes of their shapes.
pub(crate) fn read(mut file: impl Read, length: u64) -> Result<BTreeMap<String, Tensor>, String> {
    let mut size = [0; 8];
    file.read_exact(&mut size)
        .map_err(|_| format!("it has {length} bytes"))?;
    let size = u64::from_le_bytes(size);
    if size > MAX_HEADER || size > length.saturating_sub(8) {
        return Err(format!(
            "its header is said to have {size} bytes, the file has {length}"
        ));
    }
    let mut header = vec![0; usize::try_from(size).map_err(|error| error.to_string())?];
    file.read_exact(&mut header).map_err(|error| error.to_string())?;
    let metadata: Metadata =
        serde_json::from_slice(&header).map_err(|error| format!("its header does not hold: {error}"))?;
    let start = 8 + size;
    let promised = start.saturating_add(metadata.data_len() as u64);
    if promised != length {
        let what = if promised > length { "cut short" } else { "too long" };
        return Err(format!("it is {what}: {length} bytes instead of {promised}"));
    }
    let tensors = metadata.tensors().into_iter().map(|(name, info)| {
        let tensor = Tensor {
            dtype: dtype(info.dtype).ok_or_else(|| info.dtype.to_string()),
            big_endian: false,
            fortran: false,
            shape: info.shape.clone(),
            start: start + info.data_offsets.0 as u64,
        };
        (name, tensor)
    });
    Ok(tensors.collect())
}

fn dtype(stored: Stored) -> Option<Dtype> {
    Some(match stored {
        Stored::BOOL => Dtype::Bool,
        Stored::I8 => Dtype::I8,
        Stored::U8 => Dtype::U8,
        Stored::I16 => Dtype::I16,
        Stored::U16 => Dtype::U16,
        Stored::I32 => Dtype::I32,
        Stored::U32 => Dtype::U32,
        Stored::I64 => Dtype::I64,
        Stored::U64 => Dtype::U64,
        Stored::F16 => Dtype::F16,
        Stored::BF16 => Dtype::Bf16,
        Stored::F32 => Dtype::F32,
        Stored::F64 => Dtype::F64,
        _ => return None,
    })
}
