//! What of a stream the model is asked about, and what is made of its answers.

/// How a stream is heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Which sound the model is asked about.
    pub hearing: Hearing,
    /// Most of it that one question holds, in seconds: what came last.
    pub window_s: f64,
    /// From one question to the next, in seconds.
    pub hop_s: f64,
    /// Less than so many seconds of speech are not asked about.
    pub least_s: f64,
    /// Share of what was said before in what is said now, from 0 to below 1. Of classes, logarithms of probabilities are
    /// averaged so; of numbers, these themselves.
    pub smoothing: f32,
    /// A label is shown until another was the likeliest in so many updates in a row; 1 shows the likeliest.
    pub hold: u32,
}

/// Which sound the model is asked about.
#[derive(Clone, Debug, PartialEq)]
pub enum Hearing {
    /// What was said since somebody began to speak.
    Speech(VoiceActivity),
    /// All of it, in windows that are loud enough.
    Windows(Gate),
}

/// When somebody speaks. Scores are those of the crate earshot, from 0 to 1, one for 16 ms. They tell speech from hum and
/// from noise, but not from noise above about -15 dB of full scale.
#[derive(Clone, Debug, PartialEq)]
pub struct VoiceActivity {
    /// Least score at which speech begins.
    pub start: f32,
    /// Least score at which it goes on.
    pub stop: f32,
    /// How long the score is that high before speech has begun, in seconds.
    pub onset_s: f64,
    /// What is heard of the time before, in seconds.
    pub pre_roll_s: f64,
    /// What is heard of the time behind, in seconds.
    pub post_roll_s: f64,
    /// How long the score is lower before speech has ended, in seconds.
    pub silence_s: f64,
    /// Longest stretch of speech in seconds; another begins where it ends.
    pub longest_s: f64,
}

/// When a window is loud enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gate {
    /// Its root mean square is as large as this (full scale 1).
    Rms(f32),
    /// The mean of its magnitudes is as large as this (full scale 1).
    MeanMagnitude(f32),
}

impl Gate {
    /// Whether a window is loud enough.
    #[must_use]
    pub fn passes(self, window: &[f32]) -> bool {
        let mean = |sum: f64| sum / window.len().max(1) as f64;
        let samples = window.iter().map(|&sample| f64::from(sample));
        match self {
            Self::Rms(least) => mean(samples.map(|sample| sample * sample).sum()).sqrt() >= f64::from(least),
            Self::MeanMagnitude(least) => mean(samples.map(f64::abs).sum()) >= f64::from(least),
        }
    }
}

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{name} is {value}: use {range}")]
pub struct SettingsError {
    /// Which one.
    pub name: &'static str,
    /// What it is.
    pub value: f64,
    /// What it can be.
    pub range: &'static str,
}

impl Settings {
    /// Refuses what cannot be.
    ///
    /// # Errors
    /// The first setting out of its range.
    pub fn check(&self) -> Result<(), SettingsError> {
        let within = |name, value: f64, (least, most): (f64, f64), range| {
            // What is no number is in no range.
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(SettingsError { name, value, range })
            }
        };
        within("the window", self.window_s, (0.1, 60.0), "0.1 to 60 seconds")?;
        within("the hop", self.hop_s, (0.02, 60.0), "0.02 to 60 seconds")?;
        within("the least speech", self.least_s, (0.0, 60.0), "0 to 60 seconds")?;
        let smoothing = f64::from(self.smoothing);
        within("smoothing", smoothing, (0.0, 0.999), "0 to 0.999")?;
        within(
            "the hold of a label",
            f64::from(self.hold),
            (1.0, 1e6),
            "1 to 1000000 updates",
        )?;
        match &self.hearing {
            Hearing::Windows(Gate::Rms(least) | Gate::MeanMagnitude(least)) => {
                within("the least loudness", f64::from(*least), (0.0, 1.0), "0 to 1")
            }
            Hearing::Speech(voice) => {
                within(
                    "the score that starts speech",
                    f64::from(voice.start),
                    (0.0, 1.0),
                    "0 to 1",
                )?;
                let start = f64::from(voice.start);
                let range = "0 to the score that starts speech";
                within(
                    "the score that stops speech",
                    f64::from(voice.stop),
                    (0.0, start),
                    range,
                )?;
                within("the onset of speech", voice.onset_s, (0.0, 2.0), "0 to 2 seconds")?;
                within("the time before speech", voice.pre_roll_s, (0.0, 5.0), "0 to 5 seconds")?;
                let silence_s = voice.silence_s;
                within(
                    "the silence behind speech",
                    silence_s,
                    (0.02, 10.0),
                    "0.02 to 10 seconds",
                )?;
                let range = "0 to the silence that ends speech";
                within("the time behind speech", voice.post_roll_s, (0.0, silence_s), range)?;
                within("the longest speech", voice.longest_s, (1.0, 600.0), "1 to 600 seconds")
            }
        }
    }
}
