//! The settings of an experiment: everything in the file that is not a node.

use std::borrow::Cow;
use std::fmt;

use emorun_data::SplitConfig;
use emorun_lang::{DataPath, kinded_enum};
use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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

/// Weights to start from: those of another run, or of a file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InitFrom {
    /// Directory of the run; of one member, where it has several. Its best epoch is taken, or its
    /// newest checkpoint where none was chosen. Classes are matched by their names, whatever their order.
    #[serde(default)]
    pub run: Option<DataPath>,
    /// With `run`: nodes whose weights are taken; left out, all that have the same name, tensors and classes here.
    #[serde(default)]
    pub nodes: Vec<String>,
    /// A file of tensors, `.safetensors` or what `torch.save` wrote of a `state_dict`.
    #[serde(default)]
    pub file: Option<DataPath>,
    /// With `file`: how names of its tensors begin, and how the same ones begin here, such as `"classifier.out":
    /// "emotion.classes"`; the longest that fits counts. Everything below what is named here must be in the file; what
    /// is not named stays as drawn. Left out, tensors are named in the file as they are here, `node.…`.
    #[serde(default)]
    pub map: IndexMap<String, String>,
    /// With `file`: which way round it has the weights of linear layers. Of a checkpoint in the directory of a run this is
    /// known.
    #[serde(default)]
    pub layout: FileLayout,
    /// With `file`: for each head (or `center` loss) that is taken, its classes (or numbers) in the order in which the
    /// file has them, which the file itself does not tell, such as `emotion: [neutral, angry]`. A checkpoint in the directory of a run tells
    /// it by its run.
    #[serde(default)]
    pub classes: IndexMap<String, Vec<String>>,
}

/// Which way round a file has the weights of linear layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileLayout {
    /// `[outputs, inputs]`, as PyTorch has them.
    #[default]
    Torch,
    /// `[inputs, outputs]`, as in the checkpoints of runs (`weights.safetensors`).
    Emorun,
}

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

kinded_enum! {
    /// How weights are averaged over training.
    pub enum AverageConfig {
        /// Exponential moving average, after every step.
        ema => Ema(EmaSettings),
        /// Stochastic weight averaging (Izmailov et al. 2018): the mean over the ends of epochs.
        swa => Swa(SwaSettings),
    }
}

/// Exponential moving average of the weights.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmaSettings {
    /// Share of the average that stays at each step; less at first, `(1 + steps) / (10 + steps)`.
    #[serde(default = "default_ema_decay")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub decay: f64,
}

/// Mean of the weights over the ends of epochs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwaSettings {
    /// First epoch that counts, from 1. Before it, the weights themselves are evaluated.
    #[schemars(range(min = 1))]
    pub from_epoch: u64,
}

/// Which items come together in a batch of training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Batching {
    /// Any, as drawn for the epoch.
    #[default]
    Random,
    /// Those of like length, so that little of a batch is padding. Worth it where lengths differ much
    /// and an encoder trains; it makes batches less random.
    ByLength(ByLength),
}

/// How items are sorted by length.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ByLength {
    /// Batches whose items are drawn anew each epoch and then sorted together: more leave less
    /// padding, fewer mix items more.
    #[serde(default = "default_window")]
    #[schemars(range(min = 1, max = 65536))]
    pub window: usize,
    /// Most seconds of a batch with its padding, its items times the longest of them, so that memory is
    /// bounded whatever the lengths are; `batch_size` is then the most items. A longer item is a batch of its
    /// own. Epochs differ a little in their number of steps: schedules count those of the first, spread evenly
    /// over each. `auto` tries steps on the longest item before the run and takes what fits into four fifths of
    /// the memory that is free then (on the CPU); `resolved.yaml` holds the number.
    #[serde(default)]
    pub max_batch_seconds: Option<BatchSeconds>,
}

