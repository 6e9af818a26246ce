//! One loudest sample for all.

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::level::amplitude;
use super::{Augment, AugmentConfig, AugmentError, Mistakes, Wave};

/// Peak below which an item counts as silent and stays as it is.
const SILENCE: f32 = 1e-10;

/// Makes the item's loudest sample one given level. As every augmentation it is for training items
/// alone: evaluated are items as they were recorded.
///
/// Draws nothing beyond `p`.
///
/// Source: audiomentations' `Normalize`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PeakNormalise {
    /// Level of the loudest sample in dB of full scale.
    #[schemars(range(min = -60.0, max = 0.0))]
    pub peak_db: f64,
    /// Probability with which it is applied to an item.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

impl Default for PeakNormalise {
    fn default() -> Self {
        Self { peak_db: 0.0, p: 0.5 }
    }
}

impl AugmentConfig for PeakNormalise {
    fn p(&self) -> f64 {
        self.p
    }

    fn validate(&self) -> Result<(), Vec<AugmentError>> {
        Mistakes::default()
            .value("peak_db", self.peak_db, -60.0, 0.0, "dB")
            .probability(self.p)
            .finish()
    }

    fn transform(&self, _rate_hz: u32) -> Result<Box<dyn Augment>, AugmentError> {
        Ok(Box::new(self.clone()))
    }
}

impl Augment for PeakNormalise {
    fn apply(&self, wave: &mut Wave, _rng: &mut dyn Rng) -> Result<(), AugmentError> {
        wave.note(|| format!("to {:.1} dB below full scale", -self.peak_db));
        let samples = wave.samples();
        let peak = samples.iter().fold(0f32, |peak, x| peak.max(x.abs()));
        if peak > SILENCE {
            let factor = amplitude(self.peak_db) as f32 / peak;
            for x in samples {
                *x *= factor;
            }
        }
        Ok(())
    }
}
