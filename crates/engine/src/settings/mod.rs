//! The settings of an experiment: everything in the file that is not a node, a file a subject.

mod average;
mod batching;
mod checkpoints;
mod evaluation;
mod init_from;
mod loader;
mod logging;
mod measure;
mod misclassified;
mod optimizer;
mod scheduler;
mod training;

use emorun_data::SplitConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use average::{AverageConfig, EmaSettings, SwaSettings};
pub use batching::{BatchSeconds, Batching, ByLength};
pub use checkpoints::Checkpoints;
pub use evaluation::{Evaluation, FinalWeights};
pub use init_from::{FileLayout, InitFrom};
pub use loader::LoaderSettings;
pub use logging::Logging;
pub use measure::{Measure, direction_of};
pub use misclassified::SaveMisclassified;
pub use optimizer::{AdamSettings, AdamWSettings, MuonSettings, OptimizerConfig, SgdSettings};
pub use scheduler::{
    ConstantSchedule, CosineSchedule, CosineWarmRestartsSchedule, OneCycleSchedule, PlateauSchedule, SchedulerConfig,
    StepUnit, WarmUpSchedule,
};
pub use training::{DecayOn, EarlyStopping, ParameterGroup, Training};

use emorun_nn::precision::Precision;

/// Settings of an experiment.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Name of the experiment; its runs lie under `runs/<name>/`.
    #[schemars(schema_with = "emorun_lang::folder_name_schema")]
    pub name: String,
    /// What the experiment is for, in the researcher's words.
    #[serde(default)]
    pub description: Option<String>,
    /// Seed of every random draw: weights, order of items, augmentation, dropout.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Sample rate in Hz to which all audio is brought.
    #[serde(default = "default_sample_rate")]
    #[schemars(range(min = 1000, max = 192_000))]
    pub sample_rate_hz: u32,
    /// Precision of matrix products and convolutions in pretrained encoders.
    #[serde(default)]
    pub precision: Precision,
    /// Starts from the weights of another run or of a file. The run is a new one all the same: `emorun resume` is
    /// what continues one.
    #[serde(default)]
    pub init_from: Option<InitFrom>,
    /// How items are divided into training, validation and test.
    pub split: SplitConfig,
    /// How the network is trained.
    pub training: Training,
    /// What is measured, and on which weights.
    #[serde(default)]
    pub evaluation: Evaluation,
    /// What is written while training.
    #[serde(default)]
    pub logging: Logging,
}

fn default_seed() -> u64 {
    42
}

fn default_sample_rate() -> u32 {
    16_000
}
