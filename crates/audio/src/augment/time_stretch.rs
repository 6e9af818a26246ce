//! Faster or slower, at the same pitch.

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Augment, AugmentConfig, AugmentError, Interval, Mistakes, Wave};
use crate::stretch::RATE_BOUNDS;

/// Makes the speech faster or slower without changing its pitch; the item becomes `1 / rate` as long.
///
/// Beside `pitch_shift`, both are done in one pass. Draws the rate.
///
/// Source: Signalsmith Stretch; the range is that of audiomentations' `TimeStretch`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeStretch {
    /// Range of the playback rate as a factor; above 1 is faster and shorter.
    #[schemars(inner(range(min = 0.5, max = 2.0)))]
    pub rate: Interval,
    /// Probability with which it is applied to an item.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

impl Default for TimeStretch {
    fn default() -> Self {
        Self {
            rate: Interval::known(0.8, 1.25),
            p: 0.5,
        }
    }
}

impl AugmentConfig for TimeStretch {
    fn p(&self) -> f64 {
        self.p
    }

    fn validate(&self) -> Result<(), Vec<AugmentError>> {
        let (slowest, fastest) = (*RATE_BOUNDS.start(), *RATE_BOUNDS.end());
        Mistakes::default()
            .range("rate", self.rate, slowest, fastest, "times the original")
            .probability(self.p)
            .finish()
    }

    fn transform(&self, _rate_hz: u32) -> Result<Box<dyn Augment>, AugmentError> {
        Ok(Box::new(self.clone()))
    }
}

impl Augment for TimeStretch {
    fn apply(&self, wave: &mut Wave, rng: &mut dyn Rng) -> Result<(), AugmentError> {
        let rate = self.rate.draw(rng);
        wave.note(|| format!("{rate:.2} times as fast"));
        wave.warp(rate, 0.0);
        Ok(())
    }

    // Neighbours become one pass, which rounds once where each by itself would round: a sample more or less.
    fn shortest(&self, samples: usize) -> usize {
        let least = (samples as f64 / self.rate.high()).floor() as usize;
        least.saturating_sub(1).max(samples.min(1))
    }

    fn longest(&self, samples: usize) -> usize {
        (samples as f64 / self.rate.low()).ceil() as usize + usize::from(samples > 0)
    }
}
