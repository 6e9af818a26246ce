//! From items of the corpora to batches on the host: decode, host nodes, collate, prefetch.

pub mod augment;
pub mod batch;
pub mod cached;
pub mod host;
pub mod loader;
pub mod order;
pub mod streams;

use std::sync::Arc;

use burn::tensor::Device;
use emorun_audio::augment::AugmentError;
use emorun_data::{DataError, Item, Items};
use emorun_features::{Array, Key, Origin};
use emorun_kernels::on_cores;
use emorun_lang::Signal;

use augment::{Strengths, Version};
use batch::HostBatch;
use cached::{CachedNode, CachedValue};
use emorun_nn::host::{HostError, HostValue, ItemFeatureError};
use emorun_nn::node::{NodeError, PREFIX};
use emorun_nn::value::{Labels, PortId, Targets, Value, Values};
use emorun_nodes::network::{Network, RunError};
use host::HostPipeline;
use loader::{Batch, Loader, prepare};

/// The items of a run and how their values come about.
#[derive(Clone, Debug)]
pub struct Feed {
    /// All items of the corpora.
    pub items: Items,
    /// What is computed on the host.
    pub pipeline: Arc<HostPipeline>,
    /// Label columns that the graph reads, such as `emotion`.
    pub labels: Arc<[String]>,
    /// Worker threads.
    pub workers: usize,
    /// Most batches that are prepared or under way ahead of who takes them.
    pub ahead: usize,
}

/// Why a batch could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// An item's audio cannot be read.
    #[error(transparent)]
    Data(DataError),
    /// A file that an augmentation reads cannot be read.
    #[error("augmentation `{node}`: {error}")]
    Augment {
        /// The node.
        node: String,
        /// Why.
        error: AugmentError,
    },
    /// A feature cannot be read.
    #[error("features of `{node}`: {error}")]
    Feature {
        /// The node.
        node: String,
        /// Why.
        error: ItemFeatureError,
    },
    /// A host node fails on an item.
    #[error("`{node}` on {item}: {error}")]
    Host {
        /// The node.
        node: String,
        /// Key of the item.
        item: String,
        /// Why.
        error: HostError,
    },
    /// A frozen node cannot be run.
    #[error(transparent)]
    Node(RunError),
}

impl Feed {
    /// Starts preparing batches of items as they are, or as they are under the condition that they are evaluated in.
    pub fn load(&self, batches: Vec<Vec<usize>>) -> Loader {
        self.start(batches, self.pipeline.parts.augmentations.evaluated_version())
    }

