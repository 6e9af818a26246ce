//! What frozen encoders give, kept on disk by content.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{Device, Tensor, TensorData};
use emorun_audio::{Channel, Segment};
use emorun_data::{AudioSource, Item, StreamSource};
use emorun_features::{Array, Key, KeyBuilder, Lookup, Origin, Precision, Store};

use super::augment::{Augmentations, Version};
use emorun_nn::host::HostValue;
use emorun_nn::node::PREFIX;
use emorun_nn::value::{Lengths, PortId, Value};
use emorun_nn::waits;

/// How what a node gives is kept.
#[derive(Debug)]
pub struct Keeping {
    /// The node's kind, for statistics of the cache.
    pub kind: String,
    /// Hash of everything but the item that its values follow from.
    pub upstream: [u8; 32],
    /// To which values are rounded, and how they are kept.
    pub precision: Precision,
    /// Whether they are kept at all.
    pub stored: bool,
}

/// A device node whose frozen part is computed for each item alone, and kept where it can be.
#[derive(Debug)]
pub struct CachedNode {
    /// Name of the node.
    pub name: String,
    /// The host value that it takes.
    pub input: PortId,
    /// How it is kept.
    pub keeping: Keeping,
}

impl CachedNode {
    /// Where its frozen values stand in a batch.
    pub fn output(&self) -> PortId {
        PortId::new(&self.name, PREFIX)
    }
}

/// The folder of kept values, shared by runs.
#[derive(Debug)]
pub struct FeatureCache {
    store: Store,
    /// Said once, not for every item.
    complained: AtomicBool,
}

impl FeatureCache {
    /// The cache in a folder, bounded in size.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(root: &Path, limit_bytes: u64) -> Result<Self, emorun_features::StoreError> {
        Ok(Self {
            store: Store::open(root, Some(limit_bytes))?,
            complained: AtomicBool::new(false),
        })
    }

    /// A kept value, if there is one and it is sound.
    pub fn get(&self, key: &Key) -> Option<Array> {
        match self.store.get(key) {
            Ok(Lookup::Hit(entry)) => Some(entry.read()),
            Ok(Lookup::Miss) => None,
            Ok(Lookup::Damaged(damage)) => {
                tracing::warn!("{damage}");
                None
            }
            Err(error) => {
                self.complain(&error);
                None
            }
        }
    }

    /// Keeps a value; where that fails the run goes on without, and says so once.
    pub fn put(&self, key: &Key, value: &Array, precision: Precision, origin: &Origin) {
        match self.store.put(key, value, precision, origin) {
            Ok(removed) if removed.recent > 0 && !self.complained.swap(true, Ordering::Relaxed) => {
                tracing::warn!(
                    "the feature cache is too small for the runs at work: values of today were removed; raise training.loader.cache_gib"
                );
            }
            Ok(_) => {}
            Err(error) => self.complain(&error),
        }
    }

    fn complain(&self, error: &emorun_features::StoreError) {
        if !self.complained.swap(true, Ordering::Relaxed) {
            tracing::warn!("features are computed anew instead of kept: {error}");
        }
    }
}

/// What a frozen part gives for an item, or what it is computed from.
#[derive(Clone, Debug)]
pub enum CachedValue {
    /// `[states, time, width]`
    Known(Arc<Array>),
    /// To be computed, on the CPU for the item alone, so that it is the same whether it is kept or not.
    Unknown {
        /// The node's input.
        input: HostValue,
        /// Where it is to be kept; `None` where nothing is kept, or the item's content is not known.
        key: Option<Key>,
    },
    /// Input of a version that never comes again, to be computed within the step as a batch. All items of a batch are of
    /// one version.
    Passing(HostValue),
    /// The item lacks the stream that the node takes.
    Absent,
}

/// The key of a node's value for a version of an item; `None` where it is not to be kept.
pub fn key_of(
    keeping: &Keeping,
    item: &Item,
    version: &Version,
    augmentations: &Augmentations,
    sample_rate_hz: u32,
) -> Option<Key> {
    version.again().filter(|_| keeping.stored)?;
    let key = start_of_key(keeping);
    let key = add_audio(key, item, sample_rate_hz)?;
    // Draws differ by item, also for two items of one content.
    let key = match version {
        Version::Plain => key,
        Version::Augmented { .. } => key.part("item", item.key.as_bytes()),
    };
    Some(augmentations.add_to(key, version).finish())
}

fn start_of_key(keeping: &Keeping) -> KeyBuilder {
    KeyBuilder::new("emorun frozen encoder, 3")
        .part("upstream", keeping.upstream)
        .part("precision", keeping.precision.to_string())
}

/// The key of a node's value for an item's part of a stream, which augmentations leave alone: that of the same recording
/// as an item's audio. `None` where it is not to be kept.
pub fn key_of_stream(keeping: &Keeping, source: &StreamSource, sample_rate_hz: u32) -> Option<Key> {
    let StreamSource::File(file) = source else { return None };
    let content = file.content.filter(|_| keeping.stored)?;
    let key = start_of_key(keeping)
        .part("rate", sample_rate_hz.to_le_bytes())
        .part("audio", content.to_string());
    let key = match file.channel {
        Channel::Mix => key,
        channel => key.part("channel", channel.code().to_le_bytes()),
    };
    Some(Augmentations::default().add_to(key, &Version::Plain).finish())
}

