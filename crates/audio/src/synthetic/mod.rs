//! Expressive speech-like audio, made from numbers alone.
//!
//! A source–filter synthesiser speaks nonsense sentences: glottal pulses with jitter, shimmer,
//! spectral tilt and aspiration pass formant resonators that move between vowels, with fricatives,
//! stops and pauses between. Emotions move pitch level and range, rate, energy, tilt, voice quality
//! and articulation as acted speech does. Each utterance expresses its emotion with its own
//! intensity, speakers differ in all of these too, and every cue varies freely besides: the
//! emotions really overlap.
//!
//! The samples are a function of the [`VoiceSpec`] alone, with the same bits on every machine.
//!
//! # Source
//! Synthesis: Klatt and Klatt, "Analysis, synthesis, and perception of voice quality variations",
//! JASA 87 (1990), without its nasal and tracheal poles. Cues: Scherer, "Vocal communication of
//! emotion", Speech Communication 40 (2003), table 2; Juslin and Laukka, Psychological Bulletin 129
//! (2003), table 7.

mod plan;
mod random;
#[cfg(test)]
mod tests;
mod voice;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Clip, RATE_BOUNDS_HZ};

/// Emotion that an utterance expresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyntheticEmotion {
    /// The speaker's own middle.
    Neutral,
    /// Higher, livelier, a little louder and brighter, with spread lips.
    Happy,
    /// Lower, flatter, slower, softer, breathy and slurred.
    Sad,
    /// Higher, louder, faster, pressed and bright, with hard attacks.
    Angry,
    /// Highest, narrow, fast, breathy and trembling.
    Fearful,
}

impl SyntheticEmotion {
    /// Every emotion.
    pub const ALL: [Self; 5] = [Self::Neutral, Self::Happy, Self::Sad, Self::Angry, Self::Fearful];

    /// Its name in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Neutral => "neutral",
            Self::Happy => "happy",
            Self::Sad => "sad",
            Self::Angry => "angry",
            Self::Fearful => "fearful",
        }
    }
}

/// Range of pitch and formants a speaker is drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gender {
    /// Around 200 Hz, with formants 15 % higher.
    Female,
    /// Around 115 Hz.
    Male,
}

/// What is spoken, by whom and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VoiceSpec {
    /// Who speaks: with `seed` and `gender` it fixes the voice.
    pub speaker: u32,
    /// Range the voice is drawn from.
    pub gender: Gender,
    /// What is expressed.
    pub emotion: SyntheticEmotion,
    /// What is said: with `seed` it fixes the syllables.
    pub sentence: u32,
    /// Which of several readings of the same sentence in the same emotion.
    pub take: u32,
    /// Seed of the whole corpus.
    pub seed: u64,
    /// Sampling rate in hertz, taken into [`RATE_BOUNDS_HZ`].
    pub rate_hz: u32,
    /// How far utterances of one emotion stray into others: 0 gives each emotion's prototype, 1 the
    /// overlap that corpora are calibrated for. Taken into 0 to 3.
    pub overlap: f32,
}

/// Speaks one utterance of about one to two seconds.
///
/// # Units
/// Amplitudes within ±1, speech at about -30 dBFS.
pub fn synthesise(spec: &VoiceSpec) -> Clip {
    let rate_hz = spec.rate_hz.clamp(*RATE_BOUNDS_HZ.start(), *RATE_BOUNDS_HZ.end());
    let score = plan::Score::new(spec);
    Clip {
        samples: voice::render(&score, rate_hz),
        rate_hz,
    }
}
