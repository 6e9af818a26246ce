//! What was found out about files that nodes name, before inference, which reads nothing itself.

use std::collections::HashMap;
use std::sync::Arc;

use emorun_features::FeatureSource;
use emorun_weights::Checkpoint;
use serde_json::Value;

/// Facts of checkpoints by the text of `weights:`, and of features by their `path:`.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    checkpoints: HashMap<String, CheckpointFacts>,
    features: HashMap<String, Arc<FeatureSource>>,
}

/// What is known of one checkpoint.
#[derive(Clone, Debug)]
pub struct CheckpointFacts {
    /// `config.json`.
    pub config: Value,
    /// `preprocessor_config.json`, where there is one.
    pub preprocessor: Option<Value>,
    /// BLAKE3 of all its files, once they were read.
    pub hash: Option<[u8; 32]>,
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

    /// Notes where the features of a path lie.
    pub fn insert_features(&mut self, path: &str, source: Arc<FeatureSource>) {
        self.features.insert(path.to_owned(), source);
    }

    /// Where the features of a path lie, once the items were looked up there.
    pub fn features(&self, path: &str) -> Option<&Arc<FeatureSource>> {
        self.features.get(path)
    }
}
