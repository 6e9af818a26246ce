//! Audio of wrong predictions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Saves what was predicted wrongly, as audio and as a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SaveMisclassified {
    /// Most recordings of a head, the most confident mistakes first.
    #[serde(default = "default_max")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max: usize,
}

fn default_max() -> usize {
    100
}
