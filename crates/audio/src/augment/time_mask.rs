//! Stretches of silence.

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Augment, AugmentConfig, AugmentError, Interval, Mistakes, Wave};

/// Silences random stretches of the item, with short fades so that nothing clicks.
///
/// Draws for each stretch its length and where it starts.
///
/// Source: audiomentations' `TimeMask`, SpeechBrain's `DropChunk`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeMask {
    /// Range of a stretch's length as a fraction of the item's.
    #[schemars(inner(range(min = 0.0, max = 1.0)))]
    pub mask_fraction: Interval,
    /// Number of stretches.
    #[schemars(range(min = 1, max = 64))]
    pub num_masks: u32,
    /// Length of the fade within either end of a stretch, in milliseconds; half a stretch at most.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub fade_ms: f64,
    /// Probability with which it is applied to an item.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

impl Default for TimeMask {
    fn default() -> Self {
        Self {
            mask_fraction: Interval::known(0.01, 0.2),
            num_masks: 1,
            fade_ms: 5.0,
            p: 0.5,
        }
    }
}

impl AugmentConfig for TimeMask {
    fn p(&self) -> f64 {
        self.p
    }

    fn validate(&self) -> Result<(), Vec<AugmentError>> {
        Mistakes::default()
            .range("mask_fraction", self.mask_fraction, 0.0, 1.0, "of the length")
            .value("num_masks", f64::from(self.num_masks), 1.0, 64.0, "stretches")
            .value("fade_ms", self.fade_ms, 0.0, 100.0, "ms")
            .probability(self.p)
            .finish()
    }

    fn transform(&self, rate_hz: u32) -> Result<Box<dyn Augment>, AugmentError> {
        Ok(Box::new(Mask {
            fraction: self.mask_fraction,
            count: self.num_masks,
            fade: (self.fade_ms / 1000.0 * f64::from(rate_hz)).round() as usize,
        }))
    }
}

#[derive(Debug)]
struct Mask {
    fraction: Interval,
    count: u32,
    /// Samples.
    fade: usize,
}

impl Augment for Mask {
    fn apply(&self, wave: &mut Wave, rng: &mut dyn Rng) -> Result<(), AugmentError> {
        for _ in 0..self.count {
            let samples = wave.samples();
            let length = (self.fraction.draw(rng) * samples.len() as f64).round() as usize;
            let length = length.min(samples.len());
            let start = rng.random_range(0..=samples.len() - length);
            let fade = self.fade.min(length / 2);
            for (i, x) in samples[start..start + length].iter_mut().enumerate() {
                // From the nearer end on, linearly.
                let depth = (i + 1).min(length - i);
                *x *= if depth <= fade {
                    1.0 - depth as f32 / (fade + 1) as f32
                } else {
                    0.0
                };
            }
            wave.note(|| format!("{length} samples from {start} on"));
        }
        Ok(())
    }
}
