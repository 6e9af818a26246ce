//! Random changes of waveforms, for training.
//!
//! A configuration ([`AugmentConfig`]) is plain data with a probability `p`; [`AugmentConfig::build`]
//! makes of it an [`Augment`], which changes one waveform with draws from the generator it is given
//! and from nowhere else: the result is a function of configuration, waveform and generator alone,
//! whatever other threads do or caches hold.
//!
//! # Order of draws
//! First one uniform number for `p`, also where `p` is 0 or 1, so that a change of `p` moves no later
//! draw; then, if the transform is applied, its own draws in the order that its configuration's page
//! gives. What draws, draws from the generator in the order of the waveform.
//!
//! # Adding a transform
//! One file: a configuration with documented fields, `impl AugmentConfig` for it, and the transform
//! with `impl Augment`. A transform may change the waveform's length (a time stretch) and read files
//! (which it lists in [`Augment::files`]).

mod background_noise;
mod band_pass;
mod butterworth;
mod clipping;
mod codec;
mod convolve;
mod error;
mod gain;
mod gaussian_noise;
mod interval;
mod length;
mod level;
mod noise_folder;
mod normal;
mod peak_normalise;
mod pitch_shift;
mod polarity;
mod response;
mod reverb;
mod room;
mod speed_perturb;
mod time_mask;
mod time_shift;
mod time_stretch;
mod vad_trim;
mod wave;

pub use background_noise::BackgroundNoise;
pub use band_pass::{Band, BandPass, Between};
pub use clipping::Clipping;
pub use codec::{Codec, Quantise};
pub use error::{AugmentError, NoiseFolderError};
pub use gain::Gain;
pub use gaussian_noise::{GaussianNoise, NoiseLevel};
pub use interval::{Interval, IntervalError};
pub use length::{PadOrTrim, PadWith, RandomCrop, TrimAt};
pub use peak_normalise::PeakNormalise;
pub use pitch_shift::PitchShift;
pub use polarity::Polarity;
pub use rand::Rng;
pub use reverb::{Response, Reverb, Shoebox};
pub use speed_perturb::SpeedPerturb;
pub use time_mask::TimeMask;
pub use time_shift::TimeShift;
pub use time_stretch::TimeStretch;
pub use vad_trim::VadTrim;
pub use wave::Wave;

use std::fmt::Debug;
use std::path::Path;

use rand::RngExt;

use crate::RATE_BOUNDS_HZ;

/// A random change of waveforms.
pub trait Augment: Debug + Send + Sync {
    /// Changes a mono waveform at the rate that the transform was built for.
    ///
    /// An empty waveform stays empty, and one that is not empty does not become so. Finite samples
    /// stay finite.
    ///
    /// # Errors
    /// A file that the transform reads cannot be read any more. The waveform is then of no use.
    fn apply(&self, wave: &mut Wave, rng: &mut dyn Rng) -> Result<(), AugmentError>;

    /// The least number of samples that a waveform of so many can have afterwards.
    fn shortest(&self, samples: usize) -> usize {
        samples
    }

    /// The greatest number of samples that a waveform of so many can have afterwards.
    fn longest(&self, samples: usize) -> usize {
        samples
    }

    /// Every file that [`Self::apply`] may read, in a fixed order, for whoever checks or hashes what
    /// a result depends on.
    fn files(&self) -> Vec<&Path> {
        Vec::new()
    }

    /// What whoever runs an experiment should know of these files.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// Length in seconds below which a recording is of no use.
    fn shortest_s(&self) -> f64 {
        0.0
    }

    /// Judges a recording that was decoded without fault, by its number among [`Self::files`] and the largest magnitude
    /// of its samples.
    ///
    /// # Errors
    /// It cannot be used for what it is wanted for.
    fn judge(&self, _file: usize, _peak: f32) -> Result<(), AugmentError> {
        Ok(())
    }
}

/// A folder of recordings that a transform draws from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recordings {
    /// Where its configuration names the folder, as a JSON pointer.
    pub field: &'static str,
    /// Names of the folders in it that files are taken from; every file when empty.
    pub categories: Vec<String>,
    /// What its files are.
    pub holds: Held,
}

/// What the files of a folder are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Sound to be mixed in.
    Noise,
    /// Impulse responses of rooms.
    Responses,
}

