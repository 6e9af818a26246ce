//! When checkpoints are written, and which are kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When checkpoints are written, and which of them are kept.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Checkpoints {
    /// Epochs from one checkpoint to the next.
    #[serde(default = "default_every_epochs")]
    #[schemars(range(min = 1))]
    pub every_epochs: u64,
    /// Also a checkpoint every so many steps, in the middle of an epoch.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub every_steps: Option<u64>,
    /// Also a checkpoint when so many minutes have passed since the last, behind the next step.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub every_minutes: Option<f64>,
    /// Newest checkpoints that are kept; with two, a damaged one has one to fall back on.
    #[serde(default = "default_keep_last")]
    #[schemars(range(min = 1, max = 1000))]
    pub keep_last: usize,
    /// Checkpoints of the best epochs that are kept, by `evaluation.best`.
    #[serde(default = "default_keep_best")]
    #[schemars(range(min = 1, max = 1000))]
    pub keep_best: usize,
}

impl Default for Checkpoints {
    fn default() -> Self {
        Self {
            every_epochs: default_every_epochs(),
            every_steps: None,
            every_minutes: None,
            keep_last: default_keep_last(),
            keep_best: default_keep_best(),
        }
    }
}

fn default_every_epochs() -> u64 {
    1
}

fn default_keep_last() -> usize {
    2
}

fn default_keep_best() -> usize {
    1
}
