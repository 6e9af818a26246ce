//! Louder or softer.

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::level::amplitude;
use super::{Augment, AugmentConfig, AugmentError, Interval, Mistakes, Wave};

/// Furthest gain in decibels.
const MAX_GAIN_DB: f64 = 60.0;

/// Multiplies the waveform by a gain that is uniform in decibels; nothing is clipped.
///
/// Draws the gain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Gain {
    /// Range of the gain in dB.
    #[schemars(inner(range(min = -60.0, max = 60.0)))]
    pub gain_db: Interval,
    /// Probability with which it is applied to an item.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

impl Default for Gain {
    fn default() -> Self {
        Self {
            gain_db: Interval::known(-6.0, 6.0),
            p: 0.5,
        }
    }
}

impl AugmentConfig for Gain {
    fn p(&self) -> f64 {
        self.p
    }

    fn validate(&self) -> Result<(), Vec<AugmentError>> {
        Mistakes::default()
            .range("gain_db", self.gain_db, -MAX_GAIN_DB, MAX_GAIN_DB, "dB")
            .probability(self.p)
            .finish()
    }

    fn transform(&self, _rate_hz: u32) -> Result<Box<dyn Augment>, AugmentError> {
        Ok(Box::new(self.clone()))
    }
}

impl Augment for Gain {
    fn apply(&self, wave: &mut Wave, rng: &mut dyn Rng) -> Result<(), AugmentError> {
        let gain_db = self.gain_db.draw(rng);
        wave.note(|| format!("{gain_db:+.1} dB"));
        let factor = amplitude(gain_db) as f32;
        for x in wave.samples() {
            *x *= factor;
        }
        Ok(())
    }
}