/// The parameters of a transform.
pub trait AugmentConfig {
    /// Probability with which the transform is applied to a waveform, from 0 to 1.
    fn p(&self) -> f64;

    /// Checks every parameter, without looking at files.
    ///
    /// # Errors
    /// All that is out of bounds, in the order of the fields.
    fn validate(&self) -> Result<(), Vec<AugmentError>>;

    /// The transform, always applied; for [`Self::build`].
    ///
    /// # Errors
    /// Files that it needs are missing or damaged.
    fn transform(&self, rate_hz: u32) -> Result<Box<dyn Augment>, AugmentError>;

    /// The folder of recordings that it draws from; `None` for a transform that needs none.
    fn recordings(&self) -> Option<Recordings> {
        None
    }

    /// The transform for waveforms at `rate_hz`, applied with probability `p`. It is built once and
    /// used from any number of threads.
    ///
    /// # Errors
    /// The first of [`Self::validate`]'s errors, a rate out of bounds, or that files which the
    /// transform needs are missing or damaged.
    fn build(&self, rate_hz: u32) -> Result<Box<dyn Augment>, AugmentError> {
        if let Err(errors) = self.validate()
            && let Some(error) = errors.into_iter().next()
        {
            return Err(error);
        }
        if !RATE_BOUNDS_HZ.contains(&rate_hz) {
            return Err(AugmentError::Rate { rate_hz });
        }
        Ok(Box::new(Sometimes {
            p: self.p(),
            transform: self.transform(rate_hz)?,
        }))
    }
}

/// Applies a transform with probability `p`.
#[derive(Debug)]
struct Sometimes {
    p: f64,
    transform: Box<dyn Augment>,
}

impl Augment for Sometimes {
    fn apply(&self, wave: &mut Wave, rng: &mut dyn Rng) -> Result<(), AugmentError> {
        // Below 1 always, so that `p` of 1 means always.
        if rng.random::<f64>() < self.p && !wave.is_empty() {
            self.transform.apply(wave, rng)?;
        }
        Ok(())
    }

    fn shortest(&self, samples: usize) -> usize {
        let applied = self.transform.shortest(samples);
        match self.p {
            p if p <= 0.0 => samples,
            p if p >= 1.0 => applied,
            _ => applied.min(samples),
        }
    }

    fn longest(&self, samples: usize) -> usize {
        let applied = self.transform.longest(samples);
        match self.p {
            p if p <= 0.0 => samples,
            p if p >= 1.0 => applied,
            _ => applied.max(samples),
        }
    }

    fn files(&self) -> Vec<&Path> {
        self.transform.files()
    }

    fn remarks(&self) -> Vec<String> {
        self.transform.remarks()
    }

    fn shortest_s(&self) -> f64 {
        self.transform.shortest_s()
    }

    fn judge(&self, file: usize, peak: f32) -> Result<(), AugmentError> {
        self.transform.judge(file, peak)
    }
}

/// Collects what is out of bounds.
#[derive(Default)]
struct Mistakes(Vec<AugmentError>);

impl Mistakes {
    fn probability(mut self, p: f64) -> Self {
        if !(0.0..=1.0).contains(&p) {
            self.0.push(AugmentError::Probability(p));
        }
        self
    }

    /// Both ends of `range` must lie within `least` to `most`.
    fn range(mut self, field: &'static str, range: Interval, least: f64, most: f64, unit: &'static str) -> Self {
        if range.low() < least || range.high() > most {
            self.0.push(AugmentError::Range {
                field,
                range,
                least,
                most,
                unit,
            });
        }
        self
    }

    fn value(mut self, field: &'static str, value: f64, least: f64, most: f64, unit: &'static str) -> Self {
        if !(least..=most).contains(&value) {
            self.0.push(AugmentError::Value {
                field,
                value,
                least,
                most,
                unit,
            });
        }
        self
    }

    fn length(mut self, field: &'static str, length: usize, least: usize, most: usize) -> Self {
        if !(least..=most).contains(&length) {
            self.0.push(AugmentError::Length {
                field,
                length,
                least,
                most,
            });
        }
        self
    }

    fn finish(self) -> Result<(), Vec<AugmentError>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

#[cfg(test)]
mod config_tests;
#[cfg(test)]
mod measured_tests;
#[cfg(test)]
mod recordings_tests;
#[cfg(test)]
mod tests;