/// A bound of a batch in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BatchSeconds {
    /// What fits into memory, found out before the run.
    Auto,
    /// Seconds.
    Seconds(f64),
}

/// How [`BatchSeconds::Auto`] is written.
const AUTO: &str = "auto";

impl Serialize for BatchSeconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str(AUTO),
            Self::Seconds(seconds) => serializer.serialize_f64(*seconds),
        }
    }
}

impl<'de> Deserialize<'de> for BatchSeconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BatchSecondsVisitor;

        impl Visitor<'_> for BatchSecondsVisitor {
            type Value = BatchSeconds;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a number of seconds, or `{AUTO}`")
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<BatchSeconds, E> {
                Ok(BatchSeconds::Seconds(seconds))
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<BatchSeconds, E> {
                Ok(BatchSeconds::Seconds(seconds as f64))
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<BatchSeconds, E> {
                Ok(BatchSeconds::Seconds(seconds as f64))
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<BatchSeconds, E> {
                match word {
                    AUTO => Ok(BatchSeconds::Auto),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }
        }

        deserializer.deserialize_any(BatchSecondsVisitor)
    }
}

impl JsonSchema for BatchSeconds {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "BatchSeconds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "oneOf": [
                { "type": "number", "minimum": 0.01, "maximum": 1e9 },
                { "type": "string", "const": AUTO },
            ]
        })
    }
}

impl Default for ByLength {
    fn default() -> Self {
        Self {
            window: default_window(),
            max_batch_seconds: None,
        }
    }
}

impl Batching {
    /// Most seconds of a batch with its padding; `None` for no bound, or for one that is not found out yet.
    pub fn max_seconds(&self) -> Option<f64> {
        match self {
            Self::ByLength(ByLength {
                max_batch_seconds: Some(BatchSeconds::Seconds(seconds)),
                ..
            }) => Some(*seconds),
            _ => None,
        }
    }

    /// Whether the bound is to be found out before the run.
    pub fn is_auto(&self) -> bool {
        matches!(self, Self::ByLength(settings) if settings.max_batch_seconds == Some(BatchSeconds::Auto))
    }
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

fn default_keep_last() -> usize {
    2
}

fn default_keep_best() -> usize {
    1
}

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

kinded_enum! {
    /// Rule by which parameters follow their gradients.
    pub enum OptimizerConfig {
        /// Adam (Kingma & Ba 2015); weight decay is added to the gradient.
        adam => Adam(AdamSettings),
        /// AdamW (Loshchilov & Hutter 2019); weight decay apart from the gradient.
        adamw => AdamW(AdamWSettings),
        /// Stochastic gradient descent with momentum.
        sgd => Sgd(SgdSettings),
        /// Muon (Jordan et al. 2024) for the matrices of hidden layers, AdamW for all else: vectors, convolutions,
        /// heads, `linear` layers that a loss takes, embeddings, attention's scores and the centres of classes.
        muon => Muon(MuonSettings),
    }
}

/// Adam with PyTorch's defaults.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdamSettings {
    /// Learning rate.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub lr: f64,
    /// Decay rates of the two moments, each from 0 to below 1.
    #[serde(default = "default_betas")]
    #[schemars(schema_with = "betas_schema")]
    pub betas: [f32; 2],
    /// Added to the denominator.
    #[serde(default = "default_eps")]
    #[schemars(range(min = 0.0))]
    pub eps: f32,
    /// Factor of the parameters added to the gradient.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
}

/// AdamW with PyTorch's defaults.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdamWSettings {
    /// Learning rate.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub lr: f64,
    /// Decay rates of the two moments, each from 0 to below 1.
    #[serde(default = "default_betas")]
    #[schemars(schema_with = "betas_schema")]
    pub betas: [f32; 2],
    /// Added to the denominator.
    #[serde(default = "default_eps")]
    #[schemars(range(min = 0.0))]
    pub eps: f32,
    /// Share of a parameter taken away each step, times the learning rate.
    #[serde(default = "default_adamw_decay")]
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
}

