//! From items of the corpora to batches on the host: decode, host nodes, collate, prefetch.

pub mod host;
pub mod loader;
pub mod order;

use std::sync::Arc;

use burn::tensor::Device;
use emorun_data::Item;

use crate::value::{Labels, PortId, Value, Values};
use host::HostPipeline;
use loader::{Batch, Loader};

/// The items of a run and how their values come about.
#[derive(Clone, Debug)]
pub struct Feed {
    /// All items of the corpora.
    pub items: Arc<Vec<Item>>,
    /// What is computed on the host.
    pub pipeline: Arc<HostPipeline>,
    /// Label columns that the graph reads, such as `emotion`.
    pub labels: Arc<[String]>,
    /// Worker threads.
    pub workers: usize,
}

impl Feed {
    /// Starts preparing batches.
    pub fn load(&self, batches: Vec<Vec<usize>>) -> Loader {
        Loader::start(self.items.clone(), self.pipeline.clone(), batches, self.workers)
    }

    /// A batch's values at the ports that the network reads.
    pub fn values(&self, batch: Batch, device: &Device) -> Values {
        let mut values = Values::new();
        for label in self.labels.iter() {
            let column = batch
                .items
                .iter()
                .map(|&item| self.items[item].labels.get(label).copied().flatten())
                .collect();
            values.insert(PortId::new("data", label), Value::Labels(Labels::new(column)));
        }
        let texts = batch.items.iter().map(|&item| self.items[item].text.clone()).collect();
        values.insert(PortId::new("data", "text"), Value::Text(texts));
        for (port, value) in self.pipeline.wanted.iter().zip(batch.values) {
            values.insert(port.clone(), value.into_value(device));
        }
        values
    }

    /// Stable keys of items, for draws.
    pub fn keys(&self, items: &[usize]) -> Arc<[String]> {
        items.iter().map(|&item| self.items[item].key.clone()).collect()
    }
}
