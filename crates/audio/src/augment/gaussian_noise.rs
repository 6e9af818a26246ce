//! White noise.

use std::convert::Infallible;

use rand::{Rng, RngExt, TryRng};
use rand_distr::StandardNormal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::level::{MAX_SNR_DB, MIN_SNR_DB, mix_at_snr};
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
/// Draws the level, then one normal number a sample.
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
        let wave = wave.samples();
        match self.level {
            NoiseLevel::Amplitude(range) => {
                let deviation = range.draw(rng) as f32;
                let mut rng = InBlocks::new(rng);
                for x in wave {
                    *x += deviation * rng.sample::<f32, _>(StandardNormal);
                }
            }
            NoiseLevel::SnrDb(range) => {
                let snr_db = range.draw(rng);
                let mut rng = InBlocks::new(rng);
                let noise: Vec<f32> = wave.iter().map(|_| rng.sample(StandardNormal)).collect();
                mix_at_snr(wave, &noise, snr_db);
            }
        }
        Ok(())
    }
}

/// The numbers of another generator, fetched many at a time: a call for each costs more than the number. What is
/// fetched last is not all used.
struct InBlocks<'a> {
    rng: &'a mut dyn Rng,
    bytes: [u8; 1024],
    used: usize,
}

impl<'a> InBlocks<'a> {
    fn new(rng: &'a mut dyn Rng) -> Self {
        let bytes = [0; 1024];
        Self {
            rng,
            used: bytes.len(),
            bytes,
        }
    }

    fn fetch<const N: usize>(&mut self) -> [u8; N] {
        if self.used + N > self.bytes.len() {
            self.rng.fill_bytes(&mut self.bytes);
            self.used = 0;
        }
        let mut next = [0; N];
        next.copy_from_slice(&self.bytes[self.used..self.used + N]);
        self.used += N;
        next
    }
}

impl TryRng for InBlocks<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.fetch()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.fetch()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.iter_mut().for_each(|byte| [*byte] = self.fetch());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn fetched_in_blocks_the_numbers_are_the_same() {
        let (mut one, mut other) = (ChaCha8Rng::seed_from_u64(3), ChaCha8Rng::seed_from_u64(3));
        assert_eq!(one.next_u64(), other.next_u64());
        let mut blocks = InBlocks::new(&mut other);
        for _ in 0..10_000 {
            let (found, expected) = (
                blocks.sample::<f32, _>(StandardNormal),
                one.sample::<f32, _>(StandardNormal),
            );
            assert_eq!(found, expected);
        }
    }
}
