//! The learning-rate range test: the loss while the learning rate rises from step to step.

use emorun_kernels::on_cores;

use super::parameters::{Gradients, Optimizer};
use super::replicas::Replicas;
use super::state::Seen;
use super::{Abort, Moment, StepNames, Trainer, Waiting};
use crate::feed::augment::Strengths;
use crate::network::Network;

/// Weight of the past in the smoothed loss.
const SMOOTHING: f64 = 0.98;
/// The test ends when the smoothed loss is so many times its least.
const TOO_HIGH: f64 = 4.0;

/// Which learning rates are tried.
#[derive(Clone, Copy, Debug)]
pub struct RangeTest {
    /// First learning rate.
    pub from: f64,
    /// Last learning rate.
    pub to: f64,
    /// Steps from one to the other, each by the same factor.
    pub steps: u64,
}

/// One step of a range test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tried {
    /// Learning rate of the step.
    pub lr: f64,
    /// Loss before the step.
    pub loss: f64,
    /// Exponential average of the losses so far, freed of its bias to zero.
    pub smoothed: f64,
}

/// What a range test says of the learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suggestion {
    /// Where the smoothed loss falls fastest per factor of the learning rate.
    pub steepest: f64,
    /// A tenth of where the smoothed loss is least.
    pub tenth_of_least: f64,
}

impl RangeTest {
    /// Learning rate of the step with this number, counted from 0.
    pub fn lr(&self, step: u64) -> f64 {
        let last = self.steps.saturating_sub(1).max(1);
        self.from * (self.to / self.from).powf(step as f64 / last as f64)
    }
}

/// Reads a suggestion off a range test; `None` if it has too few steps.
///
/// # Source
/// Smith 2017, "Cyclical learning rates for training neural networks", section 3.3; smoothing, end and
/// both suggestions as fastai's `lr_find`.
pub fn suggest(tried: &[Tried]) -> Option<Suggestion> {
    // The first steps only settle the average.
    let settled = tried.get(tried.len() / 10..)?;
    let fall = |pair: &[Tried]| (pair[1].smoothed - pair[0].smoothed) / (pair[1].lr / pair[0].lr).ln();
    let steepest = settled.windows(2).min_by(|a, b| fall(a).total_cmp(&fall(b)))?;
    let least = settled.iter().min_by(|a, b| a.smoothed.total_cmp(&b.smoothed))?;
    Some(Suggestion {
        steepest: steepest[0].lr,
        tenth_of_least: least.lr / 10.0,
    })
}

impl Trainer<'_> {
    /// Trains a copy of a network with a learning rate that rises from step to step, until the loss
    /// explodes. Schedule, clipping and checkpoints take no part.
    ///
    /// # Errors
    /// See [`Abort`]; a loss that is not finite ends the test without one.
    pub fn range_test(&self, mut network: Network, test: RangeTest) -> Result<Vec<Tried>, Abort> {
        let names = StepNames::new(self.seed);
        self.fit(&mut network, &names)?;
        let mut optimizer = Optimizer::new(&self.settings.training, &network);
        let alone = Replicas::default();
        let mut tried: Vec<Tried> = Vec::new();
        let (mut average, mut least) = (0.0, f64::INFINITY);
        for epoch in 0.. {
            let micro_batches = self.batches(epoch);
            let mut batches = Waiting::over(&self.feed, &micro_batches, 1, self.seed, epoch, &Strengths::default());
            for group in micro_batches.chunks(self.settings.training.accumulate) {
                let step = tried.len() as u64;
                if step == test.steps {
                    return Ok(tried);
                }
                let at = Moment {
                    step,
                    micro_batch: 0,
                    epoch,
                    progress: 0.0,
                };
                let mut seen = Seen::default();
                let outcome = self.gradients((&network, &alone), &names, &mut seen, &mut batches, group, at);
                let (mut gradients, loss) = match outcome {
                    Err(Abort::Diverged(_)) => return Ok(tried),
                    outcome => outcome?,
                };
                if !self.norm(&network, &mut gradients).is_finite() {
                    return Ok(tried);
                }
                let loss = loss.total;
                average = SMOOTHING * average + (1.0 - SMOOTHING) * loss;
                let smoothed = average / (1.0 - SMOOTHING.powf((step + 1) as f64));
                let lr = test.lr(step);
                tried.push(Tried { lr, loss, smoothed });
                least = smoothed.min(least);
                if smoothed > TOO_HIGH * least {
                    return Ok(tried);
                }
                let (moved, rule) = (&mut network, &mut optimizer);
                on_cores(&self.device, || rule.step(moved, gradients, lr, 1.0));
            }
        }
        Ok(tried)
    }

    /// Euclidean norm of all gradients together.
    fn norm(&self, network: &Network, gradients: &mut Gradients) -> f64 {
        // Gradients go from thread to thread, but are not shared.
        on_cores(&self.device, move || gradients.norm(network))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_rise_by_one_factor_from_first_to_last() {
        let test = RangeTest {
            from: 1e-6,
            to: 1.0,
            steps: 4,
        };
        for (step, expected) in [(0, 1e-6), (1, 1e-4), (2, 1e-2), (3, 1.0)] {
            assert!((test.lr(step) / expected - 1.0).abs() < 1e-12, "{step}");
        }
    }

    #[test]
    fn the_steepest_fall_and_the_least_loss_are_found() {
        let at = |exponent: i32, smoothed: f64| Tried {
            lr: 10f64.powi(exponent),
            loss: smoothed,
            smoothed,
        };
        let tried = [at(-5, 2.0), at(-4, 1.9), at(-3, 1.0), at(-2, 0.9), at(-1, 3.0)];
        let found = suggest(&tried).unwrap();
        assert_eq!(found.steepest, 10f64.powi(-4));
        assert!((found.tenth_of_least / 1e-3 - 1.0).abs() < 1e-12);
        assert_eq!(suggest(&tried[..1]), None);
        assert_eq!(suggest(&[]), None);
    }
}
