//! Whether a window's text is kept, decoded again at a higher temperature, or passed over as silence.
//!
//! # Source
//! Radford et al. 2023, §4.5; transformers' `WhisperGenerationMixin._need_fallback`.

/// Limits of a text that is kept; what is not given is not asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Thresholds {
    /// Bytes of the tokens over their bytes when compressed, at most: more is a text that repeats itself.
    pub compression_ratio: Option<f64>,
    /// Mean log-probability of a token, at least.
    pub log_prob: Option<f64>,
    /// Probability of no speech above which an unlikely text is silence; asked beside `log_prob` only.
    pub no_speech: Option<f64>,
}

/// What becomes of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is kept.
    Keep,
    /// It is decoded again at the next temperature.
    Again,
    /// Nothing was said.
    Silence,
}

impl Thresholds {
    /// The verdict on a text of this compression ratio, mean log-probability and probability of no speech.
    #[must_use]
    pub fn verdict(&self, compression_ratio: f64, log_prob: f64, no_speech: f64) -> Verdict {
        let unlikely = self.log_prob.is_some_and(|least| log_prob < least);
        if unlikely && self.no_speech.is_some_and(|most| no_speech > most) {
            return Verdict::Silence;
        }
        if unlikely || self.compression_ratio.is_some_and(|most| compression_ratio > most) {
            return Verdict::Again;
        }
        Verdict::Keep
    }
}
