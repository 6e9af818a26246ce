//! What was found out about checkpoints before inference, which reads nothing itself.

use std::collections::HashMap;
use std::sync::Arc;

use emorun_weights::Checkpoint;
use serde_json::Value;

/// Facts by the text of `weights:` and the layout beside it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    checkpoints: HashMap<String, CheckpointFacts>,
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
}
