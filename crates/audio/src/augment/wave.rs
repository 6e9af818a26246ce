//! A waveform on its way through transforms.

use crate::stretch::{MAX_SEMITONES, RATE_BOUNDS, stretch};

/// A mono waveform that transforms change one after the other.
///
/// Changes of tempo and pitch are put off until a transform needs the samples, so that neighbouring
/// ones become a single pass of the vocoder: faster, and heard as one.
#[derive(Debug, Clone)]
pub struct Wave {
    samples: Vec<f32>,
    rate_hz: u32,
    tempo: f64,
    semitones: f64,
}

impl Wave {
    /// A waveform at a sampling rate.
    pub fn new(samples: Vec<f32>, rate_hz: u32) -> Self {
        Self {
            samples,
            rate_hz,
            tempo: 1.0,
            semitones: 0.0,
        }
    }

    /// The samples, with everything done that was put off.
    pub fn samples(&mut self) -> &mut Vec<f32> {
        if self.tempo != 1.0 || self.semitones != 0.0 {
            self.samples = stretch(&self.samples, self.rate_hz, self.tempo, self.semitones);
            (self.tempo, self.semitones) = (1.0, 0.0);
        }
        &mut self.samples
    }

    /// As [`Self::samples`], handed out.
    pub fn into_samples(mut self) -> Vec<f32> {
        std::mem::take(self.samples())
    }

    /// True if there are no samples.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Makes it `tempo` times as fast and shifts its pitch, as soon as the samples are needed.
    pub(super) fn warp(&mut self, tempo: f64, semitones: f64) {
        let (both, shift) = (self.tempo * tempo, self.semitones + semitones);
        if RATE_BOUNDS.contains(&both) && shift.abs() <= MAX_SEMITONES {
            (self.tempo, self.semitones) = (both, shift);
        } else {
            self.samples();
            (self.tempo, self.semitones) = (tempo, semitones);
        }
    }
}
