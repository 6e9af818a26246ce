//! Faster or slower, pitch and all.

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Augment, AugmentConfig, AugmentError, Mistakes, Wave};
use crate::{resample, resampled_len};

/// Least speed in percent.
const MIN_PERCENT: u32 = 50;
/// Greatest speed in percent.
const MAX_PERCENT: u32 = 200;

/// Plays the item at another speed by resampling: tempo, pitch and formants change together, and the item
/// becomes `100 / speed` as long.
///
/// Draws one of the speeds, each as likely as any other.
///
/// Source: Ko et al., Audio augmentation for speech recognition, Interspeech 2015; SpeechBrain's
/// `SpeedPerturb`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpeedPerturb {
    /// Speeds to choose from, in percent of the original; 100 leaves the item as it is.
    #[schemars(length(min = 1), inner(range(min = 50, max = 200)))]
    pub speeds: Vec<u32>,
    /// Probability with which it is applied to an item.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

impl Default for SpeedPerturb {
    fn default() -> Self {
        Self {
            speeds: vec![90, 100, 110],
            p: 1.0,
        }
    }
}

impl AugmentConfig for SpeedPerturb {
    fn p(&self) -> f64 {
        self.p
    }

    fn validate(&self) -> Result<(), Vec<AugmentError>> {
        let mut mistakes = Mistakes::default().length("speeds", self.speeds.len(), 1, usize::MAX);
        for &speed in &self.speeds {
            let (least, most) = (f64::from(MIN_PERCENT), f64::from(MAX_PERCENT));
            mistakes = mistakes.value("speeds", f64::from(speed), least, most, "percent");
        }
        mistakes.probability(self.p).finish()
    }

    fn transform(&self, _rate_hz: u32) -> Result<Box<dyn Augment>, AugmentError> {
        Ok(Box::new(self.clone()))
    }
}

/// Number of samples that so many become at a speed in percent.
fn at_speed(samples: usize, percent: u32) -> usize {
    resampled_len(samples as u64, percent * 100, 10_000) as usize
}

impl Augment for SpeedPerturb {
    fn apply(&self, wave: &mut Wave, rng: &mut dyn Rng) -> Result<(), AugmentError> {
        let percent = self.speeds[rng.random_range(0..self.speeds.len())];
        wave.note(|| format!("{percent} % of the speed"));
        let samples = wave.samples();
        // Only the ratio counts; these are rates within bounds, whatever the item's own.
        *samples = resample(samples, percent * 100, 10_000)?;
        if samples.is_empty() {
            samples.push(0.0);
        }
        Ok(())
    }

    fn shortest(&self, samples: usize) -> usize {
        let fastest = self
            .speeds
            .iter()
            .max()
            .map_or(samples, |&speed| at_speed(samples, speed));
        fastest.max(samples.min(1))
    }

    fn longest(&self, samples: usize) -> usize {
        let slowest = self
            .speeds
            .iter()
            .min()
            .map_or(samples, |&speed| at_speed(samples, speed));
        slowest.max(samples.min(1))
    }
}
