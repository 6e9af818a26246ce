//! The host side of the graph for one item: its waveform and the outputs of host nodes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use emorun_data::{Item, Name, StreamForm};
use emorun_features::{Array, Key, Origin, Precision};
use emorun_lang::DATA;

use super::FeedError;
use super::augment::{Augmentations, Version};
use super::cached::{CachedNode, CachedValue, FeatureCache, Keeping, key_of, key_of_audio, key_of_stream};
use super::streams::AUDIO;
use emorun_nn::host::{HostError, HostOperation, HostValue};
use emorun_nn::value::PortId;

/// A step of the host pipeline: a host node, what it reads and where its output stands.
#[derive(Debug)]
pub struct HostStep {
    /// The host value that it reads; `None` for what reads files of the item's own.
    pub input: Option<PortId>,
    /// Where its output stands.
    pub output: PortId,
    /// What it computes.
    pub op: Box<dyn HostOperation>,
    /// How that is kept on disk; `None` for what is computed each time.
    pub keeping: Option<Keeping>,
}

/// What the host gives for an item.
#[derive(Clone, Debug, Default)]
pub struct ItemValues {
    /// The pipeline's wanted values, in its order; `None` of what the item lacks.
    pub wanted: Vec<Option<HostValue>>,
    /// What its cached nodes give, in its order.
    pub cached: Vec<CachedValue>,
}

impl ItemValues {
    fn bytes(&self) -> usize {
        let cached = self.cached.iter().map(|value| match value {
            CachedValue::Known(array) => std::mem::size_of_val(array.values()),
            CachedValue::Unknown { input, .. } | CachedValue::Passing(input) => input.bytes(),
            CachedValue::Absent => 0,
        });
        self.wanted.iter().flatten().map(HostValue::bytes).sum::<usize>() + cached.sum::<usize>()
    }

    /// True if nothing is left to be computed on the device.
    fn is_complete(&self) -> bool {
        let mut cached = self.cached.iter();
        cached.all(|value| matches!(value, CachedValue::Known(_) | CachedValue::Absent))
    }
}

/// What is computed on the host, and what of it is kept.
#[derive(Debug, Default)]
pub struct HostParts {
    /// Host nodes in topological order.
    pub steps: Vec<HostStep>,
    /// Host values that device nodes read.
    pub wanted: Vec<PortId>,
    /// Streams of the items that nodes read, with what each is.
    pub streams: Vec<(String, StreamForm)>,
    /// Changes of training waveforms.
    pub augmentations: Augmentations,
    /// Device nodes whose frozen part is computed for each item alone.
    pub cached: Vec<CachedNode>,
    /// Where it is kept; nowhere on a machine without a folder for caches.
    pub cache: Option<FeatureCache>,
    /// Whether decoded audio is kept there too.
    pub decoded_on_disk: bool,
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
    pub(super) remembered: Mutex<Remembered>,
}

#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// By item and view.
    items: HashMap<(Name, Option<u64>), Arc<ItemValues>>,
    /// What was read from files of items whose other values never come again, by item and node.
    pub(super) read: HashMap<(Name, String), Arc<HostValue>>,
    /// Decoded audio of such items.
    decoded: HashMap<Name, Arc<Vec<f32>>>,
    pub(super) budget: usize,
}

