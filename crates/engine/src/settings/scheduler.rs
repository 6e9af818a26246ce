//! Learning rate over time.

use emorun_lang::kinded_enum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

fn default_plateau_factor() -> f64 {
    0.1
}

fn default_plateau_patience() -> u64 {
    10
}

fn default_plateau_threshold() -> f64 {
    1e-4
}
