//! Configurations and tensors of a checkpoint.

use crate::content::Memory;
use crate::locate::{read_index, read_json};
use crate::{Dtype, Located, TensorFile, WeightsError};
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
    /// Which file has which tensor.
    tensors: BTreeMap<String, usize>,
}

/// What a checkpoint is, by its files' bytes, independent of where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// BLAKE3 of `config.json`.
    pub config: blake3::Hash,
    /// BLAKE3 of `preprocessor_config.json`, where there is one.
    pub preprocessor: Option<blake3::Hash>,
    /// BLAKE3 of the file of tensors; of several, of their hashes in the order of their names.
    pub tensors: blake3::Hash,
    /// BLAKE3 over all of these.
    pub all: blake3::Hash,
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
            for name in file.names() {
                if let Some(first) = tensors.insert(name.to_owned(), number) {
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
        self.file_of(name)?.shape(name)
    }

    /// Element type of a tensor as it is stored.
    #[must_use]
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.file_of(name)?.dtype(name)
    }

    fn file_of(&self, name: &str) -> Option<&TensorFile> {
        self.files.get(*self.tensors.get(name)?)
    }

    /// The values of a tensor in row-major order, converted to f32.
    ///
    /// # Errors
    /// As [`TensorFile::read_f32`].
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        match self.file_of(name) {
            Some(file) => file.read_f32(name),
            None => Err(WeightsError::NoTensor {
                path: self.located.tensors.first().unwrap_or(&self.located.config).clone(),
                name: name.to_owned(),
            }),
        }
    }

    /// Hashes of the bytes of configurations and tensor files. Each file's is remembered in the file `memory` under its
    /// path, size and time, and files of the Hub's cache are compared with the hashes that are their names when they are
    /// read.
    ///
    /// # Errors
    /// A file that cannot be read, or whose bytes are not those that the Hub published.
    pub fn content(&self, memory: Option<&Path>) -> Result<Content, WeightsError> {
        let mut memory = Memory::open(memory);
        let located = &self.located;
        let config = memory.hash(&located.config)?;
        let preprocessor = match &located.preprocessor {
            Some(path) => Some(memory.hash(path)?),
            None => None,
        };
        let tensors = located
            .tensors
            .iter()
            .map(|path| memory.hash(path))
            .collect::<Result<Vec<_>, _>>()?;
        memory.close();
        let mut all = blake3::Hasher::new();
        let roles = std::iter::once(("config", &config))
            .chain(preprocessor.iter().map(|hash| ("preprocessor", hash)))
            .chain(tensors.iter().map(|hash| ("tensors", hash)));
        for (role, hash) in roles {
            all.update(role.as_bytes()).update(&[0]).update(hash);
        }
        Ok(Content {
            config: config.into(),
            preprocessor: preprocessor.map(Into::into),
            tensors: match tensors.as_slice() {
                [one] => (*one).into(),
                several => blake3::hash(several.as_flattened()),
            },
            all: all.finalize(),
        })
    }
}

/// Makes sure that every tensor is where the index says, and that no part has one that the index does not know.
fn check_index(index: &Path, parts: &[PathBuf], tensors: &BTreeMap<String, usize>) -> Result<(), WeightsError> {
    let wrong = |reason: String| {
        Err(WeightsError::Index {
            path: index.to_owned(),
            reason,
        })
    };
    let map = read_index(index)?;
    for (name, part) in &map {
        let found = tensors.get(name).and_then(|file| parts[*file].file_name());
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
