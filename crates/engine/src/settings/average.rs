//! Averages of the weights over training.

use emorun_lang::kinded_enum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

fn default_ema_decay() -> f64 {
    0.999
}
