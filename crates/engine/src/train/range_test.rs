//! The learning-rate range test: the loss while the learning rate rises from step to step.

use emorun_kernels::on_cores;

use super::optimizer::Optimizer;
use super::replicas::Replicas;
use super::state::Seen;
use super::{Abort, Moment, StepNames, Trainer, Waiting};
use crate::feed::augment::Strengths;
use emorun_nodes::network::Network;

/// Weight of the past in the average by which the test ends.
const PAST: f64 = 0.9;
/// The test ends when that average is so many times its least; what is more is not drawn either.
pub const TOO_HIGH: f64 = 4.0;
/// Standard deviation of the smoothing, as a share of the steps.
const WIDTH: f64 = 0.04;
/// Share of the steps at the start that say nothing yet.
const SETTLING: u64 = 10;
/// The loss has exploded once it rises by this share of all that it has fallen …
const RISEN: f64 = 0.5;
/// … or by this share of its least, if it has hardly fallen: batches differ by less.
const RISEN_OF_LEAST: f64 = 0.25;
/// A fall that is no more than so many deviations of the smoothed loss is none: batches differ.
const FALLEN: f64 = 8.0;

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
    /// Weighted mean of the losses of the steps before and behind, none of which counts as more than four times the least.
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

/// Reads a suggestion off a range test: off the first descent of the loss, from its start to its least before it
/// explodes. What comes behind an explosion, where the loss may fall as steeply, is of no use. `None` if it has too few
/// steps, or the loss falls by no more than its batches differ.
///
/// # Source
/// Smith 2017, "Cyclical learning rates for training neural networks", section 3.3; the two suggestions as fastai's
/// `steep` and `minimum`, which take them of all that was tried. Its average looks back alone and so comes late, by half
/// of a test of 100 steps: here the loss is smoothed to both sides.
pub fn suggest(tried: &[Tried], steps: u64) -> Option<Suggestion> {
    let settled = tried.get(tried.len() / SETTLING as usize..)?;
    let before = &settled[..explosion(settled)];
    let (least_at, least) = before
        .iter()
        .enumerate()
        .min_by(|(_, a), (_, b)| a.smoothed.total_cmp(&b.smoothed))?;
    // Up to the least: behind it the loss begins to jump.
    let until = &before[..=least_at];
    let squares: f64 = until.iter().map(|tried| (tried.loss - tried.smoothed).powi(2)).sum();
    // A mean with the weights of a normal distribution is over 2√π deviations.
    let averaged = 2.0 * std::f64::consts::PI.sqrt() * deviation(steps);
    let noise = (squares / until.len() as f64 / averaged).sqrt();
    if before.first()?.smoothed - least.smoothed <= FALLEN * noise {
        return None;
    }
    let fall = |pair: &[Tried]| (pair[1].smoothed - pair[0].smoothed) / (pair[1].lr / pair[0].lr).ln();
    let descent = before[..=least_at].windows(2);
    let steepest = descent.min_by(|a, b| fall(a).total_cmp(&fall(b)))?;
    Some(Suggestion {
        steepest: steepest[0].lr,
        tenth_of_least: least.lr / 10.0,
    })
}

/// The first step at which the smoothed loss has risen so far above its least that it has exploded; the number of steps
/// where it never does.
fn explosion(tried: &[Tried]) -> usize {
    let first = tried.first().map_or(0.0, |tried| tried.smoothed);
    let mut least = f64::INFINITY;
    let exploded = |tried: &Tried| {
        least = least.min(tried.smoothed);
        tried.smoothed - least > (RISEN * (first - least)).max(RISEN_OF_LEAST * least.abs())
    };
    tried.iter().position(exploded).unwrap_or(tried.len())
}

/// Standard deviation of the smoothing of a test of so many steps, in steps.
fn deviation(steps: u64) -> f64 {
    (WIDTH * steps as f64).max(1.0)
}

/// Smooths the losses of a test of so many steps to both sides, with the weights of a normal distribution.
fn smooth(tried: &mut [Tried], steps: u64) {
    let deviation = deviation(steps);
    let reach = (3.0 * deviation).ceil() as usize;
    let losses: Vec<f64> = tried.iter().map(|tried| tried.loss).collect();
    let mut sorted = losses.clone();
    sorted.sort_by(f64::total_cmp);
    // A single easy batch is no measure.
    let most = sorted
        .get(sorted.len() / SETTLING as usize)
        .map_or(f64::INFINITY, |low| TOO_HIGH * low.abs());
    for (at, tried) in tried.iter_mut().enumerate() {
        let (mut sum, mut weights) = (0.0, 0.0);
        let around = at.saturating_sub(reach)..(at + reach + 1).min(losses.len());
        for (other, loss) in around.clone().zip(&losses[around]) {
            let distance = (other as f64 - at as f64) / deviation;
            let weight = (-0.5 * distance * distance).exp();
            sum += weight * loss.min(most);
            weights += weight;
        }
        tried.smoothed = sum / weights;
    }
}

