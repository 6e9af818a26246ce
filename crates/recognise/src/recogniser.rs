//! The contract of a model that is put to use.

use crate::{Answer, Head};

/// A trained model, loaded and ready: what it is asked is sound alone, and no corpus is needed.
///
/// It is used by one thread at a time; who has several callers puts it on a thread of its own, or behind a lock.
pub trait Recogniser: Send {
    /// What it is called, such as the label of its run.
    fn name(&self) -> &str;

    /// Sample rate that it takes, in Hz.
    fn rate_hz(&self) -> u32;

    /// The heads that answer, each named once.
    fn heads(&self) -> &[Head];

    /// Samples of the shortest clip that it takes, at [`Self::rate_hz`].
    fn shortest(&self) -> usize;

    /// What each head says of each clip (mono, at [`Self::rate_hz`], full scale 1): `[clip][head]`, in order. An
    /// answer does not depend on the other clips, but for the rounding of sums in batches of several lengths.
    ///
    /// # Errors
    /// A clip is too short or has samples that are not finite, or a head gives numbers that are not.
    fn recognise(&mut self, clips: &[&[f32]]) -> Result<Vec<Vec<Answer>>, RecogniserError>;
}

/// Why a model says nothing of some clips.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RecogniserError {
    /// Less than the model takes.
    #[error("it is too short ({samples} samples at {rate_hz} Hz): the model takes {shortest} or more")]
    TooShort {
        /// Samples of the clip.
        samples: usize,
        /// Samples of the shortest that is taken.
        shortest: usize,
        /// Sample rate of both, in Hz.
        rate_hz: u32,
    },
    /// A sample that is no number of sound.
    #[error("sample {at} is not finite")]
    NotFinite {
        /// Its place.
        at: usize,
    },
    /// The model itself has failed, or what it gives is not finite.
    #[error("{0}")]
    Model(String),
}
