//! Learning rate over time, in the unit that the experiment states.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::settings::{PlateauSchedule, SchedulerConfig, StepUnit, direction_of};

/// What a plateau schedule has seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plateau {
    /// The learning rate that it has come to.
    lr: Option<f64>,
    /// Best value of the watched metric.
    best: Option<f64>,
    /// Epochs without improvement that count.
    stale: u64,
    /// Epochs that are still not counted.
    cooldown: u64,
}

impl Plateau {
    /// Takes the watched metric after an epoch, in which `lr` was the learning rate.
    pub fn after_epoch(&mut self, config: &PlateauSchedule, metric: &str, value: Option<f64>, lr: f64) {
        // What is no number is no improvement, and nothing to improve on.
        let value = value.filter(|value| value.is_finite());
        let better = match (value, self.best) {
            (Some(value), Some(best)) => direction_of(metric).is_better_by_share(value, best, config.threshold),
            (value, _) => value.is_some(),
        };
        if better {
            self.best = value;
            self.stale = 0;
        } else {
            self.stale += 1;
        }
        if self.cooldown > 0 {
            self.cooldown -= 1;
            self.stale = 0;
        }
        if self.stale > config.patience {
            self.lr = Some((lr * config.factor).max(config.min_lr).min(lr));
            self.cooldown = config.cooldown;
            self.stale = 0;
        }
    }
}

/// The learning rate as a function of the step.
#[derive(Clone, Debug)]
pub struct LrSchedule {
    config: SchedulerConfig,
    lr: f64,
    steps_per_epoch: u64,
    epochs: u64,
}

impl LrSchedule {
    /// The schedule of a run of `epochs` with `steps_per_epoch` optimizer steps each, around the
    /// optimizer's learning rate `lr`.
    pub fn new(config: &SchedulerConfig, lr: f64, steps_per_epoch: u64, epochs: u64) -> Self {
        Self {
            config: config.clone(),
            lr,
            steps_per_epoch: steps_per_epoch.max(1),
            epochs,
        }
    }

    /// The step that the schedule counts when `done` of an epoch's `of` steps are done: where epochs differ in
    /// their steps, each takes as long as another.
    pub fn step_at(&self, epoch: u64, done: u64, of: u64) -> u64 {
        let within = u128::from(done) * u128::from(self.steps_per_epoch) / u128::from(of.max(1));
        epoch
            .saturating_mul(self.steps_per_epoch)
            .saturating_add(u64::try_from(within).unwrap_or(u64::MAX))
    }

    /// All steps that the schedule counts.
    pub fn steps(&self) -> u64 {
        self.steps_per_epoch.saturating_mul(self.epochs)
    }

    /// Time in the scheduler's unit: steps, or whole epochs.
    fn time(&self, unit: StepUnit, step: u64) -> f64 {
        match unit {
            StepUnit::Step => step as f64,
            StepUnit::Epoch => (step / self.steps_per_epoch) as f64,
        }
    }

    /// Length of the run in the scheduler's unit.
    fn total(&self, unit: StepUnit) -> f64 {
        match unit {
            StepUnit::Step => self.steps_per_epoch as f64 * self.epochs as f64,
            StepUnit::Epoch => self.epochs as f64,
        }
    }

    /// Learning rate of the optimizer step with this number, counted from 0.
    pub fn lr(&self, step: u64, plateau: &Plateau) -> f64 {
        match &self.config {
            SchedulerConfig::Constant(_) => self.lr,
            SchedulerConfig::Plateau(_) => plateau.lr.unwrap_or(self.lr),
            SchedulerConfig::WarmUp(warm_up) => self.lr * warmed(self.time(warm_up.unit, step), warm_up.warm_up),
            SchedulerConfig::Cosine(cosine) => {
                let (time, total) = (self.time(cosine.unit, step), self.total(cosine.unit));
                if time < cosine.warm_up {
                    return self.lr * warmed(time, cosine.warm_up);
                }
                let progress = ((time - cosine.warm_up) / (total - cosine.warm_up).max(1.0)).min(1.0);
                annealed(self.lr, cosine.min_lr, progress)
            }
            SchedulerConfig::CosineWarmRestarts(restarts) => {
                let mut time = self.time(restarts.unit, step);
                let mut period = restarts.t_0 as f64;
                if restarts.t_mult == 1 {
                    time %= period;
                }
                while time >= period {
                    time -= period;
                    period *= restarts.t_mult as f64;
                }
                annealed(self.lr, restarts.min_lr, time / period)
            }
            SchedulerConfig::OneCycle(cycle) => {
                let initial = cycle.max_lr / cycle.div_factor;
                let last = initial / cycle.final_div_factor;
                let (time, total) = (step as f64, self.total(StepUnit::Step));
                // PyTorch's phase ends: pct_start · total − 1 and total − 1.
                let peak = cycle.pct_start * total - 1.0;
                let end = (total - 1.0).max(1.0);
                if time <= peak {
                    annealed(initial, cycle.max_lr, if peak > 0.0 { time / peak } else { 1.0 })
                } else {
                    annealed(cycle.max_lr, last, ((time - peak) / (end - peak)).min(1.0))
                }
            }
        }
    }
}

/// Linear warm-up: `(time + 1) / (length + 1)` of the rate, so that the first step moves, full at
/// `length`. transformers' schedules have `time / length`, which is 0 in the first step.
fn warmed(time: f64, length: f64) -> f64 {
    if time >= length {
        1.0
    } else {
        (time + 1.0) / (length + 1.0)
    }
}

/// Half a cosine from `from` at progress 0 to `to` at progress 1.
fn annealed(from: f64, to: f64, progress: f64) -> f64 {
    to + (from - to) * (1.0 + (PI * progress).cos()) / 2.0
}
