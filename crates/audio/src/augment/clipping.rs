//! An overdriven recording.

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Augment, AugmentConfig, AugmentError, Interval, Mistakes, Wave};

/// Clips the loudest samples, as an overdriven microphone does.
///
/// Draws the share that is clipped.
///
/// Source: audiomentations' `ClippingDistortion`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Clipping {
    /// Range of the share of samples that are clipped, in percent: half of them the highest, half the
    /// lowest.
    #[schemars(inner(range(min = 0.0, max = 100.0)))]
    pub percentile_threshold: Interval,
    /// Probability with which it is applied to an item.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

impl Default for Clipping {
    fn default() -> Self {
        Self {
            percentile_threshold: Interval::known(0.0, 40.0),
            p: 0.5,
        }
    }
}

impl AugmentConfig for Clipping {
    fn p(&self) -> f64 {
        self.p
    }

    fn validate(&self) -> Result<(), Vec<AugmentError>> {
        Mistakes::default()
            .range("percentile_threshold", self.percentile_threshold, 0.0, 100.0, "percent")
            .probability(self.p)
            .finish()
    }

    fn transform(&self, _rate_hz: u32) -> Result<Box<dyn Augment>, AugmentError> {
        Ok(Box::new(self.clone()))
    }
}

impl Augment for Clipping {
    fn apply(&self, wave: &mut Wave, rng: &mut dyn Rng) -> Result<(), AugmentError> {
        let percent = self.percentile_threshold.draw(rng);
        wave.note(|| format!("{percent:.1} % of the samples"));
        let half = percent / 2.0;
        let samples = wave.samples();
        let mut sorted = samples.clone();
        sorted.sort_unstable_by(f32::total_cmp);
        let (low, high) = (percentile(&sorted, half), percentile(&sorted, 100.0 - half));
        for x in samples {
            *x = x.max(low).min(high);
        }
        Ok(())
    }
}

/// The value below which `percent` of the sorted values lie, linear between two of them.
fn percentile(sorted: &[f32], percent: f64) -> f32 {
    let place = percent / 100.0 * sorted.len().saturating_sub(1) as f64;
    let low = place.floor() as usize;
    let at = |index: usize| f64::from(sorted.get(index).or(sorted.last()).copied().unwrap_or(0.0));
    (at(low) + (at(low + 1) - at(low)) * (place - low as f64)) as f32
}