/// Stochastic gradient descent.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SgdSettings {
    /// Learning rate.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub lr: f64,
    /// Momentum; 0 is none.
    #[serde(default)]
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub momentum: f64,
    /// Nesterov's form of momentum.
    #[serde(default)]
    pub nesterov: bool,
    /// Factor of the parameters added to the gradient.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
}

/// Muon with Nesterov's momentum, its updates scaled to the size of AdamW's (Liu et al. 2025, section
/// 2.2), so that both share learning rate and decay.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MuonSettings {
    /// Learning rate.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub lr: f64,
    /// Momentum of the matrices' gradients.
    #[serde(default = "default_muon_momentum")]
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub momentum: f64,
    /// Newton-Schulz iterations that bring a matrix near orthogonality.
    #[serde(default = "default_ns_steps")]
    #[schemars(range(min = 1, max = 100))]
    pub ns_steps: usize,
    /// Decay rates of AdamW's two moments, each from 0 to below 1.
    #[serde(default = "default_betas")]
    #[schemars(schema_with = "betas_schema")]
    pub betas: [f32; 2],
    /// Added to AdamW's denominator.
    #[serde(default = "default_eps")]
    #[schemars(range(min = 0.0))]
    pub eps: f32,
    /// Share of a parameter taken away each step, times the learning rate.
    #[serde(default = "default_muon_decay")]
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
}

impl OptimizerConfig {
    /// The learning rate before scheduling.
    pub fn lr(&self) -> f64 {
        match self {
            Self::Adam(adam) => adam.lr,
            Self::AdamW(adamw) => adamw.lr,
            Self::Sgd(sgd) => sgd.lr,
            Self::Muon(muon) => muon.lr,
        }
    }

    /// The weight decay of parameters that have none of their own.
    pub fn weight_decay(&self) -> f64 {
        match self {
            Self::Adam(adam) => adam.weight_decay,
            Self::AdamW(adamw) => adamw.weight_decay,
            Self::Sgd(sgd) => sgd.weight_decay,
            Self::Muon(muon) => muon.weight_decay,
        }
    }
}

/// What a scheduler counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepUnit {
    /// Optimizer steps.
    Step,
    /// Whole epochs.
    Epoch,
}

kinded_enum! {
    /// Learning rate over time.
    pub enum SchedulerConfig {
        /// The optimizer's learning rate throughout.
        constant => Constant(ConstantSchedule),
        /// Linear warm-up to the optimizer's learning rate, then constant.
        warm_up => WarmUp(WarmUpSchedule),
        /// Half a cosine from the optimizer's learning rate to `min_lr` over the run.
        cosine => Cosine(CosineSchedule),
        /// Cosine periods that start anew (SGDR, Loshchilov & Hutter 2017).
        cosine_warm_restarts => CosineWarmRestarts(CosineWarmRestartsSchedule),
        /// Up to `max_lr` and down again over the run, by step (Smith & Topin 2018), as
        /// `torch.optim.lr_scheduler.OneCycleLR`.
        one_cycle => OneCycle(OneCycleSchedule),
        /// Lowered when a validation metric no longer improves, as
        /// `torch.optim.lr_scheduler.ReduceLROnPlateau`.
        plateau => Plateau(PlateauSchedule),
    }
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

impl SchedulerConfig {
    /// Whether the rate depends on how many epochs there are in all.
    pub fn spans_the_run(&self) -> bool {
        matches!(self, Self::Cosine(_) | Self::OneCycle(_))
    }
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self::Constant(ConstantSchedule {})
    }
}

/// No change over time.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConstantSchedule {}