    /// Prepares batches as [`Self::load`] does, each when it is asked for, on the thread that asks: of sound in memory there
    /// is nothing to wait for, and threads would cost more than they save.
    pub fn load_here(&self, batches: Vec<Vec<usize>>) -> impl Iterator<Item = Result<Batch, FeedError>> + '_ {
        let version = self.pipeline.parts.augmentations.evaluated_version();
        let batches = batches.into_iter();
        batches.map(move |items| prepare(&self.items, &self.pipeline, &items, &version))
    }

    /// Starts preparing training batches of an epoch, augmented as strongly as policies have chosen.
    pub fn load_training(&self, batches: Vec<Vec<usize>>, seed: u64, epoch: u64, strengths: &Strengths) -> Loader {
        let version = self.pipeline.parts.augmentations.version(seed, epoch);
        self.start(batches, version.with(strengths))
    }

    fn start(&self, batches: Vec<Vec<usize>>, version: Version) -> Loader {
        Loader::start(
            self.items.clone(),
            self.pipeline.clone(),
            batches,
            version,
            self.workers,
            self.ahead,
        )
    }

    /// What items are labelled with, at the ports of `data`, and their stable keys.
    ///
    /// # Errors
    /// The corpus' index on disk cannot be read.
    pub fn labels(&self, items: &[usize], network: &Network) -> Result<(Values, Arc<[String]>), FeedError> {
        let rows = items.iter().map(|&item| self.items.get(item).map_err(FeedError::Data));
        let rows = rows.collect::<Result<Vec<Item>, _>>()?;
        let keys = rows.iter().map(|item| item.key.to_string()).collect();
        Ok((self.labelled(&rows, network), keys))
    }

    fn labelled(&self, rows: &[Item], network: &Network) -> Values {
        let mut values = Values::new();
        for label in self.labels.iter() {
            let column = rows.iter().map(|item| item.label(label)).collect();
            values.insert(PortId::new("data", label), Value::Labels(Labels::new(column)));
        }
        for (port, signal) in network.targets() {
            values.insert(port, Value::Targets(targets(rows.iter(), &signal)));
        }
        let texts = rows.iter().map(|item| item.text.as_deref().map(str::to_owned));
        values.insert(PortId::new("data", "text"), Value::Text(texts.collect()));
        for port in network.texts() {
            let texts = HostPipeline::texts(&port.port, rows);
            values.insert(port, texts);
        }
        self.pipeline.add_presence(rows, &mut values);
        values
    }

    /// A batch's values at the ports that the network reads; what frozen nodes give and is not kept
    /// is computed, on the CPU item by item, so that it depends neither on the batch nor on what is kept.
    ///
    /// # Errors
    /// A frozen node cannot be run.
    pub fn values(&self, batch: Batch, network: &Network, device: &Device) -> Result<Values, FeedError> {
        let mut values = self.labelled(&batch.rows, network);
        for (port, value) in self.pipeline.parts.wanted.iter().zip(batch.values) {
            let value = match value {
                Some(value) => Some(value.into_value(device)),
                None => network.absent_at(port, batch.rows.len()),
            };
            values.extend(value.map(|value| (port.clone(), value)));
        }
        for (node, given) in self.pipeline.parts.cached.iter().zip(batch.cached) {
            let passing: Option<Vec<&HostValue>> = given
                .iter()
                .map(|value| match value {
                    CachedValue::Passing(input) => Some(input),
                    CachedValue::Known(_) | CachedValue::Unknown { .. } | CachedValue::Absent => None,
                })
                .collect();
            if let Some(inputs) = passing {
                let inputs = HostBatch::collate(inputs.into_iter().map(Some));
                values.extend(inputs.map(|inputs| (node.input.clone(), inputs.into_value(device))));
                continue;
            }
            let mut arrays: Vec<Option<Arc<Array>>> = vec![None; given.len()];
            let mut unknown: Vec<(usize, Unknown<'_>)> = Vec::new();
            for (at, (value, item)) in given.into_iter().zip(&batch.rows).enumerate() {
                let (input, key) = match value {
                    CachedValue::Known(array) => {
                        arrays[at] = Some(array);
                        continue;
                    }
                    CachedValue::Absent => continue,
                    CachedValue::Unknown { input, key } => (input, key),
                    CachedValue::Passing(input) => (input, None),
                };
                unknown.push((at, Unknown { input, key, item }));
            }
            let lengths: Vec<usize> = unknown.iter().map(|(_, unknown)| unknown.input.steps()).collect();
            for group in cached::groups(&lengths, device) {
                let members: Vec<&Unknown<'_>> = group.iter().map(|&at| &unknown[at].1).collect();
                let computed = self.compute_frozen(node, &members, network, device)?;
                for (at, array) in group.into_iter().zip(computed) {
                    arrays[unknown[at].0] = Some(Arc::new(array));
                }
            }
            if let Some(stack) = cached::collate(&arrays, device) {
                values.insert(node.output(), stack);
            }
        }
        Ok(values)
    }

    /// What a node's frozen part gives for items, kept where it can be.
    fn compute_frozen(
        &self,
        node: &CachedNode,
        items: &[&Unknown<'_>],
        network: &Network,
        device: &Device,
    ) -> Result<Vec<Array>, FeedError> {
        let inner = device.clone().inner();
        let mut values = Values::new();
        let inputs = HostBatch::collate(items.iter().map(|unknown| Some(&unknown.input)));
        values.extend(inputs.map(|inputs| (node.input.clone(), inputs.into_value(&inner))));
        let keys: Arc<[String]> = items.iter().map(|unknown| unknown.item.key.to_string()).collect();
        let value = on_cores(&inner, || network.frozen_part(&node.name, &values, keys)).map_err(FeedError::Node)?;
        let unusable = || {
            FeedError::Node(RunError {
                node: node.name.clone(),
                source: NodeError::Missing(PREFIX.to_owned()),
            })
        };
        let arrays = value.and_then(cached::arrays_of).ok_or_else(unusable)?;
        let precision = node.keeping.precision;
        let rounded = arrays.into_iter().zip(items).map(|(array, unknown)| {
            let array = array.rounded(precision).unwrap_or(array);
            if let (Some(cache), Some(key)) = (&self.pipeline.parts.cache, &unknown.key) {
                let origin = Origin {
                    kind: node.keeping.kind.clone(),
                    source: unknown.item.dataset.to_string(),
                };
                cache.put(key, &array, precision, &origin);
            }
            array
        });
        Ok(rounded.collect())
    }
}

/// An item whose frozen value is to be computed.
struct Unknown<'a> {
    /// The node's input.
    input: HostValue,
    /// Where it is to be kept.
    key: Option<Key>,
    item: &'a Item,
}

/// What items are labelled with at a port.
fn targets<'a>(items: impl Iterator<Item = &'a Item>, signal: &Signal) -> Targets {
    let mut rows = Vec::new();
    let mut width = 0;
    match signal {
        Signal::Values { names } => {
            width = names.len();
            for item in items {
                rows.extend(names.iter().map(|name| item.values.get(name).copied()));
            }
        }
        Signal::SoftLabels { labels } => {
            width = labels.len().unwrap_or(0);
            for item in items {
                let shares = item.soft_labels.get(&labels.name);
                rows.extend((0..width).map(|class| shares.and_then(|shares| shares.get(class).copied())));
            }
        }
        _ => {}
    }
    Targets::new(rows, width)
}
