//! Files in the safetensors format.

use crate::convert::append_f32;
use crate::{Dtype, WeightsError, stand_in};
use emorun_files::open_regular;
use safetensors::tensor::{Dtype as Stored, Metadata};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Largest header that is read; the format allows 100 MB. Those of the largest models have a few megabytes.
const MAX_HEADER: u64 = 32 << 20;
/// Most tensors of a file. A speech model has at most some thousands, and an empty tensor costs a file forty bytes and
/// its reader a kilobyte.
const MAX_TENSORS: usize = 50_000;
/// Bytes read at once; a multiple of every element's size.
const PIECE: usize = 1 << 20;

/// An open file; values are read when asked for.
#[derive(Debug)]
pub(crate) struct SafetensorsFile {
    path: PathBuf,
    file: Mutex<File>,
    /// Where the values begin.
    start: u64,
    metadata: Metadata,
}

impl SafetensorsFile {
    /// Reads the header and checks that the file has the length that the header promises.
    pub(crate) fn open(path: &Path) -> Result<Self, WeightsError> {
        let wrong = |reason: String| WeightsError::Damaged {
            path: path.to_owned(),
            reason,
        };
        let mut file = open_regular(path).map_err(WeightsError::io("open", path))?;
        let length = file.metadata().map_err(WeightsError::io("read", path))?.len();
        let mut start = Vec::new();
        file.by_ref()
            .take(stand_in::START as u64)
            .read_to_end(&mut start)
            .and_then(|_| file.rewind())
            .map_err(WeightsError::io("read", path))?;
        stand_in::refuse(path, &start)?;
        let mut size = [0; 8];
        file.read_exact(&mut size).map_err(|_| {
            wrong(format!(
                "it has {length} bytes, fewer than the header of a safetensors file"
            ))
        })?;
        let size = u64::from_le_bytes(size);
        if size > MAX_HEADER || size > length - 8 {
            return Err(wrong(format!(
                "its header is said to have {size} bytes, the file has {length}"
            )));
        }
        let mut header = vec![0; usize::try_from(size).map_err(|error| wrong(error.to_string()))?];
        file.read_exact(&mut header).map_err(WeightsError::io("read", path))?;
        // Each tensor opens a brace of its own; counted before anything is made of them.
        let braces = header.iter().filter(|byte| **byte == b'{').count();
        if braces > MAX_TENSORS + 2 {
            return Err(wrong(format!(
                "its header lists more than the {MAX_TENSORS} tensors that a file may have"
            )));
        }
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|error| wrong(format!("its header does not hold: {error}")))?;
        let start = 8 + size;
        let promised = start.saturating_add(metadata.data_len() as u64);
        if promised != length {
            let what = if promised > length { "cut short" } else { "too long" };
            return Err(wrong(format!("it is {what}: {length} bytes instead of {promised}")));
        }
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(file),
            start,
            metadata,
        })
    }

    /// Names, element types and shapes.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = (String, Dtype, Vec<usize>)> {
        self.metadata
            .tensors()
            .into_iter()
            .map(|(name, info)| (name, dtype(info.dtype), info.shape.clone()))
    }

    /// The values of a tensor that this file has, in row-major order.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let info = self.metadata.info(name).ok_or_else(|| WeightsError::NoTensor {
            path: self.path.clone(),
            name: name.to_owned(),
        })?;
        let dtype = dtype(info.dtype);
        let (from, to) = info.data_offsets;
        let mut rest = to - from;
        let mut values = Vec::with_capacity(dtype.size().map_or(0, |size| rest / size));
        let mut piece = vec![0; rest.min(PIECE)];
        // A panic elsewhere leaves only the cursor behind, which is set anew.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = || WeightsError::io("read", self.path.clone());
        file.seek(SeekFrom::Start(self.start + from as u64)).map_err(failed())?;
        while rest > 0 {
            let bytes = &mut piece[..rest.min(PIECE)];
            file.read_exact(bytes).map_err(failed())?;
            append_f32(dtype, bytes, &mut values);
            rest -= bytes.len();
        }
        Ok(values)
    }
}

fn dtype(stored: Stored) -> Dtype {
    match stored {
        Stored::F16 => Dtype::F16,
        Stored::BF16 => Dtype::Bf16,
        Stored::F32 => Dtype::F32,
        Stored::F64 => Dtype::F64,
        Stored::BOOL => Dtype::Other("bool"),
        Stored::U8 => Dtype::Other("u8"),
        Stored::I8 => Dtype::Other("i8"),
        Stored::U16 => Dtype::Other("u16"),
        Stored::I16 => Dtype::Other("i16"),
        Stored::U32 => Dtype::Other("u32"),
        Stored::I32 => Dtype::Other("i32"),
        Stored::U64 => Dtype::Other("u64"),
        Stored::I64 => Dtype::Other("i64"),
        Stored::C64 => Dtype::Other("c64"),
        _ => Dtype::Other("a float of 8 bits or fewer"),
    }
}
