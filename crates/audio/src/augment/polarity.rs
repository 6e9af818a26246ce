//! The sign of a waveform.

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Augment, AugmentConfig, AugmentError, Mistakes, Wave};

/// Changes the sign of every sample, as a microphone wired the other way round.
///
/// Draws nothing beyond `p`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Polarity {
    /// Probability with which it is applied to an item.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

impl Default for Polarity {
    fn default() -> Self {
        Self { p: 0.5 }
    }
}

impl AugmentConfig for Polarity {
    fn p(&self) -> f64 {
        self.p
    }

    fn validate(&self) -> Result<(), Vec<AugmentError>> {
        Mistakes::default().probability(self.p).finish()
    }

    fn transform(&self, _rate_hz: u32) -> Result<Box<dyn Augment>, AugmentError> {
        Ok(Box::new(self.clone()))
    }
}

impl Augment for Polarity {
    fn apply(&self, wave: &mut Wave, _rng: &mut dyn Rng) -> Result<(), AugmentError> {
        wave.note(|| "turned".to_owned());
        for x in wave.samples() {
            *x = -*x;
        }
        Ok(())
    }
}