impl HostPipeline {
    /// A pipeline that remembers up to `budget_bytes` of computed values.
    pub fn new(sample_rate_hz: u32, parts: HostParts, budget_bytes: usize) -> Self {
        Self {
            sample_rate_hz,
            parts,
            remembered: Mutex::new(Remembered {
                budget: budget_bytes,
                ..Remembered::default()
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

    pub(super) fn remembered(&self) -> std::sync::MutexGuard<'_, Remembered> {
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
                self.key(&node.keeping, &node.input, item, version)
            })
            .collect();
        let known: Vec<Option<Arc<Array>>> = keys
            .iter()
            .map(|key| Some(Arc::new(cache.as_ref()?.get(key.as_ref()?)?)))
            .collect();
        // Where everything is kept, nothing has to be decoded, but it must be of this file.
        for (node, _) in cached.iter().zip(&known).filter(|(_, known)| known.is_some()) {
            self.check_unchanged(&node.input, item)?;
        }
        if wanted.is_empty() && known.iter().all(Option::is_some) {
            return Ok(ItemValues {
                wanted: Vec::new(),
                cached: known.into_iter().flatten().map(CachedValue::Known).collect(),
            });
        }
        let unknown = cached.iter().zip(&known).filter(|(_, known)| known.is_none());
        let needed: Vec<&PortId> = wanted.iter().chain(unknown.map(|(node, _)| &node.input)).collect();
        let mut values = self.kept_steps(item, version);
        let needs = |source: &str, values: &[_]| needed.iter().any(|port| self.needs(source, port, values));
        for (name, form) in &self.parts.streams {
            if needs(name, &values)
                && let Some(value) = self.stream(item, name, form, version)?
            {
                values.push((PortId::new(DATA, name), value));
            }
        }
        if needs(AUDIO, &values) {
            let wave = self.decoded(item, version)?;
            let wave = augmentations
                .apply(wave, self.sample_rate_hz, item, version)
                .map_err(|(node, error)| FeedError::Augment { node, error })?;
            values.push((PortId::new(DATA, AUDIO), HostValue::Wave(wave)));
        }
        self.run_steps(item, version, &mut values)?;
        let find = |port: &PortId| values.iter().find(|(at, _)| at == port).map(|(_, value)| value.clone());
        let cached = cached
            .iter()
            .zip(known)
            .zip(keys)
            .map(|((node, known), key)| match (known, find(&node.input)) {
                (Some(array), _) => CachedValue::Known(array),
                (None, None) => CachedValue::Absent,
                (None, Some(input)) if version.again().is_none() && self.parts.source(&node.input) == AUDIO => {
                    CachedValue::Passing(input)
                }
                (None, Some(input)) => CachedValue::Unknown { input, key },
            })
            .collect();
        Ok(ItemValues {
            wanted: wanted.iter().map(find).collect(),
            cached,
        })
    }

    /// What a waveform gives in the place of an item's own; nothing of it is remembered.
    ///
    /// # Errors
    /// A file of the item, or a model, cannot be used.
    pub fn of_wave(&self, item: &Item, wave: Vec<f32>) -> Result<ItemValues, FeedError> {
        let mut values = vec![(PortId::new(DATA, AUDIO), HostValue::Wave(wave))];
        for (name, form) in &self.parts.streams {
            if let Some(value) = self.stream(item, name, form, &Version::Plain)? {
                values.push((PortId::new(DATA, name), value));
            }
        }
        self.run_steps(item, &Version::Plain, &mut values)?;
        let find = |port: &PortId| values.iter().find(|(at, _)| at == port).map(|(_, value)| value.clone());
        let unknown = |node: &CachedNode| match find(&node.input) {
            Some(input) => CachedValue::Unknown { input, key: None },
            None => CachedValue::Absent,
        };
        Ok(ItemValues {
            wanted: self.parts.wanted.iter().map(find).collect(),
            cached: self.parts.cached.iter().map(unknown).collect(),
        })
    }

    /// An item's audio, decoded and resampled: where its other values never come again, it is remembered for
    /// itself.
    fn decoded(&self, item: &Item, version: &Version) -> Result<Vec<f32>, FeedError> {
        let known = self.remembered().decoded.get(&item.key).cloned();
        if let Some(wave) = known {
            return Ok(wave.to_vec());
        }
        let wave = self.decoded_on_disk(item)?;
        let bytes = size_of_val(wave.as_slice());
        let mut remembered = self.remembered();
        if version.again().is_none() && bytes <= remembered.budget {
            remembered.budget -= bytes;
            remembered.decoded.insert(item.key.clone(), Arc::new(wave.clone()));
        }
        Ok(wave)
    }

    /// An item's audio, from the disk where it is kept there.
    fn decoded_on_disk(&self, item: &Item) -> Result<Vec<f32>, FeedError> {
        let decode = || item.load_audio(self.sample_rate_hz).map_err(FeedError::Data);
        let kept = self.parts.cache.as_ref().filter(|_| self.parts.decoded_on_disk);
        let Some((cache, key)) = kept.zip(key_of_audio(item, self.sample_rate_hz)) else {
            return decode();
        };
        if let Some(array) = cache.get(&key) {
            return Ok(array.into_values());
        }
        let wave = decode()?;
        if let Ok(array) = Array::new([wave.len()], wave.clone()) {
            let origin = Origin {
                kind: "decoded audio".to_owned(),
                source: item.dataset.to_string(),
            };
            cache.put(&key, &array, Precision::F32, &origin);
        }
        Ok(wave)
    }

    /// What steps gave before, as far as it is kept.
    fn kept_steps(&self, item: &Item, version: &Version) -> Vec<(PortId, HostValue)> {
        let kept = |step: &HostStep| {
            let key = self.key_of_step(step, item, version)?;
            HostValue::from_array(self.parts.cache.as_ref()?.get(&key)?)
        };
        let steps = self.parts.steps.iter();
        steps
            .filter_map(|step| Some((step.output.clone(), kept(step)?)))
            .collect()
    }

    /// What a step reads from files of the item's own, which augmentation does not reach: where the item's other values
    /// never come again, it is remembered for itself.
    fn read(&self, step: &HostStep, item: &Item, version: &Version) -> Result<HostValue, FeedError> {
        let name = (item.key.clone(), step.output.node.clone());
        let known = self.remembered().read.get(&name).cloned();
        if let Some(value) = known {
            return Ok(HostValue::clone(&value));
        }
        let value = computed(step, item, None)?;
        let mut remembered = self.remembered();
        if version.again().is_none() && value.bytes() <= remembered.budget {
            remembered.budget -= value.bytes();
            remembered.read.insert(name, Arc::new(value.clone()));
        }
        Ok(value)
    }

    fn key_of_step(&self, step: &HostStep, item: &Item, version: &Version) -> Option<Key> {
        self.key(step.keeping.as_ref()?, &step.output, item, version)
    }

    /// The key of what follows from a host value of an item; `None` where it is not to be kept.
    fn key(&self, keeping: &Keeping, port: &PortId, item: &Item, version: &Version) -> Option<Key> {
        match self.parts.source(port) {
            AUDIO => key_of(keeping, item, version, &self.parts.augmentations, self.sample_rate_hz),
            stream => key_of_stream(keeping, item.stream(stream)?, self.sample_rate_hz),
        }
    }

    /// Adds what the steps give, as far as their inputs are there.
    fn run_steps(
        &self,
        item: &Item,
        version: &Version,
        values: &mut Vec<(PortId, HostValue)>,
    ) -> Result<(), FeedError> {
        for step in &self.parts.steps {
            if values.iter().any(|(port, _)| *port == step.output) {
                continue;
            }
            let input = step.input.as_ref();
            let input = input.and_then(|input| values.iter().find(|(port, _)| port == input));
            let output = match input {
                _ if step.op.reads_item() => self.read(step, item, version)?,
                Some((_, input)) => {
                    let value = computed(step, item, Some(input))?;
                    self.keep(step, item, version, value)
                }
                None => continue,
            };
            values.push((step.output.clone(), output));
        }
        Ok(())
    }
}

impl HostPipeline {
    /// Keeps what a step gave for an item, where it is to be kept; gives it as it will be read again.
    fn keep(&self, step: &HostStep, item: &Item, version: &Version, value: HostValue) -> HostValue {
        let Some((keeping, array)) = step.keeping.as_ref().zip(value.to_array()) else {
            return value;
        };
        let array = array.rounded(keeping.precision).unwrap_or(array);
        if let (Some(cache), Some(key)) = (&self.parts.cache, self.key_of_step(step, item, version)) {
            let origin = Origin {
                kind: keeping.kind.clone(),
                source: item.dataset.to_string(),
            };
            cache.put(&key, &array, keeping.precision, &origin);
        }
        HostValue::from_array(array).unwrap_or(value)
    }
}

/// What a step gives for an item.
fn computed(step: &HostStep, item: &Item, input: Option<&HostValue>) -> Result<HostValue, FeedError> {
    let node = || step.output.node.clone();
    step.op.compute(&item.key, input).map_err(|error| match error {
        HostError::Feature(error) => FeedError::Feature { node: node(), error },
        error => FeedError::Host {
            node: node(),
            item: item.key.to_string(),
            error,
        },
    })
}