/// The key of an item's decoded audio at a rate; `None` where there is no file, or its content is not known.
pub fn key_of_audio(item: &Item, sample_rate_hz: u32) -> Option<Key> {
    match item.audio {
        AudioSource::File { .. } => {
            add_audio(KeyBuilder::new("emorun decoded audio, 3"), item, sample_rate_hz).map(KeyBuilder::finish)
        }
        AudioSource::Synthetic(_) | AudioSource::Samples(_) => None,
    }
}

/// Adds what an item's audio at a rate follows from; `None` where its content is not known.
fn add_audio(key: KeyBuilder, item: &Item, sample_rate_hz: u32) -> Option<KeyBuilder> {
    let key = key
        .part("rate", sample_rate_hz.to_le_bytes())
        .part("audio", item.content?.to_string());
    let AudioSource::File { segment, channel, .. } = &item.audio else {
        return Some(key);
    };
    let key = match segment {
        Some(Segment { start_s, end_s }) => key
            .part("start", start_s.to_le_bytes())
            .part("end", end_s.to_le_bytes()),
        None => key,
    };
    Some(match channel {
        Channel::Mix => key,
        channel => key.part("channel", channel.code().to_le_bytes()),
    })
}

/// Joins items' frozen values to a batch; an item that has none has no length. `None` where no item has any.
pub fn collate(items: &[Option<Arc<Array>>], device: &Device) -> Option<Value> {
    let [states, _, width] = *items.iter().flatten().next()?.shape() else {
        return None;
    };
    let length = |item: &Option<Arc<Array>>| item.as_ref().map_or(0, |item| item.shape()[1]);
    let lengths: Vec<usize> = items.iter().map(length).collect();
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let batch = items.len();
    let mut values = vec![0f32; states * batch * longest * width];
    for (at, item) in items.iter().enumerate() {
        let Some(item) = item else { continue };
        let own = item.shape()[1] * width;
        for (state, source) in item.values().chunks_exact(own.max(1)).enumerate() {
            let start = (state * batch + at) * longest * width;
            values[start..start + own].copy_from_slice(source);
        }
    }
    let stack = Tensor::from_data(TensorData::new(values, [states, batch, longest, width]), device);
    Some(Value::Stack(stack, Lengths::new(lengths)))
}

/// Items' frozen values as arrays, from what the network gave for them; `None` if that is no stack of frames.
pub fn arrays_of(value: Value) -> Option<Vec<Array>> {
    let Value::Stack(stack, lengths) = value else {
        return None;
    };
    let [states, batch, time, width] = stack.dims();
    let longest = lengths.longest().min(time);
    let values = waits::numbers(stack.narrow(2, 0, longest));
    let item = |(at, &length): (usize, &usize)| {
        let valid = length.min(longest);
        let own = (0..states).flat_map(|state| {
            let start = (state * batch + at) * longest * width;
            values[start..start + valid * width].iter().copied()
        });
        Array::new([states, valid, width], own.collect()).ok()
    };
    lengths.as_slice().iter().enumerate().map(item).collect()
}

/// Longest item beside the shortest of those that are computed at once on a GPU: at most a tenth of them is padding.
const LIKE: f64 = 1.1;

/// Which items of these lengths are computed at once. On the CPU each by itself, so that its bits depend on nothing else;
/// elsewhere those of like length, as a GPU is mostly idle on one item and is waited for once for all of them.
pub fn groups(lengths: &[usize], device: &Device) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    if emorun_kernels::runs_on(device) {
        return order.into_iter().map(|at| vec![at]).collect();
    }
    order.sort_by_key(|&at| lengths[at]);
    like(lengths, order)
}

fn like(lengths: &[usize], order: Vec<usize>) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for at in order {
        match groups.last_mut() {
            Some(group) if lengths[at] as f64 <= LIKE * lengths[group[0]] as f64 => group.push(at),
            _ => groups.push(vec![at]),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_like_length_are_computed_at_once_but_on_the_cpu() {
        let lengths = [100, 300, 109, 111, 105, 320, 1000];
        let alone: Vec<Vec<usize>> = (0..7).map(|at| vec![at]).collect();
        assert_eq!(groups(&lengths, &Device::flex()), alone);
        let order = vec![0, 4, 2, 3, 1, 5, 6];
        assert_eq!(like(&lengths, order), [vec![0, 4, 2], vec![3], vec![1, 5], vec![6]]);
        assert!(groups(&[], &Device::flex()).is_empty());
    }

    #[test]
    fn items_of_a_batch_are_told_apart_without_their_padding() {
        let stack = Tensor::from_data(
            TensorData::new((0..24_i8).map(f32::from).collect(), [2, 3, 2, 2]),
            &Device::flex(),
        );
        let arrays = arrays_of(Value::Stack(stack, Lengths::new(vec![2, 1, 2]))).unwrap();
        assert_eq!(arrays[0].values(), [0.0, 1.0, 2.0, 3.0, 12.0, 13.0, 14.0, 15.0]);
        assert_eq!(arrays[1].shape(), [2, 1, 2]);
        assert_eq!(arrays[1].values(), [4.0, 5.0, 16.0, 17.0]);
        assert_eq!(arrays[2].values(), [8.0, 9.0, 10.0, 11.0, 20.0, 21.0, 22.0, 23.0]);
    }
}
