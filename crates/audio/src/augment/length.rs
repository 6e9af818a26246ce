//! A waveform's length: crops and padding.

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Augment, AugmentConfig, AugmentError, Interval, Mistakes, Wave};

/// Shortest length that can be asked for, in seconds.
const MIN_SECONDS: f64 = 0.01;
/// Longest length that can be asked for, in seconds: below [`crate::MAX_FRAMES`] at any rate.
const MAX_SECONDS: f64 = 300.0;

/// Samples of a length in seconds, at least one.
fn samples(seconds: f64, rate_hz: u32) -> usize {
    ((seconds * f64::from(rate_hz)).round() as usize).max(1)
}

/// Keeps `length` samples from `start` on.
fn keep(wave: &mut Vec<f32>, start: usize, length: usize) {
    wave.drain(..start);
    wave.truncate(length);
}

/// Keeps a random part of random length; an item that is no longer than it stays whole.
///
/// Draws the length, then, if the item is longer, where it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RandomCrop {
    /// Range of the length in seconds.
    #[schemars(inner(range(min = 0.01, max = 300.0)))]
    pub seconds: Interval,
    /// Probability with which it is applied to an item.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

impl Default for RandomCrop {
    fn default() -> Self {
        Self {
            seconds: Interval::known(2.0, 3.0),
            p: 1.0,
        }
    }
}

impl AugmentConfig for RandomCrop {
    fn p(&self) -> f64 {
        self.p
    }

    fn validate(&self) -> Result<(), Vec<AugmentError>> {
        Mistakes::default()
            .range("seconds", self.seconds, MIN_SECONDS, MAX_SECONDS, "s")
            .probability(self.p)
            .finish()
    }

    fn transform(&self, rate_hz: u32) -> Result<Box<dyn Augment>, AugmentError> {
        Ok(Box::new(Crop {
            seconds: self.seconds,
            rate_hz,
        }))
    }
}

#[derive(Debug)]
struct Crop {
    seconds: Interval,
    rate_hz: u32,
}

impl Augment for Crop {
    fn apply(&self, wave: &mut Wave, rng: &mut dyn Rng) -> Result<(), AugmentError> {
        let seconds = self.seconds.draw(rng);
        let length = samples(seconds, self.rate_hz);
        let before = wave.samples().len();
        if before > length {
            let start = rng.random_range(0..=before - length);
            keep(wave.samples(), start, length);
            wave.note(|| format!("{seconds:.2} s from {:.2} s on", start as f64 / f64::from(self.rate_hz)));
        } else {
            wave.note(|| format!("whole, as it is shorter than {seconds:.2} s"));
        }
        Ok(())
    }

    fn shortest(&self, length: usize) -> usize {
        length.min(samples(self.seconds.low(), self.rate_hz))
    }

    fn longest(&self, length: usize) -> usize {
        length.min(samples(self.seconds.high(), self.rate_hz))
    }
}

/// Which part of a longer item is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrimAt {
    /// Its beginning.
    #[default]
    Start,
    /// Its middle.
    Centre,
    /// Any part.
    Random,
}

/// What a shorter item is filled up with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PadWith {
    /// Zeros behind it.
    #[default]
    Zeros,
    /// The item from its beginning, again and again.
    Repeat,
}

/// Makes every item the same length.
///
/// Draws where the part starts, if `trim` is `random` and the item is longer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PadOrTrim {
    /// The length in seconds.
    #[schemars(range(min = 0.01, max = 300.0))]
    pub seconds: f64,
    /// Which part of a longer item is kept.
    pub trim: TrimAt,
    /// What a shorter item is filled up with.
    pub pad: PadWith,
    /// Probability with which it is applied to an item.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

impl Default for PadOrTrim {
    fn default() -> Self {
        Self {
            seconds: 5.0,
            trim: TrimAt::default(),
            pad: PadWith::default(),
            p: 1.0,
        }
    }
}

impl AugmentConfig for PadOrTrim {
    fn p(&self) -> f64 {
        self.p
    }

    fn validate(&self) -> Result<(), Vec<AugmentError>> {
        Mistakes::default()
            .value("seconds", self.seconds, MIN_SECONDS, MAX_SECONDS, "s")
            .probability(self.p)
            .finish()
    }

    fn transform(&self, rate_hz: u32) -> Result<Box<dyn Augment>, AugmentError> {
        Ok(Box::new(Fit {
            length: samples(self.seconds, rate_hz),
            trim: self.trim,
            pad: self.pad,
        }))
    }
}

#[derive(Debug)]
struct Fit {
    length: usize,
    trim: TrimAt,
    pad: PadWith,
}

impl Augment for Fit {
    fn apply(&self, wave: &mut Wave, rng: &mut dyn Rng) -> Result<(), AugmentError> {
        let before = wave.samples().len();
        if let Some(excess) = before.checked_sub(self.length).filter(|&excess| excess > 0) {
            let start = match self.trim {
                TrimAt::Start => 0,
                TrimAt::Centre => excess / 2,
                TrimAt::Random => rng.random_range(0..=excess),
            };
            keep(wave.samples(), start, self.length);
            wave.note(|| format!("cut, from sample {start} on"));
        } else if !wave.is_empty() {
            wave.note(|| "filled up".to_owned());
            let wave = wave.samples();
            match self.pad {
                PadWith::Zeros => wave.resize(self.length, 0.0),
                PadWith::Repeat => {
                    let period = wave.len();
                    wave.reserve_exact(self.length - period);
                    for i in period..self.length {
                        wave.push(wave[i - period]);
                    }
                }
            }
        }
        Ok(())
    }

    fn shortest(&self, length: usize) -> usize {
        if length == 0 { 0 } else { self.length }
    }

    fn longest(&self, length: usize) -> usize {
        self.shortest(length)
    }
}
