//! Files that `torch.save` wrote.

use crate::convert::append_f32;
use crate::{Dtype, WeightsError, pickle};
use pytorch_reader::{DType as Stored, PickleValue, PytorchReader, Tensor};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Keys under which training scripts put the weights beside other things, the surer first.
const WRAPPERS: [&str; 5] = ["state_dict", "model_state_dict", "model", "module", "net"];
/// Keys shown where none holds weights.
const MOST_SHOWN: usize = 10;

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
        let keys = || {
            let mut keys: Vec<String> = root.keys().take(MOST_SHOWN).map(|key| format!("`{key}`")).collect();
            keys.sort_unstable();
            keys.join(", ")
        };
        let reader = match wrapper(&root) {
            Wrapper::Key(key) => PytorchReader::with_top_level_key(path, key),
            Wrapper::None => PytorchReader::new(path),
            Wrapper::Several => {
                return Err(wrong(format!(
                    "it holds tensors under several keys ({}) and says of none that it is the model's; save one of them \
                     alone",
                    keys()
                )));
            }
        };
        let tensors = reader.map_err(|error| wrong(error.to_string()))?.into_tensors();
        if tensors.is_empty() {
            return Err(wrong(format!("it holds no tensor; its keys are {}", keys())));
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

/// Where the weights are in a file.
enum Wrapper<'a> {
    /// At its top.
    None,
    /// Under a key.
    Key(&'a str),
    /// Under several.
    Several,
}

fn wrapper(root: &HashMap<String, PickleValue>) -> Wrapper<'_> {
    if let Some(key) = WRAPPERS
        .into_iter()
        .find(|key| root.get(*key).is_some_and(holds_tensors))
    {
        return Wrapper::Key(key);
    }
    if root.values().any(is_tensor) {
        return Wrapper::None;
    }
    let mut keys = root
        .iter()
        .filter(|(_, value)| holds_tensors(value))
        .map(|(key, _)| key.as_str());
    match (keys.next(), keys.next()) {
        (Some(key), None) => Wrapper::Key(key),
        (Some(_), Some(_)) => Wrapper::Several,
        (None, _) => Wrapper::None,
    }
}

fn is_tensor(value: &PickleValue) -> bool {
    matches!(value, PickleValue::Unsupported(kind) if kind == "torch.Tensor")
}

fn holds_tensors(value: &PickleValue) -> bool {
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
