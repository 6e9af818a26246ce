//! The preparation file.

use emorun_data::{DatasetConfig, EMOTIONS, canonical};
use emorun_lang::DataPath;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A preparation file: corpora to be made into one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preparation {
    /// Name of the prepared corpus.
    #[schemars(schema_with = "emorun_lang::folder_name_schema")]
    pub name: String,
    /// Folder of everything that is written, relative to the working directory; the table is `manifest.csv` in it.
    pub output: DataPath,
    /// The corpora, as in an experiment.
    pub datasets: IndexMap<String, DatasetConfig>,
    /// Target emotions in the order of their ids, each with the corpora's emotions that become it; utterances of other
    /// emotions are left out. By default every emotion that the corpora have is kept as it is.
    #[serde(default)]
    pub emotions: Option<IndexMap<String, Vec<String>>>,
    /// What the audio is made into.
    #[serde(default)]
    pub audio: Audio,
    /// What an utterance has to fulfil to be kept.
    #[serde(default)]
    pub quality: Quality,
    /// What becomes of an utterance to which annotators gave different labels.
    #[serde(default)]
    pub disagreement: Disagreement,
}

/// What the audio is made into: mono, 16-bit WAV.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Audio {
    /// Sampling rate in Hz; 16000 by default, as speech encoders take it.
    #[serde(default = "default_rate")]
    #[schemars(range(min = 1000, max = 192_000))]
    pub sample_rate_hz: u32,
    /// Integrated loudness in LUFS after EBU R 128 to which each utterance is brought, as speech synthesis needs it. By
    /// default, and with `null`, levels stay as they are: how loud somebody speaks tells how aroused they are.
    #[serde(default)]
    #[schemars(range(min = -60.0, max = 0.0))]
    pub loudness_lufs: Option<f64>,
    /// Highest sample peak in dB of full scale: an utterance that would go beyond is made quieter. By default -1 where the
    /// loudness is set, else 0, so that only what would clip is changed.
    #[serde(default)]
    #[schemars(range(min = -60.0, max = 0.0))]
    pub peak_dbfs: Option<f64>,
}

impl Audio {
    /// Highest sample peak in dB of full scale.
    #[must_use]
    pub fn peak(&self) -> f64 {
        self.peak_dbfs
            .unwrap_or(if self.loudness_lufs.is_some() { -1.0 } else { 0.0 })
    }
}

impl Default for Audio {
    fn default() -> Self {
        Self {
            sample_rate_hz: default_rate(),
            loudness_lufs: None,
            peak_dbfs: None,
        }
    }
}

/// What an utterance has to fulfil to be kept, measured on the corpus' own audio; `null` switches a filter off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// Largest share of samples that are clipped, from 0 to 1.
    #[serde(default = "default_clipping")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_clipping_ratio: Option<f64>,
    /// Largest share of 25 ms windows that are silent, from 0 to 1.
    #[serde(default = "default_silence")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_silence_ratio: Option<f64>,
    /// Least estimate of the signal-to-noise ratio in dB.
    #[serde(default = "default_snr")]
    #[schemars(range(min = -20.0, max = 100.0))]
    pub min_snr_db: Option<f64>,
    /// Shortest utterance in seconds.
    #[serde(default = "default_shortest")]
    #[schemars(range(min = 0.05, max = 14400.0))]
    pub min_duration_s: Option<f64>,
    /// Longest utterance in seconds.
    #[serde(default = "default_longest")]
    #[schemars(range(min = 0.05, max = 14400.0))]
    pub max_duration_s: Option<f64>,
    /// What becomes of an utterance whose samples are those of an earlier one.
    #[serde(default)]
    pub duplicates: Duplicates,
}

impl Default for Quality {
    fn default() -> Self {
        Self {
            max_clipping_ratio: default_clipping(),
            max_silence_ratio: default_silence(),
            min_snr_db: default_snr(),
            min_duration_s: default_shortest(),
            max_duration_s: default_longest(),
            duplicates: Duplicates::default(),
        }
    }
}

