//! A narrow channel.

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::butterworth::{Butterworth, Pass};
use super::{Augment, AugmentConfig, AugmentError, Interval, Mistakes, Wave};

/// Order of the filter at either edge: 24 dB an octave.
const ORDER: usize = 4;
/// Least cut-off in Hz.
const MIN_HZ: f64 = 10.0;
/// Greatest cut-off in Hz: half the greatest sampling rate.
const MAX_HZ: f64 = 384_000.0;

/// Which frequencies pass.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Band {
    /// 300 to 3400 Hz, as over a telephone line.
    Telephone,
    /// From one drawn cut-off to another.
    Between(Between),
}

/// Cut-offs to draw from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Between {
    /// Range of the lower cut-off in Hz, where the level is 3 dB down.
    pub low_hz: Interval,
    /// Range of the upper cut-off in Hz, above the lower one and below half the sampling rate.
    pub high_hz: Interval,
}

impl Band {
    fn between(self) -> Between {
        match self {
            Self::Telephone => Between {
                low_hz: Interval::known(300.0, 300.0),
                high_hz: Interval::known(3400.0, 3400.0),
            },
            Self::Between(between) => between,
        }
    }
}

/// Lets a band of frequencies pass: a Butterworth high-pass and a low-pass of order 4 each.
///
/// Draws the lower, then the upper cut-off.
///
/// Source: audiomentations' `BandPassFilter`; the telephone band is that of ITU-T G.712.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BandPass {
    /// The band: `telephone`, or `between: { low_hz: [100, 500], high_hz: [3000, 7000] }`.
    pub band: Band,
    /// Probability with which it is applied to an item.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

impl Default for BandPass {
    fn default() -> Self {
        Self {
            band: Band::Telephone,
            p: 0.5,
        }
    }
}

impl AugmentConfig for BandPass {
    fn p(&self) -> f64 {
        self.p
    }

    fn validate(&self) -> Result<(), Vec<AugmentError>> {
        let Between { low_hz, high_hz } = self.band.between();
        let mut mistakes = Mistakes::default().range("band.between.low_hz", low_hz, MIN_HZ, MAX_HZ, "Hz");
        // Written the other way round, so that also equal ends are refused.
        if high_hz.low() <= low_hz.high() {
            mistakes = mistakes.range("band.between.high_hz", high_hz, low_hz.high() + 1.0, MAX_HZ, "Hz");
        }
        mistakes.probability(self.p).finish()
    }

    fn transform(&self, rate_hz: u32) -> Result<Box<dyn Augment>, AugmentError> {
        let between = self.band.between();
        let rate_hz = f64::from(rate_hz);
        // Near half the rate the bilinear transform leaves no filter.
        Mistakes::default()
            .range(
                "band.between.high_hz",
                between.high_hz,
                MIN_HZ,
                0.49 * rate_hz,
                "Hz at this sampling rate",
            )
            .finish()
            .map_err(first)?;
        Ok(Box::new(Filter { between, rate_hz }))
    }
}

fn first(mut errors: Vec<AugmentError>) -> AugmentError {
    errors.swap_remove(0)
}

#[derive(Debug)]
struct Filter {
    between: Between,
    rate_hz: f64,
}

impl Augment for Filter {
    fn apply(&self, wave: &mut Wave, rng: &mut dyn Rng) -> Result<(), AugmentError> {
        let (low_hz, high_hz) = (self.between.low_hz.draw(rng), self.between.high_hz.draw(rng));
        wave.note(|| format!("{low_hz:.0} to {high_hz:.0} Hz"));
        let (low, high) = (low_hz / self.rate_hz, high_hz / self.rate_hz);
        let samples = wave.samples();
        Butterworth::new(Pass::High, ORDER, low).apply(samples);
        Butterworth::new(Pass::Low, ORDER, high).apply(samples);
        Ok(())
    }
}