/// Linear warm-up: step `t` (or epoch), counted from 0, has `lr · (t + 1) / (warm_up + 1)` while `t < warm_up`, and `lr`
/// from `t = warm_up` on, so that the first step moves. transformers' schedules with warm-up
/// (`get_constant_schedule_with_warmup`, `get_linear_schedule_with_warmup`) have `lr · t / warm_up` instead, which is 0
/// in the first step: theirs of `warm_up + 1` steps are these, one step later.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WarmUpSchedule {
    /// What `warm_up` counts.
    pub unit: StepUnit,
    /// Length of the warm-up in `unit`.
    #[schemars(range(min = 0.0))]
    pub warm_up: f64,
}

/// Half a cosine over the run: step `t` (or epoch) of `T`, counted from 0, has `lr · (t + 1) / (warm_up + 1)` while
/// `t < warm_up`, and then `min_lr + (lr − min_lr) · (1 + cos(π · (t − warm_up) / (T − warm_up))) / 2`. transformers'
/// `get_cosine_schedule_with_warmup` has `lr · t / warm_up` in the warm-up, which is 0 in the first step, and then the
/// same cosine to 0.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CosineSchedule {
    /// What the schedule counts: the rate changes every step, or every epoch.
    pub unit: StepUnit,
    /// Learning rate at the end.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub min_lr: f64,
    /// Length in `unit` of a linear warm-up before the cosine.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub warm_up: f64,
}

/// Cosine periods that start anew.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CosineWarmRestartsSchedule {
    /// What the periods count.
    pub unit: StepUnit,
    /// Length of the first period in `unit`.
    #[schemars(range(min = 1))]
    pub t_0: u64,
    /// Factor from one period's length to the next.
    #[serde(default = "default_t_mult")]
    #[schemars(range(min = 1))]
    pub t_mult: u64,
    /// Learning rate at the end of a period.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub min_lr: f64,
}

/// One cycle over the run, by step.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneCycleSchedule {
    /// Learning rate at the peak; the optimizer's `lr` is not used.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub max_lr: f64,
    /// Share of the steps spent rising, from 0 to 1.
    #[serde(default = "default_pct_start")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub pct_start: f64,
    /// The first rate is `max_lr / div_factor`.
    #[serde(default = "default_div_factor")]
    #[schemars(range(min = 1.0))]
    pub div_factor: f64,
    /// The last rate is the first divided by this.
    #[serde(default = "default_final_div_factor")]
    #[schemars(range(min = 1.0))]
    pub final_div_factor: f64,
}

/// Lowered when a validation metric no longer improves. Counted in epochs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlateauSchedule {
    /// Factor of the learning rate when nothing has improved.
    #[serde(default = "default_plateau_factor")]
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub factor: f64,
    /// Epochs without improvement that are waited for; the one after them lowers the rate.
    #[serde(default = "default_plateau_patience")]
    pub patience: u64,
    /// Metric to watch on the validation split: `loss` (the weighted sum), `loss.<loss>` or `<head>.<metric>`; `loss`
    /// when left out.
    #[serde(default)]
    pub metric: Option<String>,
    /// Share of the best value by which the next must be better to count.
    #[serde(default = "default_plateau_threshold")]
    #[schemars(range(min = 0.0))]
    pub threshold: f64,
    /// Epochs after a change in which none are counted.
    #[serde(default)]
    pub cooldown: u64,
    /// Least learning rate.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub min_lr: f64,
}

/// What is measured, and on which weights.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Metrics shown while training and at the end; all are in the summary.
    #[serde(default = "default_metrics")]
    pub metrics: Vec<Metric>,
    /// Metric on the validation split by which the best checkpoint is chosen: `loss` (the weighted sum),
    /// `loss.<loss>` or `<head>.<metric>`; the first metric of the first head when left out.
    #[serde(default)]
    pub best: Option<String>,
    /// Weights that the final evaluation uses; `best` needs a validation split, and is taken when
    /// there is one.
    #[serde(default)]
    pub weights: Option<FinalWeights>,
    /// Items of one batch in evaluation. It changes no result but for the rounding of sums, which
    /// `precision: bf16` makes large enough to be seen.
    #[serde(default = "default_evaluation_batch")]
    #[schemars(range(min = 1, max = 65536))]
    pub batch_size: usize,
}

