//! How the network is trained.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AverageConfig, Batching, Checkpoints, LoaderSettings, OptimizerConfig, SchedulerConfig};

/// How the network is trained.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Number of passes over the training items.
    #[schemars(range(min = 1))]
    pub epochs: u64,
    /// Items of one batch; with `accumulate`, of one micro-batch.
    #[schemars(range(min = 1, max = 65536))]
    pub batch_size: usize,
    /// Optimizer and its learning rate.
    pub optimizer: OptimizerConfig,
    /// Learning rate over time; constant when left out.
    #[serde(default)]
    pub scheduler: SchedulerConfig,
    /// Gradients are scaled down to this norm over all parameters together; off when left out.
    #[serde(default)]
    #[schemars(range(min = 1e-9))]
    pub clip_norm: Option<f64>,
    /// Which items come together in a batch.
    #[serde(default)]
    pub batching: Batching,
    /// Micro-batches whose gradients make one step, the same as that of one batch of all their items: each counts by
    /// what its items count in a loss, such as their class weights. Losses that compare items (`ccc`, `triplet`,
    /// `supervised_contrastive`) do so within each micro-batch, and batch normalisation takes its statistics there.
    #[serde(default = "default_accumulate")]
    #[schemars(range(min = 1, max = 4096))]
    pub accumulate: usize,
    /// Whether layers of pretrained encoders that train keep only their inputs for the backward pass and are
    /// computed again in it (Chen et al. 2016): the same gradients in less memory and about a third more
    /// time.
    #[serde(default)]
    pub gradient_checkpointing: bool,
    /// Devices that share every batch out; `batch_size` is of all together. Each takes the statistics of batch
    /// normalisation, and losses that compare items, over its own part, as PyTorch's DistributedDataParallel does. The
    /// CPU is one device, which does the parts one after the other. Several GPUs are refused: that is not proven yet.
    #[serde(default = "default_devices")]
    #[schemars(range(min = 1, max = 64))]
    pub devices: usize,
    /// Which parameters the optimizer's weight decay acts on.
    #[serde(default)]
    pub weight_decay_on: DecayOn,
    /// Nodes whose parameters have a learning rate or a weight decay of their own; the first group that
    /// names a node counts.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub groups: Vec<ParameterGroup>,
    /// Heads that no loss is meant to train, such as one whose weights come from `init_from`. A head that no loss
    /// trains and that is not named here is a mistake.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub untrained: Vec<String>,
    /// Averages the weights over training; the average is what validation, the final evaluation and
    /// `init_from` of other runs take. Off when left out.
    #[serde(default)]
    pub average: Option<AverageConfig>,
    /// Stops when a validation metric no longer improves; off when left out.
    #[serde(default)]
    pub early_stopping: Option<EarlyStopping>,
    /// Runs the experiment once for each of these seeds instead of `seed`, as members of one run.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub seeds: Vec<u64>,
    /// When checkpoints are written.
    #[serde(default)]
    pub checkpoints: Checkpoints,
    /// How items are prepared.
    #[serde(default)]
    pub loader: LoaderSettings,
}

impl Training {
    /// The key of the rate that the learning rate goes up to: with some schedules, the optimizer's is not used.
    pub fn highest_rate_key(&self) -> &'static str {
        match self.scheduler {
            SchedulerConfig::OneCycle(_) => "training.scheduler.max_lr",
            SchedulerConfig::Constant(_)
            | SchedulerConfig::WarmUp(_)
            | SchedulerConfig::Cosine(_)
            | SchedulerConfig::CosineWarmRestarts(_)
            | SchedulerConfig::Plateau(_) => "training.optimizer.lr",
        }
    }
}

/// Which parameters weight decay acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecayOn {
    /// Every one, as PyTorch's optimizers do.
    #[default]
    All,
    /// Those of two and more dimensions: not biases, not the gains of normalisation.
    Matrices,
}

/// Nodes whose parameters move in a way of their own.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParameterGroup {
    /// Names of the nodes.
    #[schemars(length(min = 1))]
    pub nodes: Vec<String>,
    /// Factor of the learning rate, on top of a factor that the node has by itself.
    #[serde(default = "default_factor")]
    #[schemars(range(min = 0.0))]
    pub lr_factor: f64,
    /// Weight decay instead of the optimizer's.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub weight_decay: Option<f64>,
}

/// Stops training when a validation metric no longer improves.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// Epochs without improvement after which training stops.
    #[schemars(range(min = 1))]
    pub patience: u64,
    /// Metric to watch on the validation split: `loss`, `loss.<loss>` or `<head>.<metric>`; `evaluation.best`
    /// when left out.
    #[serde(default)]
    pub metric: Option<String>,
    /// Least change that counts as an improvement, in the metric's own unit.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub min_delta: f64,
}

fn default_accumulate() -> usize {
    1
}

fn default_devices() -> usize {
    1
}

fn default_factor() -> f64 {
    1.0
}
