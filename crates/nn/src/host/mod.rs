//! What nodes on the host compute for one item, and what they give.

mod item_features;

use std::fmt::Debug;

use emorun_features::Array;

pub use item_features::{ItemFeatureError, ItemFeatures, described};

/// What a host node gives for one item.
#[derive(Clone, Debug)]
pub enum HostValue {
    /// Mono samples.
    Wave(Vec<f32>),
    /// Frames, row after row.
    Frames {
        /// `time × width` values.
        values: Vec<f32>,
        /// Width of a frame.
        width: usize,
        /// Frames that are the item's own; what follows belongs to a fixed length.
        valid: usize,
    },
    /// One vector.
    Vector(Vec<f32>),
    /// Symbols of a vocabulary.
    Tokens {
        /// Their numbers.
        ids: Vec<u32>,
        /// Number of different symbols.
        vocabulary: usize,
    },
    /// Frames of several layers.
    Stack {
        /// `layers × time × width` values.
        values: Vec<f32>,
        /// Number of layers.
        layers: usize,
        /// Width of a frame.
        width: usize,
    },
}

impl HostValue {
    /// A kept vector `[width]` or frames `[time, width]`; `None` for what has other axes.
    pub fn from_array(array: Array) -> Option<Self> {
        match *array.shape() {
            [_] => Some(Self::Vector(array.into_values())),
            [valid, width] => Some(Self::Frames {
                values: array.into_values(),
                width,
                valid,
            }),
            _ => None,
        }
    }

    /// A vector or frames as they are kept; `None` for what has other axes, or frames of a fixed length.
    pub fn to_array(&self) -> Option<Array> {
        match self {
            Self::Vector(values) => Array::new([values.len()], values.clone()).ok(),
            Self::Frames { values, width, valid } => Array::new([*valid, *width], values.clone()).ok(),
            Self::Wave(_) | Self::Stack { .. } | Self::Tokens { .. } => None,
        }
    }

    /// Frames of a width, row after row, all of them the item's own.
    pub fn of_frames(values: Vec<f32>, width: usize) -> Self {
        Self::Frames {
            valid: values.len() / width.max(1),
            values,
            width,
        }
    }

    /// Its numbers; none of symbols.
    pub fn values(&self) -> &[f32] {
        match self {
            Self::Tokens { .. } => &[],
            Self::Wave(values) | Self::Vector(values) | Self::Frames { values, .. } | Self::Stack { values, .. } => {
                values
            }
        }
    }

    /// Memory that it takes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Tokens { ids, .. } => size_of_val(ids.as_slice()),
            _ => size_of_val(self.values()),
        }
    }

    /// Layers and width; a waveform has samples of width 1, a vector is one step.
    pub fn layers_and_width(&self) -> (usize, usize) {
        match self {
            Self::Wave(_) | Self::Tokens { .. } => (1, 1),
            Self::Frames { width, .. } => (1, *width),
            Self::Vector(values) => (1, values.len()),
            Self::Stack { layers, width, .. } => (*layers, *width),
        }
    }

    /// Steps in time, with those that fill a fixed length.
    pub fn steps(&self) -> usize {
        let (layers, width) = self.layers_and_width();
        match self {
            Self::Tokens { ids, .. } => ids.len(),
            _ => self.values().len() / (layers * width).max(1),
        }
    }

    /// Steps in time that are the item's own.
    pub fn valid(&self) -> usize {
        match self {
            Self::Frames { valid, .. } => *valid,
            _ => self.steps(),
        }
    }
}

/// What a node computes on the host, for one item alone.
pub trait HostOperation: Debug + Send + Sync {
    /// What it gives for the item of this stable key, from its waveform or another host value: `input` is there but for
    /// what reads files of the item's own.
    ///
    /// # Errors
    /// The item's file cannot be read, a model fails on it, or the input is of another kind.
    fn compute(&self, item: &str, input: Option<&HostValue>) -> Result<HostValue, HostError>;

    /// True for what needs no input: it reads files of the item's own.
    fn reads_item(&self) -> bool {
        false
    }

    /// Hash of what its results follow from beside its input and its node's fields, where results are kept on disk.
    fn content(&self) -> Option<[u8; 32]> {
        None
    }
}

/// Why a host node failed on an item.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A feature from a file cannot be read.
    #[error(transparent)]
    Feature(#[from] ItemFeatureError),
    /// A model from a file fails.
    #[error(transparent)]
    Model(ItemModelError),
    /// The input is of another kind.
    #[error("takes a waveform")]
    NoWave,
}

/// An operation on the item's waveform.
pub fn of_wave(compute: impl Fn(&[f32]) -> HostValue + Send + Sync + 'static) -> Box<dyn HostOperation> {
    Box::new(OfWave(compute))
}

struct OfWave<F>(F);

impl<F> Debug for OfWave<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OfWave")
    }
}

impl<F: Fn(&[f32]) -> HostValue + Send + Sync> HostOperation for OfWave<F> {
    fn compute(&self, _item: &str, input: Option<&HostValue>) -> Result<HostValue, HostError> {
        match input {
            Some(HostValue::Wave(samples)) => Ok((self.0)(samples)),
            _ => Err(HostError::NoWave),
        }
    }
}

/// A model from a file that a runtime of its own runs on one item.
pub trait ItemModel: Debug + Send + Sync {
    /// Hash of the file, and of those with its weights.
    fn hash(&self) -> [u8; 32];

    /// `[width]` or `[time, width]` for an item's waveform or frames.
    ///
    /// # Errors
    /// The model fails on them, or gives something else than was declared.
    fn compute(&self, input: &HostValue) -> Result<Array, ItemModelError>;
}

/// Why a model failed on an item, in its runtime's words.
pub type ItemModelError = Box<dyn std::error::Error + Send + Sync>;
