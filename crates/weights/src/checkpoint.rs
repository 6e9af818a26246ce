//! Configurations and tensors of a checkpoint.

use crate::content::Memory;
use crate::locate::{read_index, read_json};
use crate::pytorch::PytorchFile;
use crate::safetensors::SafetensorsFile;
use crate::{Dtype, Located, WeightsError};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// An opened checkpoint: configurations in memory, values of tensors still in their files.
#[derive(Debug)]
pub struct Checkpoint {
    located: Located,
    config: Value,
    preprocessor: Option<Value>,
    files: Vec<TensorFile>,
    tensors: BTreeMap<String, Entry>,
}

#[derive(Debug)]
enum TensorFile {
    Safetensors(SafetensorsFile),
    Pytorch(PytorchFile),
}

#[derive(Debug)]
struct Entry {
    /// Which file has it.
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
}

impl Checkpoint {
    /// Reads configurations and the tables of tensors, and checks that they do not contradict each other or their files'
    /// lengths. No value is read.
    ///
    /// # Errors
    /// Files that are missing, damaged, contradictory or refused.
    pub fn open(located: &Located) -> Result<Self, WeightsError> {
        let config = read_json(&located.config)?;
        let preprocessor = located.preprocessor.as_deref().map(read_json).transpose()?;
        let mut files = Vec::new();
        let mut tensors = BTreeMap::new();
        for (number, path) in located.tensors.iter().enumerate() {
            let file = TensorFile::open(path)?;
            for (name, dtype, shape) in file.tensors() {
                let entry = Entry {
                    file: number,
                    dtype,
                    shape,
                };
                if let Some(Entry { file: first, .. }) = tensors.insert(name.clone(), entry) {
                    let reason = format!("tensor `{name}` is also in {:?}", located.tensors[first]);
                    return Err(WeightsError::Index {
                        path: path.clone(),
                        reason,
                    });
                }
            }
            files.push(file);
        }
        if let Some(index) = &located.index {
            check_index(index, &located.tensors, &tensors)?;
        }
        Ok(Self {
            located: located.clone(),
            config,
            preprocessor,
            files,
            tensors,
        })
    }

    /// The files that it was opened from.
    #[must_use]
    pub fn located(&self) -> &Located {
        &self.located
    }

    /// `config.json`; an object.
    #[must_use]
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// `preprocessor_config.json`, where there is one; an object.
    #[must_use]
    pub fn preprocessor(&self) -> Option<&Value> {
        self.preprocessor.as_ref()
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Extents of a tensor, outermost first.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|entry| entry.shape.as_slice())
    }

    /// Element type of a tensor as it is stored.
    #[must_use]
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.tensors.get(name).map(|entry| entry.dtype)
    }

    /// The values of a tensor in row-major order, converted to f32.
    ///
    /// # Errors
    /// No such tensor, one that is not of floating point, a value that is not finite (also one that f32 cannot hold), a
    /// damaged or unreadable file.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let name = name.to_owned();
        let Some(entry) = self.tensors.get(&name) else {
            let path = self.located.tensors.first().unwrap_or(&self.located.config).clone();
            return Err(WeightsError::NoTensor { path, name });
        };
        let path = || self.located.tensors[entry.file].clone();
        if entry.dtype.size().is_none() {
            return Err(WeightsError::Dtype {
                path: path(),
                name,
                dtype: entry.dtype.to_string(),
            });
        }
        let values = match &self.files[entry.file] {
            TensorFile::Safetensors(file) => file.read(&name)?,
            TensorFile::Pytorch(file) => file.read(&name)?,
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

    /// BLAKE3 over the bytes of configurations and tensor files, independent of where they are. Each file's hash is
    /// remembered in the file `memory` under its path, size and time, and files of the Hub's cache are compared with the
    /// hashes that are their names when they are read.
    ///
    /// # Errors
    /// A file that cannot be read, or whose bytes are not those that the Hub published.
    pub fn content_hash(&self, memory: Option<&Path>) -> Result<blake3::Hash, WeightsError> {
        let mut memory = Memory::open(memory);
        let located = &self.located;
        let mut all = blake3::Hasher::new();
        let role = |role: &'static str| move |path: &'_ PathBuf| (role, path.clone());
        let files = std::iter::once(&located.config)
            .map(role("config"))
            .chain(located.preprocessor.iter().map(role("preprocessor")))
            .chain(located.tensors.iter().map(role("tensors")));
        for (role, path) in files {
            let hash = memory.hash(&path)?;
            all.update(role.as_bytes()).update(&[0]).update(&hash);
        }
        memory.close();
        Ok(all.finalize())
    }
}

impl TensorFile {
    fn open(path: &Path) -> Result<Self, WeightsError> {
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            SafetensorsFile::open(path).map(Self::Safetensors)
        } else {
            PytorchFile::open(path).map(Self::Pytorch)
        }
    }

    fn tensors(&self) -> Vec<(String, Dtype, Vec<usize>)> {
        match self {
            Self::Safetensors(file) => file.tensors().collect(),
            Self::Pytorch(file) => file.tensors().collect(),
        }
    }
}

/// Makes sure that every tensor is where the index says, and that no part has one that the index does not know.
fn check_index(index: &Path, parts: &[PathBuf], tensors: &BTreeMap<String, Entry>) -> Result<(), WeightsError> {
    let wrong = |reason: String| {
        Err(WeightsError::Index {
            path: index.to_owned(),
            reason,
        })
    };
    let map = read_index(index)?;
    for (name, part) in &map {
        let found = tensors.get(name).and_then(|entry| parts[entry.file].file_name());
        if found.is_none_or(|found| found != part.as_str()) {
            return wrong(format!("it says that tensor `{name}` is in {part}, where it is not"));
        }
    }
    match tensors.keys().find(|name| !map.contains_key(*name)) {
        Some(name) => wrong(format!(
            "it does not name the tensor `{name}`, which one of its parts holds"
        )),
        None => Ok(()),
    }
}
