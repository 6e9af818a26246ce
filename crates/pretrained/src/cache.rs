//! How a pretrained encoder's frozen part is cached, as the experiment file says it.

use emorun_features::Precision;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Cache of what the frozen part of an encoder gives for an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// Whether what the frozen part gives is kept on disk and read back from then on. It changes no number.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// With waveform augmentation in front: number of different augmented versions of each item,
    /// taken in turn by epoch, whether they are kept or not. An item is augmented once for all
    /// encoders, so that all of them have the same number. Left out, augmentation is drawn anew each epoch and nothing of
    /// training items is cached.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1000))]
    pub views: Option<u64>,
    /// Precision in which values are kept, and to which computed ones are rounded too.
    #[serde(default)]
    pub precision: Precision,
}

fn enabled() -> bool {
    true
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            enabled: true,
            views: None,
            precision: Precision::default(),
        }
    }
}
