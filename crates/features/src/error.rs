//! What can be wrong with arrays, the cache, and feature files.

use crate::Precision;
use std::fmt;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why values are no [`Array`](crate::Array), or cannot be stored.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ArrayError {
    /// Another number of axes than one to three.
    #[error("a feature of shape {shape:?} is no vector [width], frames [time, width] or stack [layers, time, width]")]
    Rank {
        /// The shape.
        shape: Vec<usize>,
    },
    /// The shape does not hold as many values.
    #[error("{values} values do not fill a feature of shape {shape:?}")]
    Length {
        /// The shape.
        shape: Vec<usize>,
        /// Number of values.
        values: usize,
    },
    /// A finite value that becomes infinite at the precision.
    #[error(
        "value {index} is {value}, beyond what {} holds (65504); use precision {}",
        Precision::F16,
        Precision::F32
    )]
    Beyond {
        /// Its place in row-major order.
        index: usize,
        /// The value.
        value: f32,
    },
}

/// Why the feature cache cannot do what it is asked for. None of these is about a damaged entry: that is a
/// [`Damage`](crate::Damage), and the value is computed again.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The folder cannot be made.
    #[error("cannot make the feature cache {folder:?}: {source}; choose another folder")]
    Open {
        /// The cache's folder.
        folder: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// An entry or folder exists but cannot be read.
    #[error("cannot read {path:?} of the feature cache: {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// An entry cannot be written; nothing of it is left.
    #[error(
        "cannot write to the feature cache {folder:?}: {source}; make room there, lower its limit or choose another folder"
    )]
    Write {
        /// The cache's folder.
        folder: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// An entry cannot be removed.
    #[error("cannot remove {path:?} from the feature cache: {source}")]
    Remove {
        /// The entry.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// One entry is larger than the whole cache may be.
    #[error("a feature of {bytes} bytes is larger than the feature cache may be ({limit} bytes); raise its limit")]
    TooLarge {
        /// Size of the entry.
        bytes: u64,
        /// Limit of the cache.
        limit: u64,
    },
    /// The value cannot be stored at the precision.
    #[error(transparent)]
    Value(#[from] ArrayError),
}

/// Items without a feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Where was looked.
    pub root: PathBuf,
    /// How many items have none.
    pub missing: usize,
    /// How many items were asked for.
    pub items: usize,
    /// The first few of them.
    pub first: Vec<String>,
    /// What was looked for, for the first of them.
    pub looked_for: Vec<String>,
    /// A feature with the first one's name in a folder that does not fit, where there is one.
    pub near: Option<String>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            root, missing, items, ..
        } = self;
        write!(
            f,
            "{missing} of {items} items have no feature in {root:?}: {}",
            self.first.join(", ")
        )?;
        if self.first.len() < *missing {
            f.write_str(", …")?;
        }
        if let Some(first) = self.first.first() {
            write!(f, "; for {first} looked for {}", self.looked_for.join(", "))?;
        }
        if let Some(near) = &self.near {
            write!(
                f,
                "; {near} has that name but lies in another folder: give the folder within which paths are those of the corpus"
            )?;
        }
        Ok(())
    }
}

/// Why features cannot be read from files, or written.
#[derive(Debug, Error)]
pub enum FeatureError {
    /// The operating system refuses.
    #[error("cannot {action} {path:?}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A name that ends in neither `.npy` nor `.safetensors`.
    #[error("{path:?} is no feature file: .npy and .safetensors are read")]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// A single array where those of many items are needed.
    #[error(
        "{path:?} holds one array; give the folder of all items' .npy files, or a .safetensors with one tensor an item"
    )]
    OneArray {
        /// The file.
        path: PathBuf,
    },
    /// Neither kind of file in a folder.
    #[error("no .npy or .safetensors file in {root:?} or below it")]
    NoFiles {
        /// The folder.
        root: PathBuf,
    },
    /// The file contradicts itself or its format.
    #[error("{path:?} is damaged or no feature file: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not hold.
        reason: String,
    },
    /// The file is another one than when it was opened.
    #[error("{path:?} was changed while in use; start again")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The file has no such tensor.
    #[error("{path:?} has no tensor `{name}`")]
    NoTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// An element type that is no number of at least 8 bits.
    #[error("{place} has elements of type {dtype}; floats, integers and bool are read")]
    Type {
        /// The array.
        place: String,
        /// Its type as the file names it.
        dtype: String,
    },
    /// Another number of axes than one to three.
    #[error("{place} has shape {shape:?}; features are [width], [time, width] or [layers, time, width]")]
    Rank {
        /// The array.
        place: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// An array without values.
    #[error("{place} has shape {shape:?} and thus no values; make it again or leave the item out")]
    Empty {
        /// The array.
        place: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// An array that no utterance needs.
    #[error(
        "{place} has shape {shape:?}; more than {} values an item are not read",
        crate::file::MAX_VALUES
    )]
    TooLarge {
        /// The array.
        place: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A value that is no number.
    #[error("{place} holds {value} at {index:?}; make it again or leave the item out")]
    NotFinite {
        /// The array.
        place: String,
        /// The value's index along each axis.
        index: Vec<usize>,
        /// The value.
        value: f32,
    },
    /// Items without a feature.
    #[error("{0}")]
    Missing(Missing),
    /// Two features fit one item.
    #[error("both {first} and {second} fit item {item}; remove one, or name the right one in the manifest")]
    Ambiguous {
        /// The item.
        item: String,
        /// One feature.
        first: String,
        /// Another one.
        second: String,
    },
    /// One feature fits two items.
    #[error("{place} fits both {first} and {second}; store features by the corpus's paths, not by file names alone")]
    Shared {
        /// The feature.
        place: String,
        /// One item.
        first: String,
        /// Another one.
        second: String,
    },
    /// A corpus's features are in folders that do not come from the corpus.
    #[error(
        "the features of one dataset lie in different folders: {first} and {second}; give the folder within which paths are those of the corpus, or name the files in the manifest"
    )]
    Scattered {
        /// One item's feature.
        first: String,
        /// Another item's.
        second: String,
    },
    /// Two features differ in what must be the same for all items.
    #[error(
        "{first} has shape {first_shape:?}, {second} has shape {second_shape:?}; all items need the same kind and width (and layers) of features"
    )]
    Differ {
        /// One feature.
        first: String,
        /// Its shape.
        first_shape: Vec<usize>,
        /// Another one.
        second: String,
        /// Its shape.
        second_shape: Vec<usize>,
    },
    /// A key that a file to be written has already, or cannot have.
    #[error("cannot write a feature named `{key}` to {path:?}: the name is taken")]
    TakenKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
    /// A value cannot be stored at the precision.
    #[error("feature `{key}`: {error}")]
    Value {
        /// The feature's key.
        key: String,
        /// What is wrong.
        error: ArrayError,
    },
}

impl FeatureError {
    /// For `map_err` of an operation on a file or folder.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
