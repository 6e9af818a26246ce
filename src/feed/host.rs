//! The host side of the graph for one item: its waveform and the outputs of host nodes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Device, Tensor, TensorData};
use emorun_audio::{LogMel, WhisperFront};
use emorun_data::Item;
use emorun_features::{Array, Key};

use super::FeedError;
use super::augment::{Augmentations, Version};
use super::cached::{CachedNode, CachedValue, FeatureCache, key_of};
use crate::value::{Lengths, PortId, Value};

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
}

impl HostValue {
    fn bytes(&self) -> usize {
        match self {
            Self::Wave(values) | Self::Frames { values, .. } => values.len() * size_of::<f32>(),
        }
    }
}

/// A step of the host pipeline: a host node, what it reads and where its output stands.
#[derive(Debug)]
pub struct HostStep {
    /// The host value that it reads.
    pub input: PortId,
    /// Where its output stands.
    pub output: PortId,
    /// What it computes.
    pub op: HostOp,
}

/// What a host node computes.
pub enum HostOp {
    /// Log-mel spectrogram.
    LogMel(Box<LogMel>),
    /// Whisper's log-mel spectrogram of 30 s.
    WhisperMel(Box<WhisperFront>),
}

impl std::fmt::Debug for HostOp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LogMel(_) => f.write_str("LogMel"),
            Self::WhisperMel(_) => f.write_str("WhisperMel"),
        }
    }
}

/// What the host gives for an item.
#[derive(Clone, Debug, Default)]
pub struct ItemValues {
    /// The pipeline's wanted values, in its order.
    pub wanted: Vec<HostValue>,
    /// What its cached nodes give, in its order.
    pub cached: Vec<CachedValue>,
}

impl ItemValues {
    fn bytes(&self) -> usize {
        let cached = self.cached.iter().map(|value| match value {
            CachedValue::Known(array) => std::mem::size_of_val(array.values()),
            CachedValue::Unknown { input, .. } => input.bytes(),
        });
        self.wanted.iter().map(HostValue::bytes).sum::<usize>() + cached.sum::<usize>()
    }

    /// True if nothing is left to be computed on the device.
    fn is_complete(&self) -> bool {
        self.cached.iter().all(|value| matches!(value, CachedValue::Known(_)))
    }
}

/// What is computed on the host, and what of it is kept.
#[derive(Debug, Default)]
pub struct HostParts {
    /// Host nodes in topological order.
    pub steps: Vec<HostStep>,
    /// Host values that device nodes read.
    pub wanted: Vec<PortId>,
    /// Changes of training waveforms.
    pub augmentations: Augmentations,
    /// Device nodes whose frozen part is kept on disk.
    pub cached: Vec<CachedNode>,
    /// Where; nowhere on a machine without a folder for caches.
    pub cache: Option<FeatureCache>,
}

/// Everything that is computed on the host for an item, remembered within a memory budget.
///
/// An item's host values are computed alone, never in a batch, so they are the same bits in every
/// batch, epoch and process.
#[derive(Debug)]
pub struct HostPipeline {
    /// Sample rate of the experiment in Hz.
    pub sample_rate_hz: u32,
    /// What is computed.
    pub parts: HostParts,
    remembered: Mutex<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    /// By item and view.
    items: HashMap<(String, Option<u64>), Arc<ItemValues>>,
    budget: usize,
}

impl HostPipeline {
    /// A pipeline that remembers up to `budget_bytes` of computed values.
    pub fn new(sample_rate_hz: u32, parts: HostParts, budget_bytes: usize) -> Self {
        Self {
            sample_rate_hz,
            parts,
            remembered: Mutex::new(Remembered {
                items: HashMap::new(),
                budget: budget_bytes,
            }),
        }
    }

