//! Without the silence around the speech.

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Augment, AugmentConfig, AugmentError, Mistakes, Wave};

/// Length of a frame in seconds; 512 samples at 16 kHz.
const FRAME_S: f64 = 0.032;
/// Time from frame to frame in seconds; 128 samples at 16 kHz.
const HOP_S: f64 = 0.008;

/// Cuts off what lies before the first frame and after the last one that is loud enough, measured
/// against the item's loudest. A silent item stays whole.
///
/// Draws nothing beyond `p`.
///
/// Source: `librosa.effects.trim`, with frames of 32 ms every 8 ms; audiomentations' `Trim`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VadTrim {
    /// How far below the loudest frame's level a frame counts as silence, in dB.
    #[schemars(range(min = 1.0, max = 120.0))]
    pub top_db: f64,
    /// Probability with which it is applied to an item.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

impl Default for VadTrim {
    fn default() -> Self {
        Self { top_db: 30.0, p: 0.5 }
    }
}

impl AugmentConfig for VadTrim {
    fn p(&self) -> f64 {
        self.p
    }

    fn validate(&self) -> Result<(), Vec<AugmentError>> {
        Mistakes::default()
            .value("top_db", self.top_db, 1.0, 120.0, "dB")
            .probability(self.p)
            .finish()
    }

    fn transform(&self, rate_hz: u32) -> Result<Box<dyn Augment>, AugmentError> {
        let samples = |seconds: f64| ((seconds * f64::from(rate_hz)).round() as usize).max(1);
        Ok(Box::new(Trim {
            below: libm::pow(10.0, -self.top_db / 10.0),
            frame: samples(FRAME_S),
            hop: samples(HOP_S),
        }))
    }
}

#[derive(Debug)]
struct Trim {
    /// Ratio of powers.
    below: f64,
    /// Samples.
    frame: usize,
    hop: usize,
}

impl Augment for Trim {
    fn apply(&self, wave: &mut Wave, _rng: &mut dyn Rng) -> Result<(), AugmentError> {
        let samples = wave.samples();
        // Frames around the multiples of the hop, with silence beyond the ends.
        let half = self.frame / 2;
        let powers: Vec<f64> = (0..=samples.len() / self.hop)
            .map(|frame| {
                let centre = frame * self.hop;
                let start = centre.saturating_sub(half).min(samples.len());
                let end = (centre + self.frame - half).min(samples.len());
                samples[start..end].iter().map(|&x| f64::from(x) * f64::from(x)).sum()
            })
            .collect();
        let loudest = powers.iter().copied().fold(0.0, f64::max);
        let is_loud = |power: &f64| *power > loudest * self.below;
        if let (Some(first), Some(last)) = (powers.iter().position(is_loud), powers.iter().rposition(is_loud)) {
            let end = ((last + 1) * self.hop).min(samples.len());
            // The last frame may stand right at the end of the item: a hop is left at least.
            let start = (first * self.hop).min(end - self.hop.min(end));
            let cut = [start, samples.len() - end];
            samples.truncate(end);
            samples.drain(..start);
            wave.note(|| format!("{} samples before and {} behind cut off", cut[0], cut[1]));
        }
        Ok(())
    }

    fn shortest(&self, samples: usize) -> usize {
        samples.min(self.hop)
    }
}