/// What becomes of an utterance whose samples are those of an earlier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// The first is kept; all are left out where their emotions differ.
    #[default]
    Drop,
    /// All are kept.
    Keep,
}

/// What becomes of an utterance to which annotators gave different labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Disagreement {
    /// It is left out.
    #[default]
    Drop,
    /// It keeps the emotion of its corpus.
    Corpus,
}

impl Preparation {
    /// The targets as they are numbered, for corpora with these emotions.
    #[must_use]
    pub fn targets(&self, of_corpora: &[String]) -> Vec<String> {
        match &self.emotions {
            Some(emotions) => emotions.keys().cloned().collect(),
            None => of_corpora.to_vec(),
        }
    }

    /// The target that an emotion of a corpus becomes.
    #[must_use]
    pub fn target<'a>(&'a self, emotion: &'a str) -> Option<&'a str> {
        let Some(emotions) = &self.emotions else {
            return Some(emotion);
        };
        let known = canonical(emotion).unwrap_or(emotion);
        emotions
            .iter()
            .find(|(_, from)| from.iter().any(|name| canonical(name).unwrap_or(name) == known))
            .map(|(target, _)| target.as_str())
    }

    /// What the types do not say: targets that are there and unambiguous, and limits in order.
    ///
    /// # Errors
    /// Everything that is wrong, each with its remedy.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut wrong = Vec::new();
        if self.datasets.is_empty() {
            wrong.push("`datasets` is empty: name at least one corpus".to_owned());
        }
        if self.emotions.as_ref().is_some_and(IndexMap::is_empty) {
            wrong.push("`emotions` is empty: name at least one target, or leave it out to keep all".to_owned());
        }
        let plain = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c)) && !name.starts_with('.')
        };
        for name in self.datasets.keys().filter(|name| !plain(name)) {
            wrong.push(format!(
                "the dataset's name `{name}` becomes the name of a folder: use letters, digits, `_` and `-`"
            ));
        }
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for (target, from) in self.emotions.iter().flatten() {
            if target.is_empty() || target.len() > 64 || target.chars().any(char::is_control) {
                wrong.push(format!(
                    "`emotions` has the target {target:?}, which is no name of an emotion"
                ));
            }
            if from.is_empty() {
                wrong.push(format!(
                    "`emotions.{target}` is empty: list the emotions that become it"
                ));
            }
            for name in from {
                let known = canonical(name).unwrap_or(name);
                match seen.iter().find(|(earlier, _)| *earlier == known) {
                    Some((_, earlier)) => wrong.push(format!(
                        "`{name}` becomes both `{earlier}` and `{target}` in `emotions`: remove one of the two"
                    )),
                    None => seen.push((known, target)),
                }
            }
        }
        if let (Some(least), Some(most)) = (self.quality.min_duration_s, self.quality.max_duration_s)
            && least >= most
        {
            wrong.push(format!(
                "`quality.min_duration_s` is {least} and `quality.max_duration_s` {most}: nothing lies between them"
            ));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// Emotions in `emotions` that are neither canonical nor among those that the corpora have.
    #[must_use]
    pub fn unknown_emotions(&self, of_corpora: &[String]) -> Vec<&str> {
        let known = |name: &str| {
            let canonical = canonical(name).unwrap_or(name);
            EMOTIONS.contains(&canonical) || of_corpora.iter().any(|class| class == canonical)
        };
        self.emotions
            .iter()
            .flat_map(IndexMap::values)
            .flatten()
            .map(String::as_str)
            .filter(|name| !known(name))
            .collect()
    }
}

fn default_rate() -> u32 {
    16_000
}
fn default_clipping() -> Option<f64> {
    Some(0.01)
}
fn default_silence() -> Option<f64> {
    Some(0.8)
}
fn default_snr() -> Option<f64> {
    Some(5.0)
}
fn default_shortest() -> Option<f64> {
    Some(0.5)
}
fn default_longest() -> Option<f64> {
    Some(30.0)
}