impl Trainer<'_> {
    /// Trains a copy of a network with a learning rate that rises from step to step, until the loss
    /// explodes. Schedule, clipping and checkpoints take no part.
    ///
    /// # Errors
    /// See [`Abort`]; a loss that is not finite ends the test without one.
    pub fn range_test(&self, network: Network, test: RangeTest) -> Result<Vec<Tried>, Abort> {
        let mut tried = self.rising(network, test)?;
        smooth(&mut tried, test.steps);
        Ok(tried)
    }

    /// The steps of a range test, whose losses are not smoothed yet.
    fn rising(&self, mut network: Network, test: RangeTest) -> Result<Vec<Tried>, Abort> {
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
                let taken = match outcome {
                    Err(Abort::Diverged(_)) => return Ok(tried),
                    outcome => outcome?,
                };
                if !taken.norm.is_finite() {
                    return Ok(tried);
                }
                let loss = taken.loss.total;
                average = PAST * average + (1.0 - PAST) * loss;
                // Freed of its bias to zero.
                let recent = average / (1.0 - PAST.powf((step + 1) as f64));
                let lr = test.lr(step);
                tried.push(Tried {
                    lr,
                    loss,
                    smoothed: loss,
                });
                if step >= test.steps / SETTLING {
                    least = recent.min(least);
                    if recent > TOO_HIGH * least {
                        return Ok(tried);
                    }
                }
                let (moved, rule) = (&mut network, &mut optimizer);
                on_cores(&self.device, || rule.step(moved, taken.gradients, lr, 1.0));
            }
        }
        Ok(tried)
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
        let found = suggest(&tried, 5).unwrap();
        assert_eq!(found.steepest, 10f64.powi(-4));
        assert!((found.tenth_of_least / 1e-3 - 1.0).abs() < 1e-12);
        // Behind the explosion it falls more steeply, and lower: no matter.
        let recovered = [&tried[..], &[at(0, 6.0), at(1, 0.1)]].concat();
        assert_eq!(suggest(&recovered, 5), Some(found));
        // One that never falls says nothing.
        assert_eq!(suggest(&[at(-3, 1.0), at(-2, 1.1), at(-1, 4.0)], 5), None);
        assert_eq!(suggest(&tried[..1], 5), None);
        assert_eq!(suggest(&[], 5), None);
    }

    /// A loss that falls around 1e-3, is least at 1e-2 and explodes at 1e-1, then comes back, with noise of batches.
    #[test]
    fn what_is_read_off_a_noisy_test_is_where_the_loss_really_falls() {
        let test = RangeTest {
            from: 1e-7,
            to: 10.0,
            steps: 100,
        };
        for seed in 0..20u64 {
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            let mut noise = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) as f64 / f64::from(1u32 << 31) - 0.5
            };
            let mut tried: Vec<Tried> = (0..test.steps)
                .map(|step| {
                    let lr = test.lr(step);
                    let decades = lr.log10();
                    let falling = 1.4 - 1.0 / (1.0 + (-4.0 * (decades + 3.0)).exp());
                    let exploding = if (-1.0..0.0).contains(&decades) { 20.0 } else { 0.0 };
                    let loss = falling + exploding + 0.2 * noise();
                    Tried {
                        lr,
                        loss,
                        smoothed: 0.0,
                    }
                })
                .collect();
            smooth(&mut tried, test.steps);
            let found = suggest(&tried, test.steps).unwrap();
            assert!((1e-4..1e-2).contains(&found.steepest), "{seed}: {found:?}");
            assert!((1e-4..1e-2).contains(&found.tenth_of_least), "{seed}: {found:?}");
            // Noise alone falls somewhere as well.
            tried.iter_mut().for_each(|tried| tried.loss = 1.4 + 0.2 * noise());
            smooth(&mut tried, test.steps);
            assert_eq!(suggest(&tried, test.steps), None, "{seed}");
        }
    }
}
