//! Where a training loop stands, as far as it must survive a kill.

use std::collections::BTreeMap;

use emorun_metrics::{Confusion, MetricsError};
use serde::{Deserialize, Serialize};

use super::policy::PolicyState;
use super::schedule::Plateau;
use crate::policies::Episode;

/// The state of the loop between two steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoopState {
    /// Optimizer steps taken.
    pub step: u64,
    /// Epochs completed.
    pub epoch: u64,
    /// Micro-batches taken of the current epoch.
    pub batch: usize,
    /// What the current epoch has seen.
    pub seen: Seen,
    /// The best epoch so far, by the chosen validation metric.
    pub best: Option<Best>,
    /// The next best epochs whose checkpoints are kept, the better first.
    #[serde(default)]
    pub next_best: Vec<Best>,
    /// Epochs since the watched metric last improved.
    pub stale_epochs: u64,
    /// Best value of the watched metric.
    pub watched: Option<f64>,
    /// What a plateau schedule has seen.
    #[serde(default)]
    pub plateau: Plateau,
    /// How often weights were taken into their average.
    #[serde(default)]
    pub averaged: u64,
    /// Where policies stand, by node.
    #[serde(default)]
    pub policies: BTreeMap<String, PolicyState>,
    /// True when no further step is to be taken.
    pub finished: bool,
    /// Bytes of `metrics.jsonl` that belong to this state.
    pub metrics_bytes: u64,
    /// Counters of the optimizer's state.
    pub optimizer_counters: BTreeMap<String, u64>,
    /// Seconds spent training so far.
    pub seconds: f64,
    /// Seconds of these in which training waited for checkpoints.
    #[serde(default)]
    pub checkpoint_seconds: f64,
}

/// Sums over the items of an epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Items.
    pub items: u64,
    /// Loss times items.
    pub loss: f64,
    /// Predictions of each head.
    pub heads: BTreeMap<String, Confusion>,
    /// What policies met in the step, by node, until they are told; empty between steps.
    #[serde(skip)]
    pub rollouts: Vec<(String, Episode)>,
}

impl Seen {
    /// Adds what was seen beside it of the same epoch.
    ///
    /// # Errors
    /// A head's classes differ.
    pub fn merge(&mut self, other: Self) -> Result<(), MetricsError> {
        self.items += other.items;
        self.loss += other.loss;
        for (head, confusion) in other.heads {
            match self.heads.get_mut(&head) {
                Some(sum) => sum.merge(&confusion)?,
                None => {
                    self.heads.insert(head, confusion);
                }
            }
        }
        self.rollouts.extend(other.rollouts);
        Ok(())
    }

    /// Mean loss over the items seen.
    pub fn mean_loss(&self) -> Option<f64> {
        (self.items > 0).then(|| self.loss / self.items as f64)
    }
}

/// The best epoch so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// Step after which it was measured.
    pub step: u64,
    /// Epoch, counted from 1.
    pub epoch: u64,
    /// Name of the metric.
    pub metric: String,
    /// Its value on the validation split.
    pub value: f64,
}
