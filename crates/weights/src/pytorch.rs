//! Files that `torch.save` wrote.

use crate::convert::append_f32;
use crate::{Dtype, WeightsError, pickle};
use pytorch_reader::{DType as Stored, PickleValue, PytorchReader, Tensor};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Keys under which training scripts put the weights beside other things.
const WRAPPERS: [&str; 3] = ["state_dict", "model_state_dict", "model"];

/// An open file; values are read when asked for.
#[derive(Debug)]
pub(crate) struct PytorchFile {
    path: PathBuf,
    tensors: HashMap<String, Tensor>,
}

impl PytorchFile {
    /// Checks which globals the file's pickles name, then reads them as data.
    pub(crate) fn open(path: &Path) -> Result<Self, WeightsError> {
        let wrong = |reason: String| WeightsError::Damaged {
            path: path.to_owned(),
            reason,
        };
        pickle::check(path)?;
        let length = path.metadata().map_err(WeightsError::io("read", path))?.len();
        let root = PytorchReader::read_pickle_data(path, None).map_err(|error| wrong(error.to_string()))?;
        let PickleValue::Dict(root) = root else {
            return Err(wrong("it does not hold tensors by name".to_owned()));
        };
        let wrapper = WRAPPERS
            .into_iter()
            .find(|key| root.get(*key).is_some_and(holds_tensors));
        let reader = match wrapper {
            Some(key) => PytorchReader::with_top_level_key(path, key),
            None => PytorchReader::new(path),
        };
        let tensors = reader.map_err(|error| wrong(error.to_string()))?.into_tensors();
        if tensors.is_empty() {
            return Err(wrong("it holds no tensor".to_owned()));
        }
        // Only a view that repeats elements (stride 0) is larger than its file. No weight is one, and a file of a few
        // bytes could claim one of any size.
        if let Some((name, tensor)) = tensors.iter().find(|(_, tensor)| tensor.byte_len() as u64 > length) {
            return Err(wrong(format!(
                "its tensor `{name}` of shape {:?} would be larger than the file",
                tensor.shape()
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            tensors,
        })
    }

    /// Names, element types and shapes.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = (String, Dtype, Vec<usize>)> {
        self.tensors
            .iter()
            .map(|(name, tensor)| (name.clone(), dtype(tensor.dtype()), tensor.shape().to_vec()))
    }

    /// The values of a tensor that this file has, in row-major order.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let tensor = self.tensors.get(name).ok_or_else(|| WeightsError::NoTensor {
            path: self.path.clone(),
            name: name.to_owned(),
        })?;
        let bytes = tensor.read().map_err(|error| WeightsError::Damaged {
            path: self.path.clone(),
            reason: error.to_string(),
        })?;
        let mut values = Vec::with_capacity(tensor.num_elements());
        append_f32(dtype(tensor.dtype()), &bytes, &mut values);
        Ok(values)
    }
}

fn holds_tensors(value: &PickleValue) -> bool {
    let is_tensor = |value: &PickleValue| matches!(value, PickleValue::Unsupported(kind) if kind == "torch.Tensor");
    matches!(value, PickleValue::Dict(values) if values.values().any(is_tensor))
}

const fn dtype(stored: Stored) -> Dtype {
    match stored {
        Stored::F64 => Dtype::F64,
        Stored::F32 => Dtype::F32,
        Stored::F16 => Dtype::F16,
        Stored::BF16 => Dtype::Bf16,
        Stored::I64 => Dtype::Other("i64"),
        Stored::I32 => Dtype::Other("i32"),
        Stored::I16 => Dtype::Other("i16"),
        Stored::I8 => Dtype::Other("i8"),
        Stored::U64 => Dtype::Other("u64"),
        Stored::U32 => Dtype::Other("u32"),
        Stored::U16 => Dtype::Other("u16"),
        Stored::U8 => Dtype::Other("u8"),
        Stored::Bool => Dtype::Other("bool"),
    }
}
