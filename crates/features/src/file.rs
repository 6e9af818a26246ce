//! One `.npy` or `.safetensors` file: its header when it is opened, its values when they are asked for.

use crate::array::product;
use crate::convert::{Dtype, append_values};
use crate::{Array, FeatureError, npy, safetensors};
use emorun_files::Stamp;
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Most values of one item that are read: 1 GiB in memory, 87 minutes of frames of width 1024 at 50 Hz.
pub(crate) const MAX_VALUES: usize = 1 << 28;
/// Bytes read at once; a multiple of every element's size.
const PIECE: usize = 1 << 18;

/// An array in a file. What it promises fits the file's length if its type is read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    /// The type, or the file's name for one that is not read.
    pub dtype: Result<Dtype, String>,
    pub big_endian: bool,
    /// Whether the first axis is the one whose neighbours are neighbours in the file.
    pub fortran: bool,
    pub shape: Vec<usize>,
    /// Where its values begin in the file.
    pub start: u64,
}

/// A feature file.
#[derive(Debug)]
pub struct FeatureFile {
    path: PathBuf,
    stamp: Stamp,
    npy: bool,
    tensors: BTreeMap<String, Tensor>,
}

impl FeatureFile {
    /// Reads a file's header.
    ///
    /// # Errors
    /// Where the file cannot be read, is of neither format, or does not have the length that its header promises.
    pub fn open(path: &Path) -> Result<Self, FeatureError> {
        let npy = match format(path) {
            Some(Format::Npy) => true,
            Some(Format::Safetensors) => false,
            None => return Err(FeatureError::Format { path: path.to_owned() }),
        };
        let file = File::open(path).map_err(FeatureError::io("open", path))?;
        let metadata = file.metadata().map_err(FeatureError::io("read", path))?;
        let length = metadata.len();
        let reader = BufReader::with_capacity(512, file);
        let tensors = if npy {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            npy::read(reader, length).map(|tensor| BTreeMap::from([(name, tensor)]))
        } else {
            safetensors::read(reader, length)
        };
        let path = path.to_owned();
        match tensors {
            Ok(tensors) => Ok(Self {
                path,
                stamp: Stamp::from(&metadata),
                npy,
                tensors,
            }),
            Err(reason) => Err(FeatureError::Damaged { path, reason }),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of its arrays in alphabetical order; a `.npy` has one, named as the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of an array that can be read.
    ///
    /// # Errors
    /// Where there is no such array, or it has no type, rank or size of a feature.
    pub fn shape(&self, name: &str) -> Result<&[usize], FeatureError> {
        self.checked(name).map(|(tensor, _)| tensor.shape.as_slice())
    }

    /// Reads an array.
    ///
    /// # Errors
    /// As [`Self::shape`]; where the file can no longer be read as it was opened, or a value is not finite.
    pub fn read(&self, name: &str) -> Result<Array, FeatureError> {
        let (tensor, dtype) = self.checked(name)?;
        let changed = |_| FeatureError::Changed {
            path: self.path.clone(),
        };
        let failed = || FeatureError::io("read", &self.path);
        let mut file = File::open(&self.path).map_err(failed())?;
        if !self.is_still(&file.metadata().map_err(failed())?) {
            return Err(changed(()));
        }
        file.seek(SeekFrom::Start(tensor.start)).map_err(failed())?;
        let count = product(&tensor.shape).unwrap_or_default();
        let mut rest = count * dtype.size();
        let mut values = Vec::with_capacity(count);
        let mut piece = vec![0; rest.min(PIECE)];
        while rest > 0 {
            let bytes = &mut piece[..rest.min(PIECE)];
            file.read_exact(bytes).map_err(failed())?;
            if tensor.big_endian {
                bytes.chunks_exact_mut(dtype.size()).for_each(<[u8]>::reverse);
            }
            append_values(dtype, bytes, &mut values);
            rest -= bytes.len();
        }
        if tensor.fortran {
            values = row_major(&tensor.shape, &values);
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(FeatureError::NotFinite {
                place: self.place(name),
                index: unravelled(at, &tensor.shape),
                value: values[at],
            });
        }
        Array::new(tensor.shape.clone(), values).map_err(|error| FeatureError::Value {
            key: self.place(name),
            error,
        })
    }

    /// How messages call an array.
    pub(crate) fn place(&self, name: &str) -> String {
        if self.npy {
            format!("{:?}", self.path)
        } else {
            format!("`{name}` in {:?}", self.path)
        }
    }

    fn is_still(&self, now: &Metadata) -> bool {
        Stamp::from(now) == self.stamp
    }

    fn checked(&self, name: &str) -> Result<(&Tensor, Dtype), FeatureError> {
        let tensor = self.tensors.get(name).ok_or_else(|| FeatureError::NoTensor {
            path: self.path.clone(),
            name: name.to_owned(),
        })?;
        let (place, shape) = (|| self.place(name), tensor.shape.clone());
        let count = product(&shape).filter(|count| *count <= MAX_VALUES);
        match (&tensor.dtype, shape.len(), count) {
            (Err(dtype), _, _) => Err(FeatureError::Type {
                place: place(),
                dtype: dtype.clone(),
            }),
            (_, 0 | 4.., _) => Err(FeatureError::Rank { place: place(), shape }),
            (_, _, Some(0)) => Err(FeatureError::Empty { place: place(), shape }),
            (_, _, None) => Err(FeatureError::TooLarge { place: place(), shape }),
            (Ok(dtype), _, _) => Ok((tensor, *dtype)),
        }
    }
}

/// A format, by the end of a file's name.
pub(crate) enum Format {
    Npy,
    Safetensors,
}

/// The format that a file's name promises.
pub(crate) fn format(path: &Path) -> Option<Format> {
    let extension = path.extension()?;
    if extension.eq_ignore_ascii_case("npy") {
        Some(Format::Npy)
    } else if extension.eq_ignore_ascii_case("safetensors") {
        Some(Format::Safetensors)
    } else {
        None
    }
}

/// Values of which the first index runs fastest, in the order in which the last one does.
fn row_major(shape: &[usize], values: &[f32]) -> Vec<f32> {
    let (layers, time, width) = match shape {
        [layers, time, width] => (*layers, *time, *width),
        [time, width] => (1, *time, *width),
        _ => return values.to_vec(),
    };
    let mut ordered = Vec::with_capacity(values.len());
    for layer in 0..layers {
        for frame in 0..time {
            ordered.extend((0..width).map(|column| values[layer + layers * (frame + time * column)]));
        }
    }
    ordered
}

/// The index along each axis of the value at a place in row-major order.
fn unravelled(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|size| {
            let along = at % size.max(&1);
            at /= size.max(&1);
            along
        })
        .collect();
    index.reverse();
    index
}