impl Default for Evaluation {
    fn default() -> Self {
        Self {
            metrics: default_metrics(),
            best: None,
            weights: None,
            batch_size: default_evaluation_batch(),
        }
    }
}

/// A classification metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Unweighted average recall: the mean of the classes' recalls (scikit-learn's
    /// `balanced_accuracy_score`).
    Uar,
    /// Weighted accuracy: the share of items predicted rightly.
    Wa,
    /// Mean of the classes' F1 scores.
    MacroF1,
    /// Mean of the classes' F1 scores, each weighted by its number of items.
    WeightedF1,
    /// Mean of `−ln p` over the items, of the probability that their true class was given (scikit-learn's
    /// `log_loss`); the lower, the better.
    LogLoss,
}

impl Metric {
    /// Every metric, in the order of tables.
    pub const ALL: [Self; 5] = [Self::Uar, Self::Wa, Self::MacroF1, Self::WeightedF1, Self::LogLoss];

    /// Name in files and tags.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uar => "uar",
            Self::Wa => "wa",
            Self::MacroF1 => "macro_f1",
            Self::WeightedF1 => "weighted_f1",
            Self::LogLoss => "log_loss",
        }
    }

    /// Name in tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Uar => "UAR",
            Self::Wa => "WA",
            Self::MacroF1 => "macro F1",
            Self::WeightedF1 => "weighted F1",
            Self::LogLoss => "log loss",
        }
    }

    /// A value as people read it: shares in percent.
    pub fn text(self, value: Option<f64>) -> String {
        match (self, value) {
            (_, None) => "–".into(),
            (Self::LogLoss, Some(value)) => format!("{value:.4}"),
            (_, Some(value)) => format!("{:.2} %", 100.0 * value),
        }
    }
}

/// Weights of the final evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FinalWeights {
    /// Those of the best validation metric.
    Best,
    /// Those of the last epoch.
    Last,
}

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

fn default_seed() -> u64 {
    42
}
fn default_sample_rate() -> u32 {
    16_000
}
fn default_accumulate() -> usize {
    1
}
fn default_devices() -> usize {
    1
}
fn default_window() -> usize {
    200
}
fn default_every_epochs() -> u64 {
    1
}
fn default_workers() -> usize {
    2
}
fn default_cache() -> u64 {
    64
}
fn default_memory() -> usize {
    2048
}
fn betas_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": { "type": "number", "minimum": 0.0, "exclusiveMaximum": 1.0 },
        "minItems": 2,
        "maxItems": 2,
    })
}
fn default_betas() -> [f32; 2] {
    [0.9, 0.999]
}
fn default_eps() -> f32 {
    1e-8
}
fn default_adamw_decay() -> f64 {
    0.01
}
fn default_factor() -> f64 {
    1.0
}
fn default_ema_decay() -> f64 {
    0.999
}
fn default_muon_momentum() -> f64 {
    0.95
}
fn default_ns_steps() -> usize {
    5
}
fn default_muon_decay() -> f64 {
    0.1
}
fn default_plateau_factor() -> f64 {
    0.1
}
fn default_plateau_patience() -> u64 {
    10
}
fn default_plateau_threshold() -> f64 {
    1e-4
}
fn default_t_mult() -> u64 {
    1
}
fn default_pct_start() -> f64 {
    0.3
}
fn default_div_factor() -> f64 {
    25.0
}
fn default_final_div_factor() -> f64 {
    1e4
}
fn default_metrics() -> Vec<Metric> {
    vec![Metric::Uar, Metric::Wa, Metric::MacroF1]
}
fn default_evaluation_batch() -> usize {
    32
}
fn default_log_steps() -> u64 {
    10
}
fn default_tensorboard() -> bool {
    true
}
