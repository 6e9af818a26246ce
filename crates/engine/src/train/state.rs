//! Where a training loop stands, as far as it must survive a kill.

use std::collections::BTreeMap;

use emorun_metrics::{Confusion, MetricsError};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::losses::LossTable;
use super::policy::PolicyState;
use super::schedule::Plateau;
use crate::settings::direction_of;
use emorun_nodes::policies::episodes::Episodes;

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

impl LoopState {
    /// Notes the epoch that has ended among the `keep` best ones. What is no number is none of them.
    pub fn rank(&mut self, metric: &str, value: Option<f64>, keep: usize) {
        let Some(value) = value.filter(|value| value.is_finite()) else {
            return;
        };
        let this = Best {
            step: self.step,
            epoch: self.epoch,
            metric: metric.to_owned(),
            value,
        };
        let mut ranked: Vec<Best> = self.best.take().into_iter().chain(self.next_best.drain(..)).collect();
        // Behind those that are as good: the first of equals is the best.
        let direction = direction_of(metric);
        let beats = |other: &Best| direction.is_better(value, other.value, 0.0);
        let place = ranked.iter().position(beats).unwrap_or(ranked.len());
        ranked.insert(place, this);
        ranked.truncate(keep.max(1));
        let mut ranked = ranked.into_iter();
        self.best = ranked.next();
        self.next_best = ranked.collect();
    }

    /// Counts the epochs in which a metric has not improved by more than `min_delta`; what is no number is no
    /// improvement.
    pub fn watch(&mut self, metric: &str, value: Option<f64>, min_delta: f64) {
        let direction = direction_of(metric);
        match (value.filter(|value| value.is_finite()), self.watched) {
            (Some(value), Some(watched)) if !direction.is_better(value, watched, min_delta) => self.stale_epochs += 1,
            (None, _) => self.stale_epochs += 1,
            (Some(value), _) => {
                self.watched = Some(value);
                self.stale_epochs = 0;
            }
        }
    }
}

/// Sums over the items of an epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Items.
    pub items: u64,
    /// Losses by node.
    #[serde(default)]
    pub losses: LossTable,
    /// What earlier versions kept in its place.
    #[serde(default, rename = "loss", skip_serializing)]
    pub earlier: IgnoredAny,
    /// Predictions of each head.
    pub heads: BTreeMap<String, Confusion>,
    /// What policies met in the step, by node, until they are told; empty between steps.
    #[serde(skip)]
    pub rollouts: Vec<(String, Episodes)>,
}

impl Seen {
    /// Adds what was seen beside it of the same epoch.
    ///
    /// # Errors
    /// A head's classes differ.
    pub fn merge(&mut self, other: Self) -> Result<(), MetricsError> {
        self.items += other.items;
        self.losses.merge(&other.losses);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_never_the_best_and_checkpoints_with_it_can_be_read() {
        let mut state = LoopState::default();
        for (epoch, value) in [f64::NAN, 0.5, f64::INFINITY, f64::NAN, 0.7, 0.6]
            .into_iter()
            .enumerate()
        {
            state.epoch = epoch as u64 + 1;
            state.rank("emotion.uar", Some(value), 2);
            state.watch("emotion.uar", Some(value), 0.0);
            let text = serde_json::to_string(&state).unwrap();
            assert_eq!(serde_json::from_str::<LoopState>(&text).unwrap(), state, "{text}");
        }
        let epochs = |best: &[Best]| best.iter().map(|best| best.epoch).collect::<Vec<_>>();
        assert_eq!(epochs(state.best.as_slice()), [5]);
        assert_eq!(epochs(&state.next_best), [6]);
        assert_eq!((state.watched, state.stale_epochs), (Some(0.7), 1));
        let mut lost = LoopState::default();
        lost.rank("loss.ce", Some(2.0), 1);
        lost.rank("loss.ce", Some(1.0), 1);
        assert_eq!(lost.best.unwrap().value, 1.0, "the lower loss is the better");
    }

    #[test]
    fn the_state_of_an_earlier_version_can_be_read() {
        let state = serde_json::to_value(LoopState::default()).unwrap();
        let mut earlier = state.clone();
        let seen = earlier["seen"].as_object_mut().unwrap();
        seen.remove("losses");
        seen.insert("loss".to_owned(), serde_json::json!(3.5));
        assert_eq!(
            serde_json::from_value::<LoopState>(earlier).unwrap(),
            LoopState::default()
        );
    }
}
