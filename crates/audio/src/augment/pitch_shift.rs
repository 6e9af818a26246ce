//! Higher or lower.

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Augment, AugmentConfig, AugmentError, Interval, Mistakes, Wave};
use crate::stretch::MAX_SEMITONES;

/// Shifts the pitch by a number of semitones; the length stays. Formants move with it.
///
/// Beside `time_stretch`, both are done in one pass. Draws the number of semitones.
///
/// Source: Signalsmith Stretch; the range is that of audiomentations' `PitchShift`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PitchShift {
    /// Range of the shift in semitones; negative is lower.
    #[schemars(inner(range(min = -24.0, max = 24.0)))]
    pub semitones: Interval,
    /// Probability with which it is applied to an item.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

impl Default for PitchShift {
    fn default() -> Self {
        Self {
            semitones: Interval::known(-4.0, 4.0),
            p: 0.5,
        }
    }
}

impl AugmentConfig for PitchShift {
    fn p(&self) -> f64 {
        self.p
    }

    fn validate(&self) -> Result<(), Vec<AugmentError>> {
        Mistakes::default()
            .range("semitones", self.semitones, -MAX_SEMITONES, MAX_SEMITONES, "semitones")
            .probability(self.p)
            .finish()
    }

    fn transform(&self, _rate_hz: u32) -> Result<Box<dyn Augment>, AugmentError> {
        Ok(Box::new(self.clone()))
    }
}

impl Augment for PitchShift {
    fn apply(&self, wave: &mut Wave, rng: &mut dyn Rng) -> Result<(), AugmentError> {
        let semitones = self.semitones.draw(rng);
        wave.note(|| format!("{semitones:+.2} semitones"));
        wave.warp(1.0, semitones);
        Ok(())
    }
}
