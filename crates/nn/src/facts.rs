//! What was found out about files that nodes name, before inference, which reads nothing itself.

use std::collections::HashMap;
use std::sync::Arc;

use emorun_features::FeatureSource;
use emorun_weights::{Checkpoint, Content};
use serde_json::Value;

use crate::host::ItemModel;

/// Facts of checkpoints by the text of `weights:`, of features by where they are, of models by their
/// `model:` and how they are used, and of the files of augmentations by their node.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    checkpoints: HashMap<String, CheckpointFacts>,
    features: HashMap<String, (Arc<FeatureSource>, Option<[u8; 32]>)>,
    models: HashMap<(String, Value), Arc<dyn ItemModel>>,
    drawn: HashMap<String, [u8; 32]>,
}

/// What is known of one checkpoint.
#[derive(Clone, Debug)]
pub struct CheckpointFacts {
    /// `config.json`.
    pub config: Value,
    /// `preprocessor_config.json`, where there is one.
    pub preprocessor: Option<Value>,
    /// Hashes of its files, once they were read.
    pub content: Option<Content>,
    /// The files, once they were found; never for random weights.
    pub files: Option<Arc<Checkpoint>>,
}

impl Facts {
    /// Notes what is known of `weights`.
    pub fn insert(&mut self, weights: &str, facts: CheckpointFacts) {
        self.checkpoints.insert(weights.to_owned(), facts);
    }

    /// What is known of `weights`.
    pub fn checkpoint(&self, weights: &str) -> Option<&CheckpointFacts> {
        self.checkpoints.get(weights)
    }

    /// Notes where features lie, and the hash of all items' once they were read.
    pub fn insert_features(&mut self, place: String, source: Arc<FeatureSource>, hash: Option<[u8; 32]>) {
        self.features.insert(place, (source, hash));
    }

    /// Where features lie, once the items were looked up there.
    pub fn features(&self, place: &str) -> Option<&Arc<FeatureSource>> {
        self.features.get(place).map(|(source, _)| source)
    }

    /// BLAKE3 of all items' features, once they were read.
    pub fn features_hash(&self, place: &str) -> Option<[u8; 32]> {
        self.features.get(place).and_then(|(_, hash)| *hash)
    }

    /// Notes the content of the files that an augmentation draws from.
    pub fn insert_drawn(&mut self, node: &str, content: [u8; 32]) {
        self.drawn.insert(node.to_owned(), content);
    }

    /// BLAKE3 over names and content of the files that an augmentation draws from, once they were read.
    pub fn drawn(&self, node: &str) -> Option<[u8; 32]> {
        self.drawn.get(node).copied()
    }

    /// Notes a model that was read and checked against how it is used.
    pub fn insert_model(&mut self, path: &str, settings: Value, model: Arc<dyn ItemModel>) {
        self.models.insert((path.to_owned(), settings), model);
    }

    /// A model, once it was read.
    pub fn model(&self, path: &str, settings: Value) -> Option<&Arc<dyn ItemModel>> {
        self.models.get(&(path.to_owned(), settings))
    }
}
