//! White noise.

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::level::{MAX_SNR_DB, MIN_SNR_DB, mix_at_snr};
use super::normal::Normal;
use super::{Augment, AugmentConfig, AugmentError, Interval, Mistakes, Wave};

/// How loud white noise is, uniform within a range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoiseLevel {
    /// Standard deviation of the noise, where full scale is 1; the same for loud and soft items.
    Amplitude(#[schemars(inner(range(min = 0.0, max = 1.0)))] Interval),
    /// Signal-to-noise ratio over the item in dB. A silent item stays unchanged.
    SnrDb(#[schemars(inner(range(min = -60.0, max = 100.0)))] Interval),
}

/// Adds white Gaussian noise.
///
/// Draws the level, then the seed of one normal number a sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GaussianNoise {
    /// Loudness: `{ amplitude: [low, high] }` as a standard deviation where full scale is 1, or
    /// `{ snr_db: [low, high] }` as a signal-to-noise ratio in dB.
    pub level: NoiseLevel,
    /// Probability with which it is applied to an item.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

impl Default for GaussianNoise {
    fn default() -> Self {
        Self {
            level: NoiseLevel::Amplitude(Interval::known(0.005, 0.005)),
            p: 0.5,
        }
    }
}

impl AugmentConfig for GaussianNoise {
    fn p(&self) -> f64 {
        self.p
    }

    fn validate(&self) -> Result<(), Vec<AugmentError>> {
        let mistakes = Mistakes::default();
        match self.level {
            NoiseLevel::Amplitude(range) => mistakes.range("level.amplitude", range, 0.0, 1.0, "of full scale"),
            NoiseLevel::SnrDb(range) => mistakes.range("level.snr_db", range, MIN_SNR_DB, MAX_SNR_DB, "dB"),
        }
        .probability(self.p)
        .finish()
    }

    fn transform(&self, _rate_hz: u32) -> Result<Box<dyn Augment>, AugmentError> {
        Ok(Box::new(self.clone()))
    }
}

impl Augment for GaussianNoise {
    fn apply(&self, wave: &mut Wave, rng: &mut dyn Rng) -> Result<(), AugmentError> {
        match self.level {
            NoiseLevel::Amplitude(range) => {
                let deviation = range.draw(rng) as f32;
                wave.note(|| format!("deviation {deviation:.4}"));
                Normal::new(rng).each(wave.samples(), |x, normal| *x += deviation * normal);
            }
            NoiseLevel::SnrDb(range) => {
                let snr_db = range.draw(rng);
                wave.note(|| format!("{snr_db:.1} dB SNR"));
                let wave = wave.samples();
                let mut noise = vec![0.0; wave.len()];
                Normal::new(rng).each(&mut noise, |x, normal| *x = normal);
                mix_at_snr(wave, &noise, snr_db);
            }
        }
        Ok(())
    }
}