    /// The values of a version of an item.
    ///
    /// # Errors
    /// The item's audio, or a file that an augmentation reads, cannot be read.
    pub fn values(&self, item: &Item, version: &Version) -> Result<Arc<ItemValues>, FeedError> {
        let Some(view) = version.again() else {
            return self.compute(item, version).map(Arc::new);
        };
        let name = (item.key.clone(), view);
        if let Some(values) = self.remembered().items.get(&name) {
            return Ok(values.clone());
        }
        let values = Arc::new(self.compute(item, version)?);
        let bytes = values.bytes();
        let mut remembered = self.remembered();
        if values.is_complete() && bytes <= remembered.budget {
            remembered.budget -= bytes;
            remembered.items.insert(name, values.clone());
        }
        Ok(values)
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Remembered> {
        // A worker that panicked left the map whole: entries are inserted in one call.
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn compute(&self, item: &Item, version: &Version) -> Result<ItemValues, FeedError> {
        let HostParts {
            wanted,
            augmentations,
            cached,
            cache,
            ..
        } = &self.parts;
        let keys: Vec<Option<Key>> = cached
            .iter()
            .map(|node| {
                cache.as_ref()?;
                key_of(node, item, version, augmentations, self.sample_rate_hz)
            })
            .collect();
        let known: Vec<Option<Arc<Array>>> = keys
            .iter()
            .map(|key| Some(Arc::new(cache.as_ref()?.get(key.as_ref()?)?)))
            .collect();
        // Where everything is kept, nothing has to be decoded.
        if wanted.is_empty() && known.iter().all(Option::is_some) {
            return Ok(ItemValues {
                wanted: Vec::new(),
                cached: known.into_iter().flatten().map(CachedValue::Known).collect(),
            });
        }
        let mut wave = item.load_audio(self.sample_rate_hz).map_err(FeedError::Data)?;
        augmentations
            .apply(&mut wave, item, version)
            .map_err(|(node, error)| FeedError::Augment { node, error })?;
        let values = self.run_steps(wave);
        let find = |port: &PortId| values.iter().find(|(at, _)| at == port).map(|(_, value)| value.clone());
        let cached = cached
            .iter()
            .zip(known)
            .zip(keys)
            .filter_map(|((node, known), key)| match known {
                Some(array) => Some(CachedValue::Known(array)),
                None => find(&node.input).map(|input| CachedValue::Unknown { input, key }),
            })
            .collect();
        Ok(ItemValues {
            wanted: wanted.iter().filter_map(find).collect(),
            cached,
        })
    }

    fn run_steps(&self, wave: Vec<f32>) -> Vec<(PortId, HostValue)> {
        let mut values = vec![(PortId::new("data", "audio"), HostValue::Wave(wave))];
        for step in &self.parts.steps {
            let Some((_, input)) = values.iter().find(|(port, _)| *port == step.input) else {
                continue;
            };
            let output = match (&step.op, input) {
                (HostOp::LogMel(extractor), HostValue::Wave(samples)) => {
                    let values = extractor.compute(samples);
                    let width = extractor.config().n_mels;
                    HostValue::Frames {
                        valid: values.len() / width.max(1),
                        values,
                        width,
                    }
                }
                (HostOp::WhisperMel(front), HostValue::Wave(samples)) => HostValue::Frames {
                    values: front.compute(samples),
                    width: front.config().feature_size,
                    valid: front.frames(samples.len()),
                },
                (_, HostValue::Frames { .. }) => continue,
            };
            values.push((step.output.clone(), output));
        }
        values
    }
}

/// A wanted host value of a whole batch, padded with zeros.
#[derive(Clone, Debug)]
pub struct HostBatch {
    values: Vec<f32>,
    lengths: Lengths,
    width: Option<usize>,
    longest: usize,
}

impl HostBatch {
    /// Joins items' values.
    pub fn collate<'a>(items: impl Iterator<Item = &'a HostValue> + Clone) -> Self {
        let steps = |value: &HostValue| match value {
            HostValue::Wave(samples) => samples.len(),
            HostValue::Frames { values, width, .. } => values.len() / (*width).max(1),
        };
        let valid = |value: &HostValue| match value {
            HostValue::Wave(samples) => samples.len(),
            HostValue::Frames { valid, .. } => *valid,
        };
        let lengths: Vec<usize> = items.clone().map(valid).collect();
        let longest = items.clone().map(steps).max().unwrap_or(0);
        let width = items.clone().find_map(|value| match value {
            HostValue::Frames { width, .. } => Some(*width),
            HostValue::Wave(_) => None,
        });
        let row = longest * width.unwrap_or(1);
        let mut values = vec![0f32; lengths.len() * row];
        for (target, item) in values.chunks_exact_mut(row.max(1)).zip(items) {
            let (HostValue::Wave(source) | HostValue::Frames { values: source, .. }) = item;
            target[..source.len()].copy_from_slice(source);
        }
        Self {
            values,
            lengths: Lengths::new(lengths),
            width,
            longest,
        }
    }

    /// The batch as a value on a device.
    pub fn into_value(self, device: &Device) -> Value {
        let batch = self.lengths.as_slice().len();
        match self.width {
            Some(width) => Value::Frames(
                Tensor::from_data(TensorData::new(self.values, [batch, self.longest, width]), device),
                self.lengths,
            ),
            None => Value::Wave(
                Tensor::from_data(TensorData::new(self.values, [batch, self.longest]), device),
                self.lengths,
            ),
        }
    }
}
