//! One file of tensors, of either format.

use crate::content::Memory;
use crate::pytorch::PytorchFile;
use crate::safetensors::SafetensorsFile;
use crate::{Dtype, WeightsError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// An opened file of tensors: `.safetensors`, or what `torch.save` wrote. Values are read one tensor at a time.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    format: Format,
    tensors: BTreeMap<String, (Dtype, Vec<usize>)>,
}

#[derive(Debug)]
enum Format {
    Safetensors(SafetensorsFile),
    Pytorch(PytorchFile),
}

impl TensorFile {
    /// Reads the table of tensors.
    ///
    /// # Errors
    /// A file that cannot be read, is damaged, or (PyTorch) names what plain weights have no need of.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let format = if path.extension().is_some_and(|extension| extension == "safetensors") {
            Format::Safetensors(SafetensorsFile::open(path)?)
        } else {
            Format::Pytorch(PytorchFile::open(path)?)
        };
        let table: Vec<(String, Dtype, Vec<usize>)> = match &format {
            Format::Safetensors(file) => file.tensors().collect(),
            Format::Pytorch(file) => file.tensors().collect(),
        };
        Ok(Self {
            path: path.to_owned(),
            format,
            tensors: table
                .into_iter()
                .map(|(name, dtype, shape)| (name, (dtype, shape)))
                .collect(),
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Extents of a tensor, outermost first.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|(_, shape)| shape.as_slice())
    }

    /// Element type of a tensor as it is stored.
    #[must_use]
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.tensors.get(name).map(|(dtype, _)| *dtype)
    }

    /// The values of a tensor in row-major order, converted to f32.
    ///
    /// # Errors
    /// No such tensor, one that is not of floating point, a value that is not finite (also one that f32 cannot hold), a
    /// damaged or unreadable file.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let path = || self.path.clone();
        let name = name.to_owned();
        let Some((dtype, _)) = self.tensors.get(&name) else {
            return Err(WeightsError::NoTensor { path: path(), name });
        };
        if dtype.size().is_none() {
            return Err(WeightsError::Dtype {
                path: path(),
                name,
                dtype: dtype.to_string(),
            });
        }
        let values = match &self.format {
            Format::Safetensors(file) => file.read(&name)?,
            Format::Pytorch(file) => file.read(&name)?,
        };
        match values.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(WeightsError::NotFinite {
                path: path(),
                name,
                index,
                value: values[index],
            }),
            None => Ok(values),
        }
    }

    /// BLAKE3 of the file's bytes, remembered as that of [`crate::Checkpoint::content`].
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn content_hash(&self, memory: Option<&Path>) -> Result<blake3::Hash, WeightsError> {
        let mut memory = Memory::open(memory);
        let hash = memory.hash(&self.path)?;
        memory.close();
        Ok(hash.into())
    }
}
