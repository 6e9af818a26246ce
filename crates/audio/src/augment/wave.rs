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
    /// What transforms have drawn, where somebody wants to know.
    notes: Option<Vec<String>>,
}

impl Wave {
    /// A waveform at a sampling rate.
    pub fn new(samples: Vec<f32>, rate_hz: u32) -> Self {
        Self {
            samples,
            rate_hz,
            tempo: 1.0,
            semitones: 0.0,
            notes: None,
        }
    }

    /// The same, on which each transform that is applied notes what it has drawn: see [`Self::take_notes`].
    #[must_use]
    pub fn noting(self) -> Self {
        Self {
            notes: Some(Vec::new()),
            ..self
        }
    }

    /// What transforms have noted since this was called last, for people: an entry for each that was applied.
    pub fn take_notes(&mut self) -> Vec<String> {
        self.notes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Notes what a transform has drawn, with units; the text is made only where somebody wants to know.
    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(notes) = &mut self.notes {
            notes.push(what());
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
