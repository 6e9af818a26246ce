//! How items are prepared.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How items are prepared. None of it changes a result.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoaderSettings {
    /// Worker threads that decode and compute host features; more also read more files at once from a slow
    /// or remote disk.
    #[serde(default = "default_workers")]
    #[schemars(range(min = 1, max = 256))]
    pub workers: usize,
    /// Most batches that are prepared or under way ahead of training, each in memory: more bridge the pauses of a
    /// slow or remote disk. Two a worker when left out. When they are full, workers wait.
    #[serde(default)]
    #[schemars(range(min = 1, max = 65536))]
    pub prefetch_batches: Option<usize>,
    /// Memory in MiB in which computed host features are kept from epoch to epoch, and where augmentation
    /// changes them every epoch, the decoded and resampled audio before it; 0 keeps none. What is full keeps what it
    /// has.
    #[serde(default = "default_memory")]
    pub memory_mib: usize,
    /// Whether decoded and resampled audio is kept on disk too, by content, beside the features: worth it
    /// where audio is compressed or of another rate and does not fit into `memory_mib`. It takes 4 bytes a sample, within
    /// `cache_gib`.
    #[serde(default)]
    pub decoded_on_disk: bool,
    /// Size in GiB beyond which the least recently used features of frozen encoders, and decoded audio, are removed
    /// from the disk.
    #[serde(default = "default_cache")]
    #[schemars(range(min = 1, max = 1_048_576))]
    pub cache_gib: u64,
}

impl LoaderSettings {
    /// Most batches that are prepared or under way ahead of training.
    pub fn ahead(&self) -> usize {
        self.prefetch_batches.unwrap_or(2 * self.workers).max(1)
    }
}

impl Default for LoaderSettings {
    fn default() -> Self {
        Self {
            workers: default_workers(),
            prefetch_batches: None,
            decoded_on_disk: false,
            memory_mib: default_memory(),
            cache_gib: default_cache(),
        }
    }
}

fn default_workers() -> usize {
    2
}

fn default_memory() -> usize {
    2048
}

fn default_cache() -> u64 {
    64
}
