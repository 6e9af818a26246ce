//! A telephone's coding.

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Augment, AugmentConfig, AugmentError, Interval, Mistakes, Wave};
use crate::{RATE_BOUNDS_HZ, resample, resampled_len};

/// Coded rates are multiples of this, in Hz, so that resampling stays cheap.
const STEP_HZ: f64 = 100.0;

/// How samples are stored on the line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quantise {
    /// As 8 bits by the µ-law of ITU-T G.711.
    #[default]
    MuLaw,
    /// As they are.
    None,
}

/// Codes and decodes the item: at a low sampling rate, and with 8 bits a sample. The defaults are the
/// G.711 codec of telephone lines; the length stays.
///
/// Draws the rate, which is rounded to 100 Hz; an item at that rate or below is not resampled.
///
/// Source: ITU-T G.711 and its reference code in G.191.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Codec {
    /// Range of the sampling rate on the line in Hz.
    #[schemars(inner(range(min = 1000.0, max = 768_000.0)))]
    pub rate_hz: Interval,
    /// How samples are stored there.
    pub quantise: Quantise,
    /// Probability with which it is applied to an item.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

impl Default for Codec {
    fn default() -> Self {
        Self {
            rate_hz: Interval::known(8000.0, 8000.0),
            quantise: Quantise::default(),
            p: 0.5,
        }
    }
}

impl AugmentConfig for Codec {
    fn p(&self) -> f64 {
        self.p
    }

    fn validate(&self) -> Result<(), Vec<AugmentError>> {
        let (least, most) = (f64::from(*RATE_BOUNDS_HZ.start()), f64::from(*RATE_BOUNDS_HZ.end()));
        Mistakes::default()
            .range("rate_hz", self.rate_hz, least, most, "Hz")
            .probability(self.p)
            .finish()
    }

    fn transform(&self, rate_hz: u32) -> Result<Box<dyn Augment>, AugmentError> {
        Ok(Box::new(Line {
            config: self.clone(),
            own_hz: rate_hz,
        }))
    }
}

#[derive(Debug)]
struct Line {
    config: Codec,
    own_hz: u32,
}

impl Augment for Line {
    fn apply(&self, wave: &mut Wave, rng: &mut dyn Rng) -> Result<(), AugmentError> {
        let drawn = self.config.rate_hz.draw(rng);
        let rate_hz = ((drawn / STEP_HZ).round() * STEP_HZ) as u32;
        wave.note(|| format!("{rate_hz} Hz"));
        let samples = wave.samples();
        let length = samples.len();
        // What has less than a sample there is left at its rate.
        let low = rate_hz < self.own_hz && resampled_len(length as u64, self.own_hz, rate_hz) > 0;
        if low {
            *samples = resample(samples, self.own_hz, rate_hz)?;
        }
        if self.config.quantise == Quantise::MuLaw {
            for x in samples.iter_mut() {
                *x = decode_mu_law(encode_mu_law(*x));
            }
        }
        if low {
            *samples = resample(samples, rate_hz, self.own_hz)?;
            samples.resize(length, 0.0);
        }
        Ok(())
    }
}

/// Added to the magnitude, so that every segment of the curve begins with a power of two.
const BIAS: u32 = 33;
/// Greatest magnitude, of 14 bits with sign.
const CLIP: u32 = 8158;

/// The 8-bit code of a sample; full scale is 14 bits.
pub(super) fn encode_mu_law(x: f32) -> u8 {
    let linear = (f64::from(x) * 8192.0).round();
    let magnitude = (linear.abs().min(f64::from(CLIP)) as u32) + BIAS;
    // The leading one's place above the least, which is bit 5.
    let segment = 26 - magnitude.leading_zeros();
    let step = (magnitude >> (segment + 1)) & 15;
    let sign = if linear < 0.0 { 0 } else { 0x80 };
    // On the line all bits but the sign are inverted.
    sign | (!(segment << 4 | step) & 0x7f) as u8
}

/// The sample of a code, in the middle of those that it stands for.
pub(super) fn decode_mu_law(code: u8) -> f32 {
    let bits = u32::from(!code);
    let (segment, step) = (bits >> 4 & 7, bits & 15);
    let magnitude = ((2 * step + BIAS) << segment) - BIAS;
    let x = magnitude as f32 / 8192.0;
    if code & 0x80 == 0 { -x } else { x }
}
