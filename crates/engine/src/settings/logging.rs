//! What is written while training.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is written while training.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Logging {
    /// Steps from one line of training metrics to the next.
    #[serde(default = "default_log_steps")]
    #[schemars(range(min = 1))]
    pub every_steps: u64,
    /// Whether TensorBoard events are written.
    #[serde(default = "default_tensorboard")]
    pub tensorboard: bool,
}

impl Default for Logging {
    fn default() -> Self {
        Self {
            every_steps: default_log_steps(),
            tensorboard: default_tensorboard(),
        }
    }
}

fn default_log_steps() -> u64 {
    10
}

fn default_tensorboard() -> bool {
    true
}
