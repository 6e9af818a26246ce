//! Earlier or later.

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Augment, AugmentConfig, AugmentError, Interval, Mistakes, Wave};

/// Moves the item within its length.
///
/// Draws how far.
///
/// Source: audiomentations' `Shift`, without its fade.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeShift {
    /// Range of the shift as a fraction of the item's length; negative is earlier.
    #[schemars(inner(range(min = -1.0, max = 1.0)))]
    pub fraction: Interval,
    /// Whether what is moved out at one end comes in again at the other; otherwise silence does.
    pub rollover: bool,
    /// Probability with which it is applied to an item.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

impl Default for TimeShift {
    fn default() -> Self {
        Self {
            fraction: Interval::known(-0.5, 0.5),
            rollover: true,
            p: 0.5,
        }
    }
}

impl AugmentConfig for TimeShift {
    fn p(&self) -> f64 {
        self.p
    }

    fn validate(&self) -> Result<(), Vec<AugmentError>> {
        Mistakes::default()
            .range("fraction", self.fraction, -1.0, 1.0, "of the length")
            .probability(self.p)
            .finish()
    }

    fn transform(&self, _rate_hz: u32) -> Result<Box<dyn Augment>, AugmentError> {
        Ok(Box::new(self.clone()))
    }
}

impl Augment for TimeShift {
    fn apply(&self, wave: &mut Wave, rng: &mut dyn Rng) -> Result<(), AugmentError> {
        let fraction = self.fraction.draw(rng);
        wave.note(|| format!("by {:+.1} % of the length", 100.0 * fraction));
        let samples = wave.samples();
        let length = samples.len();
        let by = ((fraction.abs() * length as f64).round() as usize).min(length);
        if fraction < 0.0 {
            samples.rotate_left(by);
            if !self.rollover {
                samples[length - by..].fill(0.0);
            }
        } else {
            samples.rotate_right(by);
            if !self.rollover {
                samples[..by].fill(0.0);
            }
        }
        Ok(())
    }
}
